/** HKDF over an HMAC. RFC 5869 §2. */
import { UsageError } from "../errors.ts";

export type Hmac = (key: Uint8Array, data: Uint8Array) => Uint8Array;

/** HKDF-Expand, RFC 5869 §2.3. `size` is the HMAC's output length. */
export function expand(
  hmac: Hmac,
  size: number,
  prk: Uint8Array,
  info: Uint8Array,
  length: number,
): Uint8Array {
  checkExpandedLength(size, length);
  const out = new Uint8Array(length);
  // T(i) = HMAC(prk, T(i-1) || info || i): one buffer, with room for T(i-1) in front.
  const input = new Uint8Array(size + info.length + 1);
  input.set(info, size);
  for (let at = 0, counter = 1; at < length; at += size, counter++) {
    input[size + info.length] = counter;
    const block = hmac(prk, counter === 1 ? input.subarray(size) : input);
    out.set(at + size <= length ? block : block.subarray(0, length - at), at);
    input.set(block);
    block.fill(0);
  }
  input.fill(0);
  return out;
}

/** @throws UsageError `INVALID_LENGTH` */
export function checkExpandedLength(size: number, length: number): void {
  if (Number.isInteger(length) && length >= 0 && length <= 255 * size) return;
  throw new UsageError("INVALID_LENGTH", `HKDF cannot expand to ${length} bytes`);
}

/** The first bytes of a block that is overwritten if any of it is left over. */
export function truncate(block: Uint8Array, length: number): Uint8Array {
  if (block.length === length) return block;
  const out = block.slice(0, length);
  block.fill(0);
  return out;
}
