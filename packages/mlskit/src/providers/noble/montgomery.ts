/** X25519 and X448 in JavaScript. RFC 7748. */
import type { MontgomeryECDH } from "@noble/curves/abstract/montgomery.js";
import type { KemFormat } from "../../crypto/key-format.ts";
import type { KemPrimitives } from "../../crypto/suite-primitives.ts";

export function montgomeryKem(curve: MontgomeryECDH, format: KemFormat): KemPrimitives {
  return {
    format,
    publicKeyOf: (privateKey) => curve.getPublicKey(privateKey),
    dh: (privateKey, publicKey) => curve.getSharedSecret(privateKey, publicKey),
  };
}
