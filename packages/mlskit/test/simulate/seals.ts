/** Watches which keys content is encrypted under: every one may be used once. */
import { createHash } from "node:crypto";
import type { CryptoProvider, SuiteCrypto } from "../../src/crypto/index.ts";

/**
 * Ciphertexts of an operation that failed before it was durable never left the library and do not
 * count: {@link drop}. All others do: {@link keep}.
 */
export class SealWatch {
  readonly provider: CryptoProvider;
  readonly #used = new Map<string, string>();
  #current: { readonly key: string; readonly message: string }[] = [];

  constructor(provider: CryptoProvider) {
    const watched = new Map<number, SuiteCrypto>();
    this.provider = {
      name: provider.name,
      suites: provider.suites,
      suite: (id) => {
        const known = watched.get(id) ?? this.#watch(provider.suite(id));
        watched.set(id, known);
        return known;
      },
    };
  }

  /** Keys seen so far. */
  get count(): number {
    return this.#used.size;
  }

  /** @throws Error if a key was used for two messages, whatever the nonce */
  keep(): void {
    for (const { key, message } of this.#current) {
      const before = this.#used.get(key);
      if (before !== undefined && before !== message) throw new Error("a key was used twice");
      this.#used.set(key, message);
    }
    this.#current = [];
  }

  drop(): void {
    this.#current = [];
  }

  #watch(crypto: SuiteCrypto): SuiteCrypto {
    const seal: SuiteCrypto["aeadSeal"] = (key, nonce, aad, plaintext) => {
      const ciphertext = crypto.aeadSeal(key, nonce, aad, plaintext);
      this.#current.push({ key: short([key]), message: short([nonce, aad, plaintext]) });
      return ciphertext;
    };
    return new Proxy(crypto, {
      get(target, name) {
        if (name === "aeadSeal") return seal;
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
  }
}

function short(parts: readonly Uint8Array[]): string {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest("base64").slice(0, 16);
}
