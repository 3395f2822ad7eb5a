/** When to renew our own keys, for post-compromise security. Catalogue M-UPD-09. */
import type { CommitSummary } from "../../group/commit-summary.ts";
import type { UpdatePolicy } from "./config.ts";
import type { GroupState, UpdateRecord } from "./group-state.ts";

export type UpdateReason = "messages" | "seconds" | "removal";

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
