/**
 * Suites in pure JavaScript, importable one by one: a bundle that imports only `suite-1.ts` contains
 * no code of the other suites.
 *
 *     const provider = createProvider("noble", [nobleSuite1()]);
 */
import type { CipherSuite } from "../../crypto/cipher-suite.ts";
import type { SuiteFactory } from "../../crypto/create-provider.ts";
import { createSuiteCrypto } from "../../crypto/suite-crypto.ts";
import type { KemPrimitives, SignaturePrimitives } from "../../crypto/suite-primitives.ts";
import { webRandom } from "../random.ts";
import { type NobleCipher, type NobleHash, nobleSymmetric } from "./symmetric.ts";

export interface NobleOptions {
  /** Source of all keys, nonces and ids. Default: `crypto.getRandomValues`. */
  readonly randomBytes?: ((length: number) => Uint8Array) | undefined;
}

/** What distinguishes one suite from another. */
export interface NobleParts {
  readonly hash: NobleHash;
  readonly cipher: NobleCipher;
  readonly kem: KemPrimitives;
  readonly signature: SignaturePrimitives;
}

/** Puts a suite together from parts of the noble libraries. */
export function nobleSuite(
  suite: CipherSuite,
  parts: () => NobleParts,
  options: NobleOptions,
): SuiteFactory {
  return {
    suite,
    create() {
      const { hash, cipher, kem, signature } = parts();
      return createSuiteCrypto(suite, {
        providerName: "noble",
        randomBytes: options.randomBytes ?? webRandom,
        ...nobleSymmetric(hash, cipher),
        kem,
        signature,
      });
    },
  };
}
