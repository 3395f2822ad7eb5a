/** Conformance of hash, HMAC, HKDF, AEAD and randomness. RFC 9420 §5.1. */
import { fromHex, utf8 } from "../codec/bytes.ts";
import type { SuiteCrypto } from "../crypto/crypto-provider.ts";
import {
  type Check,
  expect,
  expectBytes,
  expectError,
  flip,
  NOTHING,
  sequence,
} from "./conformance-support.ts";
import { HASH_OF_ABC, HKDF_SHA256, HMAC_OF_JEFE } from "./conformance-vectors.ts";

export function symmetricChecks(crypto: SuiteCrypto): readonly Check[] {
  const { kdf, aead } = crypto.suite;
  const key = sequence(aead.keySize);
  const nonce = sequence(aead.nonceSize, 100);
  return [
    {
      name: "hash of a known message",
      async run() {
        expectBytes(crypto.hash(utf8("abc")), HASH_OF_ABC[kdf.hash], "hash");
        expect(crypto.hash(sequence(100_000)).length === kdf.size, "size of a long input's hash");
      },
    },
    {
      name: "hmac of a known message, and with keys of every kind of length",
      async run() {
        const message = utf8("what do ya want for nothing?");
        expectBytes(crypto.hmac(utf8("Jefe"), message), HMAC_OF_JEFE[kdf.hash], "hmac");
        const long = sequence(300);
        expectBytes(
          crypto.hmac(long, message),
          crypto.hmac(crypto.hash(long), message),
          "a key longer than a block stands for its hash",
        );
        expectBytes(
          crypto.hmac(NOTHING, message),
          crypto.hmac(new Uint8Array(kdf.size), message),
          "an empty key is a key of zeros",
        );
        expect(crypto.hmac(utf8("k"), sequence(5000)).length === kdf.size, "size for long input");
      },
    },
    {
      name: "extract and expand",
      async run() {
        if (kdf.hash === "sha256") {
          const prk = crypto.extract(fromHex(HKDF_SHA256.salt), fromHex(HKDF_SHA256.ikm));
          expectBytes(prk, HKDF_SHA256.prk, "extract");
          expectBytes(crypto.expand(prk, fromHex(HKDF_SHA256.info), 42), HKDF_SHA256.okm, "expand");
        }
        const prk = sequence(kdf.size);
        const longest = crypto.expand(prk, utf8("info"), 255 * kdf.size);
        for (const length of [0, 1, kdf.size - 1, kdf.size, kdf.size + 1, 3 * kdf.size]) {
          const part = crypto.expand(prk, utf8("info"), length);
          expectBytes(part, longest.subarray(0, length), `expand to ${length} bytes`);
        }
        await expectError("INVALID_LENGTH", () => crypto.expand(prk, NOTHING, 255 * kdf.size + 1));
      },
    },
    {
      name: "aeadSeal and aeadOpen",
      async run() {
        for (const length of [0, 1, 15, 16, 17, 100, 5000]) {
          const plaintext = sequence(length);
          for (const aad of [NOTHING, sequence(60)]) {
            const sealed = crypto.aeadSeal(key, nonce, aad, plaintext);
            expect(sealed.length === length + aead.tagSize, `ciphertext of ${length} bytes`);
            expectBytes(crypto.aeadOpen(key, nonce, aad, sealed), plaintext, "plaintext");
          }
        }
      },
    },
    {
      name: "aeadOpen refuses every changed input with one error",
      async run() {
        const aad = sequence(20);
        const sealed = crypto.aeadSeal(key, nonce, aad, sequence(40));
        const open = (k: Uint8Array, n: Uint8Array, a: Uint8Array, c: Uint8Array): Promise<void> =>
          expectError("DECRYPTION_FAILED", () => crypto.aeadOpen(k, n, a, c));
        await open(flip(key, 0), nonce, aad, sealed);
        await open(key, flip(nonce, 0), aad, sealed);
        await open(key, nonce, flip(aad, 0), sealed);
        await open(key, nonce, NOTHING, sealed);
        await open(key, nonce, aad, flip(sealed, 0));
        await open(key, nonce, aad, flip(sealed, -1));
        await open(key, nonce, aad, sealed.subarray(0, -1));
        await open(key, nonce, aad, sealed.subarray(0, aead.tagSize - 1));
        await open(key, nonce, aad, NOTHING);
      },
    },
    {
      name: "the AEAD refuses keys and nonces of a wrong length",
      async run() {
        const wrong = (k: Uint8Array, n: Uint8Array): Promise<void> =>
          expectError("INVALID_LENGTH", () => crypto.aeadSeal(k, n, NOTHING, NOTHING));
        await wrong(sequence(aead.keySize + 1), nonce);
        await wrong(NOTHING, nonce);
        await wrong(key, sequence(aead.nonceSize - 1));
        await wrong(key, sequence(16));
      },
    },
    {
      name: "inputs are not modified and outputs belong to the caller",
      async run() {
        const data = sequence(50);
        const first = crypto.hash(data);
        const copy = first.slice();
        crypto.hash(sequence(60));
        expectBytes(first, copy, "an earlier hash after another call");
        const mac = crypto.hmac(data, data);
        const macCopy = mac.slice();
        crypto.hmac(sequence(9), sequence(9));
        expectBytes(mac, macCopy, "an earlier MAC after another call");
        crypto.aeadSeal(key, nonce, data, data);
        expectBytes(data, sequence(50), "the input");
      },
    },
    {
      name: "randomBytes has the length asked for and does not repeat",
      async run() {
        for (const length of [0, 1, 32, 1000, 100_000]) {
          expect(crypto.randomBytes(length).length === length, `${length} random bytes`);
        }
        const seen = new Set<string>();
        for (let i = 0; i < 1000; i++) seen.add(crypto.randomBytes(16).join());
        expect(seen.size === 1000, "1000 different values");
      },
    },
  ];
}
