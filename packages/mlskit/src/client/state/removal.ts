/** Who removed whom, and how. */
import type { CommitSummary, RemovedMember } from "../../group/commit-summary.ts";

/** `weLeft`, `theyLeft`: the leaver asked for it. */
export type RemovalReason =
  | "weLeft"
  | "weWereRemoved"
  | "theyLeft"
  | "theyWereRemoved"
  | "weRemovedThem"
  | "resync";

export interface MemberRemoval extends RemovedMember {
  readonly reason: RemovalReason;
}

/** Classifies the removals of a Commit, before or after it was merged. */
export function classifyRemovals(
  { removed, isExternal }: CommitSummary,
  ownLeaf: number,
): MemberRemoval[] {
  return removed.map((removal) => {
    const { by, leafIndex } = removal;
    const isOurs = leafIndex === ownLeaf;
    const byMember = by.type === "member" ? by.leafIndex : undefined;
    let reason: RemovalReason;
    if (isExternal && by.type === "newMemberCommit") reason = isOurs ? "weWereRemoved" : "resync";
    else if (byMember === leafIndex) reason = isOurs ? "weLeft" : "theyLeft";
    else if (isOurs) reason = "weWereRemoved";
    else reason = byMember === ownLeaf ? "weRemovedThem" : "theyWereRemoved";
    return { ...removal, reason };
  });
}
