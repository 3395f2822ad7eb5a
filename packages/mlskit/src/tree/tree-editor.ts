/** Changes to a ratchet tree: adding, updating, removing leaves. RFC 9420 §7.7, §12.1.1–12.1.3. */
import { InternalError } from "../errors.ts";
import { Chunk, chunkCounts, locate, nodeInSlot } from "./chunk.ts";
import { KeyIndex, type PlacedNode } from "./key-index.ts";
import type { LeafNode, ParentNode, TreeNode } from "./nodes.ts";
import type { LeafChange } from "./support.ts";
import {
  directPath,
  fullLeafCount,
  type LeafIndex,
  leafIndex,
  MAX_LEAF_COUNT,
  type NodeIndex,
  nodeOfLeaf,
  parent,
} from "./tree-math.ts";
import { hasNode, nodeAt, placedNodes, type TreeState } from "./tree-state.ts";

/** What an editor hands over: the new tree's state, and the leaves that changed. */
export interface EditResult {
  readonly state: TreeState;
  readonly changes: readonly LeafChange[];
}

/**
 * Works on a private copy of the chunks it touches; the tree it started from stays as it is. The
 * tree grows at once and shrinks in {@link finish}, which comes to the same as shrinking after each
 * removal: blank leaves on the right are the last ones that an addition would take.
 */
export class TreeEditor<Tree> {
  readonly #before: TreeState;
  readonly #complete: (result: EditResult) => Tree;
  readonly #levels: Chunk[][];
  readonly #owned = new Set<Chunk>();
  /** Lists of unmerged leaves made by this editor, which it may still extend in place. */
  readonly #ownLists = new Set<readonly number[]>();
  readonly #forgotten = new Set<NodeIndex>();
  readonly #written = new Map<NodeIndex, TreeNode | undefined>();
  readonly #leavesBefore = new Map<LeafIndex, LeafNode | undefined>();
  #leafCount: number;
  #memberCount: number;
  #firstBlank: number;
  #lastLeaf: number;
  #finished = false;

  constructor(before: TreeState, complete: (result: EditResult) => Tree) {
    this.#before = before;
    this.#complete = complete;
    this.#levels = before.levels.map((chunks) => chunks.slice());
    this.#leafCount = before.leafCount;
    this.#memberCount = before.memberCount;
    this.#firstBlank = before.firstBlank;
    this.#lastLeaf = before.lastLeaf;
  }

  /** Undefined for blank leaves and outside the tree. */
  leaf(index: LeafIndex): LeafNode | undefined {
    const node = nodeAt(this.#levels, nodeOfLeaf(index));
    return node?.type === "leaf" ? node.leaf : undefined;
  }

  /** Puts a new member at the leftmost blank leaf. RFC 9420 §12.1.1. */
  addLeaf(leaf: LeafNode): LeafIndex {
    const index = this.#leftmostBlank();
    this.setLeaf(index, leaf);
    for (const up of directPath(nodeOfLeaf(index), this.#leafCount)) {
      const node = nodeAt(this.#levels, up);
      if (node?.type === "parent") this.#addUnmerged(up, node.parent, index);
    }
    return index;
  }

  /** Replaces a member's leaf and blanks its direct path. RFC 9420 §12.1.2. */
  updateLeaf(index: LeafIndex, leaf: LeafNode): void {
    this.setLeaf(index, leaf);
    this.#blankDirectPath(index);
  }

  /** Blanks a member's leaf and its direct path. RFC 9420 §12.1.3. */
  removeLeaf(index: LeafIndex): void {
    if (index >= this.#leafCount) throw new InternalError(`leaf ${index} is outside the tree`);
    this.#write(nodeOfLeaf(index), undefined);
    this.#blankDirectPath(index);
  }

  /** Replaces a leaf and its direct path: other nodes of it than `parents` become blank. §7.5. */
  setPath(index: LeafIndex, leaf: LeafNode, parents: ReadonlyMap<NodeIndex, ParentNode>): void {
    this.setLeaf(index, leaf);
    for (const up of directPath(nodeOfLeaf(index), this.#leafCount)) {
      const content = parents.get(up);
      if (content !== undefined) this.#write(up, { type: "parent", parent: content });
      else if (hasNode(this.#levels, up)) this.#write(up, undefined);
    }
  }

  /** Puts a leaf without touching its direct path; the tree grows as far as needed. */
  setLeaf(index: LeafIndex, leaf: LeafNode): void {
    while (index >= this.#leafCount) this.#extend();
    this.#write(nodeOfLeaf(index), { type: "leaf", leaf });
  }

  setParent(node: NodeIndex, content: ParentNode | undefined): void {
    if (node % 2 === 0 || node >= 2 * this.#leafCount - 1) {
      throw new InternalError(`node ${node} is outside the tree`);
    }
    this.#write(node, content === undefined ? undefined : { type: "parent", parent: content });
  }

  /** The edited tree. The editor cannot be used afterwards. */
  finish(): Tree {
    if (this.#memberCount === 0) throw new InternalError("a tree needs a member");
    this.#checkOpen();
    this.#finished = true;
    while (!hasNode(this.#levels, 2 * this.#lastLeaf)) this.#lastLeaf--;
    this.#truncate(fullLeafCount(this.#lastLeaf + 1));
    const changes: LeafChange[] = [];
    for (const [index, before] of this.#leavesBefore) {
      changes.push({ before, after: this.leaf(index) });
    }
    const state: TreeState = {
      crypto: this.#before.crypto,
      leafCount: this.#leafCount,
      memberCount: this.#memberCount,
      firstBlank: Math.min(this.#firstBlank, this.#leafCount),
      lastLeaf: this.#lastLeaf,
      levels: this.#levels,
      keys: this.#keys(),
    };
    return this.#complete({ state, changes });
  }

  #checkOpen(): void {
    if (this.#finished) throw new InternalError("the tree is finished");
  }

  #leftmostBlank(): LeafIndex {
    let index = this.#firstBlank;
    while (index < this.#leafCount && hasNode(this.#levels, 2 * index)) index++;
    this.#firstBlank = index;
    return leafIndex(index);
  }

  #addUnmerged(at: NodeIndex, content: ParentNode, index: LeafIndex): void {
    const own = this.#ownLists.has(content.unmergedLeaves);
    // Many additions in one edit extend the same list: copying it each time would be quadratic.
    const unmerged = own ? (content.unmergedLeaves as number[]) : content.unmergedLeaves.slice();
    insertSorted(unmerged, index);
    if (own) return;
    this.#ownLists.add(unmerged);
    this.#write(at, { type: "parent", parent: { ...content, unmergedLeaves: unmerged } });
  }

  #blankDirectPath(index: LeafIndex): void {
    for (const up of directPath(nodeOfLeaf(index), this.#leafCount)) {
      if (hasNode(this.#levels, up)) this.#write(up, undefined);
    }
  }

  #write(at: NodeIndex, node: TreeNode | undefined): void {
    this.#checkOpen();
    const { level, id, slot } = locate(at);
    if (at % 2 === 0) this.#countLeaf(leafIndex(at / 2), node);
    this.#own(level, id).setNode(slot, node);
    this.#written.set(at, node);
    this.#forgetHashes(at);
  }

  #countLeaf(index: LeafIndex, node: TreeNode | undefined): void {
    const before = this.leaf(index);
    if (!this.#leavesBefore.has(index)) this.#leavesBefore.set(index, before);
    if (before === undefined && node !== undefined) this.#memberCount++;
    if (before !== undefined && node === undefined) this.#memberCount--;
    if (node === undefined) this.#firstBlank = Math.min(this.#firstBlank, index);
    else this.#lastLeaf = Math.max(this.#lastLeaf, index);
  }

  /** Hashes change up to the root; what lies above a forgotten one was forgotten with it. */
  #forgetHashes(at: NodeIndex): void {
    let node: NodeIndex | undefined = at;
    while (node !== undefined && !this.#forgotten.has(node)) {
      const { level, id, slot } = locate(node);
      this.#own(level, id).forgetHash(slot);
      this.#forgotten.add(node);
      node = parent(node, this.#leafCount);
    }
  }

  #own(level: number, id: number): Chunk {
    const chunks = this.#levels[level];
    const chunk = chunks?.[id];
    if (chunks === undefined || chunk === undefined) {
      throw new InternalError(`chunk ${id} is outside the tree`);
    }
    if (this.#owned.has(chunk)) return chunk;
    const copy = chunk.clone();
    this.#owned.add(copy);
    chunks[id] = copy;
    return copy;
  }

  /**
   * Doubles the tree: a blank root above, and a blank subtree to the right. If the tree was this
   * large before, it shrank by a removal, which made that root's hash be forgotten.
   */
  #extend(): void {
    this.#checkOpen();
    if (this.#leafCount >= MAX_LEAF_COUNT) throw new InternalError("the tree is full");
    this.#leafCount *= 2;
    chunkCounts(this.#leafCount).forEach((count, level) => {
      let chunks = this.#levels[level];
      if (chunks === undefined) {
        chunks = [];
        this.#levels.push(chunks);
      }
      while (chunks.length < count) {
        const chunk = Chunk.blank(this.#before.crypto.suite.kdf.size);
        this.#owned.add(chunk);
        chunks.push(chunk);
      }
    });
  }

  #truncate(leafCount: number): void {
    if (leafCount >= this.#leafCount) return;
    this.#leafCount = leafCount;
    const counts = chunkCounts(leafCount);
    this.#levels.length = counts.length;
    counts.forEach((count, level) => {
      const chunks = this.#levels[level];
      if (chunks === undefined) return;
      chunks.length = count;
      if (count > 1) return;
      // Only a lone chunk can reach beyond the tree.
      for (let slot = 0; slot < 31; slot++) {
        const outside = nodeInSlot(level, 0, slot) >= 2 * leafCount - 1;
        if (outside) this.#own(level, 0).setNode(slot, undefined);
      }
    });
  }

  /**
   * The shared index with the new nodes noted, or a new one when most of its hints are stale: Commits
   * that come to nothing leave hints as well, and must not fill the memory of a tree that stays.
   */
  #keys(): KeyIndex {
    const noted: PlacedNode[] = [];
    for (const [at, node] of this.#written) if (node !== undefined) noted.push([at, node]);
    const { keys } = this.#before;
    const mostNodes = 2 * this.#memberCount;
    if (keys.size + noted.length <= 4 * mostNodes + 256) {
      keys.note(noted);
      return keys;
    }
    const [levels, leafCount] = [this.#levels, this.#leafCount];
    return new KeyIndex(() => placedNodes(levels, leafCount), mostNodes);
  }
}

/** Additions come in increasing order, except where they fill gaps. */
function insertSorted(list: number[], value: number): void {
  let at = list.length;
  while (at > 0 && (list[at - 1] ?? 0) > value) at--;
  if (list[at - 1] !== value) list.splice(at, 0, value);
}
