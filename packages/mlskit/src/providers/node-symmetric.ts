/** Hash, HMAC, AEAD and randomness from node:crypto. */
import type { CipherGCMTypes, KeyObject } from "node:crypto";
import type { AeadName, HashName } from "../crypto/cipher-suite.ts";
import { hasSlowRawKeys, nodeCrypto } from "./node-module.ts";

type HashFunction = (data: Uint8Array) => Uint8Array;

const BLOCK_SIZE: Readonly<Record<HashName, number>> = { sha256: 64, sha384: 128, sha512: 128 };
/** Up to here, data is copied into HMAC's reused buffer. */
const SMALL = 512;
const HASH_SIZE: Readonly<Record<HashName, number>> = { sha256: 32, sha384: 48, sha512: 64 };

/**
 * The hash, for public data only: the fastest way to a digest in Node leads through a string
 * ("binary"), and strings cannot be erased. Secrets go through {@link nodeHmac}.
 */
export function nodeHash(name: HashName): HashFunction {
  const crypto = nodeCrypto();
  // Optional in the types of no Node version, but absent before 20.12.
  const oneShot = crypto.hash as typeof crypto.hash | undefined;
  if (oneShot === undefined) return digestWithoutString(name);
  const size = HASH_SIZE[name];
  return (data) => {
    const text = oneShot(name, data, "binary");
    const hash = new Uint8Array(size);
    for (let i = 0; i < size; i++) hash[i] = text.charCodeAt(i);
    return hash;
  };
}

function digestWithoutString(name: HashName): HashFunction {
  const crypto = nodeCrypto();
  const oneShot = crypto.hash as typeof crypto.hash | undefined;
  if (oneShot !== undefined) return (data) => oneShot(name, data, "buffer");
  return (data) => crypto.createHash(name).update(data).digest();
}

/**
 * HMAC from two one-shot hashes, RFC 2104: faster than createHmac for short data, which on some Node
 * versions also pays ten times its own price for importing the key. Long data is not copied.
 */
export function nodeHmac(name: HashName): (key: Uint8Array, data: Uint8Array) => Uint8Array {
  const crypto = nodeCrypto();
  const digest = digestWithoutString(name);
  const importKey = secretKeyImporter();
  const block = BLOCK_SIZE[name];
  const size = HASH_SIZE[name];
  const scratch = new ArrayBuffer(block + SMALL);
  const buffer = new Uint8Array(scratch);
  // A view per length: making one costs a tenth of the hash itself.
  const views: (Uint8Array | undefined)[] = new Array(scratch.byteLength + 1);
  const start = (length: number): Uint8Array =>
    (views[length] ??= new Uint8Array(scratch, 0, length));
  return (longKey, data) => {
    if (data.length > SMALL) {
      return plain(crypto.createHmac(name, importKey(longKey)).update(data).digest());
    }
    const key = longKey.length > block ? digest(longKey) : longKey;
    const length = block + data.length;
    buffer.fill(0x36, key.length, block);
    for (let i = 0; i < key.length; i++) buffer[i] = (key[i] ?? 0) ^ 0x36;
    buffer.set(data, block);
    const inner = digest(start(length));
    for (let i = 0; i < block; i++) buffer[i] = (buffer[i] ?? 0) ^ 0x6a; // 0x36 ^ 0x5c
    buffer.set(inner, block);
    const outer = digest(start(block + size));
    buffer.fill(0, 0, Math.max(length, block + size));
    if (key !== longKey) key.fill(0);
    const mac = new Uint8Array(size);
    for (let i = 0; i < size; i++) {
      mac[i] = outer[i] ?? 0;
      inner[i] = 0;
      outer[i] = 0;
    }
    return mac;
  };
}

/** Prepares a symmetric key for node:crypto. */
function secretKeyImporter(): (key: Uint8Array) => KeyObject | Uint8Array {
  const crypto = nodeCrypto();
  return hasSlowRawKeys() ? (key) => crypto.createSecretKey(key) : (key) => key;
}

export interface Aead {
  seal(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, plaintext: Uint8Array): Uint8Array;
  open(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, ciphertext: Uint8Array): Uint8Array;
}

const TAG_SIZE = 16;

/** AEAD with the tag appended. */
export function nodeAead(name: AeadName): Aead {
  const crypto = nodeCrypto();
  // One interface serves both families; the types would have an overload for each.
  const cipher = name as CipherGCMTypes;
  const options = { authTagLength: TAG_SIZE };
  const importKey = secretKeyImporter();
  return {
    seal(key, nonce, aad, plaintext) {
      const sealer = crypto.createCipheriv(cipher, importKey(key), nonce, options);
      if (aad.length > 0) sealer.setAAD(aad);
      const out = new Uint8Array(plaintext.length + TAG_SIZE);
      out.set(sealer.update(plaintext));
      sealer.final();
      out.set(sealer.getAuthTag(), plaintext.length);
      return out;
    },
    open(key, nonce, aad, ciphertext) {
      const length = ciphertext.length - TAG_SIZE;
      const opener = crypto.createDecipheriv(cipher, importKey(key), nonce, options);
      opener.setAuthTag(ciphertext.subarray(length));
      if (aad.length > 0) opener.setAAD(aad);
      const plaintext = opener.update(ciphertext.subarray(0, length));
      opener.final();
      return plain(plaintext);
    },
  };
}

const POOL_SIZE = 8192;

/** Random bytes in portions from a pool; what was handed out is overwritten in the pool. */
export function nodeRandom(): (length: number) => Uint8Array {
  const crypto = nodeCrypto();
  const pool = new Uint8Array(POOL_SIZE);
  let used = POOL_SIZE;
  return (length) => {
    if (length > POOL_SIZE / 8) return crypto.randomFillSync(new Uint8Array(length));
    if (used + length > POOL_SIZE) {
      crypto.randomFillSync(pool);
      used = 0;
    }
    const bytes = pool.slice(used, used + length);
    pool.fill(0, used, used + length);
    used += length;
    return bytes;
  };
}

/**
 * A Buffer's bytes as an array of their own: callers compare and serialise them. For small ones,
 * copying is several times cheaper than asking for the memory behind them.
 */
export function plain(buffer: Uint8Array): Uint8Array {
  if (buffer.length > 1024 && buffer.length === buffer.buffer.byteLength) {
    return new Uint8Array(buffer.buffer);
  }
  const bytes = new Uint8Array(buffer.length);
  bytes.set(buffer);
  return bytes;
}
