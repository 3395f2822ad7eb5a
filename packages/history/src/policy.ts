/** The rule that nobody who is removed keeps a secret that still reads. */
import type { CommitCandidate, GroupPolicy } from "mlskit";
import { isHistoryMember } from "./history-member.ts";

/**
 * Refuses Commits that take a member out and leave a history member in. All members of a group must
 * use it, or none. An external commit removes nobody but the former leaf of who comes in.
 */
export function renewHistory(): GroupPolicy {
  return {
    reviewCommit: (candidate) => {
      if (candidate.isExternal) return true;
      const gone = leavers(candidate);
      const seats = [...candidate.before.members()].filter(isHistoryMember);
      if (gone.size === 0 || seats.every(({ leafIndex }) => gone.has(leafIndex))) return true;
      return { reason: "who removes a member has to renew the history member" };
    },
  };
}

/** Leaves that lose their signature key, but not by an Update or a path of their own. */
function leavers({ before, after, committer, proposals }: CommitCandidate): Set<number> {
  const renewed = new Set([committer]);
  for (const { proposal, sender } of proposals) {
    if (proposal.type === "update" && sender.type === "member") renewed.add(sender.leafIndex);
  }
  const gone = new Set<number>();
  for (const { leafIndex, signatureKey } of before.members()) {
    const now = after.member(leafIndex)?.signatureKey;
    const isSame = now !== undefined && isEqual(now, signatureKey);
    if (!isSame && !renewed.has(leafIndex)) gone.add(leafIndex);
  }
  return gone;
}

function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
