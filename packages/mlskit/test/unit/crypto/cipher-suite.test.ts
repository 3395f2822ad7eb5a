/** The table of suites. RFC 9420 §17.1. */
import { expect, test } from "vitest";
import { CIPHER_SUITES, cipherSuite } from "../../../src/crypto/index.ts";

test("M-SUITE-06: each suite has its code points and sizes", () => {
  const rows = CIPHER_SUITES.map((suite) => [
    suite.id,
    suite.kem.id,
    suite.kdf.id,
    suite.aead.id,
    suite.signature.scheme,
    suite.kdf.size,
    suite.aead.keySize,
    suite.kem.publicKeySize,
    suite.signature.publicKeySize,
  ]);
  expect(rows).toEqual([
    [1, 0x20, 1, 1, 0x0807, 32, 16, 32, 32],
    [2, 0x10, 1, 1, 0x0403, 32, 16, 65, 65],
    [3, 0x20, 1, 3, 0x0807, 32, 32, 32, 32],
    [4, 0x21, 3, 2, 0x0808, 64, 32, 56, 57],
    [5, 0x12, 3, 2, 0x0603, 64, 32, 133, 133],
    [6, 0x21, 3, 3, 0x0808, 64, 32, 56, 57],
    [7, 0x11, 2, 2, 0x0503, 48, 32, 97, 97],
  ]);
  for (const { aead } of CIPHER_SUITES) expect([aead.nonceSize, aead.tagSize]).toEqual([12, 16]);
});

test("an unknown code point is reported as unsupported", () => {
  expect(cipherSuite(1).name).toBe("MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519");
  for (const id of [0, 8, 0xf000]) {
    expect(() => cipherSuite(id)).toThrow(
      expect.objectContaining({ code: "UNSUPPORTED_CIPHER_SUITE" }),
    );
  }
});
