/** Parent hashes: who put which keys into the tree. RFC 9420 §7.9. */
import { EMPTY_BYTES, lendEncoding } from "../codec/index.ts";
import type { SuiteCrypto } from "../crypto/crypto-provider.ts";
import type { ParentNode } from "./nodes.ts";
import type { PathStep, RatchetTree } from "./ratchet-tree.ts";
import { TreeHasher } from "./tree-hash.ts";
import { children, type NodeIndex } from "./tree-math.ts";

interface ParentHashInput {
  readonly encryptionKey: Uint8Array;
  readonly parentHash: Uint8Array;
  readonly originalSiblingTreeHash: Uint8Array;
}

/** The parent hash of a node, as its descendants on the path store it. */
export function parentHash(crypto: SuiteCrypto, input: ParentHashInput): Uint8Array {
  return lendEncoding(
    (writer) => {
      writer.opaque(input.encryptionKey);
      writer.opaque(input.parentHash);
      writer.opaque(input.originalSiblingTreeHash);
    },
    (encoded) => crypto.hash(encoded),
  );
}

/** Parent hashes along a new path: of each node, and of the leaf below them. */
export interface PathParentHashes {
  readonly nodes: readonly Uint8Array[];
  readonly leaf: Uint8Array;
}

/**
 * The parent hashes of a path with these new keys. `tree` is the tree before the path is merged: a
 * path resets its nodes, so the original sibling tree hashes are the plain tree hashes of the
 * copath, which the path does not change.
 */
export function pathParentHashes(
  tree: RatchetTree,
  path: readonly PathStep[],
  encryptionKeys: readonly Uint8Array[],
): PathParentHashes {
  const nodes: Uint8Array[] = [];
  // From the root, whose parent hash is empty, down to the leaf.
  let above = EMPTY_BYTES;
  for (let i = path.length - 1; i >= 0; i--) {
    const step = path[i];
    const encryptionKey = encryptionKeys[i];
    if (step === undefined || encryptionKey === undefined) break;
    nodes[i] = above;
    above = parentHash(tree.crypto, {
      encryptionKey,
      parentHash: above,
      originalSiblingTreeHash: tree.nodeHash(step.copathChild),
    });
  }
  return { nodes, leaf: above };
}

/**
 * The tree hash that `sibling` had when its parent was last set: without the leaves that were added
 * since, which `unmerged` lists in increasing order. Costs hashes only along their paths.
 */
export function originalTreeHash(
  tree: RatchetTree,
  sibling: NodeIndex,
  unmerged: readonly number[],
): Uint8Array {
  if (unmerged.length === 0) return tree.nodeHash(sibling);
  const hasher = new TreeHasher(tree.crypto);
  return hashWithout({ tree, hasher, removed: new Set(unmerged) }, sibling, unmerged);
}

interface Removal {
  readonly tree: RatchetTree;
  readonly hasher: TreeHasher;
  readonly removed: ReadonlySet<number>;
}

/** `below` are those of the removed leaves that lie under `node`. Recursion is as deep as the tree. */
function hashWithout(removal: Removal, node: NodeIndex, below: readonly number[]): Uint8Array {
  const { tree, hasher, removed } = removal;
  if (below.length === 0) return tree.nodeHash(node);
  const pair = children(node);
  if (pair === undefined) return hasher.leaf(node / 2, undefined);
  const [first, second] = pair;
  const split = below.findIndex((leaf) => 2 * leaf > node);
  const middle = split === -1 ? below.length : split;
  const firstHash = hashWithout(removal, first, below.slice(0, middle));
  const secondHash = hashWithout(removal, second, below.slice(middle));
  return hasher.parent(withoutLeaves(tree.parent(node), removed), firstHash, secondHash);
}

function withoutLeaves(
  parent: ParentNode | undefined,
  removed: ReadonlySet<number>,
): ParentNode | undefined {
  if (parent === undefined) return undefined;
  const unmergedLeaves = parent.unmergedLeaves.filter((leaf) => !removed.has(leaf));
  return { ...parent, unmergedLeaves };
}
