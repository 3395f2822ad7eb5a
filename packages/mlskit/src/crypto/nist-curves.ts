/** Key formats of P-256, P-384 and P-521. RFC 9180 §7.1.3, RFC 8446 §4.2.8.2. */
import { concat, fromHex } from "../codec/bytes.ts";
import { ProviderError } from "../errors.ts";
import { parseDerSignature } from "./ecdsa-der.ts";
import {
  invalidPrivateKey,
  type KemFormat,
  type PrivateKeyFormat,
  type SignatureFormat,
} from "./key-format.ts";

/** ECDH and ECDSA keys look alike. */
export type NistFormat = KemFormat & SignatureFormat;

export const P256_FORMAT: NistFormat = nistFormat(
  "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551",
  0xff,
);
export const P384_FORMAT: NistFormat = nistFormat(
  "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973",
  0xff,
);
export const P521_FORMAT: NistFormat = nistFormat(
  "01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409",
  0x01,
);

/** The group order is big-endian hex; the bitmask is for the first byte of a candidate. */
/* @__NO_SIDE_EFFECTS__ */
function nistFormat(order: string, bitmask: number): NistFormat {
  const size = order.length / 2;
  return {
    privateKeys: scalars(size, order, bitmask),
    // An uncompressed point.
    isPublicKey: (bytes) => bytes.length === 2 * size + 1 && bytes[0] === 0x04,
    isSignature: (bytes) => parseDerSignature(bytes, size) !== undefined,
  };
}

/** Private keys in [1, order - 1], found by rejection. */
/* @__NO_SIDE_EFFECTS__ */
function scalars(size: number, orderHex: string, bitmask: number): PrivateKeyFormat {
  let decoded: Uint8Array | undefined;
  const isKey = (scalar: Uint8Array): boolean => {
    decoded ??= fromHex(orderHex);
    return isScalar(scalar, decoded);
  };
  const search = (candidates: (counter: number) => Uint8Array): Uint8Array => {
    for (let counter = 0; counter <= 255; counter++) {
      const candidate = candidates(counter);
      candidate[0] = (candidate[0] ?? 0) & bitmask;
      if (isKey(candidate)) return candidate;
    }
    throw new ProviderError("256 candidates held no usable private key");
  };
  return {
    random: (source) => search(() => source.randomBytes(size)),
    derive: (expand) => search((counter) => expand("candidate", new Uint8Array([counter]), size)),
    // Some implementations strip leading zero bytes; those are put back.
    complete(privateKey) {
      const missing = size - privateKey.length;
      if (privateKey.length === 0 || missing < 0) throw invalidPrivateKey();
      const full = missing === 0 ? privateKey : concat(new Uint8Array(missing), privateKey);
      if (!isKey(full)) throw invalidPrivateKey();
      return full;
    },
  };
}

/** Whether 0 < scalar < order, in time that does not depend on the scalar. */
function isScalar(scalar: Uint8Array, order: Uint8Array): boolean {
  let borrow = 0;
  let any = 0;
  for (let i = order.length - 1; i >= 0; i--) {
    const byte = scalar[i] ?? 0;
    any |= byte;
    borrow = ((byte - (order[i] ?? 0) - borrow) >> 8) & 1;
  }
  return any !== 0 && borrow === 1;
}
