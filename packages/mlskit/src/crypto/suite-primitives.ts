/**
 * What a back end supplies for one suite. RFC 9420 §5.1, RFC 9180 §4.
 *
 * Everything above these functions (HKDF, DHKEM, HPKE, key formats, error mapping) is the same for
 * all back ends and lives in {@link createSuiteCrypto}. A back end therefore receives keys whose
 * length and encoding are already checked, and may throw anything: the caller turns it into the
 * documented error.
 */
import type {
  HpkeKeyPair,
  MaybePromise,
  SealedMessage,
  SealJob,
  VerifyJob,
} from "./crypto-provider.ts";
import type { KemFormat, SignatureFormat } from "./key-format.ts";

export interface SuitePrimitives {
  readonly providerName: string;
  randomBytes(length: number): Uint8Array;
  /** `data` may be scratch memory: it must not be kept. */
  hash(data: Uint8Array): Uint8Array;
  /** HMAC with the suite's hash. `data` may be scratch memory: it must not be kept. */
  hmac(key: Uint8Array, data: Uint8Array): Uint8Array;
  /** HMAC with the KEM's hash; needed only if that differs from the suite's. */
  kemHmac?(key: Uint8Array, data: Uint8Array): Uint8Array;
  aeadSeal(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, plaintext: Uint8Array): Uint8Array;
  /** Throws if the tag does not match. */
  aeadOpen(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, ciphertext: Uint8Array): Uint8Array;
  readonly kem: KemPrimitives;
  readonly signature: SignaturePrimitives;
  /**
   * A parallel form of `sealMany`, for instance on worker threads. `undefined` means "not worth it
   * for these jobs": they are then sealed one by one.
   */
  sealMany?(
    info: Uint8Array,
    jobs: readonly SealJob[],
  ): MaybePromise<readonly SealedMessage[]> | undefined;
}

/** The Diffie-Hellman group of a KEM. Private keys have exactly `privateKeySize` bytes. */
export interface KemPrimitives {
  /** What its keys look like; every curve of the RFC has one ready. */
  readonly format: KemFormat;
  publicKeyOf(privateKey: Uint8Array): MaybePromise<Uint8Array>;
  /**
   * The shared secret: the u-coordinate, or the x-coordinate for NIST curves. Throws if the public
   * key is not a point of the curve.
   */
  dh(privateKey: Uint8Array, publicKey: Uint8Array): MaybePromise<Uint8Array>;
  /** A fresh key pair and its shared secret, if there is a faster way than making a private key. */
  ephemeral?(
    publicKey: Uint8Array,
  ): MaybePromise<{ readonly publicKey: Uint8Array; readonly shared: Uint8Array }>;
  /**
   * Encap of RFC 9180 §4.1 as a whole, if the back end has that: kem_output and the shared secret
   * after ExtractAndExpand. Takes precedence over `ephemeral`.
   */
  encapsulate?(
    publicKey: Uint8Array,
  ): MaybePromise<{ readonly enc: Uint8Array; readonly sharedSecret: Uint8Array }>;
  /** A fresh key pair, if there is a better way than making a private key from random bytes. */
  generateKeyPair?(): MaybePromise<HpkeKeyPair>;
  /** Whether an uncompressed point lies on the curve. Needed for NIST curves only. */
  isOnCurve?(publicKey: Uint8Array): MaybePromise<boolean>;
}

/** A signature scheme. Private keys are EdDSA seeds or padded NIST scalars; ECDSA signatures DER. */
export interface SignaturePrimitives {
  readonly format: SignatureFormat;
  publicKeyOf(privateKey: Uint8Array): MaybePromise<Uint8Array>;
  sign(privateKey: Uint8Array, message: Uint8Array): MaybePromise<Uint8Array>;
  verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): MaybePromise<boolean>;
  /** Many verifications, when that can be faster than one by one. */
  verifyMany?(jobs: readonly VerifyJob[]): MaybePromise<readonly boolean[]>;
  /** Whether an uncompressed point lies on the curve. Needed for NIST curves only. */
  isOnCurve?(publicKey: Uint8Array): MaybePromise<boolean>;
}
