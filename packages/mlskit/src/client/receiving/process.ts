/** From received bytes to an outcome. Catalogue M-RCV; rules P-BUF. */
import { buffer, expireBuffered, isToBeAnnounced, unbuffer } from "./buffer.ts";
import { checkRoom } from "../state/proposal-room.ts";
import { completeJoin } from "./complete-join.ts";
import { failedAmongMany, invalid, isPassing, outcomeOfFailure } from "./failed-message.ts";
import { decodeBuffered, nextToReplay } from "./replay-order.ts";
import { untimelyOutcome } from "./untimely.ts";
import { equalBytes, type WireTypes } from "../../codec/index.ts";
import { andThen, type MaybePromise } from "../../crypto/index.ts";
import { StateError } from "../../errors.ts";
import { wireTypes } from "../../group/environment.ts";
import type { StagedCommit } from "../../group/process-commit.ts";
import { checkNotRepeated } from "../../group/proposal-rules.ts";
import { comingEpoch } from "../state/coming-epoch.ts";
import { incomingCredentials } from "../state/credentials-in-commit.ts";
import { noteDecryption } from "./fork.ts";
import type { GroupAccess } from "../session/group-access.ts";
import type { BufferedMessage, GroupState } from "../state/group-state.ts";
import type { Arrived } from "../state/messages.ts";
import type {
  AuthenticatedInfo,
  CommitOutcome,
  Outcome,
  OwnCommitOutcome,
  ProposalOutcome,
} from "../state/outcome.ts";
import { reviewStored, withProposal } from "../sending/propose.ts";
import {
  authorOfFailure,
  contentTypeOf,
  type GroupMessage,
  infoOf,
  messageHash,
  type Received,
  receiveMessage,
} from "./receive.ts";
import { classifyRemovals } from "../state/removal.ts";
import type { GroupSession } from "../session/session.ts";
import { mergeOwn, mergeStaged, noPendingCommit, remember, useUp } from "./settle-commit.ts";

export interface ProcessOptions {
  /** Merge Commits and store proposals at once. Default: the group's `autoAccept`. */
  readonly accept?: boolean | undefined;
}

export function processForGroup(
  access: GroupAccess,
  session: GroupSession,
  arrived: Arrived,
  options: ProcessOptions,
): MaybePromise<Outcome> {
  const { groupId } = session.state.epoch.context;
  if ("failure" in arrived) return invalid(arrived.failure, groupId);
  const { bytes, message } = arrived;
  if (message.wireFormat !== "publicMessage" && message.wireFormat !== "privateMessage") {
    return { kind: message.wireFormat, bytes };
  }
  const { groupId: addressed } = infoOf(message);
  if (!equalBytes(addressed, groupId)) return { kind: "wrongGroup", groupId: addressed };
  return processGroupMessage(access, session, bytes, message, options);
}

/** Rule M-RCV-32: many messages, each with an outcome, at the same place in the list. */
export async function processManyForGroup(
  access: GroupAccess,
  session: GroupSession,
  arrivals: readonly Arrived[],
  options: ProcessOptions,
): Promise<readonly Outcome[]> {
  const outcomes: Outcome[] = [];
  for (const arrived of arrivals) {
    try {
      outcomes.push(await processForGroup(access, session, arrived, options));
    } catch (error) {
      outcomes.push(failedAmongMany(error, session.state.epoch.context.groupId));
    }
  }
  return outcomes;
}

export async function processGroupMessage(
  access: GroupAccess,
  session: GroupSession,
  bytes: Uint8Array,
  decoded: GroupMessage,
  options: ProcessOptions,
): Promise<Outcome> {
  const accept = options.accept ?? session.state.config.autoAccept;
  const early = await untimelyOutcome(session, bytes, decoded);
  if (early !== undefined) return early;
  const before = session.state;
  try {
    const received = await receiveMessage(session, bytes, decoded);
    return await outcomeOf(access, session, bytes, received, accept);
  } catch (error) {
    session.state = before;
    const outcome = await outcomeOfFailure(session, bytes, decoded, error);
    if (outcome.kind !== "invalid" && outcome.kind !== "invalidProposal") return outcome;
    return { ...outcome, sender: authorOfFailure(outcome.error) };
  }
}

function outcomeOf(
  access: GroupAccess,
  session: GroupSession,
  bytes: Uint8Array,
  received: Received,
  accept: boolean,
): MaybePromise<Outcome> {
  const { info } = received;
  switch (received.kind) {
    case "application": {
      const { sender, authenticatedData, data, generation } = received;
      noteDecryption(session, true);
      if (sender.type === "member") {
        const { leafIndex, credential } = sender;
        const { groupId, epoch } = info;
        session.emit({
          type: "messageReceived",
          groupId,
          epoch,
          leafIndex,
          credential,
          generation,
        });
      }
      return { kind: "application", sender, authenticatedData, data, generation, ...info };
    }
    case "proposal":
      return proposalOutcome(access, session, bytes, received, accept);
    case "commit":
      return commitOutcome(access, session, bytes, received, accept);
    case "ownCommit":
      return ownCommitOutcome(access, session, info, accept);
    case "ownProposal":
      return { kind: "ownProposal", ...info, reference: received.reference };
    case "ownMessage":
    case "duplicate":
      return { kind: received.kind, ...info };
    case "future": {
      const { contentType } = received;
      return andThen(buffer(session, bytes), (isBuffered): Outcome => {
        return { kind: "future", ...info, contentType, isBuffered };
      });
    }
    case "farFuture":
    case "stale":
    case "epochTooOld":
      return { kind: received.kind, ...info, contentType: received.contentType, isBuffered: false };
  }
}

async function proposalOutcome(
  access: GroupAccess,
  session: GroupSession,
  bytes: Uint8Array,
  received: Extract<Received, { kind: "proposal" }>,
  accept: boolean,
): Promise<Outcome> {
  const { info, cached } = received;
  const { reference } = cached;
  const author: AuthenticatedInfo = authorOf(received);
  const kinds = {
    member: "proposal",
    external: "externalProposal",
    newMember: "newMemberProposal",
  } as const;
  const epoch = session.state.epoch.context.epoch;
  if (accept) {
    const replayed = await storeProposal(access, session, received, bytes, accept);
    if (replayed !== undefined) return replayed;
  }
  const outcome: ProposalOutcome = {
    kind: kinds[received.sender.type],
    ...author,
    proposal: cached.proposal,
    reference,
    isStored: accept,
    accept: () =>
      access.operate(async (later) => {
        requireEpoch(later.state, epoch);
        const { autoAccept } = later.state.config;
        return storeProposal(access, later, received, bytes, autoAccept);
      }),
  };
  session.emit({ type: "proposalReceived", groupId: info.groupId, epoch: info.epoch, reference });
  return outcome;
}

/** Rule P-BUF-04: a Commit that waited for this proposal takes the place of its outcome. */
async function storeProposal(
  access: GroupAccess,
  session: GroupSession,
  { info, cached, key, authenticatedData }: Extract<Received, { kind: "proposal" }>,
  bytes: Uint8Array,
  acceptCommits: boolean,
): Promise<Outcome | undefined> {
  const staged = new Set<string>();
  const missing: Uint8Array[] = [];
  const early = await replayCommits(access, session, acceptCommits, staged, missing);
  // One that only waits to be accepted does not keep the proposal from being stored.
  if (early?.isMerged === true) return early;
  const isAwaited = missing.some((one) => equalBytes(one, cached.reference));
  checkRoom(session.state, cached.sender, isAwaited);
  remember(session, bytes, cached.reference);
  checkNotRepeated(cached, session.state.proposals, session.environment.types);
  await reviewStored(session, cached, authenticatedData);
  if (key !== undefined) useUp(session, key);
  const { wireFormat } = info;
  session.state = withProposal(session.state, { ...cached, bytes: undefined, wireFormat });
  return (await replayCommits(access, session, acceptCommits, staged)) ?? early;
}

/**
 * Tries the Commits again that lack proposals. The outcome of the first that lacks none any more. Those
 * that only wait to be accepted then are added to `staged`, and are not tried if they are there
 * already; the proposals that the others lack are added to `missing`.
 */
async function replayCommits(
  access: GroupAccess,
  session: GroupSession,
  accept: boolean,
  staged: Set<string>,
  missing: Uint8Array[] = [],
): Promise<CommitOutcome | undefined> {
  const { buffer: kept, epoch } = session.state;
  let first: CommitOutcome | undefined;
  for (const [hash, message] of kept) {
    if (staged.has(hash)) continue;
    const decoded = decodeBuffered(session, message);
    if (decoded === undefined || contentTypeOf(decoded) !== "commit") continue;
    if (infoOf(decoded).epoch !== epoch.context.epoch) continue;
    const outcome = await replayOne(access, session, hash, message, accept);
    if (outcome !== undefined && isCommitOutcome(outcome)) {
      if (outcome.isMerged) return outcome;
      staged.add(hash);
      first ??= outcome;
    }
    if (outcome?.kind === "missingProposal") missing.push(...outcome.missing);
  }
  return first;
}

function isCommitOutcome(outcome: Outcome): outcome is CommitOutcome {
  return ["commit", "removed", "reinit"].includes(outcome.kind);
}

async function commitOutcome(
  access: GroupAccess,
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
    const discarded = now.state.pending;
    unbuffer(now, messageHash(now, bytes));
    const dropped = mergeStaged(now, staged, bytes);
    const replayed = await replayBuffered(access, now);
    return {
      ...describe(received, before, staged, types),
      isMerged: true,
      discarded,
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
    accept: () => access.operate(merge),
  };
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

async function ownCommitOutcome(
  access: GroupAccess,
  session: GroupSession,
  info: Received["info"],
  accept: boolean,
): Promise<Outcome> {
  const { pending, joinCommit } = session.state;
  if (pending === undefined) {
    if (joinCommit === undefined) return { kind: "duplicate", ...info };
    return joinAccepted(access, session, info);
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
    const replayed = await replayBuffered(access, now);
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
    accept: () => access.operate(merge),
  };
}

/** The echo of an external commit of ours: the join is accepted. */
async function joinAccepted(
  access: GroupAccess,
  session: GroupSession,
  info: Received["info"],
): Promise<Outcome> {
  const replayed = await acceptJoin(access, session);
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
  access: GroupAccess,
  session: GroupSession,
): Promise<readonly Outcome[]> {
  await completeJoin(session);
  return replayBuffered(access, session);
}

function authorOf({
  info,
  sender,
  authenticatedData,
}: Extract<Received, { sender: unknown }>): AuthenticatedInfo {
  return { sender, authenticatedData, ...info };
}

function requireEpoch(state: GroupState, epoch: bigint): void {
  if (state.epoch.context.epoch === epoch && state.status !== "inactive") return;
  throw new StateError("WRONG_EPOCH", "the group has moved on since", {
    details: { relation: "stale", currentEpoch: state.epoch.context.epoch },
  });
}

// Messages that came too early. Rules P-BUF-01 to P-BUF-05.

/** Groups in which a replay is under way. */
const replaying = new WeakSet<GroupSession>();

/**
 * Once per merge: application messages, then proposals, then Commits, as they came. A replayed
 * Commit starts no replay of its own; the messages that it makes readable come up in this one.
 */
export async function replayBuffered(
  access: GroupAccess,
  session: GroupSession,
  accept: boolean = session.state.config.autoAccept,
): Promise<readonly Outcome[]> {
  if (replaying.has(session)) return [];
  replaying.add(session);
  try {
    expireBuffered(session);
    const outcomes: Outcome[] = [];
    const tried = new Set<string>();
    for (;;) {
      const next = nextToReplay(session, tried);
      if (next === undefined) return outcomes;
      const [hash, message] = next;
      tried.add(hash);
      const outcome = await replayOne(access, session, hash, message, accept);
      if (outcome !== undefined) outcomes.push(outcome);
    }
  } finally {
    replaying.delete(session);
  }
}

/** It stays in the buffer as long as it may come to something. */
async function replayOne(
  access: GroupAccess,
  session: GroupSession,
  hash: string,
  message: BufferedMessage,
  accept: boolean,
): Promise<Outcome | undefined> {
  const decoded = decodeBuffered(session, message);
  if (decoded === undefined) {
    unbuffer(session, hash);
    return undefined;
  }
  try {
    const outcome = await processGroupMessage(access, session, message.bytes, decoded, { accept });
    if (!isWaiting(outcome)) unbuffer(session, hash);
    return outcome;
  } catch (error) {
    const outcome = failedAmongMany(error, infoOf(decoded).groupId);
    if (isPassing(outcome.error)) return { ...outcome, isBuffered: true };
    unbuffer(session, hash);
    return outcome;
  }
}

/** For a proposal, for an earlier message, or for being accepted. */
function isWaiting(outcome: Outcome): boolean {
  if (isCommitOutcome(outcome)) return !outcome.isMerged;
  if (outcome.kind === "missingProposal") return true;
  return "isBuffered" in outcome && outcome.isBuffered === true;
}
