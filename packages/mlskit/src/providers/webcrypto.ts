/**
 * Provider with WebCrypto for public keys and JavaScript for hash, HMAC and AEAD, which the protocol
 * needs synchronously. Private keys of NIST curves get their public keys from JavaScript as well.
 */
import { gcm } from "@noble/ciphers/aes.js";
import { chacha20poly1305 } from "@noble/ciphers/chacha.js";
import { p256, p384, p521 } from "@noble/curves/nist.js";
import { sha256, sha384, sha512 } from "@noble/hashes/sha2.js";
import { CIPHER_SUITES, type CipherSuite } from "../crypto/cipher-suite.ts";
import { createProvider } from "../crypto/create-provider.ts";
import type { CryptoProvider, SuiteCrypto } from "../crypto/crypto-provider.ts";
import { nistCurve } from "../crypto/key-encoding.ts";
import { createSuiteCrypto } from "../crypto/suite-crypto.ts";
import { nobleSymmetric } from "./noble/symmetric.ts";
import { webRandom } from "./random.ts";
import { type PublicKeyOf, webKem } from "./webcrypto-kem.ts";
import { webSignature } from "./webcrypto-signature.ts";

export interface WebCryptoProviderOptions {
  /**
   * Source of all keys, nonces and ids. Default: the runtime's generator. The nonces inside ECDSA
   * remain the runtime's own.
   */
  readonly randomBytes?: ((length: number) => Uint8Array) | undefined;
  /** How many imported public keys each suite remembers per kind. Default 2048. */
  readonly cacheSize?: number | undefined;
}

/**
 * The suites that this runtime's WebCrypto can carry; asynchronous, because that takes a trial. Other
 * suites are absent from `suites`, and `suite()` refuses them with `UNSUPPORTED_CIPHER_SUITE`.
 */
export async function webCryptoProvider(
  options: WebCryptoProviderOptions = {},
): Promise<CryptoProvider> {
  const usable = await Promise.all(CIPHER_SUITES.map(works));
  const suites = CIPHER_SUITES.filter((_, i) => usable[i] === true);
  return createProvider(
    "webcrypto",
    suites.map((suite) => ({ suite, create: () => webSuite(suite, options) })),
  );
}

/** Tries both public-key algorithms of a suite once. */
async function works(suite: CipherSuite): Promise<boolean> {
  try {
    // Without the caller's options: a trial must not consume from their source of randomness.
    const crypto = webSuite(suite, {});
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

const HASHES = { sha256, sha384, sha512 } as const;
const CIPHERS = {
  "aes-128-gcm": gcm,
  "aes-256-gcm": gcm,
  "chacha20-poly1305": chacha20poly1305,
} as const;
const CURVES = { p256, p384, p521 } as const;

function webSuite(suite: CipherSuite, options: WebCryptoProviderOptions): SuiteCrypto {
  const cacheSize = options.cacheSize ?? 2048;
  const nativeRandom = options.randomBytes === undefined;
  return createSuiteCrypto(suite, {
    providerName: "webcrypto",
    randomBytes: options.randomBytes ?? webRandom,
    ...nobleSymmetric(HASHES[suite.kdf.hash], CIPHERS[suite.aead.name]),
    kem: webKem(suite.kem.group, publicKeyOf(suite.kem.group), { cacheSize, nativeRandom }),
    signature: webSignature(suite.signature.name, publicKeyOf(suite.signature.name), cacheSize),
  });
}

function publicKeyOf(name: Parameters<typeof nistCurve>[0]): PublicKeyOf | undefined {
  const curve = nistCurve(name);
  if (curve === undefined) return undefined;
  return (privateKey) => CURVES[curve].getPublicKey(privateKey, false);
}
