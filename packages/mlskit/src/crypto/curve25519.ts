/** Key formats of X25519 and Ed25519. RFC 7748 §4.1, RFC 8032 §5.1. */
import { fromHex } from "../codec/bytes.ts";
import { type EdwardsCurve, edwardsFormat } from "./edwards-format.ts";
import type { KemFormat, SignatureFormat } from "./key-format.ts";
import { montgomeryFormat } from "./montgomery-format.ts";

/** The top bit of a public key is ignored, RFC 7748 §5. */
export const X25519_FORMAT: KemFormat = montgomeryFormat(32, 0x7f, [
  "0000000000000000000000000000000000000000000000000000000000000000",
  "0100000000000000000000000000000000000000000000000000000000000000",
  "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
  "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
]);

export const ED25519_FORMAT: SignatureFormat = edwardsFormat(32, (): EdwardsCurve => {
  const largest = fromHex(`ec${"ff".repeat(30)}7f`);
  return {
    largest,
    lowOrder: [
      new Uint8Array(32),
      fromHex(`01${"00".repeat(31)}`),
      largest,
      fromHex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
      fromHex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
    ],
  };
});
