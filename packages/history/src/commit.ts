/** Commits that bring a history member in, renew it, or take it out. */
import type { CommitRequest, Group, PendingCommitView } from "mlskit";
import { type HistoryMember, historyMembers } from "./history-member.ts";

export interface CommitWithHistory {
  readonly pending: PendingCommitView;
  /** Set if the Commit adds one. Its secret goes to the group once the Commit is accepted. */
  readonly history: HistoryMember | undefined;
}

/** From the epoch of this Commit on, devices that are given the secret can read the group. */
export async function startHistory(
  group: Group,
  make: () => Promise<HistoryMember>,
  request: CommitRequest = {},
): Promise<CommitWithHistory> {
  const { epoch } = group;
  const history = await make();
  const add = [...(request.add ?? []), history.keyPackage];
  const pending = await group.commit({ epoch, ...request, add, remove: leaving(group, request) });
  return { pending, history };
}

/**
 * A Commit in a group that may share its history: if it removes anybody, the history member is
 * replaced, for who leaves knows its secret. In groups without one it is a Commit like any other.
 */
export async function commitWithHistory(
  group: Group,
  make: () => Promise<HistoryMember>,
  request: CommitRequest = {},
): Promise<CommitWithHistory> {
  if (historyMembers(group).length === 0 || !mayRemove(group, request)) {
    return { pending: await group.commit(request), history: undefined };
  }
  return startHistory(group, make, request);
}

/** From the epoch of this Commit on, nobody reads who is not a member by himself. */
export function endHistory(group: Group, request: CommitRequest = {}): Promise<PendingCommitView> {
  return group.commit({ ...request, remove: leaving(group, request) });
}

/** What is to be removed, and all history members. */
function leaving(group: Group, request: CommitRequest): readonly number[] {
  const history = historyMembers(group).map(({ leafIndex }) => leafIndex);
  return [...new Set([...(request.remove ?? []), ...history])];
}

/** Proposals of registered types count: a removal too many costs a key package, one too few a secret. */
function mayRemove(group: Group, request: CommitRequest): boolean {
  if ((request.remove?.length ?? 0) + (request.swap?.remove.length ?? 0) > 0) return true;
  const covered = [
    ...(request.proposals ?? []),
    ...group.queuedProposals,
    ...group.pendingProposals.map(({ proposal }) => proposal),
  ];
  return covered.some(({ type }) => type === "remove" || type === "custom");
}
