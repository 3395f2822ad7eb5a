/** The secret as bytes: `format u8 | key[32] | sealed client`. */
import { UsageError } from "mlskit/errors";

const FORMAT = 1;
const KEY_SIZE = 32;

export function newSealingKey(): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(KEY_SIZE));
}

export function encodeSecret(key: Uint8Array, sealed: Uint8Array): Uint8Array {
  const secret = new Uint8Array(1 + KEY_SIZE + sealed.length);
  secret[0] = FORMAT;
  secret.set(key, 1);
  secret.set(sealed, 1 + KEY_SIZE);
  return secret;
}

/** @throws UsageError `INVALID_HISTORY` */
export function decodeSecret(secret: Uint8Array): {
  readonly key: Uint8Array;
  readonly sealed: Uint8Array;
} {
  if (secret[0] !== FORMAT || secret.length <= 1 + KEY_SIZE) {
    throw new UsageError("INVALID_HISTORY", "these bytes are no history secret of this release");
  }
  return { key: secret.slice(1, 1 + KEY_SIZE), sealed: secret.slice(1 + KEY_SIZE) };
}
