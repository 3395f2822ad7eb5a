/** Which pending proposals a Commit carried out. RFC 9420 §12.4. */
import { equalBytes } from "../../codec/index.ts";
import type { CommitSummary } from "../../group/commit-summary.ts";
import { changedTypes, type Extension } from "../../extensions/extension.ts";
import type { CachedProposal } from "../../group/proposal-entry.ts";
import type { GroupState } from "./group-state.ts";

/** Told by what the Commit did, which is all that is kept of one of our own. */
export function isCovered(
  { proposal, sender }: CachedProposal,
  summary: CommitSummary,
  { epoch }: Pick<GroupState, "epoch">,
): boolean {
  switch (proposal.type) {
    case "add": {
      const { encryptionKey } = proposal.keyPackage.leafNode;
      return summary.added.some(({ leaf }) => equalBytes(leaf.encryptionKey, encryptionKey));
    }
    case "update": {
      const { encryptionKey } = proposal.leafNode;
      return summary.updated.some(({ after }) => equalBytes(after.encryptionKey, encryptionKey));
    }
    case "remove":
      return summary.removed.some(({ leafIndex }) => leafIndex === proposal.removed);
    case "psk":
      return summary.psks.some(({ nonce }) => equalBytes(nonce, proposal.psk.nonce));
    case "reInit":
      return summary.reInit !== undefined;
    case "externalInit":
      return summary.isExternal;
    case "groupContextExtensions":
      return isCarriedOut(proposal.extensions, epoch.context.extensions, summary.extensions);
    case "custom":
      return summary.custom.some((committed) => {
        if (committed.proposal.proposalType !== proposal.proposalType) return false;
        if (committed.sender.type !== sender.type) return false;
        return equalBytes(committed.proposal.body, proposal.body);
      });
  }
}

/**
 * Whether a Commit left us with what a list was to change; it may have changed more than that. What another
 * proposal of the same Commit changed once more counts as settled by others.
 */
function isCarriedOut(
  wanted: readonly Extension[],
  before: readonly Extension[],
  now: readonly Extension[] | undefined,
): boolean {
  if (now === undefined) return false;
  const missing = new Set(changedTypes(wanted, now));
  return !changedTypes(before, wanted).some((type) => missing.has(type));
}
