/** Randomness that a seed reproduces. For tests only: none of it is secret. M-TST-06. */
import type { CryptoProvider } from "../crypto/index.ts";
import { defaultProvider } from "../providers/default.ts";

/** The same seed gives the same answers in the same order. */
export class SeededRandom {
  readonly #state: Uint32Array = new Uint32Array(4);

  constructor(seed: number | string) {
    let hash = 0x811c9dc5;
    for (const character of `mlskit ${seed}`) {
      hash = Math.imul(hash ^ (character.codePointAt(0) ?? 0), 0x01000193);
    }
    for (let i = 0; i < this.#state.length; i++) {
      hash = (hash + 0x9e3779b9) | 0;
      this.#state[i] = mix(hash);
    }
  }

  /** A generator of its own, which does not depend on how often this one is asked afterwards. */
  fork(name: string): SeededRandom {
    return new SeededRandom(`${this.#next()} ${name}`);
  }

  /** From 0 up to, not including, `limit`. */
  below(limit: number): number {
    return Math.floor((this.#next() / 2 ** 32) * limit);
  }

  /** True with this probability. */
  chance(probability: number): boolean {
    return this.#next() / 2 ** 32 < probability;
  }

  /** One of the values; undefined if there are none. */
  pick<T>(values: readonly T[]): T | undefined {
    return values[this.below(values.length)];
  }

  /** One of the values, each as likely as its weight says. */
  weighted<T extends { readonly weight: number }>(values: readonly T[]): T | undefined {
    let rest = this.below(values.reduce((sum, { weight }) => sum + weight, 0));
    return values.find(({ weight }) => (rest -= weight) < 0);
  }

  bytes(length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    const view = new DataView(bytes.buffer);
    let at = 0;
    for (; at + 4 <= length; at += 4) view.setUint32(at, this.#next());
    for (; at < length; at++) bytes[at] = this.#next();
    return bytes;
  }

  /** xoshiro128**. */
  #next(): number {
    const s = this.#state;
    const [a = 0, b = 0, c = 0, d = 0] = s;
    const result = Math.imul(rotate(Math.imul(b, 5), 7), 9) >>> 0;
    const [x, y] = [c ^ a, d ^ b];
    s[0] = a ^ y;
    s[1] = b ^ x;
    s[2] = x ^ (b << 9);
    s[3] = rotate(y, 11);
    return result;
  }
}

/** Makes a provider whose keys, nonces and ids come from the given source. */
export type ProviderFactory = (options: {
  readonly randomBytes: (length: number) => Uint8Array;
}) => CryptoProvider;

/**
 * A provider that draws everything from a seed, so that a run can be repeated byte by byte (except
 * with ECDSA, whose nonces are the runtime's own). Not for anything but tests: whoever knows the
 * seed knows every key.
 */
export function seededProvider(
  seed: number | string,
  create: ProviderFactory = defaultProvider,
): CryptoProvider {
  const random = new SeededRandom(seed);
  return create({ randomBytes: (length) => random.bytes(length) });
}

function rotate(value: number, by: number): number {
  return (value << by) | (value >>> (32 - by));
}

function mix(value: number): number {
  let mixed = Math.imul(value ^ (value >>> 16), 0x21f0aaad);
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
  return mixed ^ (mixed >>> 15);
}
