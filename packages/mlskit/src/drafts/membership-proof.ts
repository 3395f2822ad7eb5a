/** Proofs that a member is in a tree, for clients that have only its hash. draft-ietf-mls-partial. */
import { type Codec, opaque, optional, struct, uint32, vector } from "../codec/index.ts";
import type { SuiteCrypto } from "../crypto/index.ts";
import { DecodeError, UsageError } from "../errors.ts";
import { type LeafNode, TreeNode } from "../tree/nodes.ts";
import type { RatchetTree } from "../tree/ratchet-tree.ts";
import { TreeHasher } from "../tree/tree-hash.ts";
import { directPath, leafIndex as asLeafIndex, nodeOfLeaf, sibling } from "../tree/tree-math.ts";

export interface MembershipProof {
  readonly leafIndex: number;
  /** Of the full tree, a power of two. */
  readonly leafCount: number;
  /** From the leaf to the root, both included; blank ones undefined. */
  readonly directPathNodes: readonly (TreeNode | undefined)[];
  /** Tree hashes of the copath, the leaf's sibling first. */
  readonly copathHashes: readonly Uint8Array[];
}

const CopathHash: Codec<Uint8Array> = opaque;

export const MembershipProof: Codec<MembershipProof> = struct<MembershipProof>({
  leafIndex: uint32,
  leafCount: uint32,
  directPathNodes: vector(optional(TreeNode)),
  copathHashes: vector(CopathHash),
});

/** @throws UsageError `UNKNOWN_MEMBER` if the leaf is blank */
export function membershipProof(tree: RatchetTree, leafIndex: number): MembershipProof {
  const { leafCount } = tree;
  const isLeaf = Number.isInteger(leafIndex) && leafIndex >= 0 && leafIndex < leafCount;
  if (!isLeaf || tree.leaf(asLeafIndex(leafIndex)) === undefined) {
    throw new UsageError("UNKNOWN_MEMBER", "there is no member at this leaf", {
      details: { leafIndex },
    });
  }
  const leaf = nodeOfLeaf(asLeafIndex(leafIndex));
  const path = [leaf, ...directPath(leaf, leafCount)];
  const copathHashes: Uint8Array[] = [];
  for (const node of path) {
    const beside = sibling(node, leafCount);
    if (beside !== undefined) copathHashes.push(tree.nodeHash(beside));
  }
  const directPathNodes = path.map((node) => tree.node(node));
  return { leafIndex, leafCount, directPathNodes, copathHashes };
}

/** The member, and the root's tree hash: the proof is valid if that is the group's. */
export interface ProvenMember {
  readonly leaf: LeafNode;
  readonly treeHash: Uint8Array;
}

/**
 * Recomputes the root's tree hash by RFC 9420 §7.8.
 * @throws DecodeError if the proof's parts do not fit together
 */
export function proveMember(crypto: SuiteCrypto, proof: MembershipProof): ProvenMember {
  const { leafIndex, leafCount, directPathNodes, copathHashes } = proof;
  const [first, ...parents] = directPathNodes;
  const isFull = leafCount > 0 && Number.isInteger(Math.log2(leafCount));
  const height = Math.log2(leafCount);
  const fits =
    isFull &&
    leafIndex < leafCount &&
    parents.length === height &&
    copathHashes.length === height &&
    copathHashes.every(({ length }) => length === crypto.suite.kdf.size);
  if (!fits || first?.type !== "leaf") throw malformed();
  const hasher = new TreeHasher(crypto);
  let treeHash = hasher.leaf(leafIndex, first.leaf);
  for (const [level, node] of parents.entries()) {
    if (node?.type === "leaf") throw malformed();
    const beside = copathHashes[level] ?? treeHash;
    const isLeft = Math.floor(leafIndex / 2 ** level) % 2 === 0;
    const [left, right] = isLeft ? [treeHash, beside] : [beside, treeHash];
    treeHash = hasher.parent(node?.parent, left, right);
  }
  return { leaf: first.leaf, treeHash };
}

function malformed(): DecodeError {
  return new DecodeError("a membership proof does not describe a path of its tree");
}
