/**
 * What is a key of a curve, and what is not. RFC 9180 §7.1, RFC 8446 §4.2.8.2. Each curve's file
 * carries its own formats, and a back end names the one it serves, so that a bundle of one suite
 * has no code of the others.
 */
import { EMPTY_BYTES } from "../codec/bytes.ts";
import { CryptoError } from "../errors.ts";

export interface PrivateKeyFormat {
  /** A uniformly random private key. */
  random(source: { randomBytes(length: number): Uint8Array }): Uint8Array;
  /** The private half of DeriveKeyPair, RFC 9180 §7.1.3; `expand` is LabeledExpand of dkp_prk. */
  derive(expand: (label: string, info: Uint8Array, length: number) => Uint8Array): Uint8Array;
  /**
   * The key in its full length, the input itself if nothing is missing.
   * @throws CryptoError `INVALID_PRIVATE_KEY`
   */
  complete(privateKey: Uint8Array): Uint8Array;
}

export interface KemFormat {
  readonly privateKeys: PrivateKeyFormat;
  /** Whether the bytes look like a public key that leads to a secret. */
  isPublicKey(bytes: Uint8Array): boolean;
}

export interface SignatureFormat {
  readonly privateKeys: PrivateKeyFormat;
  isPublicKey(bytes: Uint8Array): boolean;
  isSignature(bytes: Uint8Array): boolean;
}

/** Keys of which every value of the right length is one. */
/* @__NO_SIDE_EFFECTS__ */
export function anyBytes(size: number): PrivateKeyFormat {
  return {
    random: (source) => source.randomBytes(size),
    derive: (expand) => expand("sk", EMPTY_BYTES, size),
    complete(privateKey) {
      if (privateKey.length !== size) throw invalidPrivateKey();
      return privateKey;
    },
  };
}

/** One text for every reason, so that the error says nothing about the key. */
export function invalidPublicKey(): CryptoError {
  return new CryptoError("INVALID_PUBLIC_KEY", "the public key is not valid for the cipher suite", {
    rule: "mk-18",
  });
}

export function invalidPrivateKey(): CryptoError {
  return new CryptoError(
    "INVALID_PRIVATE_KEY",
    "the private key is not valid for the cipher suite",
  );
}

export function decryptionFailed(): CryptoError {
  return new CryptoError("DECRYPTION_FAILED", "decryption failed");
}
