/** Trees as plain lists of nodes, which may hold anything. RFC 9420 §7.8, §12.4.3.3. */
import { encode, opaque, optional, struct, uint8, uint32 } from "../../codec/index.ts";
import type { SuiteCrypto } from "../../crypto/index.ts";
import type { KeyPackageBundle } from "../../group/join-by-welcome.ts";
import { LeafNode, ParentNode, type TreeNode } from "../../tree/nodes.ts";
import type { RatchetTree } from "../../tree/ratchet-tree.ts";
import { forgeLeaf, type LeafChanges } from "./leaf.ts";

/** Nodes from left to right; `undefined` is a blank one. */
export type Nodes = readonly (TreeNode | undefined)[];

/** The nodes of a tree from left to right, without blank ones at the end. */
export function nodesOf(tree: RatchetTree): Nodes {
  const nodes: (TreeNode | undefined)[] = [];
  for (const [at, node] of tree.nodes()) nodes[at] = node;
  return Array.from(nodes);
}

/** A tree of these leaves, without parents: valid if the leaves come from key packages. */
export function treeOfLeaves(leaves: readonly (LeafNode | undefined)[]): Nodes {
  const nodes: (TreeNode | undefined)[] = [];
  for (const [i, leaf] of leaves.entries()) {
    nodes[2 * i] = leaf === undefined ? undefined : { type: "leaf", leaf };
  }
  return Array.from(nodes);
}

/** The list with one node replaced; the list grows if need be. */
export function withNode(nodes: Nodes, at: number, node: TreeNode | undefined): Nodes {
  const copy = Array.from({ length: Math.max(nodes.length, at + 1) }, (_, i) => nodes[i]);
  copy[at] = node;
  return copy;
}

/** The list with one leaf changed and signed again by its owner. */
export async function withLeaf(
  nodes: Nodes,
  index: number,
  owner: Pick<KeyPackageBundle, "signer">,
  changes: LeafChanges,
  groupId?: Uint8Array,
): Promise<Nodes> {
  const node = nodes[2 * index];
  if (node?.type !== "leaf") throw new RangeError(`there is no leaf ${index}`);
  const binding = groupId === undefined ? undefined : { groupId, leafIndex: index };
  const leaf = await forgeLeaf(node.leaf, changes, { signer: owner.signer, binding });
  return withNode(nodes, 2 * index, { type: "leaf", leaf });
}

/** The list with one parent changed. */
export function withParent(nodes: Nodes, at: number, changes: Partial<ParentNode>): Nodes {
  const node = nodes[at];
  if (node?.type !== "parent") throw new RangeError(`there is no parent ${at}`);
  return withNode(nodes, at, { type: "parent", parent: { ...node.parent, ...changes } });
}

const LeafInput = struct({ type: uint8, index: uint32, leaf: optional(LeafNode) });
const ParentInput = struct({
  type: uint8,
  parent: optional(ParentNode),
  left: opaque,
  right: opaque,
});

/** The tree hash, computed as the RFC writes it down; nodes in the wrong place count as blank. */
export function hashOfNodes(crypto: SuiteCrypto, nodes: Nodes): Uint8Array {
  let size = 1;
  while (2 * size - 1 < nodes.length) size *= 2;
  const hash = (low: number, count: number): Uint8Array => {
    const at = low + count - 1;
    const node = nodes[at];
    if (count === 1) {
      const leaf = node?.type === "leaf" ? node.leaf : undefined;
      return crypto.hash(encode(LeafInput, { type: 1, index: at / 2, leaf }));
    }
    const parent = node?.type === "parent" ? node.parent : undefined;
    const left = hash(low, count / 2);
    const right = hash(low + count, count / 2);
    return crypto.hash(encode(ParentInput, { type: 2, parent, left, right }));
  };
  return hash(0, size);
}
