/**
 * Declarations that are codecs. RFC 9420 §2.1.
 *
 * A wire type is declared once, as an interface and a codec of the same name:
 *
 *     export interface Remove { readonly removed: number }
 *     export const Remove: Codec<Remove> = struct({ removed: uint32 });
 *
 * A field missing from the codec does not compile. Field order in the codec is wire order.
 */
import { DecodeError, UsageError } from "../errors.ts";
import { copyBytes, EMPTY_BYTES } from "./bytes.ts";
import { Reader, type WireTypes } from "./reader.ts";
import { encode } from "./scratch.ts";
import { MAX_VECTOR_LENGTH, vectorHeaderSize, Writer } from "./writer.ts";

export interface Codec<T> {
  write(writer: Writer, value: T): void;
  read(reader: Reader): T;
}

/**
 * Decodes one value that must fill the whole input. The input is copied once, so that the result
 * neither changes when the caller reuses the buffer nor keeps a larger one alive.
 *
 * @throws DecodeError, UnsupportedError
 */
export function decode<T>(
  codec: Codec<T>,
  bytes: Uint8Array,
  what = "value",
  types?: WireTypes,
): T {
  return decodeInPlace(codec, copyBytes(bytes), what, types);
}

/** Like {@link decode}, for bytes that nobody else will change: the result holds views into them. */
export function decodeInPlace<T>(
  codec: Codec<T>,
  bytes: Uint8Array,
  what = "value",
  types?: WireTypes,
): T {
  const reader = new Reader(bytes, types);
  const value = codec.read(reader);
  reader.finish(what);
  return value;
}

/* @__NO_SIDE_EFFECTS__ */
function integer(maximum: number, bits: 8 | 16 | 32): Codec<number> {
  const check = (value: number): number => {
    if (!Number.isInteger(value) || value < 0 || value > maximum) {
      throw new UsageError("INVALID_LENGTH", `${value} does not fit into uint${bits}`);
    }
    return value;
  };
  switch (bits) {
    case 8:
      return { write: (w, v) => w.uint8(check(v)), read: (r) => r.uint8() };
    case 16:
      return { write: (w, v) => w.uint16(check(v)), read: (r) => r.uint16() };
    case 32:
      return { write: (w, v) => w.uint32(check(v)), read: (r) => r.uint32() };
  }
}

export const uint8: Codec<number> = integer(0xff, 8);
export const uint16: Codec<number> = integer(0xffff, 16);
export const uint32: Codec<number> = integer(0xffff_ffff, 32);

export const uint64: Codec<bigint> = {
  write(writer, value) {
    if (value < 0n || value > MAX_UINT64) {
      throw new UsageError("INVALID_LENGTH", "value does not fit into uint64", { rule: "mk-12" });
    }
    writer.uint64(value);
  },
  read: (reader) => reader.uint64(),
};

/** 2^64-1: the largest epoch, and "no expiry" in a lifetime. */
export const MAX_UINT64 = 0xffff_ffff_ffff_ffffn;

/** `opaque value<V>`. */
export const opaque: Codec<Uint8Array> = {
  write: (writer, value) => writer.opaque(value),
  read: (reader) => reader.opaque(),
};

/** `opaque value[length]`. */
/* @__NO_SIDE_EFFECTS__ */
export function fixedBytes(length: number): Codec<Uint8Array> {
  return {
    write(writer, value) {
      if (value.length !== length) {
        throw new UsageError("INVALID_LENGTH", `${length} bytes expected, ${value.length} given`);
      }
      writer.bytes(value);
    },
    read: (reader) => reader.bytes(length),
  };
}

/** A codec that can also read its fields into an object that has others already. */
export interface StructCodec<T> extends Codec<T> {
  readInto(reader: Reader, value: object): T;
}

/** `struct { … }`: fields in the order in which the codec lists them. */
/* @__NO_SIDE_EFFECTS__ */
export function struct<T extends object>(
  fields: { readonly [K in keyof T]-?: Codec<T[K]> },
): StructCodec<T> {
  const names = Object.keys(fields) as (keyof T)[];
  const codecs = Object.values(fields) as Codec<T[keyof T]>[];
  const readInto = (reader: Reader, value: Partial<T>): T => {
    codecs.forEach((codec, i) => {
      value[names[i] as keyof T] = codec.read(reader);
    });
    return value as T;
  };
  return {
    write(writer, value) {
      codecs.forEach((codec, i) => codec.write(writer, value[names[i] as keyof T]));
    },
    read: (reader) => readInto(reader, {}),
    readInto,
  };
}

/**
 * `T items<V>`: the length header counts bytes, and the last element ends exactly where it says.
 * `maximum` finds the items that a list of others may have.
 */
/* @__NO_SIDE_EFFECTS__ */
export function vector<T>(
  item: Codec<T>,
  maximum?: (types: WireTypes) => number | undefined,
): Codec<readonly T[]> {
  return {
    write(writer, values) {
      writer.vector((inner) => {
        for (const value of values) item.write(inner, value);
      });
    },
    read(reader) {
      const inner = reader.vector();
      const bound = maximum?.(reader.types) ?? Infinity;
      const values: T[] = [];
      while (inner.remaining > 0) {
        if (values.length >= bound) {
          throw new DecodeError("a list has more items than are accepted", { rule: "mk-14" });
        }
        values.push(item.read(inner));
      }
      return values;
    },
  };
}

/** `optional<T>`: presence octet 0 or 1. RFC 9420 §2.1.1. */
/* @__NO_SIDE_EFFECTS__ */
export function optional<T>(item: Codec<T>): Codec<T | undefined> {
  return {
    write(writer, value) {
      if (value === undefined) {
        writer.uint8(0);
        return;
      }
      writer.uint8(1);
      item.write(writer, value);
    },
    read(reader) {
      const presence = reader.uint8();
      if (presence === 0) return undefined;
      if (presence === 1) return item.read(reader);
      throw reader.error(`presence octet is ${presence}`, "mk-06");
    },
  };
}

/** A closed enum by name: any value that is not listed is malformed. */
/* @__NO_SIDE_EFFECTS__ */
export function closedEnum<N extends string>(
  underlying: Codec<number>,
  codes: Readonly<Record<N, number>>,
  what: string,
): Codec<N> {
  const names = new Map<number, N>();
  for (const name of Object.keys(codes) as N[]) names.set(codes[name], name);
  return {
    write: (writer, name) => underlying.write(writer, codes[name]),
    read(reader) {
      const code = underlying.read(reader);
      const name = names.get(code);
      if (name === undefined) throw reader.error(`${what} ${code} is not defined`, "mk-07");
      return name;
    },
  };
}

/** One member of a {@link union}: its code on the wire, and the codec of its own fields. */
export type Variant<T> = readonly [code: number, fields: StructCodec<T>];

/** What to do with codes that have no variant of their own. */
export interface OpenVariant<T> {
  code(value: T): number;
  write(writer: Writer, value: T): void;
  read(reader: Reader, code: number): T;
}

/**
 * A discriminated union. `key` names the discriminant, a readable name in memory and a code on the
 * wire; the variant's own fields follow and lie in the same object. Codes that are not listed go to
 * `open`; without one they are malformed.
 */
/* @__NO_SIDE_EFFECTS__ */
export function union<K extends string, T extends { readonly [P in K]: string }>(
  key: K,
  tag: Codec<number>,
  variants: {
    readonly [N in T[K] as N extends "custom" ? never : N]: Variant<
      Omit<Extract<T, { readonly [P in K]: N }>, K>
    >;
  },
  open?: OpenVariant<Extract<T, { readonly [P in K]: "custom" }>>,
): Codec<T> {
  const byName = variants as Readonly<Record<string, Variant<object> | undefined>>;
  const byCode = new Map<number, readonly [name: string, fields: StructCodec<object>]>();
  for (const [name, variant] of Object.entries(byName)) {
    if (variant !== undefined) byCode.set(variant[0], [name, variant[1]]);
  }
  type Open = Extract<T, { readonly [P in K]: "custom" }>;
  return {
    write(writer, value) {
      const variant = byName[value[key]];
      if (variant !== undefined) {
        tag.write(writer, variant[0]);
        variant[1].write(writer, value);
        return;
      }
      if (open === undefined) throw new UsageError("INVALID_LENGTH", `${key} cannot be encoded`);
      tag.write(writer, open.code(value as Open));
      open.write(writer, value as Open);
    },
    read(reader) {
      const code = tag.read(reader);
      const variant = byCode.get(code);
      if (variant !== undefined) {
        // The table maps each code to the name and codec of exactly that member of the union.
        return variant[1].readInto(reader, { [key]: variant[0] }) as unknown as T;
      }
      if (open === undefined) throw reader.error(`${key} ${code} is not defined`, "mk-07");
      return open.read(reader, code);
    },
  };
}

/** A value that remembers its own encoding, byte for byte as it was read. */
export interface Encoded {
  readonly encoded: Uint8Array;
}

/**
 * A struct whose values keep the bytes they were read from: signatures, references and tree hashes
 * are computed over exactly those, and writing is a copy. Make new values with {@link withEncoding}.
 */
/* @__NO_SIDE_EFFECTS__ */
export function captured<T extends object>(fields: StructCodec<T>): Codec<T & Encoded> {
  return {
    write: (writer, value) => writer.bytes(value.encoded),
    read(reader) {
      const start = reader.offset;
      const value = { encoded: EMPTY_BYTES };
      const complete = fields.readInto(reader, value);
      value.encoded = reader.since(start);
      return complete as T & Encoded;
    },
  };
}

/** Completes a newly built value with its encoding under `fields`. */
export function withEncoding<T extends object>(fields: Codec<T>, value: T): T & Encoded {
  return encodedAs(value, encode(fields, value));
}

function encodedAs<T extends object>(value: T, encoded: Uint8Array): T & Encoded {
  // Not the other way round: on Node 20, what follows a spread and is new costs a microsecond.
  const complete = { encoded, ...value };
  // The value may bring an encoding of its own, from before it was changed.
  complete.encoded = encoded;
  return complete;
}

/** Completes a value whose trailing `opaque signature<V>` was empty when it was encoded and signed. */
export function withSignature<T extends Encoded & { readonly signature: Uint8Array }>(
  unsigned: T,
  signature: Uint8Array,
): T {
  const covered = signedPart(unsigned);
  const writer = new Writer(covered.length + vectorHeaderSize(signature.length) + signature.length);
  writer.bytes(covered);
  writer.opaque(signature);
  return { ...unsigned, encoded: writer.finish(), signature };
}

/** Everything before a trailing `opaque signature<V>`: what the signature covers. */
export function signedPart(value: Encoded & { readonly signature: Uint8Array }): Uint8Array {
  const { length } = value.signature;
  return value.encoded.subarray(0, value.encoded.length - vectorHeaderSize(length) - length);
}

/** The same bytes seen as another type: `toWire` when writing, `fromWire` when reading. */
/* @__NO_SIDE_EFFECTS__ */
export function mapped<A, B>(
  codec: Codec<A>,
  fromWire: (value: A, reader: Reader) => B,
  toWire: (value: B) => A,
): Codec<B> {
  return {
    write: (writer, value) => codec.write(writer, toWire(value)),
    read: (reader) => fromWire(codec.read(reader), reader),
  };
}

/** A body that is its own length-prefixed vector: `T body<V>` holding exactly one T. */
/* @__NO_SIDE_EFFECTS__ */
export function framed<T>(codec: Codec<T>, what: string): Codec<T> {
  return {
    write: (writer, value) => writer.vector((inner) => codec.write(inner, value)),
    read(reader) {
      const inner = reader.vector();
      const value = codec.read(inner);
      inner.finish(what);
      return value;
    },
  };
}

export { MAX_VECTOR_LENGTH };
