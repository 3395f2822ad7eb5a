/** When to renew our own keys, for post-compromise security. Catalogue M-UPD-09. */
import type { CommitSummary } from "../group/commit-summary.ts";
import type { GroupState } from "./group-state.ts";

/** Bounds of the application; what is left out does not count. */
export interface UpdatePolicy {
  /** Application messages sent since our last update. */
  readonly messages?: number | undefined;
  /** Seconds since our last update. */
  readonly seconds?: number | undefined;
  /** A member was removed by somebody else since. */
  readonly removal?: boolean | undefined;
}

export const DEFAULT_UPDATE_POLICY: UpdatePolicy = {
  messages: 1000,
  seconds: 7 * 86_400,
  removal: true,
};

export type UpdateReason = "messages" | "seconds" | "removal";

/** What has happened since our leaf got its keys. */
export interface UpdateRecord {
  readonly updatedAt: bigint;
  /** Messages sent in the epochs before the current one. */
  readonly messages: number;
  readonly sawRemoval: boolean;
}

export function reasonsToUpdate(
  state: GroupState,
  now: bigint,
  policy: UpdatePolicy,
): readonly UpdateReason[] {
  const { updatedAt, sawRemoval } = state.ownUpdate;
  const reasons: UpdateReason[] = [];
  if (policy.messages !== undefined && messagesSent(state) >= policy.messages) {
    reasons.push("messages");
  }
  if (policy.seconds !== undefined && now - updatedAt >= BigInt(policy.seconds)) {
    reasons.push("seconds");
  }
  if (policy.removal === true && sawRemoval) reasons.push("removal");
  return reasons;
}

/** Since our last update. */
export function messagesSent({ ownUpdate, epoch }: GroupState): number {
  return ownUpdate.messages + epoch.secretTree.nextGeneration(epoch.ownLeaf, "application");
}

/** The record after a Commit. */
export function afterCommit(state: GroupState, summary: CommitSummary, now: bigint): UpdateRecord {
  const { ownLeaf } = state.epoch;
  if (summary.updated.some(({ leafIndex }) => leafIndex === ownLeaf)) {
    return { updatedAt: now, messages: 0, sawRemoval: false };
  }
  const { updatedAt, sawRemoval } = state.ownUpdate;
  const removes = summary.removed.length > 0 && summary.committer !== ownLeaf;
  return { updatedAt, messages: messagesSent(state), sawRemoval: sawRemoval || removes };
}
