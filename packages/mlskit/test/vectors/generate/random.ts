/** Randomness that is the same every time: generated files differ only where mlskit does. */
import { createHash } from "node:crypto";
import type { CryptoProvider, SuiteCrypto } from "../../../src/crypto/index.ts";
import { nobleProvider } from "../../../src/providers/index.ts";

/** What the generators of one suite work with. */
export interface Source {
  readonly provider: CryptoProvider;
  readonly crypto: SuiteCrypto;
  random(length: number): Uint8Array;
}

/** The pure JavaScript provider signs deterministically, so that whole files are reproducible. */
export function sourceFor(suite: number, purpose: string): Source {
  const random = seededRandom(`mlskit vectors, ${purpose}, suite ${suite}`);
  const provider = nobleProvider({ randomBytes: random });
  return { provider, crypto: provider.suite(suite), random };
}

/** SHA-512 of seed and counter, one block after the other. */
function seededRandom(seed: string): (length: number) => Uint8Array {
  let counter = 0;
  let block = new Uint8Array(0);
  return (length) => {
    const bytes = new Uint8Array(length);
    for (let at = 0; at < length; ) {
      if (block.length === 0) {
        block = Uint8Array.from(createHash("sha512").update(`${seed} ${counter}`).digest());
        counter += 1;
      }
      const part = block.subarray(0, length - at);
      bytes.set(part, at);
      block = block.slice(part.length);
      at += part.length;
    }
    return bytes;
  };
}

export const SUITES: readonly number[] = [1, 2, 3, 4, 5, 6, 7];
