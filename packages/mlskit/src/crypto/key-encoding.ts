/** Formats of keys: lengths, uncompressed points, scalar ranges, low order. RFC 9180 §7.1, RFC 8446 §4.2.8.2. */
import { concat, equalBytes, fromHex } from "../codec/bytes.ts";
import { CryptoError } from "../errors.ts";
import type { GroupName, SignatureName } from "./cipher-suite.ts";

type NistCurve = "p256" | "p384" | "p521";

/** The NIST curve of a KEM or signature scheme, if it has one. */
export function nistCurve(name: GroupName | SignatureName): NistCurve | undefined {
  switch (name) {
    case "p256":
    case "ecdsa-p256":
      return "p256";
    case "p384":
    case "ecdsa-p384":
      return "p384";
    case "p521":
    case "ecdsa-p521":
      return "p521";
    default:
      return undefined;
  }
}

/** Group orders as big-endian hex; private keys lie in [1, order - 1]. */
const ORDERS: Readonly<Record<NistCurve, string>> = {
  p256: "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551",
  p384:
    "ffffffffffffffffffffffffffffffffffffffffffffffff" +
    "c7634d81f4372ddf581a0db248b0a77aecec196accc52973",
  p521:
    "01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa" +
    "51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409",
};

export interface ScalarRange {
  readonly order: Uint8Array;
  /** For the first byte of a candidate, RFC 9180 §7.1.3. */
  readonly bitmask: number;
}

export function scalarRange(curve: NistCurve): ScalarRange {
  return { order: fromHex(ORDERS[curve]), bitmask: curve === "p521" ? 0x01 : 0xff };
}

/** Whether 0 < scalar < order, in time that does not depend on the scalar. */
export function isScalar(scalar: Uint8Array, order: Uint8Array): boolean {
  let borrow = 0;
  let any = 0;
  for (let i = order.length - 1; i >= 0; i--) {
    const byte = scalar[i] ?? 0;
    any |= byte;
    borrow = ((byte - (order[i] ?? 0) - borrow) >> 8) & 1;
  }
  return any !== 0 && borrow === 1;
}

/**
 * A private key in its full length. Some implementations strip leading zero bytes of NIST scalars;
 * those are put back. The result is the input itself if nothing is missing.
 *
 * @throws CryptoError `INVALID_PRIVATE_KEY`
 */
export function fullPrivateKey(
  privateKey: Uint8Array,
  size: number,
  range: ScalarRange | undefined,
): Uint8Array {
  if (range === undefined) {
    if (privateKey.length !== size) throw invalidPrivateKey();
    return privateKey;
  }
  if (privateKey.length === 0 || privateKey.length > size) throw invalidPrivateKey();
  const full =
    privateKey.length === size
      ? privateKey
      : concat(new Uint8Array(size - privateKey.length), privateKey);
  if (!isScalar(full, range.order)) throw invalidPrivateKey();
  return full;
}

/** Whether bytes have the length and leading byte of an uncompressed point. */
export function looksUncompressed(publicKey: Uint8Array, size: number): boolean {
  return publicKey.length === size && publicKey[0] === 0x04;
}

/** u-coordinates of the points whose order divides the cofactor, on the curve and on its twist. */
const LOW_ORDER_X25519: readonly string[] = [
  "0000000000000000000000000000000000000000000000000000000000000000",
  "0100000000000000000000000000000000000000000000000000000000000000",
  "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
  "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
];
const LOW_ORDER_X448: readonly string[] = [
  "00".repeat(56),
  `01${"00".repeat(55)}`,
  `fe${"ff".repeat(27)}fe${"ff".repeat(27)}`,
  `ff${"ff".repeat(27)}fe${"ff".repeat(27)}`,
  `${"00".repeat(28)}${"ff".repeat(28)}`,
];

/** Whether an X25519 or X448 public key of the right length yields an all-zero secret for any key. */
export function isLowOrder(group: "x25519" | "x448", publicKey: Uint8Array): boolean {
  // X25519 ignores the top bit of a public key, RFC 7748 §5.
  const masked = publicKey.slice();
  if (group === "x25519") masked[31] = (masked[31] ?? 0) & 0x7f;
  return lowOrderPoints(group).some((point) => equalBytes(point, masked));
}

const decoded: Partial<Record<"x25519" | "x448", readonly Uint8Array[]>> = {};
function lowOrderPoints(group: "x25519" | "x448"): readonly Uint8Array[] {
  decoded[group] ??= (group === "x25519" ? LOW_ORDER_X25519 : LOW_ORDER_X448).map(fromHex);
  return decoded[group];
}

export function isAllZero(bytes: Uint8Array): boolean {
  let any = 0;
  for (const byte of bytes) any |= byte;
  return any === 0;
}

/** One text for every reason, so that the error says nothing about the key. */
export function invalidPublicKey(): CryptoError {
  return new CryptoError("INVALID_PUBLIC_KEY", "the public key is not valid for the cipher suite", {
    rule: "mk-18",
  });
}

export function invalidPrivateKey(): CryptoError {
  return new CryptoError(
    "INVALID_PRIVATE_KEY",
    "the private key is not valid for the cipher suite",
  );
}

export function decryptionFailed(): CryptoError {
  return new CryptoError("DECRYPTION_FAILED", "decryption failed");
}
