/** The key formats of every curve, for back ends that carry all of them. */
import type { GroupName, SignatureName } from "./cipher-suite.ts";
import { ED448_FORMAT, X448_FORMAT } from "./curve448.ts";
import { ED25519_FORMAT, X25519_FORMAT } from "./curve25519.ts";
import type { KemFormat, SignatureFormat } from "./key-format.ts";
import { P256_FORMAT, P384_FORMAT, P521_FORMAT } from "./nist-curves.ts";

export const KEM_FORMATS: Readonly<Record<GroupName, KemFormat>> = {
  x25519: X25519_FORMAT,
  x448: X448_FORMAT,
  p256: P256_FORMAT,
  p384: P384_FORMAT,
  p521: P521_FORMAT,
};

export const SIGNATURE_FORMATS: Readonly<Record<SignatureName, SignatureFormat>> = {
  ed25519: ED25519_FORMAT,
  ed448: ED448_FORMAT,
  "ecdsa-p256": P256_FORMAT,
  "ecdsa-p384": P384_FORMAT,
  "ecdsa-p521": P521_FORMAT,
};
