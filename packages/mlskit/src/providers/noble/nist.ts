/** ECDH and ECDSA over the NIST curves in JavaScript. RFC 9180 §7.1, FIPS 186-5. */
import type { ECDSA } from "@noble/curves/abstract/weierstrass.js";
import { derToFixed, fixedToDer } from "../../crypto/ecdsa-der.ts";
import type { NistFormat } from "../../crypto/nist-curves.ts";
import type { KemPrimitives, SignaturePrimitives } from "../../crypto/suite-primitives.ts";

export function nistKem(curve: ECDSA, format: NistFormat): KemPrimitives {
  return {
    format,
    publicKeyOf: (privateKey) => curve.getPublicKey(privateKey, false),
    // The compressed point without its leading byte is the x-coordinate.
    dh: (privateKey, publicKey) => curve.getSharedSecret(privateKey, publicKey, true).slice(1),
    isOnCurve: (publicKey) => curve.utils.isValidPublicKey(publicKey, false),
  };
}

export function nistSignature(curve: ECDSA, format: NistFormat): SignaturePrimitives {
  return {
    format,
    publicKeyOf: (privateKey) => curve.getPublicKey(privateKey, false),
    sign: (privateKey, message) => fixedToDer(curve.sign(message, privateKey, { lowS: false })),
    verify(publicKey, message, signature) {
      const fixed = derToFixed(signature, curve.Point.Fn.BYTES);
      // Half of all ECDSA signatures have a high s; only some other protocols forbid them.
      return fixed !== undefined && curve.verify(fixed, message, publicKey, { lowS: false });
    },
    isOnCurve: (publicKey) => curve.utils.isValidPublicKey(publicKey, false),
  };
}
