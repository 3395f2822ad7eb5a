/**
 * Formats of EdDSA. RFC 8032 §5.1.7 leaves room in how implementations treat points that no honest
 * signer produces: with such a key or signature, a member could make one half of a group accept a
 * message that the other half refuses. They are therefore refused here, before any back end sees them.
 */
import { equalBytes } from "../codec/bytes.ts";
import { anyBytes, type SignatureFormat } from "./key-format.ts";

export interface EdwardsCurve {
  /** The field prime minus one as little-endian bytes of an encoding. */
  readonly largest: Uint8Array;
  /** y-coordinates of the points whose order divides the cofactor. */
  readonly lowOrder: readonly Uint8Array[];
}

/** The curve is decoded when it is first needed. */
/* @__NO_SIDE_EFFECTS__ */
export function edwardsFormat(size: number, decode: () => EdwardsCurve): SignatureFormat {
  let curve: EdwardsCurve | undefined;
  const isSafePoint = (point: Uint8Array): boolean => {
    if (point.length !== size) return false;
    curve ??= decode();
    const y = point.slice();
    y[size - 1] = (y[size - 1] ?? 0) & 0x7f; // the sign of x
    return isAtMost(y, curve.largest) && !curve.lowOrder.some((other) => equalBytes(other, y));
  };
  return {
    privateKeys: anyBytes(size),
    isPublicKey: isSafePoint,
    // R || S, each as long as a public key.
    isSignature: (bytes) => bytes.length === 2 * size && isSafePoint(bytes.subarray(0, size)),
  };
}

function isAtMost(a: Uint8Array, b: Uint8Array): boolean {
  for (let i = a.length - 1; i >= 0; i--) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0);
    if (difference !== 0) return difference < 0;
  }
  return true;
}
