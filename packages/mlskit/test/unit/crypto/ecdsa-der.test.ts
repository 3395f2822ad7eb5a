/** Strict DER of ECDSA signatures. RFC 9420 §5.1.2. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { fromHex } from "../../../src/codec/index.ts";
import { derToFixed, fixedToDer } from "../../../src/crypto/ecdsa-der.ts";

test("fixed size to DER and back is the identity", () => {
  for (const size of [32, 48, 66]) {
    const scalar = fc.uint8Array({ minLength: size, maxLength: size });
    fc.assert(
      fc.property(scalar, scalar, (r, s) => {
        fc.pre(r.some((byte) => byte !== 0) && s.some((byte) => byte !== 0));
        const fixed = new Uint8Array(2 * size);
        fixed.set(r);
        fixed.set(s, size);
        expect(derToFixed(fixedToDer(fixed), size)).toEqual(fixed);
      }),
    );
  }
});

test("there is one encoding: whatever parses is reproduced exactly", () => {
  const der = fixedToDer(new Uint8Array(64).fill(0x81));
  fc.assert(
    fc.property(fc.nat(der.length - 1), fc.integer({ min: 0, max: 255 }), (at, byte) => {
      const changed = der.slice();
      changed[at] = byte;
      const fixed = derToFixed(changed, 32);
      if (fixed !== undefined) expect(fixedToDer(fixed)).toEqual(changed);
    }),
    { numRuns: 2000 },
  );
});

describe("mk-20: not DER", () => {
  test.each([
    ["empty", ""],
    ["not a sequence", "3106020101020101"],
    ["too long", "300602010102010100"],
    ["truncated", "30060201010201"],
    ["r = 0", "3006020100020101"],
    ["s = 0", "3006020101020100"],
    ["negative r", "3006020180020101"],
    ["superfluous zero byte", "300702020001020101"],
    ["empty integer", "30050200020101"],
    ["long form of a short length", "308106020101020101"],
    ["indefinite length", "30800201010201010000"],
    ["third integer", "3009020101020101020101"],
    ["length beyond the end", "3006020101020501"],
    ["r larger than the curve", `3026022101${"00".repeat(32)}020101`],
  ])("%s", (_, hex) => {
    expect(derToFixed(fromHex(hex), 32)).toBeUndefined();
  });
});
