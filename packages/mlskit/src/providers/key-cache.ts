/** Bounded memory of imported keys: importing often costs as much as using the key. */
import { bytesKey, equalSecrets } from "../codec/bytes.ts";

/**
 * Imported public keys by their bytes. At most `limit` of them: when the younger half is full, the
 * older half is dropped, which costs less per hit than keeping an exact order of use.
 */
export class PublicKeyCache<K> {
  readonly #half: number;
  readonly #load: (publicKey: Uint8Array) => K;
  readonly #nameOf: (publicKey: Uint8Array) => string;
  #young = new Map<string, K>();
  #old = new Map<string, K>();

  constructor(
    limit: number,
    load: (publicKey: Uint8Array) => K,
    nameOf: (publicKey: Uint8Array) => string = bytesKey,
  ) {
    this.#nameOf = nameOf;
    this.#half = Math.max(1, limit >> 1);
    this.#load = load;
  }

  get size(): number {
    return this.#young.size + this.#old.size;
  }

  /** The imported key. Throws what the import throws; failures are not remembered. */
  get(publicKey: Uint8Array): K {
    const name = this.#nameOf(publicKey);
    const young = this.#young.get(name);
    if (young !== undefined) return young;
    const key = this.#old.get(name) ?? this.#load(publicKey);
    if (this.#young.size >= this.#half) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#old.delete(name);
    this.#young.set(name, key);
    return key;
  }
}

/**
 * Imported private keys by the identity of the array that holds them, not by their bytes: an entry
 * disappears with its array, no string is made of a secret, and no list of old keys survives in
 * memory. The bytes are compared, because the owner may overwrite the array.
 */
export class PrivateKeyCache<K> {
  readonly #load: (privateKey: Uint8Array) => K;
  readonly #entries = new WeakMap<Uint8Array, { readonly bytes: Uint8Array; readonly key: K }>();

  constructor(load: (privateKey: Uint8Array) => K) {
    this.#load = load;
  }

  /** The imported key if there is one already. */
  peek(privateKey: Uint8Array): K | undefined {
    const entry = this.#entries.get(privateKey);
    return entry !== undefined && equalSecrets(entry.bytes, privateKey) ? entry.key : undefined;
  }

  get(privateKey: Uint8Array): K {
    const known = this.peek(privateKey);
    if (known !== undefined) return known;
    const key = this.#load(privateKey);
    this.#entries.set(privateKey, { bytes: privateKey.slice(), key });
    return key;
  }
}
