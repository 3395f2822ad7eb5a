/** Cipher suites as rows of a table. RFC 9420 §5.1, §17.1. */
import { UnsupportedError } from "../errors.ts";

export type HashName = "sha256" | "sha384" | "sha512";
export type AeadName = "aes-128-gcm" | "aes-256-gcm" | "chacha20-poly1305";
export type GroupName = "x25519" | "x448" | "p256" | "p384" | "p521";
export type SignatureName = "ed25519" | "ed448" | "ecdsa-p256" | "ecdsa-p384" | "ecdsa-p521";

/** Everything the protocol needs to know about one suite. Sizes in bytes. */
export interface CipherSuite {
  /** Code point, RFC 9420 §17.1. */
  readonly id: number;
  readonly name: string;
  /** HPKE KEM, RFC 9180 §7.1. `privateKeySize` is the length of a serialised private key. */
  readonly kem: {
    readonly id: number;
    readonly group: GroupName;
    readonly hash: HashName;
    readonly sharedSecretSize: number;
    readonly encSize: number;
    readonly publicKeySize: number;
    readonly privateKeySize: number;
  };
  /** HPKE and MLS KDF. `size` is KDF.Nh, which is also the suite's hash size. */
  readonly kdf: { readonly id: number; readonly hash: HashName; readonly size: number };
  readonly aead: {
    readonly id: number;
    readonly name: AeadName;
    readonly keySize: number;
    readonly nonceSize: number;
    readonly tagSize: number;
  };
  /** Signature scheme, code point from the TLS registry. */
  readonly signature: {
    readonly scheme: number;
    readonly name: SignatureName;
    readonly publicKeySize: number;
    /** Fixed for EdDSA; undefined for ECDSA, whose signatures are DER. */
    readonly signatureSize: number | undefined;
  };
}

type Kem = CipherSuite["kem"];
type Kdf = CipherSuite["kdf"];
type Aead = CipherSuite["aead"];
type Signature = CipherSuite["signature"];

/* @__NO_SIDE_EFFECTS__ */
function kem(
  id: number,
  group: GroupName,
  hash: HashName,
  sharedSecretSize: number,
  publicKeySize: number,
  privateKeySize: number,
): Kem {
  return {
    id,
    group,
    hash,
    sharedSecretSize,
    encSize: publicKeySize,
    publicKeySize,
    privateKeySize,
  };
}
/* @__NO_SIDE_EFFECTS__ */
function kdf(id: number, hash: HashName, size: number): Kdf {
  return { id, hash, size };
}
/* @__NO_SIDE_EFFECTS__ */
function aead(id: number, name: AeadName, keySize: number): Aead {
  return { id, name, keySize, nonceSize: 12, tagSize: 16 };
}
/* @__NO_SIDE_EFFECTS__ */
function signature(
  scheme: number,
  name: SignatureName,
  publicKeySize: number,
  signatureSize?: number,
): Signature {
  return { scheme, name, publicKeySize, signatureSize };
}

const X25519: Kem = kem(0x0020, "x25519", "sha256", 32, 32, 32);
const X448: Kem = kem(0x0021, "x448", "sha512", 64, 56, 56);
const P256: Kem = kem(0x0010, "p256", "sha256", 32, 65, 32);
const P384: Kem = kem(0x0011, "p384", "sha384", 48, 97, 48);
const P521: Kem = kem(0x0012, "p521", "sha512", 64, 133, 66);
const SHA256: Kdf = kdf(1, "sha256", 32);
const SHA384: Kdf = kdf(2, "sha384", 48);
const SHA512: Kdf = kdf(3, "sha512", 64);
const AES128: Aead = aead(1, "aes-128-gcm", 16);
const AES256: Aead = aead(2, "aes-256-gcm", 32);
const CHACHA: Aead = aead(3, "chacha20-poly1305", 32);
const ED25519: Signature = signature(0x0807, "ed25519", 32, 64);
const ED448: Signature = signature(0x0808, "ed448", 57, 114);
const ECDSA_P256: Signature = signature(0x0403, "ecdsa-p256", 65);
const ECDSA_P384: Signature = signature(0x0503, "ecdsa-p384", 97);
const ECDSA_P521: Signature = signature(0x0603, "ecdsa-p521", 133);

/* @__NO_SIDE_EFFECTS__ */
function suite(
  id: number,
  name: string,
  kem: Kem,
  aead: Aead,
  kdf: Kdf,
  signature: Signature,
): CipherSuite {
  return { id, name, kem, kdf, aead, signature };
}

export const MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519: CipherSuite = suite(
  1,
  "MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519",
  X25519,
  AES128,
  SHA256,
  ED25519,
);
export const MLS_128_DHKEMP256_AES128GCM_SHA256_P256: CipherSuite = suite(
  2,
  "MLS_128_DHKEMP256_AES128GCM_SHA256_P256",
  P256,
  AES128,
  SHA256,
  ECDSA_P256,
);
export const MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519: CipherSuite = suite(
  3,
  "MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519",
  X25519,
  CHACHA,
  SHA256,
  ED25519,
);
export const MLS_256_DHKEMX448_AES256GCM_SHA512_Ed448: CipherSuite = suite(
  4,
  "MLS_256_DHKEMX448_AES256GCM_SHA512_Ed448",
  X448,
  AES256,
  SHA512,
  ED448,
);
export const MLS_256_DHKEMP521_AES256GCM_SHA512_P521: CipherSuite = suite(
  5,
  "MLS_256_DHKEMP521_AES256GCM_SHA512_P521",
  P521,
  AES256,
  SHA512,
  ECDSA_P521,
);
export const MLS_256_DHKEMX448_CHACHA20POLY1305_SHA512_Ed448: CipherSuite = suite(
  6,
  "MLS_256_DHKEMX448_CHACHA20POLY1305_SHA512_Ed448",
  X448,
  CHACHA,
  SHA512,
  ED448,
);
export const MLS_256_DHKEMP384_AES256GCM_SHA384_P384: CipherSuite = suite(
  7,
  "MLS_256_DHKEMP384_AES256GCM_SHA384_P384",
  P384,
  AES256,
  SHA384,
  ECDSA_P384,
);

/** All suites of RFC 9420 §17.1, in code point order. */
export const CIPHER_SUITES: readonly CipherSuite[] = [
  MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519,
  MLS_128_DHKEMP256_AES128GCM_SHA256_P256,
  MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519,
  MLS_256_DHKEMX448_AES256GCM_SHA512_Ed448,
  MLS_256_DHKEMP521_AES256GCM_SHA512_P521,
  MLS_256_DHKEMX448_CHACHA20POLY1305_SHA512_Ed448,
  MLS_256_DHKEMP384_AES256GCM_SHA384_P384,
];

/** The RFC suite with this code point. @throws UnsupportedError `UNSUPPORTED_CIPHER_SUITE` */
export function cipherSuite(id: number): CipherSuite {
  const found = CIPHER_SUITES.find((candidate) => candidate.id === id);
  if (found === undefined) throw unsupportedSuite(id);
  return found;
}

export function unsupportedSuite(id: number): UnsupportedError {
  return new UnsupportedError("UNSUPPORTED_CIPHER_SUITE", `cipher suite ${id} is not supported`, {
    details: { cipherSuite: id },
  });
}
