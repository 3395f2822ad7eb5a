/** Tree hashes: what a subtree contains. RFC 9420 §7.8. */
import { encode } from "../codec/index.ts";
import type { SuiteCrypto } from "../crypto/crypto-provider.ts";
import { type LeafNode, ParentNode } from "./nodes.ts";

/** Node types in TreeHashInput. */
const LEAF = 1;
const PARENT = 2;

/** Inputs are public, and hashed before anything else can run: one buffer serves them all. */
let input: Uint8Array = /* @__PURE__ */ new Uint8Array(1024);

/** Hashes nodes one after the other. */
export class TreeHasher {
  readonly #crypto: SuiteCrypto;
  #length = 0;

  constructor(crypto: SuiteCrypto) {
    this.#crypto = crypto;
  }

  /** Hash of TreeHashInput for a leaf. */
  leaf(leafIndex: number, leaf: LeafNode | undefined): Uint8Array {
    this.#begin(6 + (leaf?.encoded.length ?? 0));
    const index = [leafIndex / 2 ** 24, leafIndex / 2 ** 16, leafIndex / 2 ** 8, leafIndex];
    this.#bytes([LEAF, ...index, leaf === undefined ? 0 : 1]);
    if (leaf !== undefined) this.#bytes(leaf.encoded);
    return this.#hash();
  }

  /** Hash of TreeHashInput for a parent, given the hashes of its children. */
  parent(content: ParentNode | undefined, left: Uint8Array, right: Uint8Array): Uint8Array {
    const encoded = content === undefined ? undefined : encode(ParentNode, content);
    this.#begin(6 + (encoded?.length ?? 0) + left.length + right.length);
    this.#bytes([PARENT, encoded === undefined ? 0 : 1]);
    if (encoded !== undefined) this.#bytes(encoded);
    this.#opaque(left);
    this.#opaque(right);
    return this.#hash();
  }

  #begin(capacity: number): void {
    if (input.length < capacity) input = new Uint8Array(2 * capacity);
    this.#length = 0;
  }

  #bytes(bytes: ArrayLike<number>): void {
    input.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  /** Hashes have at most 64 bytes, so their headers have one byte or two. */
  #opaque(bytes: Uint8Array): void {
    this.#bytes(bytes.length < 0x40 ? [bytes.length] : [0x40 + bytes.length / 256, bytes.length]);
    this.#bytes(bytes);
  }

  #hash(): Uint8Array {
    return this.#crypto.hash(input.subarray(0, this.#length));
  }
}
