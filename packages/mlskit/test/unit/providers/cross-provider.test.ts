/** Providers give identical results and understand each other. RFC 9420 §5.1. */
import { describe, expect, test } from "vitest";
import { concat, fromHex, toHex, utf8 } from "../../../src/codec/index.ts";
import {
  HPKE_VECTORS,
  type HpkeVector,
  SIGNATURE_VECTORS,
} from "../../../src/providers/conformance-vectors.ts";
import { nobleProvider, nodeProvider, webCryptoProvider } from "../../../src/providers/index.ts";
import { ED25519_TORSION_SUBGROUP } from "@noble/curves/ed25519.js";
import { ED448_TORSION_SUBGROUP } from "@noble/curves/ed448.js";

const node = nodeProvider();
const providers = [node, nobleProvider(), await webCryptoProvider()];
const NOTHING = new Uint8Array(0);

describe.each(node.suites)("M-SUITE-07: suite %i", (id) => {
  const cryptos = providers.filter((p) => p.suites.includes(id)).map((p) => p.suite(id));
  const pairs = cryptos.flatMap((a) => cryptos.map((b) => [a, b] as const));

  test("the same inputs give the same outputs", async () => {
    const results = await Promise.all(
      cryptos.map(async (crypto) => {
        const { keySize, nonceSize } = crypto.suite.aead;
        const ikm = new Uint8Array(64).fill(7);
        const pair = await crypto.deriveKeyPair(ikm);
        const prk = crypto.extract(utf8("salt"), ikm);
        return [
          crypto.hash(ikm),
          crypto.hmac(ikm, utf8("data")),
          prk,
          crypto.expand(prk, utf8("info"), 200),
          crypto.aeadSeal(ikm.slice(0, keySize), ikm.slice(0, nonceSize), utf8("a"), ikm),
          pair.privateKey,
          pair.publicKey,
          await crypto.publicKeyOf(pair.privateKey),
        ].map(toHex);
      }),
    );
    for (const result of results) expect(result).toEqual(results[0]);
  });

  test("what one seals, another opens, and exports agree", async () => {
    for (const [a, b] of pairs) {
      const { publicKey, privateKey } = await b.generateKeyPair();
      const sealed = await a.seal(publicKey, utf8("i"), utf8("a"), utf8("text"));
      expect(await b.open(privateKey, sealed, utf8("i"), utf8("a"))).toEqual(utf8("text"));
      const sent = await a.sendExport(publicKey, utf8("i"), utf8("c"), 40);
      const received = b.receiveExport(privateKey, sent.kemOutput, utf8("i"), utf8("c"), 40);
      expect(await received).toEqual(sent.secret);
    }
  });

  test("what one signs, another verifies", async () => {
    for (const [a, b] of pairs) {
      const { publicKey, privateKey } = await a.generateSignatureKeyPair();
      expect(await b.signaturePublicKeyOf(privateKey)).toEqual(publicKey);
      for (let i = 0; i < 5; i++) {
        const message = new Uint8Array(i);
        const signature = await a.sign(privateKey, message);
        expect(await b.verify(publicKey, message, signature)).toBe(true);
      }
    }
  });
});

describe("M-SUITE-04: randomBytes is the source of all keys", () => {
  const vectors = HPKE_VECTORS.filter((vector) => vector.ephemeralKey !== undefined);
  const title = (v: HpkeVector): string => `suite ${v.suite}${v.psk === undefined ? "" : ", psk"}`;

  test.each(vectors.map((vector) => [title(vector), vector] as const))(
    "RFC 9180 ciphertext from the RFC's ephemeral key, %s",
    async (_, vector) => {
      const randomBytes = (): Uint8Array => fromHex(vector.ephemeralKey ?? "");
      const made = [
        nodeProvider({ randomBytes }),
        nobleProvider({ randomBytes }),
        await webCryptoProvider({ randomBytes }),
      ];
      const psk =
        vector.psk === undefined || vector.pskId === undefined
          ? undefined
          : { psk: fromHex(vector.psk), pskId: fromHex(vector.pskId) };
      for (const provider of made) {
        const sealed = await provider
          .suite(vector.suite)
          .seal(
            fromHex(vector.publicKey),
            fromHex(vector.info),
            fromHex(vector.aad),
            fromHex(vector.plaintext),
            psk,
          );
        expect(toHex(sealed.kemOutput)).toBe(vector.kemOutput);
        expect(toHex(sealed.ciphertext)).toBe(vector.ciphertext);
      }
    },
  );

  test("key pairs come from it too", async () => {
    const made = [nodeProvider, nobleProvider].map((make) =>
      make({ randomBytes: (length) => new Uint8Array(length).fill(1) }),
    );
    for (const provider of made) {
      for (const id of provider.suites) {
        const crypto = provider.suite(id);
        const kem = await crypto.generateKeyPair();
        expect(kem.privateKey.every((byte) => byte === 1)).toBe(true);
        const keys = await crypto.generateSignatureKeyPair();
        expect(keys.privateKey.every((byte) => byte === 1)).toBe(true);
      }
    }
  });
});

describe("M-SUITE-16: EdDSA corner cases have one answer on all providers", () => {
  const L = 2n ** 252n + 27742317777372353535851937790883648493n;

  test.each([
    [1, ED25519_TORSION_SUBGROUP],
    [4, ED448_TORSION_SUBGROUP],
  ] as const)("points of low order are no keys and no R, suite %i", async (id, points) => {
    const vector = SIGNATURE_VECTORS.find((candidate) => candidate.suite === id);
    const signature = fromHex(vector?.signature ?? "");
    const message = fromHex(vector?.message ?? "");
    for (const provider of providers.filter((p) => p.suites.includes(id))) {
      const crypto = provider.suite(id);
      for (const point of points.map(fromHex)) {
        expect(await crypto.isValidSignatureKey(point)).toBe(false);
        // With a key of low order and S = 0, R = the identity verifies for some messages.
        const forged = concat(point, new Uint8Array(point.length));
        expect(await crypto.verify(point, message, forged)).toBe(false);
        const mixed = concat(point, signature.subarray(point.length));
        const publicKey = fromHex(vector?.publicKey ?? "");
        expect(await crypto.verify(publicKey, message, mixed)).toBe(false);
      }
    }
  });

  test("non-canonical keys are refused", async () => {
    // y = p + 3 encodes the same point as y = 3 in lax implementations.
    const key = fromHex(`f0${"ff".repeat(30)}7f`);
    for (const provider of providers) {
      expect(await provider.suite(1).isValidSignatureKey(key)).toBe(false);
    }
  });

  test("S must be reduced", async () => {
    const vector = SIGNATURE_VECTORS.find((candidate) => candidate.suite === 1);
    const publicKey = fromHex(vector?.publicKey ?? "");
    const message = fromHex(vector?.message ?? "");
    const signature = fromHex(vector?.signature ?? "");
    let s = L + BigInt(`0x${toHex(signature.slice(32).reverse())}`);
    const malleated = signature.slice();
    for (let i = 32; i < 64; i++, s >>= 8n) malleated[i] = Number(s & 0xffn);
    for (const provider of providers) {
      expect(await provider.suite(1).verify(publicKey, message, signature)).toBe(true);
      expect(await provider.suite(1).verify(publicKey, message, malleated)).toBe(false);
    }
  });

  test("a signature that only the cofactored equation accepts is refused", async () => {
    // R = rB + T with T of order 8: 8·(SB - kA - R) = 0, but SB - kA differs from R.
    const { ed25519 } = await import("@noble/curves/ed25519.js");
    const { sha512 } = await import("@noble/hashes/sha2.js");
    const { Point } = ed25519;
    const reduce = (bytes: Uint8Array): bigint =>
      BigInt(`0x${toHex(Uint8Array.from(bytes).reverse())}`) % L;
    const secret = 12345678901234567890n;
    const publicKey = Point.BASE.multiply(secret).toBytes();
    const torsion = Point.fromHex(ED25519_TORSION_SUBGROUP[1] ?? "");
    const nonce = 98765432109876543210n;
    const r = Point.BASE.multiply(nonce).add(torsion).toBytes();
    const message = utf8("message");
    let s = (nonce + reduce(sha512(concat(r, publicKey, message))) * secret) % L;
    const signature = concat(r, new Uint8Array(32));
    for (let i = 32; i < 64; i++, s >>= 8n) signature[i] = Number(s & 0xffn);
    expect(ed25519.verify(signature, message, publicKey, { zip215: false })).toBe(true);
    for (const provider of providers) {
      expect(await provider.suite(1).verify(publicKey, message, signature)).toBe(false);
    }
  });
});

test("low-order X25519 and X448 keys are refused, whatever their unused bit", async () => {
  const lowOrder: Record<number, readonly string[]> = {
    1: [
      "00".repeat(32),
      `${"00".repeat(31)}80`,
      `01${"00".repeat(31)}`,
      "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
      "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f11d7",
      `ec${"ff".repeat(30)}7f`,
      `ed${"ff".repeat(31)}`,
      `ee${"ff".repeat(30)}7f`,
    ],
    4: [
      "00".repeat(56),
      `01${"00".repeat(55)}`,
      `fe${"ff".repeat(27)}fe${"ff".repeat(27)}`,
      `ff${"ff".repeat(27)}fe${"ff".repeat(27)}`,
      `${"00".repeat(28)}${"ff".repeat(28)}`,
    ],
  };
  for (const provider of providers) {
    for (const id of [1, 4].filter((suite) => provider.suites.includes(suite))) {
      for (const key of (lowOrder[id] ?? []).map(fromHex)) {
        const crypto = provider.suite(id);
        expect(await crypto.isValidPublicKey(key)).toBe(false);
        await expect(
          (async () => crypto.seal(key, NOTHING, NOTHING, NOTHING))(),
        ).rejects.toMatchObject({ code: "INVALID_PUBLIC_KEY" });
      }
    }
  }
});
