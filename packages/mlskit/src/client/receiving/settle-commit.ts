/** Beginning a new epoch, or staying in the old one. RFC 9420 §14. */
import { EMPTY_BYTES, equalBytes } from "../../codec/index.ts";
import { MlsError, StateError } from "../../errors.ts";
import type { CommitSummary } from "../../group/commit-summary.ts";
import { type DroppedProposal, droppedProposals } from "../state/dropped-proposals.ts";
import { type GroupState, type PendingCommit, SEEN_SLOTS } from "../state/group-state.ts";
import { type HandOut, handOutOf, isReadable, withHandOut } from "../state/hand-out.ts";
import { eraseEpoch } from "../../group/epoch.ts";
import { mergeEpoch, mergeRemoval } from "./merge.ts";
import { type IncomingCommit, type MessageKeyId, messageHash } from "./receive.ts";
import { classifyRemovals } from "../state/removal.ts";
import { eraseMessageKey } from "../../secret-tree/hash-ratchet.ts";
import { credentialAt, epochBegins } from "../state/events.ts";
import type { GroupSession } from "../session/session.ts";

/** Begins the epoch of our pending Commit. The proposals that it did not cover. */
export function mergeOwn(
  session: GroupSession,
  pending: PendingCommit,
): readonly DroppedProposal[] {
  const before = session.state;
  const { summary, next, commit } = pending;
  remember(session, commit, pending.confirmationTag);
  const merged = mergeEpoch(session.state, next, summary, session.environment.now);
  session.state = merged.state;
  session.eraseLater(merged.erase);
  const { groupId, epoch } = next.context;
  session.emit({ type: "commitAccepted", groupId, epoch, isOwn: true });
  keepHandOut(session, { ...pending, epoch });
  const dropped = announce(session, before, summary);
  if (summary.hasPath) session.emit({ type: "ownUpdateDone", groupId, epoch });
  return dropped;
}

/** What the Commit has for others stays in the store until they have it. Crash table, "send a Welcome". */
export function keepHandOut(session: GroupSession, handOut: HandOut): void {
  const { state } = session;
  const { kept, dropped } = withHandOut(state.handOuts, handOut, state.config);
  session.state = { ...state, handOuts: kept };
  if (state.config.handOuts === 0) return;
  const { groupId } = state.epoch.context;
  for (const { epoch } of dropped) session.emit({ type: "handOutDropped", groupId, epoch });
}

/** They have it. Saying so twice, or of a Commit that had nothing for anybody, changes nothing. */
export async function forgetHandOut(
  session: GroupSession,
  commit: Pick<HandOut, "confirmationTag">,
): Promise<void> {
  const { state } = session;
  const done = handOutOf(state.handOuts, commit);
  if (done === undefined) return;
  session.state = { ...state, handOuts: state.handOuts.filter((one) => one !== done) };
}

/**
 * Begins the epoch of somebody else's Commit, or ends the group if it removes us. The proposals that
 * it did not cover.
 */
export function mergeStaged(
  session: GroupSession,
  staged: IncomingCommit,
  bytes: Uint8Array,
): readonly DroppedProposal[] {
  if (staged.key !== undefined) useUp(session, staged.key);
  const before = session.state;
  const { summary, next } = staged;
  const { groupId, epoch } = before.epoch.context;
  remember(session, bytes, next?.confirmationTag);
  const { now } = session.environment;
  const merged =
    next === undefined
      ? mergeRemoval(session.state, staged, now)
      : mergeEpoch(session.state, next, summary, now);
  session.state = merged.state;
  session.eraseLater(merged.erase);
  if (before.pending !== undefined) {
    session.emit({
      type: "lostRace",
      groupId,
      epoch: epoch + 1n,
      committer: summary.committer,
      credential: credentialAt(session.state.epoch.tree, summary.committer),
    });
  }
  if (next !== undefined) {
    // The epoch has begun with a copy of its own. RFC 9420 §9.2.
    session.eraseLater(() => next.secretTree.erase());
    session.emit({ type: "commitAccepted", groupId, epoch: epoch + 1n, isOwn: false });
  }
  return announce(session, before, summary);
}

/**
 * RFC 9420 §9.2: the key that opened a Commit or a proposal goes, with all above it, from the tree that is kept
 * for late messages. It is sought anew, for the tree may have been used since the message was opened.
 */
export function useUp(session: GroupSession, key: MessageKeyId): void {
  const { secretTree, context } = session.state.epoch;
  const { limits } = session.environment;
  try {
    const { leaf, generation } = key;
    const prepared = secretTree.prepareReceive(leaf, "handshake", generation, limits);
    eraseMessageKey(prepared.messageKey);
    session.useKey(secretTree, context.epoch, prepared.change);
  } catch (error) {
    // Other handshake messages of the sender may have pushed it out or, against the rules, used it too.
    if (!MlsError.is(error, "GENERATION_TOO_OLD", "ALREADY_CONSUMED")) throw error;
  }
}

/** @param commit the one that is meant; if it does not wait any more, nothing changes */
export function discardPending(session: GroupSession, commit?: Uint8Array): void {
  const { pending, epoch } = session.state;
  if (pending === undefined || (commit !== undefined && !equalBytes(pending.commit, commit))) {
    if (commit !== undefined) return;
    throw noPendingCommit();
  }
  session.state = { ...session.state, pending: undefined };
  session.eraseLater(() => eraseEpoch(pending.next, epoch));
  const { groupId } = epoch.context;
  session.emit({ type: "commitDiscarded", groupId, epoch: epoch.context.epoch, isOwn: true });
}

/** Events of a new epoch, in order: who went, who came, that it began. */
function announce(
  session: GroupSession,
  before: GroupState,
  summary: CommitSummary,
): readonly DroppedProposal[] {
  const { groupId } = before.epoch.context;
  const epoch = before.epoch.context.epoch + 1n;
  const { ownLeaf } = before.epoch;
  for (const { leafIndex, leaf, reason } of classifyRemovals(summary, ownLeaf)) {
    const { credential } = leaf;
    session.emit({ type: "memberRemoved", groupId, epoch, leafIndex, credential, reason });
    if (leafIndex === ownLeaf) session.emit({ type: "removedFromGroup", groupId, epoch, reason });
  }
  for (const { leafIndex, leaf } of summary.added) {
    const { credential } = leaf;
    session.emit({ type: "memberJoined", groupId, epoch, leafIndex, credential });
  }
  for (const one of before.handOuts.filter((kept) => !isReadable(kept))) {
    session.emit({ type: "handOutDropped", groupId, epoch: one.epoch });
  }
  if (session.state.status === "inactive") return [];
  session.emit(epochBegins(session.state.epoch, summary.committer));
  if (
    summary.updated.some(({ leafIndex }) => leafIndex === ownLeaf) &&
    summary.committer !== ownLeaf
  ) {
    session.emit({ type: "ownUpdateDone", groupId, epoch });
  }
  const dropped = droppedProposals(before, session.state, summary, session.environment.now);
  for (const one of dropped) session.emit({ type: "proposalDropped", groupId, epoch, ...one });
  if (before.isLeaving) session.emit({ type: "leaveNotCovered", groupId, epoch });
  if (summary.reInit !== undefined) session.emit({ type: "reInit", groupId, epoch });
  return dropped;
}

/**
 * Remembers a handshake message that took effect, to know it if it comes again; by its confirmation tag
 * or reference also in another envelope, for the membership tag of an older epoch is nobody's word.
 */
export function remember(
  session: GroupSession,
  bytes: Uint8Array,
  name: Uint8Array = EMPTY_BYTES,
): void {
  const { hashes, next } = session.state.seen;
  const kept = new Map(hashes);
  kept.set(next, messageHash(session, bytes) + messageHash(session, name));
  kept.delete(next - SEEN_SLOTS);
  session.state = { ...session.state, seen: { hashes: kept, next: next + 1 } };
}

export function noPendingCommit(rule?: string): StateError {
  return new StateError("NO_PENDING_COMMIT", "there is no pending Commit", { rule });
}
