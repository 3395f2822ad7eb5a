/** The ratchet tree: members, their keys, and the keys of subgroups. RFC 9420 §4.1, §7.7, §7.8. */
import { decode, encode, type WireTypes } from "../codec/index.ts";
import type { SuiteCrypto } from "../crypto/crypto-provider.ts";
import { InternalError } from "../errors.ts";
import { check } from "../rules.ts";
import type { SupportKind } from "./capabilities.ts";
import { Chunk, chunkCounts, locate } from "./chunk.ts";
import { KeyIndex } from "./key-index.ts";
import { type LeafNode, type ParentNode, RatchetTreeNodes, type TreeNode } from "./nodes.ts";
import { resolve } from "./resolution.ts";
import { Support } from "./support.ts";
import { TreeEditor as Editor } from "./tree-editor.ts";
import { TreeHasher } from "./tree-hash.ts";
import {
  children,
  directPath,
  fullLeafCount,
  type LeafIndex,
  leafIndex,
  MAX_LEAF_COUNT,
  type NodeIndex,
  nodeOfLeaf,
  root,
} from "./tree-math.ts";
import { hashAt, hasNode, nodeAt, placedNodes, type TreeState } from "./tree-state.ts";

export type TreeEditor = Editor<RatchetTree>;

/** One node of a filtered direct path, with the child to whose members its secret is sent. */
export interface PathStep {
  readonly node: NodeIndex;
  readonly copathChild: NodeIndex;
}

/** A chunk as a store sees it. Equal objects mean equal contents. */
export interface ChunkEntry {
  readonly level: number;
  readonly id: number;
  readonly chunk: Chunk;
}

export interface TreeLimits {
  /** Ceiling on the nodes of a tree that is read. Default 2^22, two million members. */
  readonly maxNodes?: number | undefined;
}

const DEFAULT_MAX_NODES = 2 ** 22;
const NOBODY: ReadonlySet<number> = new Set();

/**
 * Immutable: an {@link edit} makes a new tree that shares all untouched chunks with this one. The
 * tree is always full, with a power of two of leaf slots. All lookups are total: an index outside
 * the tree reads as a blank node.
 */
export class RatchetTree {
  readonly #state: TreeState;
  #support: Support | undefined;

  private constructor(state: TreeState, support?: Support) {
    this.#state = state;
    this.#support = support;
  }

  /** A tree of one member. RFC 9420 §11. */
  static ofLeaf(crypto: SuiteCrypto, leaf: LeafNode): RatchetTree {
    return RatchetTree.#build(crypto, [{ type: "leaf", leaf }]);
  }

  /**
   * A tree from the entries of a ratchet_tree extension, whose shape is checked here; the rest is
   * the business of tree-validation.ts. RFC 9420 §12.4.3.3.
   *
   * @throws ValidationError `INVALID_TREE`, rules mk-97, mk-98
   */
  static fromNodes(
    crypto: SuiteCrypto,
    nodes: readonly (TreeNode | undefined)[],
    limits: TreeLimits = {},
  ): RatchetTree {
    const count = nodes.length;
    const maximum = Math.min(limits.maxNodes ?? DEFAULT_MAX_NODES, 2 * MAX_LEAF_COUNT - 1);
    check(count > 0, "mk-97", "INVALID_TREE", "a ratchet tree is empty");
    check(count <= maximum, "mk-97", "INVALID_TREE", "a ratchet tree is too large", { count });
    check(count % 2 === 1, "mk-97", "INVALID_TREE", "a ratchet tree ends in a parent", { count });
    const last = nodes[count - 1];
    check(last !== undefined, "mk-97", "INVALID_TREE", "a ratchet tree ends in a blank node");
    nodes.forEach((node, at) => {
      if (node !== undefined) checkPlace(node, at);
    });
    return RatchetTree.#build(crypto, nodes);
  }

  /** A tree from the body of a ratchet_tree extension. @throws DecodeError, ValidationError */
  static decode(
    crypto: SuiteCrypto,
    bytes: Uint8Array,
    types?: WireTypes,
    limits?: TreeLimits,
  ): RatchetTree {
    return RatchetTree.fromNodes(crypto, decode(RatchetTreeNodes, bytes, "tree", types), limits);
  }

  static #build(crypto: SuiteCrypto, nodes: readonly (TreeNode | undefined)[]): RatchetTree {
    const leafCount = fullLeafCount((nodes.length + 1) / 2);
    return RatchetTree.filled(crypto, leafCount, (levels) => {
      nodes.forEach((node, at) => {
        if (node === undefined) return;
        const { level, id, slot } = locate(at);
        levels[level]?.[id]?.setNode(slot, node);
      });
    });
  }

  /** A tree of `leafCount` leaves, a power of two, whose chunks `fill` fills or replaces. */
  static filled(
    crypto: SuiteCrypto,
    leafCount: number,
    fill: (levels: readonly Chunk[][]) => void,
  ): RatchetTree {
    const levels = chunkCounts(leafCount).map((length) =>
      Array.from({ length }, () => Chunk.blank(crypto.suite.kdf.size)),
    );
    fill(levels);
    return new RatchetTree(stateOf(crypto, leafCount, levels));
  }

  get crypto(): SuiteCrypto {
    return this.#state.crypto;
  }

  /** Leaf slots of the full tree, blank ones included: a power of two. */
  get leafCount(): number {
    return this.#state.leafCount;
  }

  /** Leaves that are not blank. */
  get memberCount(): number {
    return this.#state.memberCount;
  }

  /** The root of the full tree. */
  get root(): NodeIndex {
    return root(this.leafCount);
  }

  node(index: NodeIndex): TreeNode | undefined {
    return nodeAt(this.#state.levels, index);
  }

  leaf(index: LeafIndex): LeafNode | undefined {
    const node = nodeAt(this.#state.levels, nodeOfLeaf(index));
    return node?.type === "leaf" ? node.leaf : undefined;
  }

  parent(index: NodeIndex): ParentNode | undefined {
    const node = nodeAt(this.#state.levels, index);
    return node?.type === "parent" ? node.parent : undefined;
  }

  /** Whether there is no node at this index; decodes nothing. */
  isBlank(index: NodeIndex): boolean {
    return !hasNode(this.#state.levels, index);
  }

  /** The non-blank leaves from left to right. */
  *members(): IterableIterator<[LeafIndex, LeafNode]> {
    for (let i = 0; i <= this.#state.lastLeaf; i++) {
      const index = leafIndex(i);
      const leaf = this.leaf(index);
      if (leaf !== undefined) yield [index, leaf];
    }
  }

  /** The non-blank nodes, leaves and parents, from left to right. */
  nodes(): IterableIterator<readonly [NodeIndex, TreeNode]> {
    return placedNodes(this.#state.levels, this.leafCount);
  }

  /** Where the next member goes; the leaf count itself if no leaf is blank. RFC 9420 §12.1.1. */
  leftmostBlankLeaf(): LeafIndex {
    let index = this.#state.firstBlank;
    while (index < this.leafCount && hasNode(this.#state.levels, 2 * index)) index++;
    return leafIndex(index);
  }

  /**
   * The nodes that together cover all members under `node`, without the leaves in `excluded`. Stops
   * once there are `limit`, for callers that only ask whether there are so many. RFC 9420 §4.1.1.
   */
  resolution(
    node: NodeIndex,
    excluded: ReadonlySet<number> = NOBODY,
    limit: number = Number.POSITIVE_INFINITY,
  ): NodeIndex[] {
    return resolve(this.#state, node, { excluded, limit });
  }

  /**
   * The direct path of a leaf, without the nodes whose other child has an empty resolution. A leaf
   * outside the tree is looked at as if the tree had grown to hold it. RFC 9420 §4.1.2.
   */
  filteredDirectPath(leaf: LeafIndex): PathStep[] {
    const leafCount = Math.max(this.leafCount, fullLeafCount(leaf + 1));
    const path: PathStep[] = [];
    let below = nodeOfLeaf(leaf);
    for (const node of directPath(below, leafCount)) {
      const copathChild = children(node)?.[below < node ? 1 : 0];
      if (copathChild !== undefined && this.resolution(copathChild, NOBODY, 1).length > 0) {
        path.push({ node, copathChild });
      }
      below = node;
    }
    return path;
  }

  /** The tree hash of the root. RFC 9420 §7.8. */
  treeHash(): Uint8Array {
    return this.nodeHash(this.root);
  }

  /** The tree hash of a node inside the tree. Do not modify the result. */
  nodeHash(node: NodeIndex): Uint8Array {
    // The slots of a chunk beyond the tree must never get a hash: it would outlive their blankness.
    if (node > 2 * this.root) throw new InternalError(`node ${node} is outside the tree`);
    return hashAt(new TreeHasher(this.crypto), this.#state.levels, node).slice();
  }

  /** Body of the ratchet_tree extension: trailing blank nodes are left out. RFC 9420 §12.4.3.3. */
  encode(): Uint8Array {
    const nodes: (TreeNode | undefined)[] = [];
    for (let at = 0; at <= 2 * this.#state.lastLeaf; at++) {
      nodes.push(nodeAt(this.#state.levels, at));
    }
    return encode(RatchetTreeNodes, nodes);
  }

  edit(): TreeEditor {
    return new Editor(this.#state, ({ state, changes }) => {
      return new RatchetTree(state, this.#support?.with(changes));
    });
  }

  /** A node other than `except` that holds this HPKE key. RFC 9420 §16.7. */
  nodeWithEncryptionKey(key: Uint8Array, except?: NodeIndex): NodeIndex | undefined {
    return this.#state.keys.encryptionKey(key, (at) => this.node(at), except);
  }

  /** A leaf other than `except` that holds this signature key. RFC 9420 §16.7. */
  leafWithSignatureKey(key: Uint8Array, except?: LeafIndex): LeafIndex | undefined {
    const skip = except === undefined ? undefined : nodeOfLeaf(except);
    const found = this.#state.keys.signatureKey(key, (at) => this.node(at), skip);
    return found === undefined ? undefined : leafIndex(found / 2);
  }

  /** Two nodes with the same HPKE key, if there are any. Walks over all keys. */
  repeatedEncryptionKey(): readonly [NodeIndex, NodeIndex] | undefined {
    return this.#state.keys.repeatedEncryptionKey((at) => this.node(at));
  }

  /** Two leaves, as nodes, with the same signature key, if there are any. Walks over all keys. */
  repeatedSignatureKey(): readonly [NodeIndex, NodeIndex] | undefined {
    return this.#state.keys.repeatedSignatureKey((at) => this.node(at));
  }

  /** Whether every member supports this type, by default or by listing it. */
  supportedByAll(kind: SupportKind, type: number): boolean {
    return this.#supportCounts().supportedByAll(kind, type);
  }

  /** The types of the members' own credentials. */
  credentialTypesInUse(): ReadonlySet<number> {
    return this.#supportCounts().credentialTypesInUse();
  }

  /** Keeps the nodes as bytes until they are asked for again: for trees just read from the network. */
  compact(types?: WireTypes): void {
    for (const { chunk } of this.chunks()) chunk.compact(types);
  }

  /** All chunks, blank ones included. */
  *chunks(): Iterable<ChunkEntry> {
    for (const [level, chunks] of this.#state.levels.entries()) {
      for (const [id, chunk] of chunks.entries()) yield { level, id, chunk };
    }
  }

  /** Undefined outside the tree. */
  chunk(level: number, id: number): Chunk | undefined {
    return this.#state.levels[level]?.[id];
  }

  #supportCounts(): Support {
    this.#support ??= Support.of(leavesOf(this));
    return this.#support;
  }
}

function* leavesOf(tree: RatchetTree): Generator<LeafNode> {
  for (const [, leaf] of tree.members()) yield leaf;
}

function checkPlace(node: TreeNode, at: number): void {
  const place = { node: at };
  if (node.type === "leaf") {
    check(at % 2 === 0, "mk-97", "INVALID_TREE", "a leaf is in the place of a parent", place);
    return;
  }
  check(at % 2 === 1, "mk-97", "INVALID_TREE", "a parent is in the place of a leaf", place);
  let previous = -1;
  for (const leaf of node.parent.unmergedLeaves) {
    check(leaf > previous, "mk-98", "INVALID_TREE", "unmerged leaves are not in order", place);
    previous = leaf;
  }
}

function stateOf(crypto: SuiteCrypto, leafCount: number, levels: Chunk[][]): TreeState {
  let memberCount = 0;
  for (const chunk of levels[0] ?? []) memberCount += chunk.countLeaves();
  let lastLeaf = leafCount - 1;
  while (lastLeaf > 0 && !hasNode(levels, 2 * lastLeaf)) lastLeaf--;
  const keys = new KeyIndex(() => placedNodes(levels, leafCount), 2 * memberCount);
  return { crypto, leafCount, memberCount, firstBlank: 0, lastLeaf, levels, keys };
}
