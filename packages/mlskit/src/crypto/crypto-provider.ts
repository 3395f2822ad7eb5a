/**
 * What mlskit needs from a cryptographic back end. RFC 9420 §5.1, RFC 9180.
 *
 * Hash, HMAC, HKDF and AEAD are synchronous: a message costs dozens of them, and a hop to another
 * thread costs more than the work. Public-key operations may return promises, and have batch forms
 * that a provider may spread over several cores.
 */
import type { CipherSuite } from "./cipher-suite.ts";

export type MaybePromise<T> = T | Promise<T>;

export interface CryptoProvider {
  /** Short and stable: "node", "webcrypto", "noble". */
  readonly name: string;
  /** Code points this provider can carry completely, most preferred first. */
  readonly suites: readonly number[];
  /**
   * The primitives of one suite. The same object is returned for the same suite.
   * @throws UnsupportedError `UNSUPPORTED_CIPHER_SUITE`
   */
  suite(id: number): SuiteCrypto;
}

/** A key pair of the suite's KEM, serialised as RFC 9180 prescribes. */
export interface HpkeKeyPair {
  readonly publicKey: Uint8Array;
  readonly privateKey: Uint8Array;
}

/** `struct HPKECiphertext`, RFC 9420 §7.6. */
export interface SealedMessage {
  readonly kemOutput: Uint8Array;
  readonly ciphertext: Uint8Array;
}

export interface SealJob {
  readonly publicKey: Uint8Array;
  readonly plaintext: Uint8Array;
}

export interface VerifyJob {
  readonly publicKey: Uint8Array;
  readonly message: Uint8Array;
  readonly signature: Uint8Array;
}

export interface SignatureKeyPair {
  readonly publicKey: Uint8Array;
  readonly privateKey: Uint8Array;
}

/** PSK input of HPKE mode_psk, RFC 9180 §5.1.2. */
export interface HpkePsk {
  readonly psk: Uint8Array;
  readonly pskId: Uint8Array;
}

/**
 * The primitives of one suite. Inputs are never modified or kept; outputs are fresh arrays that
 * the caller owns. Failures caused by the input throw `CryptoError` (`DECRYPTION_FAILED`, or
 * `INVALID_PUBLIC_KEY` for keys that are malformed, off the curve or of low order); everything else
 * is a `ProviderError`.
 */
export interface SuiteCrypto {
  readonly suite: CipherSuite;
  readonly providerName: string;

  randomBytes(length: number): Uint8Array;

  /** The suite's hash. `data` may be scratch memory: it must not be kept. */
  hash(data: Uint8Array): Uint8Array;
  /** HMAC with the suite's hash. `data` may be scratch memory: it must not be kept. */
  hmac(key: Uint8Array, data: Uint8Array): Uint8Array;
  /** HKDF-Extract, RFC 5869 §2.2. */
  extract(salt: Uint8Array, ikm: Uint8Array): Uint8Array;
  /** HKDF-Expand, RFC 5869 §2.3; `length` at most 255 * Nh. */
  expand(prk: Uint8Array, info: Uint8Array, length: number): Uint8Array;

  /** Ciphertext with the tag appended. */
  aeadSeal(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, plaintext: Uint8Array): Uint8Array;
  /** @throws CryptoError `DECRYPTION_FAILED` */
  aeadOpen(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, ciphertext: Uint8Array): Uint8Array;

  /** KEM.GenerateKeyPair. */
  generateKeyPair(): MaybePromise<HpkeKeyPair>;
  /** KEM.DeriveKeyPair, RFC 9180 §7.1.3. */
  deriveKeyPair(ikm: Uint8Array): MaybePromise<HpkeKeyPair>;
  /** The public key that belongs to a serialised private key (NIST keys may lack leading zeros). */
  publicKeyOf(privateKey: Uint8Array): MaybePromise<Uint8Array>;
  /** Whether the bytes are a valid, full-order public key of the KEM. */
  isValidPublicKey(publicKey: Uint8Array): MaybePromise<boolean>;

  /** Single-shot HPKE, RFC 9180 §6.1; mode_psk if `psk` is given. */
  seal(
    publicKey: Uint8Array,
    info: Uint8Array,
    aad: Uint8Array,
    plaintext: Uint8Array,
    psk?: HpkePsk,
  ): MaybePromise<SealedMessage>;
  /** Many single shots with the same `info` and empty aad, in order. */
  sealMany(info: Uint8Array, jobs: readonly SealJob[]): MaybePromise<readonly SealedMessage[]>;
  /** @throws CryptoError `DECRYPTION_FAILED` */
  open(
    privateKey: Uint8Array,
    sealed: SealedMessage,
    info: Uint8Array,
    aad: Uint8Array,
    psk?: HpkePsk,
  ): MaybePromise<Uint8Array>;
  /** SetupBaseS followed by Export, RFC 9180 §5.3. */
  sendExport(
    publicKey: Uint8Array,
    info: Uint8Array,
    context: Uint8Array,
    length: number,
  ): MaybePromise<{ readonly kemOutput: Uint8Array; readonly secret: Uint8Array }>;
  /** SetupBaseR followed by Export. */
  receiveExport(
    privateKey: Uint8Array,
    kemOutput: Uint8Array,
    info: Uint8Array,
    context: Uint8Array,
    length: number,
  ): MaybePromise<Uint8Array>;

  generateSignatureKeyPair(): MaybePromise<SignatureKeyPair>;
  /** The public key that belongs to a signature private key. */
  signaturePublicKeyOf(privateKey: Uint8Array): MaybePromise<Uint8Array>;
  /** Whether the bytes have the format of the suite's signature public keys. */
  isValidSignatureKey(publicKey: Uint8Array): MaybePromise<boolean>;
  sign(privateKey: Uint8Array, message: Uint8Array): MaybePromise<Uint8Array>;
  /** False for any malformed key or signature; never throws because of them. */
  verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): MaybePromise<boolean>;
  /** One result per job, in order. */
  verifyMany(jobs: readonly VerifyJob[]): MaybePromise<readonly boolean[]>;
}

/**
 * Signs on behalf of one member. The private key may live anywhere: in memory, in WebCrypto as a
 * non-extractable key, in a KMS or an HSM. RFC 9420 §5.1.2.
 */
export interface Signer {
  /** As it appears in the leaf node. */
  readonly publicKey: Uint8Array;
  /** Signature scheme code point; must equal the suite's. */
  readonly scheme: number;
  sign(message: Uint8Array): MaybePromise<Uint8Array>;
}
