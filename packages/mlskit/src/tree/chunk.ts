/**
 * Chunks: how the nodes of a tree lie in memory and in a store.
 *
 * A chunk holds a perfect subtree of five levels, 31 nodes; the chunks of one height hang below
 * those of the next. A commit changes one direct path, so it touches one chunk per five levels:
 *
 *     height 2            nodes 1023, 2047, …
 *     height 1            nodes 31, 63, 95, …
 *     height 0            nodes 0…30, 32…62, 64…94, …
 *
 * Node x lies at height 0 in slot x mod 32 of chunk x div 32, unless that slot is 31: those nodes
 * are counted again, by x div 32, at the height above.
 */
import { EMPTY_BYTES, Reader, type WireTypes, Writer } from "../codec/index.ts";
import { InternalError } from "../errors.ts";
import { TreeNode } from "./nodes.ts";

/** Slots per chunk; the 32nd belongs to the height above. */
export const SLOTS = 31;
const RADIX = 32;

/** Where a node lies. */
export interface ChunkPosition {
  /** Height above the lowest chunks. */
  readonly level: number;
  readonly id: number;
  readonly slot: number;
}

/** Division instead of shifts: node indices reach 2^32. */
export function locate(node: number): ChunkPosition {
  let level = 0;
  let rest = node;
  while (rest % RADIX === SLOTS) {
    rest = (rest - SLOTS) / RADIX;
    level++;
  }
  const slot = rest % RADIX;
  return { level, id: (rest - slot) / RADIX, slot };
}

/** The node in a slot: the inverse of {@link locate}. */
export function nodeInSlot(level: number, id: number, slot: number): number {
  let node = id * RADIX + slot;
  for (let i = 0; i < level; i++) node = node * RADIX + SLOTS;
  return node;
}

/** How many chunks a full tree of `leafCount` leaves (a power of two) has at each height. */
export function chunkCounts(leafCount: number): number[] {
  const counts: number[] = [];
  for (let nodes = 2 * leafCount; nodes > 1; nodes = Math.floor(nodes / RADIX)) {
    counts.push(Math.max(1, nodes / RADIX));
  }
  return counts;
}

/**
 * Up to 31 nodes with their cached tree hashes. Mutable only while one editor owns it; afterwards
 * shared by all trees that contain it, and changed only by filling in a hash, decoding bytes, or going
 * back to them.
 */
export class Chunk {
  /** One bit per slot that holds a node. */
  #present: number;
  /** One bit per slot whose tree hash is known. */
  #hashed: number;
  #nodes: (TreeNode | undefined)[] | undefined;
  #hashes: Uint8Array;
  readonly #hashSize: number;
  /** What the chunk was read from, until somebody asks for a node. */
  #unread: Unread | undefined;

  private constructor(hashSize: number) {
    this.#hashSize = hashSize;
    this.#present = 0;
    this.#hashed = 0;
    this.#hashes = EMPTY_BYTES;
  }

  static blank(hashSize: number): Chunk {
    return new Chunk(hashSize);
  }

  /** Takes ownership of the bytes; nodes are decoded when first asked for. */
  static unread(hashSize: number, present: number, bytes: Unread): Chunk {
    const chunk = new Chunk(hashSize);
    chunk.#present = present;
    chunk.#unread = bytes;
    return chunk;
  }

  /** The nodes one after the other; which slots they are in, {@link presence} tells. */
  writeNodes(writer: Writer): void {
    if (this.#unread !== undefined) writer.bytes(this.#unread.bytes);
    else for (const node of this.#read()) if (node !== undefined) TreeNode.write(writer, node);
  }

  /** Goes back to the nodes' bytes, a sixth of the memory; they are decoded again when asked for. */
  compact(types: WireTypes | undefined): void {
    if (this.#nodes === undefined) return;
    const writer = new Writer(1024);
    this.writeNodes(writer);
    this.#unread = { bytes: writer.finish().slice(), types };
    this.#nodes = undefined;
  }

  clone(): Chunk {
    const copy = new Chunk(this.#hashSize);
    copy.#present = this.#present;
    copy.#hashed = this.#hashed;
    copy.#nodes = this.#nodes?.slice();
    copy.#hashes = this.#hashes.slice();
    copy.#unread = this.#unread;
    return copy;
  }

  has(slot: number): boolean {
    return (this.#present & (1 << slot)) !== 0;
  }

  /** One bit per slot that holds a node, of the slots from `first` to `last`. */
  presence(first: number, last: number): number {
    return this.#present & (2 ** (last + 1) - 2 ** first);
  }

  /** How many even slots, which at height 0 are leaves, hold a node. */
  countLeaves(): number {
    let count = 0;
    for (let bits = this.#present & 0x5555_5555; bits !== 0; bits &= bits - 1) count++;
    return count;
  }

  node(slot: number): TreeNode | undefined {
    return this.has(slot) ? this.#read()[slot] : undefined;
  }

  /** Also forgets the slot's hash. */
  setNode(slot: number, node: TreeNode | undefined): void {
    this.#read()[slot] = node;
    if (node === undefined) this.#present &= ~(1 << slot);
    else this.#present |= 1 << slot;
    this.forgetHash(slot);
  }

  /** A view; do not modify. */
  hash(slot: number): Uint8Array | undefined {
    if ((this.#hashed & (1 << slot)) === 0) return undefined;
    return this.#hashes.subarray(slot * this.#hashSize, (slot + 1) * this.#hashSize);
  }

  setHash(slot: number, hash: Uint8Array): void {
    if (hash.length !== this.#hashSize) throw new InternalError("a hash has a wrong length");
    if (this.#hashes.length === 0) this.#hashes = new Uint8Array(SLOTS * this.#hashSize);
    this.#hashes.set(hash, slot * this.#hashSize);
    this.#hashed |= 1 << slot;
  }

  forgetHash(slot: number): void {
    this.#hashed &= ~(1 << slot);
  }

  #read(): (TreeNode | undefined)[] {
    if (this.#nodes !== undefined) return this.#nodes;
    const nodes: (TreeNode | undefined)[] = new Array<undefined>(SLOTS).fill(undefined);
    if (this.#unread !== undefined) {
      const reader = new Reader(this.#unread.bytes, this.#unread.types);
      for (let slot = 0; slot < SLOTS; slot++) {
        if (this.has(slot)) nodes[slot] = TreeNode.read(reader);
      }
      reader.finish("a stored chunk");
    }
    this.#nodes = nodes;
    this.#unread = undefined;
    return nodes;
  }
}

/** Nodes as they were encoded. */
export interface Unread {
  readonly bytes: Uint8Array;
  readonly types: WireTypes | undefined;
}
