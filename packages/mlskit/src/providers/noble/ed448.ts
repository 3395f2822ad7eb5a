/** Ed448 in JavaScript. RFC 8032 §5.2. */
import { ed448 } from "@noble/curves/ed448.js";
import { ED448_FORMAT } from "../../crypto/curve448.ts";
import type { SignaturePrimitives } from "../../crypto/suite-primitives.ts";

export const ed448Signature: SignaturePrimitives = {
  format: ED448_FORMAT,
  publicKeyOf: (privateKey) => ed448.getPublicKey(privateKey),
  sign: (privateKey, message) => ed448.sign(message, privateKey),
  verify: (publicKey, message, signature) => ed448.verify(signature, message, publicKey),
};
