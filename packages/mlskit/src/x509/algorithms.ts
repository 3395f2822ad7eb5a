/** Object identifiers of keys and signatures. RFC 8410 §3, RFC 5480 §2.1.1, RFC 5758 §3.2, RFC 4055 §5. */
import { fromHex } from "../codec/index.ts";
import type { CipherSuite } from "../crypto/index.ts";

type SignatureName = CipherSuite["signature"]["name"];

export const EC_PUBLIC_KEY = "1.2.840.10045.2.1";
export const RSA_KEY = "1.2.840.113549.1.1.1";

/** How a scheme of MLS looks in a certificate. */
export interface SchemeIdentifiers {
  /** Algorithm of the public key. */
  readonly key: string;
  /** DER of the curve's object identifier. */
  readonly curve: Uint8Array | undefined;
  readonly signature: string;
}

/* @__NO_SIDE_EFFECTS__ */
function ec(curve: string, signature: string): SchemeIdentifiers {
  return { key: EC_PUBLIC_KEY, curve: fromHex(curve), signature };
}

export const ECDSA_SHA256 = "1.2.840.10045.4.3.2";
export const ECDSA_SHA384 = "1.2.840.10045.4.3.3";
export const ECDSA_SHA512 = "1.2.840.10045.4.3.4";

export const SCHEMES: Readonly<Record<SignatureName, SchemeIdentifiers>> = {
  ed25519: { key: "1.3.101.112", curve: undefined, signature: "1.3.101.112" },
  ed448: { key: "1.3.101.113", curve: undefined, signature: "1.3.101.113" },
  "ecdsa-p256": /* @__PURE__ */ ec("06082a8648ce3d030107", ECDSA_SHA256),
  "ecdsa-p384": /* @__PURE__ */ ec("06052b81040022", ECDSA_SHA384),
  "ecdsa-p521": /* @__PURE__ */ ec("06052b81040023", ECDSA_SHA512),
};

/** Hashes of ECDSA signatures under their names in WebCrypto. */
export const ECDSA_HASHES: Readonly<Record<string, string>> = {
  [ECDSA_SHA256]: "SHA-256",
  [ECDSA_SHA384]: "SHA-384",
  [ECDSA_SHA512]: "SHA-512",
};

/** The same for RSASSA-PKCS1-v1_5, which authorities still use. */
export const RSA_HASHES: Readonly<Record<string, string>> = {
  "1.2.840.113549.1.1.11": "SHA-256",
  "1.2.840.113549.1.1.12": "SHA-384",
  "1.2.840.113549.1.1.13": "SHA-512",
};
