/** What holds for every type that travels, whatever its value. Pitfalls codec-2, codec-8. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { concat, decode, encode, skipOpaque, toHex } from "../../src/codec/index.ts";
import { MlsError } from "../../src/index.ts";
import { CUSTOM_CREDENTIAL, CUSTOM_PROPOSAL, WIRE_TYPES, type WireType } from "./wire.ts";

const types = {
  proposals: new Map([[CUSTOM_PROPOSAL, skipOpaque]]),
  credentials: new Map([[CUSTOM_CREDENTIAL, skipOpaque]]),
};

const blames = new Set(["decode", "unsupported", "validation"]);

/** What decoding gives, or undefined if it was refused in the way that is allowed. */
function attempt({ codec, name }: WireType, bytes: Uint8Array): unknown {
  try {
    return decode(codec, bytes, name, types);
  } catch (error) {
    if (!(error instanceof MlsError)) throw error;
    expect(blames).toContain(error.blame);
    return undefined;
  }
}

/** Whatever was accepted has one encoding only. */
function expectCanonical(type: WireType, bytes: Uint8Array): void {
  const value = attempt(type, bytes);
  if (value !== undefined) expect(toHex(encode(type.codec, value))).toBe(toHex(bytes));
}

describe.each(WIRE_TYPES.map((type) => [type.name, type] as const))("%s", (_, type) => {
  const encoded = type.values.map((value) => encode(type.codec, value));

  test("codec-8 M-SEC-19: decoding undoes encoding", () => {
    fc.assert(
      fc.property(type.values, (value) => {
        const bytes = encode(type.codec, value);
        const again = decode(type.codec, bytes, type.name, types);
        expect(again).toEqual(value);
        expect(toHex(encode(type.codec, again))).toBe(toHex(bytes));
      }),
      { numRuns: 40 },
    );
  });

  test("codec-2 codec-3: cut short or prolonged it is refused", () => {
    fc.assert(
      fc.property(
        encoded,
        fc.nat(),
        fc.uint8Array({ minLength: 1, maxLength: 3 }),
        (b, at, tail) => {
          expect(attempt(type, concat(b, tail))).toBeUndefined();
          if (b.length > 0) expectCanonical(type, b.subarray(0, at % b.length));
        },
      ),
      { numRuns: 40 },
    );
  });

  test("codec-2 codec-8 M-SEC-19: any bytes are refused properly or have one encoding", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (b) => expectCanonical(type, b)),
      { numRuns: 40 },
    );
    fc.assert(
      fc.property(encoded, fc.nat(), fc.integer({ min: 1, max: 255 }), (b, at, change) => {
        if (b.length === 0) return;
        const damaged = b.slice();
        damaged[at % b.length]! ^= change;
        expectCanonical(type, damaged);
      }),
      { numRuns: 60 },
    );
  });
});
