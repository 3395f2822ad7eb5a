/** Key formats of X448 and Ed448. RFC 7748 §4.2, RFC 8032 §5.2. */
import { fromHex } from "../codec/bytes.ts";
import { type EdwardsCurve, edwardsFormat } from "./edwards-format.ts";
import type { KemFormat, SignatureFormat } from "./key-format.ts";
import { montgomeryFormat } from "./montgomery-format.ts";

export const X448_FORMAT: KemFormat = montgomeryFormat(56, 0xff, [
  "0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000",
  "0100000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000",
  "fefffffffffffffffffffffffffffffffffffffffffffffffffffffffeffffffffffffffffffffffffffffffffffffffffffffffffffffff",
  "fffffffffffffffffffffffffffffffffffffffffffffffffffffffffeffffffffffffffffffffffffffffffffffffffffffffffffffffff",
  "00000000000000000000000000000000000000000000000000000000ffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
]);

export const ED448_FORMAT: SignatureFormat = edwardsFormat(57, (): EdwardsCurve => {
  const largest = fromHex(`fe${"ff".repeat(27)}fe${"ff".repeat(27)}00`);
  return {
    largest,
    lowOrder: [new Uint8Array(57), fromHex(`01${"00".repeat(56)}`), largest],
  };
});
