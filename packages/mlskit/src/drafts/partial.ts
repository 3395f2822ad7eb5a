/**
 * Annotations by which clients without a tree join and follow a group. draft-ietf-mls-partial. Whoever
 * follows the public tree can make them, such as a delivery service with an observer.
 */
import { type Codec, opaque, optional, struct, uint32, type WireTypes } from "../codec/index.ts";
import { UsageError } from "../errors.ts";
import { decodeMlsMessage, MlsMessage } from "../framing/mls-message.ts";
import type { PublicEpoch } from "../group/epoch.ts";
import { Welcome } from "../messages/welcome.ts";
import type { ObservedCommit } from "../observer/outcome.ts";
import {
  commonAncestor,
  directPath,
  isInSubtree,
  leafIndex,
  left,
  type NodeIndex,
  nodeOfLeaf,
  right,
} from "../tree/tree-math.ts";
import { MembershipProof, membershipProof } from "./membership-proof.ts";

/** A message with the proof that its sender is a member. */
export interface SenderAuthenticatedMessage<T> {
  readonly message: T;
  readonly senderMembershipProof: MembershipProof;
}

/* @__NO_SIDE_EFFECTS__ */
export function senderAuthenticated<T>(message: Codec<T>): Codec<SenderAuthenticatedMessage<T>> {
  return struct<SenderAuthenticatedMessage<T>>({
    message,
    senderMembershipProof: MembershipProof,
  });
}

export interface AnnotatedWelcome {
  readonly welcome: SenderAuthenticatedMessage<Welcome>;
  readonly joinerMembershipProof: MembershipProof;
}

export const AnnotatedWelcome: Codec<AnnotatedWelcome> = struct<AnnotatedWelcome>({
  welcome: senderAuthenticated(Welcome),
  joinerMembershipProof: MembershipProof,
});

export interface AnnotatedCommit {
  readonly commit: MlsMessage;
  /** In the epoch that the Commit ends; undefined for an external commit. */
  readonly senderMembershipProof: MembershipProof | undefined;
  readonly treeHashAfter: Uint8Array;
  /** Which ciphertext of the path's node is for the receiver; undefined without a path. */
  readonly resolutionIndex: number | undefined;
  readonly senderMembershipProofAfter: MembershipProof;
  readonly receiverMembershipProofAfter: MembershipProof;
}

export const AnnotatedCommit: Codec<AnnotatedCommit> = struct<AnnotatedCommit>({
  commit: MlsMessage,
  senderMembershipProof: optional(MembershipProof),
  treeHashAfter: opaque,
  resolutionIndex: optional(uint32),
  senderMembershipProofAfter: MembershipProof,
  receiverMembershipProofAfter: MembershipProof,
});

/**
 * For a joiner without the tree.
 *
 * @param epoch The one that the Welcome leads to.
 * @param sender Leaf of the committer, which is the GroupInfo's signer.
 * @throws UsageError `UNKNOWN_MEMBER`, `NOT_A_WELCOME`
 */
export function annotateWelcome(
  epoch: Pick<PublicEpoch, "tree">,
  { welcome, sender, joiner }: { welcome: Uint8Array; sender: number; joiner: number },
): AnnotatedWelcome {
  const message = decodeMlsMessage(welcome);
  if (message.wireFormat !== "welcome") {
    throw new UsageError("NOT_A_WELCOME", "the message is not a Welcome");
  }
  const senderMembershipProof = membershipProof(epoch.tree, sender);
  return {
    welcome: { message: message.message, senderMembershipProof },
    joinerMembershipProof: membershipProof(epoch.tree, joiner),
  };
}

/**
 * For one member without the tree, who was in the group before the Commit and still is.
 *
 * @param before The epoch that the Commit ends, and `observed` what an observer made of it.
 * @throws UsageError `UNKNOWN_MEMBER` for others
 */
export function annotateCommit(
  before: Pick<PublicEpoch, "tree">,
  {
    commit,
    observed,
    receiver,
    types,
  }: {
    /** The whole MLSMessage. */
    readonly commit: Uint8Array;
    readonly observed: Pick<ObservedCommit, "summary" | "epoch">;
    readonly receiver: number;
    /** Types beyond the RFC's own that the Commit may hold. */
    readonly types?: WireTypes | undefined;
  },
): AnnotatedCommit {
  const { summary, epoch } = observed;
  const { committer, isExternal, hasPath } = summary;
  const { tree } = epoch;
  if (receiver === committer || summary.added.some((member) => member.leafIndex === receiver)) {
    throw new UsageError("UNKNOWN_MEMBER", "nobody at this leaf receives the Commit", {
      details: { leafIndex: receiver },
    });
  }
  return {
    commit: decodeMlsMessage(commit, types),
    senderMembershipProof: isExternal ? undefined : membershipProof(before.tree, committer),
    treeHashAfter: tree.treeHash(),
    resolutionIndex: hasPath ? resolutionIndex(observed, receiver) : undefined,
    senderMembershipProofAfter: membershipProof(tree, committer),
    receiverMembershipProofAfter: membershipProof(tree, receiver),
  };
}

/**
 * The place of the receiver's key in the resolution that the committer encrypted to, RFC 9420 §7.6.
 * The path leaves its copath as it is, so that the tree after the Commit tells it as well.
 */
function resolutionIndex(
  { summary, epoch: { tree } }: Pick<ObservedCommit, "summary" | "epoch">,
  receiver: number,
): number {
  const own = nodeOfLeaf(leafIndex(receiver));
  const overlap = commonAncestor(leafIndex(summary.committer), leafIndex(receiver));
  const copathChild = [left(overlap), right(overlap)].find(
    (child): child is NodeIndex => child !== undefined && isInSubtree(own, child),
  );
  const joiners = new Set(summary.added.map((member) => member.leafIndex));
  const resolution = tree.resolution(copathChild ?? own, joiners);
  // Whoever is unmerged below a node has no key of it and is listed for itself.
  const alone = resolution.indexOf(own);
  if (alone >= 0) return alone;
  const above = new Set(directPath(own, tree.leafCount));
  return resolution.findIndex((node) => above.has(node));
}
