/** X25519 and Ed25519 by WebCrypto. RFC 7748, RFC 8032. */
import { ED25519_FORMAT, X25519_FORMAT } from "../../crypto/curve25519.ts";
import type { KemPrimitives, SignaturePrimitives } from "../../crypto/suite-primitives.ts";
import { ED25519_PKCS8, X25519_PKCS8 } from "../key-der.ts";
import type { WebKemOptions } from "./diffie-hellman.ts";
import { edDsa, okpKem } from "./okp.ts";

export function webX25519(options: WebKemOptions): KemPrimitives {
  const format = X25519_FORMAT;
  return okpKem({ name: "X25519", pkcs8: X25519_PKCS8, size: 32, basePoint: 9, format }, options);
}

export function webEd25519(cacheSize: number): SignaturePrimitives {
  return edDsa({ name: "Ed25519", pkcs8: ED25519_PKCS8, format: ED25519_FORMAT }, cacheSize);
}
