/**
 * Message keys for media that are encrypted outside of MLS. Each is used up by being handed out, as by
 * a message. RFC 9420 §9; catalogue M-APP-20.
 */
import { StateError, UsageError } from "../errors.ts";
import type { EpochKeys } from "../group/content.ts";
import { currentKeys, pastKeys } from "../group/past-epoch.ts";
import { eraseMessageKey, type MessageKey } from "../secret-tree/hash-ratchet.ts";
import { accessOf, type Group } from "./group.ts";
import { keepPast } from "./receiving/merge.ts";
import { requireNothingToCommit } from "./sending/send.ts";
import type { GroupSession } from "./session/session.ts";

/** Good for one encryption. The caller owns the arrays, and overwrites them after use. */
export interface ExportedMessageKey {
  readonly epoch: bigint;
  readonly leafIndex: number;
  readonly generation: number;
  readonly key: Uint8Array;
  readonly nonce: Uint8Array;
}

/**
 * The next key of our application ratchet. No message of ours will use this generation.
 *
 * @throws StateError `COMMIT_REQUIRED`, `RATCHET_EXHAUSTED`, `ROLLBACK_SUSPECTED`
 * @throws UsageError `READ_ONLY`
 */
export function exportSendingKey(group: Group): Promise<ExportedMessageKey> {
  return accessOf(group).operate(async (session) => {
    session.requireWriter();
    await requireNothingToCommit(session);
    session.requireGeneration("application");
    const { context, ownLeaf, secretTree } = session.state.epoch;
    const { messageKey, change } = secretTree.prepareSend(ownLeaf, "application");
    const exported = { epoch: context.epoch, leafIndex: ownLeaf, ...bytesOf(messageKey) };
    session.useOwnKey(change);
    return exported;
  });
}

/**
 * The key that another member used for a generation. No message with it can be read afterwards.
 *
 * @throws StateError `ALREADY_CONSUMED`, `GENERATION_TOO_OLD`, `GENERATION_TOO_FAR`,
 * `EPOCH_UNAVAILABLE` if the keys of that epoch are not there any more
 * @throws UsageError `UNKNOWN_MEMBER` if another member has no such leaf in that epoch
 */
export function exportReceivingKey(
  group: Group,
  sender: {
    readonly leafIndex: number;
    readonly generation: number;
    /** Default: the current one. */
    readonly epoch?: bigint | undefined;
  },
): Promise<ExportedMessageKey> {
  return accessOf(group).operate(async (session) => {
    session.requireActive();
    const { ownLeaf, context } = session.state.epoch;
    const { leafIndex, generation, epoch = context.epoch } = sender;
    const { secretTree, signatureKey } = keysOf(session, epoch);
    const isLeaf =
      Number.isInteger(leafIndex) && leafIndex >= 0 && leafIndex < secretTree.leafCount;
    if (!isLeaf || leafIndex === ownLeaf || signatureKey(leafIndex) === undefined) {
      throw new UsageError("UNKNOWN_MEMBER", "no other member sends from this leaf", {
        details: { leafIndex, epoch },
      });
    }
    if (!Number.isInteger(generation) || generation < 0) {
      throw new UsageError("INVALID_GENERATION", "generations are counted from 0");
    }
    const { limits } = session.environment;
    const { messageKey, change } = secretTree.prepareReceive(
      leafIndex,
      "application",
      generation,
      limits,
    );
    const exported = { epoch, leafIndex, ...bytesOf(messageKey) };
    session.useKey(secretTree, epoch, change);
    return exported;
  });
}

function keysOf({ state, environment }: GroupSession, epoch: bigint): EpochKeys {
  if (state.epoch.context.epoch === epoch) return currentKeys(state.epoch);
  const kept = keepPast(state, state.past, environment.now);
  const past = kept.find(({ context }) => context.epoch === epoch);
  if (past !== undefined) return pastKeys(past);
  throw new StateError("EPOCH_UNAVAILABLE", "the keys of this epoch are not there", {
    details: { epoch },
  });
}

function bytesOf(messageKey: MessageKey) {
  const { generation, key, nonce } = messageKey;
  const exported = { generation, key: key.bytes.slice(), nonce: nonce.bytes.slice() };
  eraseMessageKey(messageKey);
  return exported;
}
