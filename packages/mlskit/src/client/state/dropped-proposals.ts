/** Proposals that an epoch ended without. RFC 9420 §12.4; catalogue M-PROP-19. */
import { encode, equalBytes } from "../../codec/index.ts";
import {
  areSameExtensions,
  changedTypes,
  type Extension,
  findExtension,
  withExtension,
} from "../../extensions/extension.ts";
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
  /** As it would be made now: of a list of extensions, what it changes is put into the present one. */
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
  const sent = [...before.proposals.values()].flatMap((stored) => {
    const { reference, proposal, bytes } = stored;
    return isCovered(stored, summary, before)
      ? []
      : [{ reference, proposal, isOwn: bytes !== undefined }];
  });
  return [
    ...judge(sent, groupOf(before), after, now),
    ...judgeQueue(before, after, now).filter(({ reason }) => reason !== "notCommitted"),
  ];
}

/** Queued proposals that go on waiting: no Commit of ours had them, and they still make sense. */
export function stillQueued(
  before: GroupState,
  after: GroupState,
  now: bigint,
): readonly Proposal[] {
  return stillWanted(judgeQueue(before, after, now));
}

function judgeQueue(
  before: GroupState,
  after: GroupState,
  now: bigint,
): readonly DroppedProposal[] {
  const queued = notCarried(before).map((proposal) => {
    return { reference: undefined, proposal, isOwn: true };
  });
  return judge(queued, groupOf(before), after, now);
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

/** What the proposals of a list were made for. */
interface Then {
  readonly extensions: readonly Extension[];
  leaf(index: number): LeafNode | undefined;
}

const groupOf = ({ epoch }: GroupState): Then => ({
  extensions: epoch.context.extensions,
  leaf: (index) => epoch.tree.leaf(leafIndex(index)),
});

/** The proposals of a list as they would be made now, each with the reason why it was not carried out. */
export function judge<T extends { readonly proposal: Proposal }>(
  list: readonly T[],
  then: Then,
  after: GroupState,
  now: bigint,
): (T & { readonly reason: DropReason })[] {
  const { extensions } = after.epoch.context;
  const anew = list.map((one) => {
    const { proposal } = one;
    if (proposal.type !== "groupContextExtensions") return one;
    const rebased = rebase(proposal.extensions, then.extensions, extensions);
    return { ...one, proposal: { ...proposal, extensions: rebased } };
  });
  const proposals = anew.map(({ proposal }) => proposal);
  return anew.map((one) => ({
    ...one,
    reason: reasonOf(one.proposal, proposals, then, after, now),
  }));
}

export function stillWanted(
  judged: readonly Pick<DroppedProposal, "proposal" | "reason">[],
): Proposal[] {
  return judged.flatMap(({ proposal, reason }) => (reason === "notCommitted" ? [proposal] : []));
}

/** @param list what it would be committed with */
function reasonOf(
  proposal: Proposal,
  list: readonly Proposal[],
  then: Then,
  after: GroupState,
  now: bigint,
): DropReason {
  if (after.status === "suspended") return "settled";
  const { tree, context } = after.epoch;
  switch (proposal.type) {
    case "add": {
      const { leafNode } = proposal.keyPackage;
      const found = tree.leafWithSignatureKey(leafNode.signatureKey);
      // Whoever goes by the same list may enter again.
      const goes = list.some((other) => {
        if (other.type !== "remove" || other.removed !== found) return false;
        return reasonOf(other, list, then, after, now) === "notCommitted";
      });
      if (found !== undefined && !goes) return "settled";
      return isExpired(leafNode, now) ? "expired" : "notCommitted";
    }
    case "remove": {
      const { removed } = proposal;
      const isSame = isSameMember(then.leaf(removed), groupOf(after).leaf(removed));
      return isSame ? "notCommitted" : "settled";
    }
    case "groupContextExtensions": {
      const isSame = areSameExtensions(proposal.extensions, context.extensions);
      return isSame ? "settled" : "notCommitted";
    }
    default:
      return "notCommitted";
  }
}

/** The leaf may have a new occupant by now, whom nobody wanted to remove; even one with the same key. */
function isSameMember(then: LeafNode | undefined, present: LeafNode | undefined): boolean {
  if (then === undefined || present === undefined) return false;
  if (!equalBytes(then.signatureKey, present.signatureKey)) return false;
  const isFresh = present.origin.source === "keyPackage";
  return !isFresh || equalBytes(then.encryptionKey, present.encryptionKey);
}

/** The list of now with what was to change in the one before. What others changed stays: it may have been revoked. */
function rebase(
  wanted: readonly Extension[],
  before: readonly Extension[],
  now: readonly Extension[],
): readonly Extension[] {
  const byOthers = new Set(changedTypes(before, now));
  let list = now;
  for (const type of changedTypes(before, wanted)) {
    if (byOthers.has(type)) continue;
    const data = findExtension(wanted, type);
    list =
      data === undefined
        ? list.filter((one) => one.type !== type)
        : withExtension(list, { type, data });
  }
  return list;
}

/** Whether the lifetime of a leaf from a key package is over. */
export function isExpired({ origin }: LeafNode, now: bigint): boolean {
  return origin.source === "keyPackage" && origin.lifetime.notAfter < now;
}
