/** Tree hashes: what a subtree contains. RFC 9420 §7.8. */
import { lendEncoding, type Writer } from "../codec/index.ts";
import type { SuiteCrypto } from "../crypto/crypto-provider.ts";
import { type LeafNode, ParentNode } from "./nodes.ts";

/** Node types in TreeHashInput. */
const LEAF = 1;
const PARENT = 2;

/** Hashes nodes one after the other. */
export class TreeHasher {
  readonly #crypto: SuiteCrypto;

  constructor(crypto: SuiteCrypto) {
    this.#crypto = crypto;
  }

  /** Hash of TreeHashInput for a leaf. */
  leaf(leafIndex: number, leaf: LeafNode | undefined): Uint8Array {
    return this.#hash((input) => {
      input.uint8(LEAF);
      input.uint32(leafIndex);
      input.uint8(leaf === undefined ? 0 : 1);
      if (leaf !== undefined) input.bytes(leaf.encoded);
    });
  }

  /** Hash of TreeHashInput for a parent, given the hashes of its children. */
  parent(content: ParentNode | undefined, left: Uint8Array, right: Uint8Array): Uint8Array {
    return this.#hash((input) => {
      input.uint8(PARENT);
      input.uint8(content === undefined ? 0 : 1);
      if (content !== undefined) ParentNode.write(input, content);
      input.opaque(left);
      input.opaque(right);
    });
  }

  #hash(write: (input: Writer) => void): Uint8Array {
    return lendEncoding(write, (input) => this.#crypto.hash(input));
  }
}
