/** The rule that nobody who is removed keeps a secret that still reads. */
import type { CommitCandidate, GroupPolicy } from "mlskit";
import { isHistoryMember } from "./history-member.ts";

/**
 * Refuses Commits that take a member out and leave a history member in, and history members that
 * somebody else than the committer proposed. All members of a group must use it, or none.
 */
export function renewHistory(): GroupPolicy {
  return {
    reviewCommit: (candidate) => {
      if (candidate.proposals.some((entry) => isForeign(entry, candidate.committer))) {
        return { reason: "a history member is added by the member that made it" };
      }
      const gone = leavers(candidate);
      const seats = [...candidate.before.members()].filter(isHistoryMember);
      if (gone.size === 0 || seats.every(({ leafIndex }) => gone.has(leafIndex))) return true;
      return { reason: "who removes a member has to renew the history member" };
    },
  };
}

type Entry = CommitCandidate["proposals"][number];

function isForeign({ proposal, sender }: Entry, committer: number): boolean {
  if (proposal.type !== "add" || !isHistoryMember(proposal.keyPackage.leafNode)) return false;
  return sender.type !== "member" || sender.leafIndex !== committer;
}

/** Leaves that lose their signature key, but not by an Update, a path or a resync of their own. */
function leavers({ before, after, ...commit }: CommitCandidate): Set<number> {
  const renewed = new Set(commit.isExternal ? [] : [commit.committer]);
  for (const { proposal, sender } of commit.proposals) {
    if (proposal.type === "update" && sender.type === "member") renewed.add(sender.leafIndex);
    // An external commit removes by a Remove nobody but the former leaf of who comes in.
    if (proposal.type === "remove" && commit.isExternal) renewed.add(proposal.removed);
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
