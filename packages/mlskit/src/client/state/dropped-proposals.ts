/** Proposals that an epoch ended without. RFC 9420 §12.4; catalogue M-PROP-19. */
import { encode, equalBytes } from "../../codec/index.ts";
import { areSameExtensions } from "../../extensions/extension.ts";
import type { CommitSummary } from "../../group/commit-summary.ts";
import { Proposal } from "../../messages/proposal.ts";
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
  /** ProposalRef in the epoch that ended; undefined if it was queued and never sent. */
  readonly reference: Uint8Array | undefined;
  readonly proposal: Proposal;
  readonly isOwn: boolean;
  readonly reason: DropReason;
}

/**
 * Pending proposals that the Commit between the two states did not carry out, and queued ones for which
 * there is no reason any more.
 */
export function droppedProposals(
  before: GroupState,
  after: GroupState,
  summary: CommitSummary,
  now: bigint,
): readonly DroppedProposal[] {
  if (after.status === "inactive") return [];
  const dropped: Omit<DroppedProposal, "reason">[] = [];
  for (const stored of before.proposals.values()) {
    if (!isCovered(stored, summary)) dropped.push({ ...stored, isOwn: stored.bytes !== undefined });
  }
  for (const proposal of notCarried(before)) {
    if (!after.queued.includes(proposal)) {
      dropped.push({ reference: undefined, proposal, isOwn: true });
    }
  }
  return dropped.map(({ reference, proposal, isOwn }) => {
    return { reference, proposal, isOwn, reason: reasonOf(proposal, leafIn(before), after, now) };
  });
}

/** Queued proposals that go on waiting: no Commit of ours had them, and they still make sense. */
export function stillQueued(
  before: GroupState,
  after: GroupState,
  now: bigint,
): readonly Proposal[] {
  return notCarried(before).filter((proposal) => {
    return reasonOf(proposal, leafIn(before), after, now) === "notCommitted";
  });
}

/** What a Commit of ours carried is settled with it, one way or the other. */
function notCarried({ queued, pending }: GroupState): readonly Proposal[] {
  return queued.filter((proposal, i) => {
    // It began with the queue, which has grown at its end only: the Commit may have been detached.
    const carried = pending?.proposals[i];
    if (carried === undefined) return true;
    return !equalBytes(encode(Proposal, carried), encode(Proposal, proposal));
  });
}

const leafIn =
  ({ epoch }: GroupState) =>
  (leaf: number): LeafNode | undefined =>
    epoch.tree.leaf(leafIndex(leaf));

/** @param meant who had a leaf when the proposal was made */
export function reasonOf(
  proposal: Proposal,
  meant: (leaf: number) => LeafNode | undefined,
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
      const [then, present] = [meant(proposal.removed), leafIn(after)(proposal.removed)];
      if (then === undefined || present === undefined) return "settled";
      return equalBytes(then.signatureKey, present.signatureKey) ? "notCommitted" : "settled";
    }
    case "groupContextExtensions": {
      const isSame = areSameExtensions(proposal.extensions, context.extensions);
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
