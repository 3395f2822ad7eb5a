/** Choice and composition of providers, and their caches. */
import { afterEach, describe, expect, test, vi } from "vitest";
import { utf8 } from "../../../src/codec/index.ts";
import {
  type CipherSuite,
  cipherSuite,
  createProvider,
  createSuiteCrypto,
  isPrivateSuite,
  type SuitePrimitives,
} from "../../../src/crypto/index.ts";
import {
  defaultProvider,
  fastestProvider,
  nobleProvider,
  nodeProvider,
} from "../../../src/providers/index.ts";
import { PrivateKeyCache, PublicKeyCache } from "../../../src/providers/key-cache.ts";
import { nobleSuite2 } from "../../../src/providers/noble/suite-2.ts";
import { nodeKem } from "../../../src/providers/node-kem.ts";
import { nodeSignature } from "../../../src/providers/node-signature.ts";
import { nodeAead, nodeHash, nodeHmac, nodeRandom } from "../../../src/providers/node-symmetric.ts";

test("M-SUITE-01, M-SUITE-02: the default carries every suite, on Node by node:crypto", async () => {
  for (const provider of [defaultProvider(), await fastestProvider()]) {
    expect(provider.name).toBe("node");
    expect(provider.suites).toEqual([1, 2, 3, 4, 5, 6, 7]);
  }
});

describe("on a runtime without node:crypto", () => {
  afterEach(() => {
    vi.restoreAllMocks();
    vi.unstubAllGlobals();
  });

  test("M-SUITE-14: the default is pure JavaScript, the fastest uses WebCrypto", async () => {
    vi.spyOn(process, "getBuiltinModule").mockReturnValue(undefined);
    expect(defaultProvider().name).toBe("noble");
    const fastest = await fastestProvider();
    expect(fastest.name).toBe("webcrypto");
    expect(fastest.suites).toEqual([1, 2, 3, 4, 5, 6, 7]);
    for (const id of fastest.suites) expect(fastest.suite(id).suite.id).toBe(id);
    expect(() => nodeProvider()).toThrow(expect.objectContaining({ code: "NO_NODE_CRYPTO" }));
  });

  test("M-SUITE-14: neither `process` nor `crypto.subtle` is needed", async () => {
    const { getRandomValues } = globalThis.crypto;
    vi.stubGlobal("process", undefined);
    vi.stubGlobal("crypto", { getRandomValues: getRandomValues.bind(globalThis.crypto) });
    const provider = await fastestProvider();
    expect(provider.name).toBe("noble");
    expect(provider.suite(1).randomBytes(8).length).toBe(8);
  });
});

test("the Node and noble providers answer without promises", () => {
  for (const provider of [nodeProvider(), nobleProvider()]) {
    for (const id of [1, 2]) {
      const crypto = provider.suite(id);
      const pair = crypto.generateKeyPair();
      expect(pair).not.toBeInstanceOf(Promise);
      const { publicKey } = pair as { publicKey: Uint8Array };
      const plaintext = utf8("x");
      expect(crypto.seal(publicKey, plaintext, plaintext, plaintext)).not.toBeInstanceOf(Promise);
      expect(crypto.sealMany(plaintext, [{ publicKey, plaintext }])).not.toBeInstanceOf(Promise);
      expect(crypto.verifyMany([])).not.toBeInstanceOf(Promise);
    }
  }
});

describe("createProvider", () => {
  test("M-SUITE-02: a suite that it lacks is reported as unsupported", () => {
    const provider = createProvider("small", [nobleSuite2()]);
    expect(provider.suites).toEqual([2]);
    expect(provider.suite(2)).toBe(provider.suite(2));
    expect(() => provider.suite(1)).toThrow(
      expect.objectContaining({ code: "UNSUPPORTED_CIPHER_SUITE", details: { cipherSuite: 1 } }),
    );
  });

  test("the same code point twice is refused", () => {
    expect(() => createProvider("twice", [nobleSuite2(), nobleSuite2()])).toThrow(
      expect.objectContaining({ code: "INVALID_SUITE" }),
    );
  });

  test("M-SUITE-11: a private suite works beside the RFC's", async () => {
    // X25519 with ChaCha20-Poly1305, and Ed448 signatures: no such suite is registered.
    const suite: CipherSuite = {
      ...cipherSuite(3),
      id: 0xf123,
      name: "PRIVATE",
      signature: cipherSuite(4).signature,
    };
    const aead = nodeAead("chacha20-poly1305");
    const primitives: SuitePrimitives = {
      providerName: "mine",
      randomBytes: nodeRandom(),
      hash: nodeHash("sha256"),
      hmac: nodeHmac("sha256"),
      aeadSeal: aead.seal,
      aeadOpen: aead.open,
      kem: nodeKem("x25519", { cacheSize: 10, nativeRandom: true }),
      signature: nodeSignature("ed448", 10),
    };
    const provider = createProvider("mine", [createSuiteCrypto(suite, primitives), nobleSuite2()]);
    expect(provider.suites).toEqual([0xf123, 2]);
    expect(isPrivateSuite(0xf123)).toBe(true);
    expect(isPrivateSuite(2)).toBe(false);
    const crypto = provider.suite(0xf123);
    expect(crypto.suite.name).toBe("PRIVATE");
    const kem = await crypto.generateKeyPair();
    const sealed = await crypto.seal(kem.publicKey, utf8("i"), utf8("a"), utf8("p"));
    expect(await crypto.open(kem.privateKey, sealed, utf8("i"), utf8("a"))).toEqual(utf8("p"));
    const keys = await crypto.generateSignatureKeyPair();
    expect(keys.publicKey.length).toBe(57);
    const signature = await crypto.sign(keys.privateKey, utf8("m"));
    expect(await crypto.verify(keys.publicKey, utf8("m"), signature)).toBe(true);
  });
});

describe("key caches", () => {
  test("public keys are imported once while they are in use, and their number is bounded", () => {
    let loads = 0;
    const cache = new PublicKeyCache(8, (key) => {
      loads++;
      return key[0];
    });
    const key = (n: number): Uint8Array => new Uint8Array([n]);
    for (let round = 0; round < 10; round++) for (let n = 0; n < 4; n++) cache.get(key(n));
    expect(loads).toBe(4);
    for (let n = 0; n < 200; n++) {
      expect(cache.get(key(n))).toBe(n);
      expect(cache.size).toBeLessThanOrEqual(8);
    }
  });

  test("a failed import is not remembered", () => {
    let works = false;
    const cache = new PublicKeyCache(8, () => {
      if (!works) throw new Error("no");
      return 1;
    });
    expect(() => cache.get(new Uint8Array(1))).toThrow("no");
    works = true;
    expect(cache.get(new Uint8Array(1))).toBe(1);
  });

  test("private keys are known by their array, and noticed when it is overwritten", () => {
    let loads = 0;
    const cache = new PrivateKeyCache((key) => {
      loads++;
      return key.slice();
    });
    const key = new Uint8Array([1, 2, 3]);
    expect(cache.get(key)).toBe(cache.get(key));
    expect(loads).toBe(1);
    key.fill(9);
    expect(cache.get(key)).toEqual(new Uint8Array([9, 9, 9]));
    expect(loads).toBe(2);
  });
});

test("the random pool hands out every byte once", () => {
  const random = nodeRandom();
  const seen = new Set<string>();
  for (let i = 0; i < 5000; i++) seen.add(random(13 + (i % 7)).join());
  expect(seen.size).toBe(5000);
  expect(random(1024).some((byte) => byte !== 0)).toBe(true);
});
