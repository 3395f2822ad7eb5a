/** X25519 and X448 in JavaScript. RFC 7748. */
import type { MontgomeryECDH } from "@noble/curves/abstract/montgomery.js";
import type { KemPrimitives } from "../../crypto/suite-primitives.ts";

export function montgomeryKem(curve: MontgomeryECDH): KemPrimitives {
  return {
    publicKeyOf: (privateKey) => curve.getPublicKey(privateKey),
    dh: (privateKey, publicKey) => curve.getSharedSecret(privateKey, publicKey),
  };
}
