/** Hash, HMAC and AEAD in JavaScript. */
import { hmac } from "@noble/hashes/hmac.js";
import type { SuitePrimitives } from "../../crypto/suite-primitives.ts";

/** A hash of @noble/hashes. */
export type NobleHash = Parameters<typeof hmac>[0];

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
