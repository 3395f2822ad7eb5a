/** What becomes of a received Commit, of our own and of others. RFC 9420 §12.4.2, §14. */
import { isToBeAnnounced, unbuffer } from "./buffer.ts";
import { completeJoin } from "./complete-join.ts";
import { messageHash, type Received } from "./receive.ts";
import { type Receiver, replayBuffered } from "./replay.ts";
import { mergeOwn, mergeStaged, noPendingCommit } from "./settle-commit.ts";
import { equalBytes, type WireTypes } from "../../codec/index.ts";
import { StateError } from "../../errors.ts";
import { wireTypes } from "../../group/environment.ts";
import type { StagedCommit } from "../../group/process-commit.ts";
import type { GroupSession } from "../session/session.ts";
import { comingEpoch } from "../state/coming-epoch.ts";
import { incomingCredentials } from "../state/credentials-in-commit.ts";
import type { GroupState, PendingCommit } from "../state/group-state.ts";
import type {
  AuthenticatedInfo,
  CommitOutcome,
  Outcome,
  OwnCommitOutcome,
} from "../state/outcome.ts";
import type { LostCommit } from "../state/rebuild.ts";
import { classifyRemovals } from "../state/removal.ts";

export async function commitOutcome(
  receiver: Receiver,
  session: GroupSession,
  bytes: Uint8Array,
  received: Extract<Received, { kind: "commit" }>,
  accept: boolean,
): Promise<CommitOutcome> {
  const { staged } = received;
  const before = session.state;
  const types = wireTypes(session.environment);
  const { epoch } = before.epoch.context;
  const merge = async (now: GroupSession): Promise<CommitOutcome> => {
    requireEpoch(now.state, epoch);
    const { pending } = now.state;
    unbuffer(now, messageHash(now, bytes));
    const dropped = mergeStaged(now, staged, bytes);
    const replayed = await replayBuffered(receiver, now);
    return {
      ...describe(received, before, staged, types),
      isMerged: true,
      discarded: pending === undefined ? undefined : lostCommit(pending, before),
      dropped,
      replayed,
      accept: merged,
    };
  };
  if (accept) return merge(session);
  if (isToBeAnnounced(session, bytes)) {
    session.emit({ type: "commitStaged", groupId: received.info.groupId, epoch, isOwn: false });
  }
  return {
    ...describe(received, before, staged, types),
    isMerged: false,
    discarded: undefined,
    dropped: [],
    replayed: [],
    accept: () => receiver.operate(merge),
  };
}

function lostCommit({ summary, proposals }: PendingCommit, { epoch }: GroupState): LostCommit {
  return { summary, proposals, extensionsBefore: epoch.context.extensions };
}

function merged(): never {
  throw new StateError("WRONG_EPOCH", "the group has moved on since");
}

function describe(
  received: Extract<Received, { kind: "commit" }>,
  before: GroupState,
  { summary, next, notices }: StagedCommit,
  types: WireTypes,
) {
  const kind = next === undefined ? "removed" : summary.reInit === undefined ? "commit" : "reinit";
  return {
    kind,
    ...authorOf(received),
    summary,
    removals: classifyRemovals(summary, before.epoch.ownLeaf),
    credentials: incomingCredentials(summary, types),
    reInit: summary.reInit,
    notices,
    next: next === undefined ? undefined : comingEpoch(next),
  } as const;
}

export async function ownCommitOutcome(
  receiver: Receiver,
  session: GroupSession,
  info: Received["info"],
  accept: boolean,
): Promise<Outcome> {
  const { pending, joinCommit } = session.state;
  if (pending === undefined) {
    if (joinCommit === undefined) return { kind: "duplicate", ...info };
    return joinAccepted(receiver, session, info);
  }
  const { summary, confirmationTag, welcomes, groupInfo, ratchetTree } = pending;
  const epoch = session.state.epoch.context.epoch;
  const merge = async (now: GroupSession): Promise<OwnCommitOutcome> => {
    requireEpoch(now.state, epoch);
    // It may have been discarded since, and its secrets with it.
    const current = now.state.pending;
    if (current === undefined || !equalBytes(current.commit, pending.commit)) {
      throw noPendingCommit();
    }
    const dropped = mergeOwn(now, current);
    const replayed = await replayBuffered(receiver, now);
    return {
      kind: "ownCommit",
      ...info,
      summary,
      confirmationTag,
      isMerged: true,
      welcomes,
      groupInfo,
      ratchetTree,
      dropped,
      replayed,
      accept: merged,
    };
  };
  if (accept) return merge(session);
  return {
    kind: "ownCommit",
    ...info,
    summary,
    confirmationTag,
    isMerged: false,
    ...NOTHING_TO_HAND_OUT,
    dropped: [],
    replayed: [],
    accept: () => receiver.operate(merge),
  };
}

/** The echo of an external commit of ours: the join is accepted. */
async function joinAccepted(
  receiver: Receiver,
  session: GroupSession,
  info: Received["info"],
): Promise<Outcome> {
  const replayed = await acceptJoin(receiver, session);
  return {
    kind: "ownCommit",
    ...info,
    summary: undefined,
    confirmationTag: session.state.epoch.confirmationTag,
    isMerged: true,
    ...NOTHING_TO_HAND_OUT,
    dropped: [],
    replayed,
    accept: merged,
  };
}

const NOTHING_TO_HAND_OUT = { welcomes: [], groupInfo: undefined, ratchetTree: undefined } as const;

/** The delivery service accepted our external commit: what waited for that is processed. */
export async function acceptJoin(
  receiver: Receiver,
  session: GroupSession,
): Promise<readonly Outcome[]> {
  await completeJoin(session);
  return replayBuffered(receiver, session);
}

export function authorOf({
  info,
  sender,
  authenticatedData,
}: Extract<Received, { sender: unknown }>): AuthenticatedInfo {
  return { sender, authenticatedData, ...info };
}

export function requireEpoch(state: GroupState, epoch: bigint): void {
  if (state.epoch.context.epoch === epoch && state.status !== "inactive") return;
  throw new StateError("WRONG_EPOCH", "the group has moved on since", {
    details: { relation: "stale", currentEpoch: state.epoch.context.epoch },
  });
}
