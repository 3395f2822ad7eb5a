/** Proposals that an epoch ended without. RFC 9420 §12.4; catalogue M-PROP-19. */
import { encode, equalBytes } from "../../codec/index.ts";
import { Extensions } from "../../extensions/extension.ts";
import type { CommitSummary } from "../../group/commit-summary.ts";
import type { Proposal } from "../../messages/proposal.ts";
import type { LeafNode } from "../../tree/nodes.ts";
import { leafIndex } from "../../tree/tree-math.ts";
import { isCovered } from "./covered.ts";
import type { GroupState } from "./group-state.ts";

/**
 * `notCommitted`: the committer left it out, and it still makes sense. `settled`: what it wanted came
 * about by other means, or became impossible. `expired`: the key package that it adds is not valid
 * any more.
 */
export type DropReason = "notCommitted" | "settled" | "expired";

export interface DroppedProposal {
  /** ProposalRef in the epoch that ended. */
  readonly reference: Uint8Array;
  readonly proposal: Proposal;
  readonly isOwn: boolean;
  readonly reason: DropReason;
}

/** Pending proposals that the Commit between the two states did not carry out. */
export function droppedProposals(
  before: GroupState,
  after: GroupState,
  summary: CommitSummary,
  now: bigint,
): readonly DroppedProposal[] {
  if (after.status === "inactive") return [];
  const dropped: DroppedProposal[] = [];
  for (const stored of before.proposals.values()) {
    if (isCovered(stored, summary)) continue;
    const { reference, proposal, bytes } = stored;
    const reason = reasonOf(proposal, before, after, now);
    dropped.push({ reference, proposal, isOwn: bytes !== undefined, reason });
  }
  return dropped;
}

function reasonOf(
  proposal: Proposal,
  before: GroupState,
  after: GroupState,
  now: bigint,
): DropReason {
  if (after.status === "suspended") return "settled";
  const { tree, context } = after.epoch;
  switch (proposal.type) {
    case "add": {
      const { leafNode } = proposal.keyPackage;
      if (tree.leafWithSignatureKey(leafNode.signatureKey) !== undefined) return "settled";
      return isExpired(leafNode, now) ? "expired" : "notCommitted";
    }
    case "remove": {
      // The leaf may have a new occupant by now, whom nobody wanted to remove.
      const removed = leafIndex(proposal.removed);
      const [meant, present] = [before.epoch.tree.leaf(removed), tree.leaf(removed)];
      if (meant === undefined || present === undefined) return "settled";
      return equalBytes(meant.signatureKey, present.signatureKey) ? "notCommitted" : "settled";
    }
    case "groupContextExtensions": {
      const [wanted, present] = [proposal.extensions, context.extensions];
      const isSame = equalBytes(encode(Extensions, wanted), encode(Extensions, present));
      return isSame ? "settled" : "notCommitted";
    }
    default:
      return "notCommitted";
  }
}

/** Whether the lifetime of a leaf from a key package is over. */
export function isExpired({ origin }: LeafNode, now: bigint): boolean {
  return origin.source === "keyPackage" && origin.lifetime.notAfter < now;
}
