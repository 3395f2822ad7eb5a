/** Formats of X25519 and X448. RFC 7748 §5, RFC 9180 §7.1.4. */
import { equalBytes, fromHex } from "../codec/bytes.ts";
import { anyBytes, type KemFormat } from "./key-format.ts";

/**
 * Refuses the public keys that yield an all-zero secret for any private key: `lowOrder` are the
 * u-coordinates, in hexadecimal, of the points whose order divides the cofactor, on the curve and on
 * its twist. `lastByte` masks what the curve's function ignores.
 */
/* @__NO_SIDE_EFFECTS__ */
export function montgomeryFormat(
  size: number,
  lastByte: number,
  lowOrder: readonly string[],
): KemFormat {
  let points: readonly Uint8Array[] | undefined;
  return {
    privateKeys: anyBytes(size),
    isPublicKey(bytes) {
      if (bytes.length !== size) return false;
      points ??= lowOrder.map(fromHex);
      const u = bytes.slice();
      u[size - 1] = (u[size - 1] ?? 0) & lastByte;
      return !points.some((point) => equalBytes(point, u));
    },
  };
}
