/** Who of several members commits the same pending proposals, and when. Rule P-OWN-05. */
import { removedByCustom } from "../../group/custom-types.ts";
import type { RegisteredTypes } from "../../group/environment.ts";
import type { GroupState, StoredProposal } from "./group-state.ts";

/**
 * Seconds to wait before committing, so that members that hold the same proposals do not all commit
 * at once. Every member computes a different value, and another one in every epoch.
 *
 * @param remaining Members that stay after the pending removals.
 * @param rank Own position among them, in leaf order, from 0.
 */
export function commitDelay(remaining: number, rank: number, epoch: bigint): number {
  const position =
    remaining === 0
      ? 1
      : ((Number(epoch % BigInt(remaining)) + (rank % remaining)) % remaining) + 1;
  return position <= 3 ? (position - 1) * 15 : Math.floor(Math.log(position) * 120) - 106;
}

/** For a group as it is; undefined if nothing is pending, or if we are about to be removed. */
export function commitDelayFor(
  { epoch, proposals }: GroupState,
  types: RegisteredTypes,
): number | undefined {
  if (proposals.size === 0) return undefined;
  const leavers = new Set<number | undefined>();
  for (const proposal of proposals.values()) leavers.add(leaverOf(proposal, types));
  if (leavers.has(epoch.ownLeaf)) return undefined;
  let remaining = 0;
  let rank = 0;
  for (const [leaf] of epoch.tree.members()) {
    if (leavers.has(leaf)) continue;
    if (leaf < epoch.ownLeaf) rank += 1;
    remaining += 1;
  }
  return commitDelay(remaining, rank, epoch.context.epoch);
}

/** Whom the proposal removes, be it by a type of the application's or a draft's, such as SelfRemove. */
export function leaverOf(
  { proposal, sender }: Pick<StoredProposal, "proposal" | "sender">,
  types: RegisteredTypes,
): number | undefined {
  if (proposal.type === "remove") return proposal.removed;
  return removedByCustom(proposal, sender, types);
}
