/** Encoding into memory that is used again. */
import { expect, test } from "vitest";
import {
  type Codec,
  encode,
  lendEncoding,
  opaque,
  struct,
  uint8,
  type Writer,
} from "../../../src/codec/index.ts";
import { UsageError } from "../../../src/errors.ts";

const lend = (write: (writer: Writer) => void): Uint8Array => lendEncoding(write, (bytes) => bytes);

test("what was lent is overwritten once its user is done", () => {
  const kept = lendEncoding(
    (writer) => writer.bytes(new Uint8Array(1000).fill(7)),
    (bytes) => {
      expect(bytes).toEqual(new Uint8Array(1000).fill(7));
      return bytes;
    },
  );
  expect(kept).toEqual(new Uint8Array(1000));
});

test("what was lent is overwritten if its user or its writer throws", () => {
  const kept: Uint8Array[] = [];
  const failure = new Error("no");
  const use = (bytes: Uint8Array): never => {
    kept.push(bytes);
    throw failure;
  };
  expect(() => lendEncoding((writer) => writer.bytes(Uint8Array.of(1, 2, 3)), use)).toThrow(
    failure,
  );
  const write = (writer: Writer): never => {
    writer.bytes(Uint8Array.of(1, 2, 3));
    kept.push(writer.written());
    throw failure;
  };
  expect(() => lendEncoding(write, use)).toThrow(failure);
  expect(kept).toEqual([new Uint8Array(3), new Uint8Array(3)]);
});

test("memory that was outgrown is overwritten, too", () => {
  const outgrown: Uint8Array[] = [];
  lend((writer) => {
    writer.bytes(new Uint8Array(1000).fill(7));
    outgrown.push(writer.written());
    writer.bytes(new Uint8Array(100_000).fill(8));
  });
  expect(outgrown).toEqual([new Uint8Array(1000)]);
});

test("an encoding within an encoding disturbs neither", () => {
  const nested: Codec<number> = {
    write: (writer, value) => writer.opaque(encode(uint8, value)),
    read: (reader) => uint8.read(reader.vector()),
  };
  const pair = struct({ a: nested, b: opaque, c: nested });
  const encoded = encode(pair, { a: 1, b: Uint8Array.of(9, 9), c: 2 });
  expect(encoded).toEqual(Uint8Array.of(1, 1, 2, 9, 9, 1, 2));
});

test("results are arrays of their own, whatever is encoded afterwards", () => {
  const first = encode(opaque, new Uint8Array(300).fill(1));
  const copy = first.slice();
  encode(opaque, new Uint8Array(300).fill(2));
  expect(first).toEqual(copy);
  expect(first.byteLength).toBe(first.buffer.byteLength);
});

test("a value that cannot be encoded leaves nothing behind for the next", () => {
  expect(() => encode(struct({ a: uint8, b: uint8 }), { a: 1, b: 256 })).toThrow(UsageError);
  expect(encode(uint8, 5)).toEqual(Uint8Array.of(5));
});
