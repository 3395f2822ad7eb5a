/** Hash, HMAC and AEAD in JavaScript. */
import type { CHash } from "@noble/hashes/utils.js";
import type { SuitePrimitives } from "../../crypto/suite-primitives.ts";

/** A hash of @noble/hashes. */
export type NobleHash = CHash;

/** An AEAD of @noble/ciphers. */
export type NobleCipher = (
  key: Uint8Array,
  nonce: Uint8Array,
  aad?: Uint8Array,
) => {
  encrypt(plaintext: Uint8Array): Uint8Array;
  decrypt(ciphertext: Uint8Array): Uint8Array;
};

type Symmetric = Pick<SuitePrimitives, "hash" | "hmac" | "aeadSeal" | "aeadOpen">;

export function nobleSymmetric(hash: NobleHash, cipher: NobleCipher): Symmetric {
  return {
    hash: (data) => hash(data as Uint8Array<ArrayBuffer>),
    hmac: (key, data) => hmac(hash, key, data),
    aeadSeal: (key, nonce, aad, plaintext) => cipher(key, nonce, aad).encrypt(plaintext),
    aeadOpen: (key, nonce, aad, ciphertext) => cipher(key, nonce, aad).decrypt(ciphertext),
  };
}

/** HMAC, RFC 2104 §2, over any hash: less than what @noble brings for streams. */
function hmac(hash: NobleHash, key: Uint8Array, data: Uint8Array): Uint8Array {
  const pad = new Uint8Array(hash.blockLen);
  const shortKey = key.length > hash.blockLen ? hash(key) : key;
  const digest = (xor: number, message: Uint8Array): Uint8Array => {
    for (let i = 0; i < pad.length; i++) pad[i] = (shortKey[i] ?? 0) ^ xor;
    return hash.create().update(pad).update(message).digest();
  };
  const inner = digest(0x36, data);
  const tag = digest(0x5c, inner);
  pad.fill(0);
  inner.fill(0);
  return tag;
}
