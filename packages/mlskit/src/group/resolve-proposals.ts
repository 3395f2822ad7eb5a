/** From the references in a Commit to the proposals themselves. RFC 9420 §12.4. */
import { bytesKey } from "../codec/index.ts";
import { DecodeError, StateError } from "../errors.ts";
import type { Commit } from "../messages/commit.ts";
import { check } from "../rules.ts";
import type { VerifiedContent } from "./content.ts";
import type { Environment } from "./environment.ts";
import type { PublicEpoch } from "./epoch.ts";
import { cacheKey, type ProposalCache, type ProposalEntry } from "./proposal-entry.ts";
import { refusalsAmong } from "./refused-proposals.ts";

/**
 * In Commit order. @throws StateError `UNKNOWN_PROPOSAL` with all references that are not at hand:
 * the Commit can be presented again once they are. StateError `PROPOSAL_REFUSED` if one of them
 * was here and was refused; its cause says why.
 */
export function resolveProposals(
  epoch: PublicEpoch,
  commit: Commit,
  { sender }: VerifiedContent,
  cache: ProposalCache,
  { limits }: Environment,
): ProposalEntry[] {
  const { length } = commit.proposals;
  if (length > limits.maximumProposalsPerCommit) {
    const details = { proposals: length };
    const message = "a Commit has more proposals than are accepted";
    throw new DecodeError(message, { rule: "mk-14", details });
  }
  const entries: ProposalEntry[] = [];
  const missing: Uint8Array[] = [];
  const seen = new Set<string>();
  for (const item of commit.proposals) {
    if (item.type === "proposal") {
      entries.push({ proposal: item.proposal, sender, reference: undefined });
      continue;
    }
    const key = bytesKey(item.reference);
    check(!seen.has(key), "mk-68", "INVALID_COMMIT", "a Commit names a proposal twice");
    seen.add(key);
    const cached = cache.get(cacheKey(item.reference));
    if (cached === undefined) missing.push(item.reference);
    else entries.push(cached);
  }
  if (entries.filter(({ proposal }) => proposal.type === "psk").length > limits.maximumPsks) {
    throw new DecodeError("a Commit has more PSKs than are accepted", { rule: "mk-14" });
  }
  const [refusal] = refusalsAmong(epoch, missing);
  if (refusal !== undefined) {
    const { reference, reason } = refusal;
    throw new StateError("PROPOSAL_REFUSED", "a Commit names a proposal that was refused", {
      rule: "mk-67",
      details: { refused: reference, epoch: epoch.context.epoch },
      cause: reason,
    });
  }
  if (missing.length > 0) {
    throw new StateError("UNKNOWN_PROPOSAL", "a Commit names proposals that are not here", {
      rule: "mk-67",
      details: { missing, epoch: epoch.context.epoch },
    });
  }
  return entries;
}
