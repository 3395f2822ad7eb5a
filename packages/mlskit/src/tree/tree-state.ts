/** What a ratchet tree consists of, and how it is read. Shared by the tree and its editor. */
import type { SuiteCrypto } from "../crypto/crypto-provider.ts";
import { InternalError } from "../errors.ts";
import { type Chunk, locate } from "./chunk.ts";
import type { KeyIndex, PlacedNode } from "./key-index.ts";
import type { TreeNode } from "./nodes.ts";
import { children, type NodeIndex, nodeIndex } from "./tree-math.ts";
import type { TreeHasher } from "./tree-hash.ts";

/** Chunks by height, then by id. Every height has all its chunks, blank ones included. */
export type ChunkLevels = readonly (readonly Chunk[])[];

export interface TreeState {
  readonly crypto: SuiteCrypto;
  /** Leaf slots of the full tree: a power of two. */
  readonly leafCount: number;
  readonly memberCount: number;
  /** No leaf to the left of this one is blank. */
  readonly firstBlank: number;
  /** The rightmost leaf that is not blank. */
  readonly lastLeaf: number;
  readonly levels: ChunkLevels;
  readonly keys: KeyIndex;
}

/** Undefined for blank nodes and for all indices outside the tree. */
export function nodeAt(levels: ChunkLevels, node: number): TreeNode | undefined {
  const { level, id, slot } = locate(node);
  return levels[level]?.[id]?.node(slot);
}

/** Whether the node exists and is not blank; decodes nothing. */
export function hasNode(levels: ChunkLevels, node: number): boolean {
  const { level, id, slot } = locate(node);
  return levels[level]?.[id]?.has(slot) === true;
}

/** The non-blank nodes from left to right. */
export function* placedNodes(levels: ChunkLevels, leafCount: number): Generator<PlacedNode> {
  for (let at = 0; at < 2 * leafCount - 1; at++) {
    const node = nodeAt(levels, at);
    if (node !== undefined) yield [nodeIndex(at), node];
  }
}

/** Tree hash of a node inside the tree, from the cache as far as possible. RFC 9420 §7.8. */
export function hashAt(hasher: TreeHasher, levels: ChunkLevels, node: NodeIndex): Uint8Array {
  const { level, id, slot } = locate(node);
  const chunk = levels[level]?.[id];
  if (chunk === undefined) throw new InternalError(`node ${node} is outside the tree`);
  const cached = chunk.hash(slot);
  if (cached !== undefined) return cached;
  const content = chunk.node(slot);
  const below = children(node);
  const hash =
    below === undefined
      ? hasher.leaf(node / 2, content?.type === "leaf" ? content.leaf : undefined)
      : hasher.parent(
          content?.type === "parent" ? content.parent : undefined,
          hashAt(hasher, levels, below[0]),
          hashAt(hasher, levels, below[1]),
        );
  chunk.setHash(slot, hash);
  return hash;
}
