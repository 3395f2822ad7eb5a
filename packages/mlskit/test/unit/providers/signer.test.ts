/** Signers in memory and in WebCrypto. RFC 9420 §5.1.2. */
import { inspect } from "node:util";
import { describe, expect, test } from "vitest";
import { toHex, utf8 } from "../../../src/codec/index.ts";
import {
  createSigner,
  MLS_128_DHKEMP256_AES128GCM_SHA256_P256,
  MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519,
  MLS_256_DHKEMP384_AES256GCM_SHA384_P384,
  MLS_256_DHKEMP521_AES256GCM_SHA512_P521,
  signWithLabel,
  verifyWithLabel,
} from "../../../src/crypto/index.ts";
import { nodeProvider, webCryptoSigner } from "../../../src/providers/index.ts";

const provider = nodeProvider();

describe("createSigner", () => {
  test("signs for its public key and names the suite's scheme", async () => {
    for (const id of provider.suites) {
      const crypto = provider.suite(id);
      const keys = await crypto.generateSignatureKeyPair();
      const signer = createSigner(crypto, keys);
      const signature = await signWithLabel(signer, "Label", utf8("content"));
      const verify = (label: string): unknown =>
        verifyWithLabel(crypto, signer.publicKey, label, utf8("content"), signature);
      expect(await verify("Label")).toBe(true);
      expect(await verify("Other")).toBe(false);
      expect(signer.scheme).toBe(crypto.suite.signature.scheme);
    }
  });

  test("does not show its private key", async () => {
    const crypto = provider.suite(1);
    const keys = await crypto.generateSignatureKeyPair();
    const signer = createSigner(crypto, keys);
    const shown = inspect(signer, { depth: 9, showHidden: true }) + JSON.stringify(signer);
    expect(shown).not.toContain(keys.privateKey.join(","));
    expect(shown).not.toContain(toHex(keys.privateKey));
    expect(Object.keys(signer)).toEqual(expect.not.arrayContaining(["privateKey"]));
  });

  test("keeps working when the caller overwrites its key", async () => {
    const crypto = provider.suite(1);
    const keys = await crypto.generateSignatureKeyPair();
    const signer = createSigner(crypto, keys);
    keys.privateKey.fill(0);
    const signature = await signer.sign(utf8("m"));
    expect(await crypto.verify(signer.publicKey, utf8("m"), signature)).toBe(true);
  });
});

describe("M-SUITE-12: webCryptoSigner with a non-extractable key", () => {
  test.each([
    [MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519, { name: "Ed25519" }],
    [MLS_128_DHKEMP256_AES128GCM_SHA256_P256, { name: "ECDSA", namedCurve: "P-256" }],
    [MLS_256_DHKEMP384_AES256GCM_SHA384_P384, { name: "ECDSA", namedCurve: "P-384" }],
    [MLS_256_DHKEMP521_AES256GCM_SHA512_P521, { name: "ECDSA", namedCurve: "P-521" }],
  ] as const)("$name", async (suite, algorithm) => {
    const { subtle } = globalThis.crypto;
    const pair = (await subtle.generateKey(algorithm, false, ["sign", "verify"])) as CryptoKeyPair;
    const publicKey = new Uint8Array(await subtle.exportKey("raw", pair.publicKey));
    const signer = webCryptoSigner(pair.privateKey, publicKey, suite);
    for (let i = 0; i < 8; i++) {
      const signature = await signWithLabel(signer, "Label", new Uint8Array(i));
      const crypto = provider.suite(suite.id);
      expect(await verifyWithLabel(crypto, publicKey, "Label", new Uint8Array(i), signature)).toBe(
        true,
      );
    }
    const wrong =
      suite.id === 1 ? MLS_128_DHKEMP256_AES128GCM_SHA256_P256 : provider.suite(1).suite;
    expect(() => webCryptoSigner(pair.privateKey, publicKey, wrong)).toThrow(
      expect.objectContaining({ code: "INVALID_SIGNER" }),
    );
    expect(() => webCryptoSigner(pair.publicKey, publicKey, suite)).toThrow(
      expect.objectContaining({ code: "INVALID_SIGNER" }),
    );
  });
});
