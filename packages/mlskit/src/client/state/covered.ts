/** Which pending proposals a Commit carried out. RFC 9420 §12.4. */
import { equalBytes } from "../../codec/index.ts";
import type { CommitSummary } from "../../group/commit-summary.ts";
import type { CachedProposal } from "../../group/proposal-entry.ts";

/** Told by what the Commit did, which is all that is kept of one of our own. */
export function isCovered({ proposal, sender }: CachedProposal, summary: CommitSummary): boolean {
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
      return summary.extensions !== undefined;
    case "custom":
      return summary.custom.some((committed) => {
        if (committed.proposal.proposalType !== proposal.proposalType) return false;
        if (committed.sender.type !== sender.type) return false;
        return equalBytes(committed.proposal.body, proposal.body);
      });
  }
}
