/** Ed25519 in JavaScript, with the verification equation that native libraries use. RFC 8032 §5.1.7. */
import { ed25519 } from "@noble/curves/ed25519.js";
import { sha512 } from "@noble/hashes/sha2.js";
import { concat, equalBytes } from "../../codec/bytes.ts";
import { ED25519_FORMAT } from "../../crypto/curve25519.ts";
import type { SignaturePrimitives } from "../../crypto/suite-primitives.ts";

export const ed25519Signature: SignaturePrimitives = {
  format: ED25519_FORMAT,
  publicKeyOf: (privateKey) => ed25519.getPublicKey(privateKey),
  sign: (privateKey, message) => ed25519.sign(message, privateKey),
  verify,
};

/**
 * [S]B = R + [k]A without the factor 8. The library's own `verify` multiplies by the cofactor, so
 * it accepts crafted signatures that node:crypto and browsers refuse, and a group would split. For
 * the same reason R is compared as bytes, and S must be reduced.
 */
function verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  const { Point } = ed25519;
  const r = signature.subarray(0, 32);
  const s = littleEndian(signature.subarray(32));
  if (s >= Point.Fn.ORDER) return false;
  const a = Point.fromBytes(publicKey, false);
  const k = Point.Fn.create(littleEndian(sha512(concat(r, publicKey, message))));
  const expected = Point.BASE.multiplyUnsafe(s).subtract(a.multiplyUnsafe(k));
  return equalBytes(expected.toBytes(), r);
}

function littleEndian(bytes: Uint8Array): bigint {
  let hex = "";
  for (let i = bytes.length - 1; i >= 0; i--) hex += (bytes[i] ?? 0).toString(16).padStart(2, "0");
  return BigInt(`0x${hex}`);
}
