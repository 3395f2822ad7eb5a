/** Wishes that a lost race left unfulfilled. RFC 9420 §14; catalogue M-COM-14. */
import { equalBytes } from "../../codec/index.ts";
import type { CommitSummary } from "../../group/commit-summary.ts";
import type { Proposal } from "../../messages/proposal.ts";
import { leafIndex } from "../../tree/tree-math.ts";
import type { GroupState } from "./group-state.ts";

/** What a Commit of ours wanted, when another one won. */
export interface LostCommit {
  readonly summary: CommitSummary;
  /** By value, in call order. */
  readonly proposals: readonly Proposal[];
}

/** The proposals that still make sense in the group as it is now. */
export function remainingProposals(
  { epoch }: GroupState,
  { summary, proposals }: LostCommit,
): Proposal[] {
  const { tree, crypto, context } = epoch;
  const remaining: Proposal[] = [];
  for (const proposal of proposals) {
    switch (proposal.type) {
      case "add": {
        const { signatureKey } = proposal.keyPackage.leafNode;
        if (tree.leafWithSignatureKey(signatureKey) === undefined) remaining.push(proposal);
        break;
      }
      case "remove": {
        // The leaf may have a new occupant by now, whom nobody wanted to remove.
        const meant = summary.removed.find((member) => member.leafIndex === proposal.removed);
        const now = tree.leaf(leafIndex(proposal.removed));
        if (meant === undefined || now === undefined) break;
        if (equalBytes(meant.leaf.signatureKey, now.signatureKey)) remaining.push(proposal);
        break;
      }
      case "psk": {
        const nonce = crypto.randomBytes(crypto.suite.kdf.size);
        remaining.push({ ...proposal, psk: { ...proposal.psk, nonce } });
        break;
      }
      case "groupContextExtensions":
        if (summary.extensions !== context.extensions) remaining.push(proposal);
        break;
      default:
        remaining.push(proposal);
    }
  }
  return remaining;
}
