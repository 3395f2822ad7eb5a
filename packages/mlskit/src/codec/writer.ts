/** An append-only byte buffer. RFC 9420 §2.1. */
import { UsageError } from "../errors.ts";

/** Vectors hold at most 2^30-1 bytes, RFC 9420 §2.1.2. */
export const MAX_VECTOR_LENGTH = 0x3fff_ffff;

/** Longer views are not kept. */
const VIEWS = 128;
const MAX_SAFE_INTEGER = BigInt(Number.MAX_SAFE_INTEGER);

/** Bytes of a vector's length header in its shortest form. RFC 9420 §2.1.2. */
export function vectorHeaderSize(length: number): 1 | 2 | 4 {
  return length < 0x40 ? 1 : length < 0x4000 ? 2 : 4;
}

/** Grows by doubling. {@link finish} hands the bytes out and ends the writer's life. */
export class Writer {
  #bytes: Uint8Array;
  #length = 0;
  /** Views of the first bytes, by length: a writer that is used again is asked for the same ones. */
  #views: (Uint8Array | undefined)[] = [];

  /** Arrays of up to 64 bytes are cheap to make, and most values fit. */
  constructor(capacity = 64) {
    this.#bytes = new Uint8Array(capacity);
  }

  get length(): number {
    return this.#length;
  }

  get capacity(): number {
    return this.#bytes.length;
  }

  uint8(value: number): void {
    const at = this.#reserve(1);
    this.#bytes[at] = value;
  }

  uint16(value: number): void {
    const at = this.#reserve(2);
    this.#bytes[at] = value >>> 8;
    this.#bytes[at + 1] = value;
  }

  uint32(value: number): void {
    const at = this.#reserve(4);
    this.#bytes[at] = value >>> 24;
    this.#bytes[at + 1] = value >>> 16;
    this.#bytes[at + 2] = value >>> 8;
    this.#bytes[at + 3] = value;
  }

  uint64(value: bigint): void {
    // Most values are small, and bigints are slow.
    const small = value <= MAX_SAFE_INTEGER ? Number(value) : undefined;
    this.uint32(small === undefined ? Number(value >> 32n) : Math.floor(small / 2 ** 32));
    this.uint32(small === undefined ? Number(value & 0xffff_ffffn) : small % 2 ** 32);
  }

  bytes(value: Uint8Array): void {
    const at = this.#reserve(value.length);
    this.#bytes.set(value, at);
  }

  /** A length header in its shortest form. RFC 9420 §2.1.2. */
  vectorLength(length: number): void {
    if (length < 0x40) this.uint8(length);
    else if (length < 0x4000) this.uint16(length | 0x4000);
    else if (length <= MAX_VECTOR_LENGTH) this.uint32(length + 0x8000_0000);
    else {
      throw new UsageError("INVALID_LENGTH", "a vector cannot hold 2^30 bytes or more", {
        rule: "mk-14",
      });
    }
  }

  /** `opaque value<V>`. */
  opaque(value: Uint8Array): void {
    this.vectorLength(value.length);
    this.bytes(value);
  }

  /** A vector whose contents `write` produces; its header is as long as the contents need. */
  vector(write: (writer: Writer) => void): void {
    const header = this.#reserve(1);
    write(this);
    const length = this.#length - header - 1;
    if (length < 0x40) {
      this.#bytes[header] = length;
      return;
    }
    // The header needs 2 or 4 bytes after all: make room, then write it in place.
    const extra = vectorHeaderSize(length) - 1;
    this.#reserve(extra);
    this.#bytes.copyWithin(header + 1 + extra, header + 1, header + 1 + length);
    const end = this.#length;
    this.#length = header;
    this.vectorLength(length);
    this.#length = end;
  }

  /** `count` zeros. */
  zeros(count: number): void {
    const at = this.#reserve(count);
    this.#bytes.fill(0, at, at + count);
  }

  /** The bytes written, without a copy. The writer must not be used afterwards. */
  finish(): Uint8Array {
    // A view costs more than a small copy; whoever knew the length beforehand needs none.
    return this.#length === this.#bytes.length ? this.#bytes : this.written();
  }

  /** The bytes written so far, as a view that is good until the next call. */
  written(): Uint8Array {
    const length = this.#length;
    if (length > VIEWS) return this.#bytes.subarray(0, length);
    const view = this.#views[length] ?? this.#bytes.subarray(0, length);
    this.#views[length] = view;
    return view;
  }

  /** The bytes written so far, in memory of their own. */
  copy(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }

  /** Overwrites what was written and starts again. */
  clear(): void {
    this.#bytes.fill(0, 0, this.#length);
    this.#length = 0;
  }

  #reserve(count: number): number {
    const at = this.#length;
    const needed = at + count;
    if (needed > this.#bytes.length) this.#grow(needed);
    this.#length = needed;
    return at;
  }

  #grow(needed: number): void {
    // After something long, a signature or two usually follows.
    const grown = new Uint8Array(Math.max(needed + (needed >> 3), this.#bytes.length * 2));
    grown.set(this.written());
    this.#bytes.fill(0);
    this.#bytes = grown;
    this.#views = [];
  }
}
