/** X448 and Ed448 by WebCrypto. RFC 7748, RFC 8032. */
import { ED448_FORMAT, X448_FORMAT } from "../../crypto/curve448.ts";
import type { KemPrimitives, SignaturePrimitives } from "../../crypto/suite-primitives.ts";
import { ED448_PKCS8, X448_PKCS8 } from "../key-der.ts";
import type { WebKemOptions } from "./diffie-hellman.ts";
import { edDsa, okpKem } from "./okp.ts";

export function webX448(options: WebKemOptions): KemPrimitives {
  const format = X448_FORMAT;
  return okpKem({ name: "X448", pkcs8: X448_PKCS8, size: 56, basePoint: 5, format }, options);
}

export function webEd448(cacheSize: number): SignaturePrimitives {
  return edDsa({ name: "Ed448", pkcs8: ED448_PKCS8, format: ED448_FORMAT }, cacheSize);
}
