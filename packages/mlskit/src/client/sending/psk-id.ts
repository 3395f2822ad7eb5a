/** Naming PSKs for injection, each time under a fresh nonce. RFC 9420 §8.4. */
import {
  type PreSharedKeyId,
  type PskName,
  pskIdOf,
  type ResumptionPskId,
} from "../../key-schedule/pre-shared-key.ts";
import type { GroupSession } from "../session/session.ts";

/** An epoch, of this group unless said otherwise. */
export interface ResumptionPsk {
  readonly epoch: bigint;
  readonly groupId?: Uint8Array | undefined;
}

export function pskId(session: GroupSession, name: PskName): PreSharedKeyId {
  return pskIdOf(name, freshNonce(session));
}

export function resumptionPskId(
  session: GroupSession,
  { epoch, groupId = session.state.epoch.context.groupId }: ResumptionPsk,
): ResumptionPskId {
  const nonce = freshNonce(session);
  return { type: "resumption", usage: "application", groupId, epoch, nonce };
}

/** Rule valn0803: as long as the KDF's output. */
function freshNonce({ state }: GroupSession): Uint8Array {
  const { crypto } = state.epoch;
  return crypto.randomBytes(crypto.suite.kdf.size);
}
