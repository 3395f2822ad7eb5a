/**
 * Suites with WebCrypto for public keys and JavaScript for hash, HMAC and AEAD, which the protocol
 * needs synchronously. They are importable one by one: a bundle that imports only `suite-1.ts`
 * contains no code of the other suites.
 *
 *     const provider = createProvider("webcrypto", [webCryptoSuite1()]);
 */
import type { CipherSuite } from "../../crypto/cipher-suite.ts";
import type { SuiteFactory } from "../../crypto/create-provider.ts";
import { createSuiteCrypto } from "../../crypto/suite-crypto.ts";
import type { KemPrimitives, SignaturePrimitives } from "../../crypto/suite-primitives.ts";
import { type NobleCipher, type NobleHash, nobleSymmetric } from "../noble/symmetric.ts";
import { webRandom } from "../random.ts";
import type { WebKemOptions } from "./diffie-hellman.ts";

export interface WebCryptoProviderOptions {
  /**
   * Source of all keys, nonces and ids. Default: the runtime's generator. The nonces inside ECDSA
   * remain the runtime's own.
   */
  readonly randomBytes?: ((length: number) => Uint8Array) | undefined;
  /** How many imported public keys each suite remembers per kind. Default 2048. */
  readonly cacheSize?: number | undefined;
}

/** What distinguishes one suite from another. */
export interface WebCryptoParts {
  readonly hash: NobleHash;
  readonly cipher: NobleCipher;
  kem(options: WebKemOptions): KemPrimitives;
  signature(cacheSize: number): SignaturePrimitives;
}

/** Puts a suite together. Whether this runtime carries it shows {@link worksHere}. */
export function webCryptoSuite(
  suite: CipherSuite,
  { hash, cipher, kem, signature }: WebCryptoParts,
  { randomBytes, cacheSize = 2048 }: WebCryptoProviderOptions,
): SuiteFactory {
  return {
    suite,
    create: () =>
      createSuiteCrypto(suite, {
        providerName: "webcrypto",
        randomBytes: randomBytes ?? webRandom,
        ...nobleSymmetric(hash, cipher),
        kem: kem({ cacheSize, nativeRandom: randomBytes === undefined }),
        signature: signature(cacheSize),
      }),
  };
}

/** Whether this runtime carries a suite: tries both of its public-key algorithms once. */
export async function worksHere(suite: SuiteFactory): Promise<boolean> {
  try {
    const crypto = suite.create();
    const nothing = new Uint8Array(0);
    const kem = await crypto.generateKeyPair();
    const sealed = await crypto.seal(kem.publicKey, nothing, nothing, nothing);
    await crypto.open(kem.privateKey, sealed, nothing, nothing);
    const keys = await crypto.generateSignatureKeyPair();
    return await crypto.verify(
      keys.publicKey,
      nothing,
      await crypto.sign(keys.privateKey, nothing),
    );
  } catch {
    return false;
  }
}
