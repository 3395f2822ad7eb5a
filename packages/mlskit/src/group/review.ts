/** Asking the application's policy. */
import type { Verdict } from "../credentials/authentication-service.ts";
import type { Credential } from "../credentials/credential.ts";
import { PolicyError } from "../errors.ts";
import { readExternalSenders } from "../extensions/extension.ts";
import type { RuleId } from "../rules.ts";
import {
  type CommitCandidate,
  type DecodingRules,
  type Environment,
  type GroupView,
  type ProposalCandidate,
  wireTypes,
} from "./environment.ts";
import type { ProposalEntry } from "./proposal-entry.ts";

/**
 * Without a hook, members and listed external senders may propose and new members may not.
 * @throws PolicyError `POLICY_REJECTED`
 */
export async function reviewProposal(
  environment: Environment,
  entry: ProposalEntry,
  how: Pick<ProposalCandidate, "direction" | "committer" | "authenticatedData">,
  group: GroupView,
): Promise<void> {
  const { policy } = environment;
  const { proposal, sender, reference } = entry;
  if (policy.reviewProposal === undefined) {
    if (sender.type === "newMemberProposal" && how.direction === "receive") {
      const reason = "no policy admits new members that propose themselves";
      throw refusal({ reason }, "mk-64");
    }
    return;
  }
  const candidate = {
    proposal,
    sender,
    credential: credentialOf(entry, group, environment),
    byReference: reference !== undefined,
    ...how,
    group,
  };
  const verdict = await policy.reviewProposal(candidate);
  if (verdict !== true) throw refusal(verdict, "mk-64");
}

/** Runs after all cryptographic checks. @throws PolicyError `POLICY_REJECTED` */
export async function reviewCommit(
  { policy }: Pick<Environment, "policy">,
  candidate: () => CommitCandidate,
): Promise<void> {
  if (policy.reviewCommit === undefined) return;
  const verdict = await policy.reviewCommit(candidate());
  if (verdict !== true) throw refusal(verdict, "mk-91");
}

/** The sender's credential where the group knows it. */
export function credentialOf(
  { proposal, sender }: ProposalEntry,
  group: GroupView,
  rules: DecodingRules,
): Credential | undefined {
  switch (sender.type) {
    case "member":
      return group.member(sender.leafIndex)?.credential;
    case "external":
      return readExternalSenders(group.extensions, wireTypes(rules))[sender.senderIndex]
        ?.credential;
    case "newMemberProposal":
      return proposal.type === "add" ? proposal.keyPackage.leafNode.credential : undefined;
    case "newMemberCommit":
      return undefined;
  }
}

function refusal({ reason }: Exclude<Verdict, true>, rule: RuleId): PolicyError {
  return new PolicyError("POLICY_REJECTED", "the application's policy refused", {
    rule,
    details: { reason },
  });
}
