/** A tree as a store holds it: chunk by chunk, of which an edit changes few. */
import { Reader, type WireTypes, Writer } from "../codec/index.ts";
import type { SuiteCrypto } from "../crypto/crypto-provider.ts";
import { DecodeError, InternalError } from "../errors.ts";
import { Chunk, SLOTS } from "./chunk.ts";
import { RatchetTree } from "./ratchet-tree.ts";
import { fullLeafCount, MAX_LEAF_COUNT } from "./tree-math.ts";

/** A chunk as it lies in a store. */
export interface TreeChunk {
  readonly level: number;
  readonly id: number;
  readonly bytes: Uint8Array;
}

/** A chunk to be stored, or, without bytes, to be deleted. */
export type StoredChunk = Omit<TreeChunk, "bytes"> & { readonly bytes: Uint8Array | undefined };

const FORMAT = 1;
/** The slot of the root of a full chunk's subtree. */
const TOP_SLOT = 15;

/**
 * A tree from a store. The bytes belong to the tree from now on; a chunk is decoded when one of
 * its nodes is first asked for. Only trees that were valid when stored may be read this way.
 *
 * @throws DecodeError
 */
export function treeFromChunks(
  crypto: SuiteCrypto,
  leafCount: number,
  stored: Iterable<TreeChunk>,
  types?: WireTypes,
): RatchetTree {
  if (leafCount > MAX_LEAF_COUNT || fullLeafCount(leafCount) !== leafCount) {
    throw new InternalError(`a tree cannot have ${leafCount} leaves`);
  }
  return RatchetTree.filled(crypto, leafCount, (levels) => {
    for (const { level, id, bytes } of stored) {
      const chunks = levels[level];
      if (chunks?.[id] === undefined) throw new InternalError("a chunk has no place");
      chunks[id] = readChunk(crypto.suite.kdf.size, bytes, types);
    }
  });
}

/** What a store that holds `before` must write and delete in order to hold `after`. */
export function changedChunks(
  after: RatchetTree | undefined,
  before: RatchetTree | undefined,
): StoredChunk[] {
  const changed: StoredChunk[] = after === undefined ? [] : allChunks(after, before);
  for (const { level, id } of before?.chunks() ?? []) {
    if (after?.chunk(level, id) === undefined) changed.push({ level, id, bytes: undefined });
  }
  return changed;
}

/** The chunks of a tree, without those that it shares with `other`. */
export function allChunks(tree: RatchetTree, other?: RatchetTree): TreeChunk[] {
  // With the hashes known, they are stored along and need not be computed after a load.
  tree.treeHash();
  const chunks: TreeChunk[] = [];
  for (const { level, id, chunk } of tree.chunks()) {
    if (other?.chunk(level, id) === chunk) continue;
    chunks.push({ level, id, bytes: writeChunk(chunk) });
  }
  return chunks;
}

/** Takes ownership of `bytes`; nodes are decoded when first asked for. @throws DecodeError */
export function readChunk(hashSize: number, bytes: Uint8Array, types?: WireTypes): Chunk {
  const reader = new Reader(bytes, types);
  if (reader.uint8() !== FORMAT) throw new DecodeError("a stored chunk has an unknown format");
  const present = reader.uint32() & 0x7fff_ffff;
  const top = reader.uint8() === 1 ? reader.bytes(hashSize) : undefined;
  const chunk = Chunk.unread(hashSize, present, { bytes: reader.rest(), types });
  if (top !== undefined) chunk.setHash(TOP_SLOT, top);
  return chunk;
}

/** Format, which slots hold nodes, the subtree's own hash if known, then the nodes. */
function writeChunk(chunk: Chunk): Uint8Array {
  const writer = new Writer(256);
  writer.uint8(FORMAT);
  writer.uint32(chunk.presence(0, SLOTS - 1));
  const top = chunk.hash(TOP_SLOT);
  writer.uint8(top === undefined ? 0 : 1);
  if (top !== undefined) writer.bytes(top);
  chunk.writeNodes(writer);
  return writer.finish();
}
