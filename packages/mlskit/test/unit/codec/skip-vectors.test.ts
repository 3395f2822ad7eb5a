/** Passing over vectors without reading them. RFC 9420 §2.1.2. */
import { describe, expect, test } from "vitest";
import { Reader, Writer } from "../../../src/codec/index.ts";
import { UpdatePathNode } from "../../../src/tree/nodes.ts";

/** Vectors of these lengths, one after the other. */
function vectors(...lengths: readonly number[]): Uint8Array {
  const writer = new Writer();
  for (const length of lengths) writer.opaque(new Uint8Array(length).fill(0xff));
  return writer.finish().slice();
}

describe("many vectors are passed over", () => {
  test("up to the end, whatever the size of their headers", () => {
    const reader = new Reader(vectors(0, 63, 64, 5, 16_383, 16_384, 1));
    expect(reader.skipVectors()).toBe(7);
    expect(reader.remaining).toBe(0);
    expect(reader.skipVectors()).toBe(0);
  });

  test("and no more than wanted", () => {
    const reader = new Reader(vectors(3, 70, 4));
    expect(reader.skipVectors(2)).toBe(2);
    expect(reader.opaque()).toEqual(new Uint8Array(4).fill(0xff));
  });

  test.each([
    ["a vector that reaches beyond the end", [...vectors(2), 9, 0], "mk-03"],
    ["one that reaches beyond the end of its reader", [...vectors(2), 3, 0, 0], "mk-03"],
    ["a header that could be shorter", [...vectors(2), 0x40, 1, 0], "mk-01"],
    ["a reserved header", [...vectors(2), 0xc0, 0], "mk-02"],
    ["half a header", [...vectors(2), 0x40], "mk-05"],
  ])("%s is refused as when it is read alone", (_, bytes, rule) => {
    const input = Uint8Array.from([...bytes, 0, 0, 0, 0]);
    const confined = (): Reader => new Reader(input, undefined, 0, bytes.length);
    const failure = expect.objectContaining({ rule });
    expect(() => confined().skipVectors()).toThrow(failure);
    const one = confined();
    one.skipVector();
    expect(() => one.skipVector()).toThrow(failure);
  });
});

test("a long list of ciphertexts that ends after a kem_output is refused", () => {
  const node = (count: number): Uint8Array => {
    const writer = new Writer();
    writer.opaque(new Uint8Array(32));
    writer.opaque(vectors(...Array.from({ length: count }, () => 40)));
    return writer.finish().slice();
  };
  expect(UpdatePathNode.read(new Reader(node(20))).encryptedPathSecret.length).toBe(10);
  expect(() => UpdatePathNode.read(new Reader(node(21)))).toThrow(
    expect.objectContaining({ rule: "mk-05" }),
  );
});
