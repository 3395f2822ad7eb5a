/** Tree hashes: what a subtree contains. RFC 9420 §7.8. */
import { Writer } from "../codec/index.ts";
import type { SuiteCrypto } from "../crypto/crypto-provider.ts";
import { type LeafNode, ParentNode } from "./nodes.ts";

/** Node types in TreeHashInput. */
const LEAF = 1;
const PARENT = 2;

/** Hash of TreeHashInput for a leaf. */
export function leafHash(
  crypto: SuiteCrypto,
  leafIndex: number,
  leaf: LeafNode | undefined,
): Uint8Array {
  const writer = new Writer(6 + (leaf?.encoded.length ?? 0));
  writer.uint8(LEAF);
  writer.uint32(leafIndex);
  writer.uint8(leaf === undefined ? 0 : 1);
  if (leaf !== undefined) writer.bytes(leaf.encoded);
  return crypto.hash(writer.finish());
}

/** Hash of TreeHashInput for a parent. */
export function parentNodeHash(
  crypto: SuiteCrypto,
  parent: ParentNode | undefined,
  left: Uint8Array,
  right: Uint8Array,
): Uint8Array {
  const writer = new Writer(256);
  writer.uint8(PARENT);
  writer.uint8(parent === undefined ? 0 : 1);
  if (parent !== undefined) ParentNode.write(writer, parent);
  writer.opaque(left);
  writer.opaque(right);
  return crypto.hash(writer.finish());
}
