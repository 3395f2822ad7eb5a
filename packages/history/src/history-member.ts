/** The passive member: how it is made, and how others know it. */
import {
  type AuthenticationService,
  Client,
  type ClientOptions,
  type Credential,
  exportClient,
  type Group,
  type Member,
  memoryStorage,
} from "mlskit";
import { encodeSecret, newSealingKey } from "./secret.ts";

/** Begins the identity of each; the rest is random. */
const PREFIX = "mlskit-history:";

export interface HistoryMember {
  /** An MLSMessage, for the Commit that adds it. */
  readonly keyPackage: Uint8Array;
  /**
   * All that whoever has it needs to read the group from that Commit on, and the group's messages.
   * Belongs into a message to the group in the epoch that this Commit begins, and nowhere else.
   */
  readonly secret: Uint8Array;
}

export interface HistoryMemberOptions extends Omit<ClientOptions, "storage"> {
  /** The group's. Default: 1. */
  readonly cipherSuite?: number | undefined;
}

/** Makes a history member. It is stored nowhere: what is returned is all there is of it. */
export async function newHistoryMember(options: HistoryMemberOptions): Promise<HistoryMember> {
  const storage = memoryStorage();
  const identity = `${PREFIX}${crypto.randomUUID()}`;
  const client = await Client.create({ ...options, identity, storage });
  const { bytes } = await client.createKeyPackage();
  const key = newSealingKey();
  const sealed = await exportClient(storage, key);
  await client.close();
  return { keyPackage: bytes, secret: encodeSecret(key, sealed) };
}

/** By the name in its credential. */
export function isHistoryMember({ credential }: { readonly credential: Credential }): boolean {
  if (credential.type !== "basic") return false;
  return new TextDecoder().decode(credential.identity).startsWith(PREFIX);
}

export function historyMembers(group: Group): readonly Member[] {
  return group.members().filter(isHistoryMember);
}

/**
 * The same service, which believes in history members that a member added, and in no other way of
 * coming in: such a member learns no more than who added it, and could have handed on as well. Must be
 * used by all members.
 */
export function acceptHistory(service: AuthenticationService): AuthenticationService {
  const { clientId, expiresAt } = service;
  return {
    async validate(identities, context) {
      const others = identities.filter((identity) => !isHistoryMember(identity));
      const verdicts = [...(await service.validate(others, context))];
      const comesFromOutside = ["externalJoin", "externalSender"].includes(context.event);
      return identities.map((one) => {
        if (!isHistoryMember(one)) return verdicts.shift() ?? { reason: "there is no verdict" };
        return comesFromOutside ? { reason: "a history member is added by a member" } : true;
      });
    },
    isSuccessor(current, next, context) {
      if (!isHistoryMember(current) && !isHistoryMember(next)) {
        return service.isSuccessor(current, next, context);
      }
      return { reason: "a history member is replaced, never renewed" };
    },
    clientId(one) {
      const isKnown = clientId !== undefined && !isHistoryMember(one);
      return isKnown ? clientId.call(service, one) : one.signatureKey;
    },
    expiresAt: (one) => (isHistoryMember(one) ? undefined : expiresAt?.call(service, one)),
  };
}
