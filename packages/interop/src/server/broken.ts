/** Servers that are wrong on purpose. Each fault is one that a careless implementation might have. */
import { codec, messages, publicMessages, recordKeys, records } from "../internals.ts";
import { type Distortion, honest } from "./distortion.ts";
import type { State } from "./registry.ts";

export const FAULTS = ["exporter", "membership", "confirmation"] as const;
export type Fault = (typeof FAULTS)[number];

export function isFault(name: string): name is Fault {
  return (FAULTS as readonly string[]).includes(name);
}

export function distortionOf(fault: Fault): Distortion {
  switch (fault) {
    case "exporter":
      return { ...honest, name: "broken-exporter", exportLabel: (label) => `${label} ` };
    case "membership":
      // Whoever repairs the tag before looking at it does not check it.
      return { ...honest, name: "broken-membership", incomingCommit: retagged };
    case "confirmation":
      return { ...honest, name: "broken-confirmation", outgoingCommit: withStaleConfirmation };
  }
}

/** The same message with the membership tag that it should have. */
async function retagged(state: State, commit: Uint8Array): Promise<Uint8Array> {
  const decoded = messages.decodeMlsMessage(commit);
  if (decoded.wireFormat !== "publicMessage") return commit;
  const { content, auth, membershipTag } = decoded.message;
  if (membershipTag === undefined) return commit;
  const { membershipKey } = (await headOf(state)).epoch;
  const crypto = state.actor.provider.suite(state.group.cipherSuite);
  const membership = { membershipKey, groupContext: state.group.contextBytes };
  const authenticated = { wireFormat: "publicMessage", content, auth } as const;
  const message = publicMessages.protectPublic(crypto, authenticated, membership);
  return messages.encodeMlsMessage({ wireFormat: "publicMessage", message });
}

/** The confirmation tag of the epoch before, which every member knows, instead of the new one. */
async function withStaleConfirmation(state: State, commit: Uint8Array): Promise<Uint8Array> {
  const decoded = messages.decodeMlsMessage(commit);
  if (decoded.wireFormat !== "publicMessage") return commit;
  const { content, auth, membershipTag } = decoded.message;
  const stale = { ...auth, confirmationTag: state.group.confirmationTag };
  const message = { content, auth: stale, membershipTag };
  const bytes = messages.encodeMlsMessage({ wireFormat: "publicMessage", message });
  return retagged(state, bytes);
}

async function headOf({ actor, group }: State) {
  const pointer = await actor.storage.get(recordKeys.groupKey(group.id));
  if (pointer === undefined) throw new Error("the store has no such group");
  const handle = records.decodeRecord(codec.uint32, pointer.value);
  const head = await actor.storage.get(new recordKeys.GroupKeys(handle).head);
  if (head === undefined) throw new Error("the group is not in the store");
  return records.decodeRecord(records.headRecord(), head.value);
}
