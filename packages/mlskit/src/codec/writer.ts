/** An append-only byte buffer. RFC 9420 §2.1. */
import { UsageError } from "../errors.ts";

/** Vectors hold at most 2^30-1 bytes, RFC 9420 §2.1.2. */
export const MAX_VECTOR_LENGTH = 0x3fff_ffff;

/** Grows by doubling. {@link finish} hands the bytes out and ends the writer's life. */
export class Writer {
  #bytes: Uint8Array;
  #length = 0;

  /** Arrays of up to 64 bytes are cheap to make, and most values fit. */
  constructor(capacity = 64) {
    this.#bytes = new Uint8Array(capacity);
  }

  get length(): number {
    return this.#length;
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
    this.uint32(Number(value >> 32n));
    this.uint32(Number(value & 0xffff_ffffn));
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
    const extra = length < 0x4000 ? 1 : 3;
    this.#reserve(extra);
    this.#bytes.copyWithin(header + 1 + extra, header + 1, header + 1 + length);
    const end = this.#length;
    this.#length = header;
    this.vectorLength(length);
    this.#length = end;
  }

  /** The bytes written, without a copy. The writer must not be used afterwards. */
  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  #reserve(count: number): number {
    const at = this.#length;
    const needed = at + count;
    if (needed > this.#bytes.length) this.#grow(needed);
    this.#length = needed;
    return at;
  }

  #grow(needed: number): void {
    const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }
}
