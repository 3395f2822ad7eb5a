/** Bytes as text and the other way round. */

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export const EMPTY: Uint8Array = new Uint8Array(0);

export function utf8(text: string): Uint8Array {
  return encoder.encode(text);
}

export function fromUtf8(bytes: Uint8Array): string {
  return decoder.decode(bytes);
}

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

/** Undefined for what the protocol means by no bytes. */
export function present(bytes: Uint8Array): Uint8Array | undefined {
  return bytes.length === 0 ? undefined : bytes;
}

/** The same bytes with one bit of one byte changed; negative positions count from the end. */
export function flipped(bytes: Uint8Array, position: number): Uint8Array {
  const copy = Uint8Array.from(bytes);
  const at = position < 0 ? copy.length + position : position;
  copy[at] = (copy[at] ?? 0) ^ 0x01;
  return copy;
}
