/**
 * EdDSA points that no honest signer produces. RFC 8032 §5.1.7 leaves room in how implementations
 * treat them: with such a key or signature, a member could make one half of a group accept a message
 * that the other half refuses. They are therefore refused here, before any back end sees them.
 */
import { equalBytes, fromHex } from "../codec/bytes.ts";

interface Encoding {
  readonly size: number;
  /** The field prime minus one as little-endian bytes of an encoding. */
  readonly largest: Uint8Array;
  /** y-coordinates of the points whose order divides the cofactor. */
  readonly lowOrder: readonly Uint8Array[];
}

/** Whether an encoded point is in its canonical form and not of low order. */
export function isSafePoint(curve: "ed25519" | "ed448", point: Uint8Array): boolean {
  const encoding = curve === "ed25519" ? ed25519() : ed448();
  if (point.length !== encoding.size) return false;
  const y = point.slice();
  const last = encoding.size - 1;
  y[last] = (y[last] ?? 0) & 0x7f; // the sign of x
  return isAtMost(y, encoding.largest) && !encoding.lowOrder.some((other) => equalBytes(other, y));
}

function isAtMost(a: Uint8Array, b: Uint8Array): boolean {
  for (let i = a.length - 1; i >= 0; i--) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0);
    if (difference !== 0) return difference < 0;
  }
  return true;
}

let cached25519: Encoding | undefined;
function ed25519(): Encoding {
  if (cached25519 !== undefined) return cached25519;
  const largest = fromHex(`ec${"ff".repeat(30)}7f`);
  cached25519 = {
    size: 32,
    largest,
    lowOrder: [
      new Uint8Array(32),
      fromHex(`01${"00".repeat(31)}`),
      largest,
      fromHex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
      fromHex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
    ],
  };
  return cached25519;
}

let cached448: Encoding | undefined;
function ed448(): Encoding {
  if (cached448 !== undefined) return cached448;
  const largest = fromHex(`fe${"ff".repeat(27)}fe${"ff".repeat(27)}00`);
  cached448 = {
    size: 57,
    largest,
    lowOrder: [new Uint8Array(57), fromHex(`01${"00".repeat(56)}`), largest],
  };
  return cached448;
}
