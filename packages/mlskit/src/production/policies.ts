/**
 * Ready-made rules about group changes. Catalogue M-POL-06. They are consensus-critical: all members of
 * a group must use the same ones.
 */
import type { Verdict } from "../credentials/authentication-service.ts";
import type { Credential } from "../credentials/credential.ts";
import type { MaybePromise } from "../crypto/index.ts";
import type {
  CommitCandidate,
  CommitDefaults,
  GroupPolicy,
  GroupView,
  ProposalCandidate,
} from "../group/environment.ts";

/** All rules must agree; the first one that refuses gives the reason. */
export function allOf(...policies: readonly GroupPolicy[]): GroupPolicy {
  const reviewers = policies.filter(({ reviewProposal }) => reviewProposal !== undefined);
  const reviewProposal = async (candidate: ProposalCandidate): Promise<Verdict> => {
    for (const policy of reviewers) {
      const verdict = (await policy.reviewProposal?.(candidate)) ?? true;
      if (verdict !== true) return verdict;
    }
    return true;
  };
  return {
    // Without any such rule the default stays: new members that propose themselves are refused.
    ...(reviewers.length === 0 ? {} : { reviewProposal }),
    reviewCommit: async (candidate) => {
      for (const policy of policies) {
        const verdict = (await policy.reviewCommit?.(candidate)) ?? true;
        if (verdict !== true) return verdict;
      }
      return true;
    },
    commitDefaults: async (group) => {
      let defaults: CommitDefaults = {};
      for (const policy of policies) {
        defaults = { ...defaults, ...(await policy.commitDefaults?.(group)) };
      }
      return defaults;
    },
  };
}

/** Which credentials may do what; all members must give the same answer. */
export type IsAdmin = (credential: Credential, group: GroupView) => MaybePromise<boolean>;

/**
 * Only admins add and remove members. Everybody may ask for the own removal, and come back by replacing
 * the own leaf; who wants to join may ask, and an admin may commit it.
 */
export function adminsOnly(isAdmin: IsAdmin): GroupPolicy {
  return {
    reviewProposal: async (candidate) => {
      const { proposal, sender, group, committer } = candidate;
      if (proposal.type !== "add" && proposal.type !== "remove") return true;
      if (isOfOneself(candidate)) return true;
      let { credential } = candidate;
      if (sender.type === "newMemberProposal") {
        if (committer === undefined) return true;
        credential = group.member(committer)?.credential;
      }
      if (credential !== undefined && (await isAdmin(credential, group))) return true;
      return { reason: "only admins add or remove members" };
    },
    reviewCommit: (candidate) => {
      if (!candidate.isExternal || isResync(candidate)) return true;
      return { reason: "only admins add members" };
    },
  };
}

/** Members leave by their own wish, and nobody removes another. */
export function selfRemovalOnly(): GroupPolicy {
  return {
    reviewProposal: (candidate) => {
      if (candidate.proposal.type !== "remove" || isOfOneself(candidate)) return true;
      return { reason: "members are not removed by others" };
    },
  };
}

/** Nobody comes in by an external commit; `resync`: members may still replace their own leaf. */
export function noExternalCommits({
  resync = false,
}: {
  readonly resync?: boolean;
} = {}): GroupPolicy {
  return {
    reviewCommit: (candidate) => {
      if (!candidate.isExternal || (resync && isResync(candidate))) return true;
      return { reason: "external commits are not accepted" };
    },
    commitDefaults: () => ({ externalCommits: resync }),
  };
}

/** No Commit makes the group larger than this. */
export function memberLimit(maximum: number): GroupPolicy {
  return {
    reviewCommit: ({ before, after }) => {
      const size = count(after);
      if (size <= maximum || size <= count(before)) return true;
      return { reason: "the group would have too many members" };
    },
  };
}

/** A Remove of the own leaf, by proposal or in the external commit that replaces it. */
function isOfOneself({ proposal, sender }: ProposalCandidate): boolean {
  if (proposal.type !== "remove") return false;
  if (sender.type === "newMemberCommit") return true;
  return sender.type === "member" && sender.leafIndex === proposal.removed;
}

function isResync({ isExternal, proposals }: CommitCandidate): boolean {
  if (!isExternal) return false;
  return proposals.some(
    ({ proposal, sender }) => proposal.type === "remove" && sender.type === "newMemberCommit",
  );
}

function count(group: GroupView): number {
  let members = 0;
  for (const _ of group.members()) members += 1;
  return members;
}
