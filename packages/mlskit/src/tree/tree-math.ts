/**
 * Relations between nodes of a balanced binary tree kept in an array. RFC 9420 Appendix C.
 *
 *                              7
 *                  3                      11
 *            1           5           9           13
 *         0     2     4     6     8    10     12    14
 *
 * Leaves have even indices, a node of level k ends in a zero followed by k ones. All functions are
 * total: they answer, or throw a RangeError-free typed error, for every input, and never loop.
 */
import { InternalError } from "../errors.ts";

declare const leafBrand: unique symbol;
declare const nodeBrand: unique symbol;

/** Position among the leaves, 0 for the leftmost. */
export type LeafIndex = number & { readonly [leafBrand]: true };
/** Position in the array of all nodes. */
export type NodeIndex = number & { readonly [nodeBrand]: true };

/** Leaf indices travel as uint32, and the node array must stay addressable by exact integers. */
export const MAX_LEAF_COUNT: number = 2 ** 31;

export function leafIndex(value: number): LeafIndex {
  if (!Number.isInteger(value) || value < 0 || value >= 2 ** 32) {
    throw new InternalError(`${value} is not a leaf index`);
  }
  return value as LeafIndex;
}

export function nodeIndex(value: number): NodeIndex {
  if (!Number.isInteger(value) || value < 0 || value > 2 ** 33) {
    throw new InternalError(`${value} is not a node index`);
  }
  return value as NodeIndex;
}

export function nodeOfLeaf(leaf: LeafIndex): NodeIndex {
  return (leaf * 2) as NodeIndex;
}

export function isLeaf(node: NodeIndex): boolean {
  return node % 2 === 0;
}

/** Height above the leaves: the number of trailing one bits. */
export function level(node: NodeIndex): number {
  let k = 0;
  for (let rest: number = node; rest % 2 === 1; rest = (rest - 1) / 2) k++;
  return k;
}

/** Number of nodes of a tree with this many leaves. */
export function nodeCount(leafCount: number): number {
  return leafCount === 0 ? 0 : 2 * leafCount - 1;
}

/** The smallest full tree (a power of two) with at least this many leaves. */
export function fullLeafCount(leafCount: number): number {
  let full = 1;
  while (full < leafCount) full *= 2;
  return full;
}

/** Root of the full tree that holds `leafCount` leaves. */
export function root(leafCount: number): NodeIndex {
  return (fullLeafCount(leafCount) - 1) as NodeIndex;
}

/** Undefined for leaves. */
export function left(node: NodeIndex): NodeIndex | undefined {
  const k = level(node);
  return k === 0 ? undefined : ((node - 2 ** (k - 1)) as NodeIndex);
}

/** Undefined for leaves. */
export function right(node: NodeIndex): NodeIndex | undefined {
  const k = level(node);
  return k === 0 ? undefined : ((node + 2 ** (k - 1)) as NodeIndex);
}

/** Left and right child at once; undefined for leaves. */
export function children(node: NodeIndex): readonly [NodeIndex, NodeIndex] | undefined {
  const k = level(node);
  if (k === 0) return undefined;
  const step = 2 ** (k - 1);
  return [(node - step) as NodeIndex, (node + step) as NodeIndex];
}

/** The child of `node` on the way down to `below`; undefined for leaves. */
export function childTowards(node: NodeIndex, below: NodeIndex): NodeIndex | undefined {
  return children(node)?.[below < node ? 0 : 1];
}

/** Undefined for the root, and for nodes outside the tree. */
export function parent(node: NodeIndex, leafCount: number): NodeIndex | undefined {
  const top = root(leafCount);
  if (node === top || node > 2 * top) return undefined;
  const k = level(node);
  // Clear bit k+1 and set bit k: …x0 1^k and …x1 1^k share the parent …0 1^(k+1).
  const step = 2 ** k;
  return (Math.floor(node / (4 * step)) * 4 * step + 2 * step - 1) as NodeIndex;
}

/** Undefined for the root, and for nodes outside the tree. */
export function sibling(node: NodeIndex, leafCount: number): NodeIndex | undefined {
  const above = parent(node, leafCount);
  if (above === undefined) return undefined;
  return node < above ? right(above) : left(above);
}

/** Parent, grandparent, … root. Empty for the root and for nodes outside the tree. */
export function directPath(node: NodeIndex, leafCount: number): NodeIndex[] {
  const path: NodeIndex[] = [];
  const top = root(leafCount);
  if (node > 2 * top) return path;
  let at: number = node;
  // As in parent(), with the level known from one step to the next.
  for (let step = 2 ** level(node); at !== top; step *= 2) {
    at = Math.floor(at / (4 * step)) * 4 * step + 2 * step - 1;
    path.push(at as NodeIndex);
  }
  return path;
}

/** Whether `node` lies in the subtree under `ancestor` (or is it). */
export function isInSubtree(node: NodeIndex, ancestor: NodeIndex): boolean {
  const reach = 2 ** level(ancestor) - 1;
  return node >= ancestor - reach && node <= ancestor + reach;
}

/** The lowest node above both leaves (a leaf itself if they are equal). */
export function commonAncestor(a: LeafIndex, b: LeafIndex): NodeIndex {
  let size = 1;
  while (Math.floor(a / size) !== Math.floor(b / size)) size *= 2;
  return (Math.floor(a / size) * 2 * size + size - 1) as NodeIndex;
}
