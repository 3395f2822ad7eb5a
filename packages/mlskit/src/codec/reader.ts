/** A bounds-checked cursor over encoded bytes. RFC 9420 §2.1. */
import { DecodeError } from "../errors.ts";

/**
 * Which types beyond the RFC's own a decoder knows, and where their bodies end. Proposals and
 * credentials carry no length of their own, so an unregistered type cannot be skipped. RFC 9420 §13.
 */
export interface WireTypes {
  readonly proposals: ReadonlyMap<number, SkipBody>;
  readonly credentials: ReadonlyMap<number, SkipBody>;
  /** Of PreSharedKeyIDs: what lies between psktype and psk_nonce. */
  readonly psks?: ReadonlyMap<number, SkipBody> | undefined;
  /** What lists may have at most; undefined: anything that fits. Rule mk-14. */
  readonly maximumExtensions?: number | undefined;
  readonly maximumCertificates?: number | undefined;
}

/** Moves the reader past the body of a registered type; the bytes passed over are its body. */
export type SkipBody = (reader: Reader) => void;

/** The body of custom types unless registered otherwise: one `opaque<V>`. */
export const skipOpaque: SkipBody = (reader) => {
  reader.vector();
};

/** The RFC's own types and nothing else. */
export const RFC_TYPES: WireTypes = { proposals: new Map(), credentials: new Map() };

/**
 * Reads integers and byte strings from a buffer. Never reads past its end: every length is compared
 * with what remains before anything is allocated. Byte strings are returned as views; whoever keeps
 * them owns a copy of the input, because {@link decode} copies the input once at the boundary.
 */
export class Reader {
  readonly #bytes: Uint8Array;
  #offset: number;
  readonly #end: number;
  readonly types: WireTypes;

  constructor(
    bytes: Uint8Array,
    types: WireTypes = RFC_TYPES,
    offset = 0,
    end: number = bytes.length,
  ) {
    this.types = types;
    this.#bytes = bytes;
    this.#offset = offset;
    this.#end = end;
  }

  /** Position in the underlying buffer, for error reports and for slicing out what was read. */
  get offset(): number {
    return this.#offset;
  }

  get remaining(): number {
    return this.#end - this.#offset;
  }

  /** The bytes between `from` (an earlier {@link offset}) and the current position, as a view. */
  since(from: number): Uint8Array {
    return this.#bytes.subarray(from, this.#offset);
  }

  // No DataView: a decoder makes a reader for every vector, and that would be a view for each.

  uint8(): number {
    return this.#bytes[this.#take(1)] ?? 0;
  }

  uint16(): number {
    return this.uint8() * 0x100 + this.uint8();
  }

  uint32(): number {
    return this.uint16() * 0x10000 + this.uint16();
  }

  uint64(): bigint {
    const high = this.uint32();
    const low = this.uint32();
    // Most values are small, and bigints are slow.
    if (high < 2 ** 21) return BigInt(high * 2 ** 32 + low);
    return (BigInt(high) << 32n) | BigInt(low);
  }

  /** `length` raw bytes, as a view. */
  bytes(length: number): Uint8Array {
    const start = this.#take(length);
    return this.#bytes.subarray(start, start + length);
  }

  /** Everything that is left, as a view. */
  rest(): Uint8Array {
    return this.bytes(this.remaining);
  }

  /** A variable-size vector length header, RFC 9420 §2.1.2: shortest form only, top bits 11 illegal. */
  vectorLength(): number {
    const first = this.uint8();
    switch (first >> 6) {
      case 0:
        return first;
      case 1: {
        const length = ((first & 0x3f) << 8) | this.uint8();
        if (length < 0x40) throw this.error("length header is not in its shortest form", "mk-01");
        return length;
      }
      case 2: {
        const length = (first & 0x3f) * 0x1000000 + (this.uint8() << 16) + this.uint16();
        if (length < 0x4000) throw this.error("length header is not in its shortest form", "mk-01");
        return length;
      }
      default:
        throw this.error("length header has the reserved prefix 11", "mk-02");
    }
  }

  /** A reader confined to the next variable-size vector, which this reader skips. */
  vector(): Reader {
    const length = this.#contentLength();
    const start = this.#take(length);
    return new Reader(this.#bytes, this.types, start, start + length);
  }

  /** The content of the next variable-size vector, as a view. */
  opaque(): Uint8Array {
    return this.bytes(this.#contentLength());
  }

  /** Moves past the next variable-size vector. */
  skipVector(): void {
    this.#take(this.#contentLength());
  }

  #contentLength(): number {
    const length = this.vectorLength();
    if (length <= this.remaining) return length;
    throw this.error(
      `vector of ${length} bytes exceeds the ${this.remaining} that remain`,
      "mk-03",
    );
  }

  /** Fails unless everything was consumed. RFC 9420 §2.1. */
  finish(what: string): void {
    if (this.remaining > 0) {
      throw this.error(`${this.remaining} trailing bytes after ${what}`, "mk-04");
    }
  }

  error(message: string, rule?: string): DecodeError {
    return new DecodeError(`${message} at offset ${this.#offset}`, {
      rule,
      details: { offset: this.#offset },
    });
  }

  #take(length: number): number {
    if (length > this.remaining) {
      throw this.error(`${length} bytes needed, ${this.remaining} remain`, "mk-05");
    }
    const start = this.#offset;
    this.#offset = start + length;
    return start;
  }
}
