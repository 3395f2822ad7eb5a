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
import { Reader } from "./reader.ts";
import { MAX_VECTOR_LENGTH, Writer } from "./writer.ts";

export interface Codec<T> {
  write(writer: Writer, value: T): void;
  read(reader: Reader): T;
}

/** Encodes one value. */
export function encode<T>(codec: Codec<T>, value: T): Uint8Array {
  const writer = new Writer();
  codec.write(writer, value);
  return writer.finish();
}

/**
 * Decodes one value that must fill the whole input. The input is copied once, so that the result
 * neither changes when the caller reuses the buffer nor keeps a larger one alive.
 *
 * @throws DecodeError, UnsupportedError
 */
export function decode<T>(codec: Codec<T>, bytes: Uint8Array, what = "value"): T {
  return decodeInPlace(codec, Uint8Array.from(bytes), what);
}

/** Like {@link decode}, for bytes that nobody else will change: the result holds views into them. */
export function decodeInPlace<T>(codec: Codec<T>, bytes: Uint8Array, what = "value"): T {
  const reader = new Reader(bytes);
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
  read: (reader) => reader.vector().rest(),
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

/** `struct { … }`: fields in the order in which the codec lists them. */
/* @__NO_SIDE_EFFECTS__ */
export function struct<T extends object>(
  fields: { readonly [K in keyof T]-?: Codec<T[K]> },
): Codec<T> {
  const names = Object.keys(fields) as (keyof T)[];
  return {
    write(writer, value) {
      for (const name of names) fields[name].write(writer, value[name]);
    },
    read(reader) {
      const value: Partial<T> = {};
      for (const name of names) value[name] = fields[name].read(reader);
      return value as T;
    },
  };
}

/** `T items<V>`: the length header counts bytes, and the last element ends exactly where it says. */
/* @__NO_SIDE_EFFECTS__ */
export function vector<T>(item: Codec<T>): Codec<readonly T[]> {
  return {
    write(writer, values) {
      writer.vector((inner) => {
        for (const value of values) item.write(inner, value);
      });
    },
    read(reader) {
      const inner = reader.vector();
      const values: T[] = [];
      while (inner.remaining > 0) values.push(item.read(inner));
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

/** A closed enum: any value outside `values` is malformed. */
/* @__NO_SIDE_EFFECTS__ */
export function closedEnum<const V extends number>(
  underlying: Codec<number>,
  values: Readonly<Record<string, V>>,
  what: string,
): Codec<V> {
  const known = new Set<number>(Object.values(values));
  return {
    write: (writer, value) => underlying.write(writer, value),
    read(reader) {
      const value = underlying.read(reader);
      if (!known.has(value)) throw reader.error(`${what} ${value} is not defined`, "mk-07");
      return value as V;
    },
  };
}

/**
 * A discriminated union: `tag` is written first, then the variant's own fields, which lie in the
 * same object. `fallback` decides about tags without a variant; without one they are malformed.
 */
/* @__NO_SIDE_EFFECTS__ */
export function select<K extends string, T extends { readonly [P in K]: number }>(
  key: K,
  tag: Codec<T[K]>,
  variants: { readonly [V in T[K]]?: Codec<Omit<Extract<T, { readonly [P in K]: V }>, K>> },
  fallback?: (tag: number, reader: Reader | undefined) => Codec<Omit<T, K>>,
): Codec<T> {
  const table = variants as Readonly<Record<number, Codec<Omit<T, K>> | undefined>>;
  const variantOf = (value: number, reader: Reader | undefined): Codec<Omit<T, K>> => {
    const variant = table[value];
    if (variant !== undefined) return variant;
    if (fallback !== undefined) return fallback(value, reader);
    throw new DecodeError(`${key} ${value} is not defined`, { rule: "mk-07" });
  };
  return {
    write(writer, value) {
      tag.write(writer, value[key]);
      variantOf(value[key], undefined).write(writer, value);
    },
    read(reader) {
      const value = tag.read(reader);
      // The variant table maps each tag to the codec of exactly that member of the union.
      return { [key]: value, ...variantOf(value, reader).read(reader) } as unknown as T;
    },
  };
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
