/** The official crypto-basics vectors on every provider. RFC 9420 §5.1, §5.2, §8, §9. */
import { existsSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { fromHex, toHex } from "../../../src/codec/index.ts";
import {
  createSigner,
  decryptWithLabel,
  deriveSecret,
  deriveTreeSecret,
  encryptWithLabel,
  expandWithLabel,
  refHash,
  signWithLabel,
  verifyWithLabel,
} from "../../../src/crypto/index.ts";
import { nobleProvider, nodeProvider, webCryptoProvider } from "../../../src/providers/index.ts";

interface CryptoBasics {
  readonly cipher_suite: number;
  readonly ref_hash: { label: string; value: string; out: string };
  readonly expand_with_label: {
    secret: string;
    label: string;
    context: string;
    length: number;
    out: string;
  };
  readonly derive_secret: { secret: string; label: string; out: string };
  readonly derive_tree_secret: {
    secret: string;
    label: string;
    generation: number;
    length: number;
    out: string;
  };
  readonly sign_with_label: {
    priv: string;
    pub: string;
    content: string;
    label: string;
    signature: string;
  };
  readonly encrypt_with_label: {
    priv: string;
    pub: string;
    label: string;
    context: string;
    plaintext: string;
    kem_output: string;
    ciphertext: string;
  };
}

const file = new URL("../../../../../../shared/test-vectors/crypto-basics.json", import.meta.url);
const vectors: readonly CryptoBasics[] = existsSync(file)
  ? (JSON.parse(readFileSync(file, "utf8")) as CryptoBasics[])
  : [];
const providers = [nodeProvider(), nobleProvider(), await webCryptoProvider()];

if (vectors.length === 0) test.skip("crypto-basics of the official vectors, which are absent");

for (const provider of providers) {
  const carried = vectors.filter((vector) => provider.suites.includes(vector.cipher_suite));
  describe.each(carried)(`${provider.name}, suite $cipher_suite`, (vector) => {
    const crypto = provider.suite(vector.cipher_suite);

    test("refHash", () => {
      const { label, value, out } = vector.ref_hash;
      expect(toHex(refHash(crypto, label, fromHex(value)))).toBe(out);
    });

    test("expandWithLabel, deriveSecret and deriveTreeSecret", () => {
      const e = vector.expand_with_label;
      expect(
        toHex(expandWithLabel(crypto, fromHex(e.secret), e.label, fromHex(e.context), e.length)),
      ).toBe(e.out);
      const d = vector.derive_secret;
      expect(toHex(deriveSecret(crypto, fromHex(d.secret), d.label))).toBe(d.out);
      const t = vector.derive_tree_secret;
      expect(
        toHex(deriveTreeSecret(crypto, fromHex(t.secret), t.label, t.generation, t.length)),
      ).toBe(t.out);
    });

    test("signWithLabel and verifyWithLabel", async () => {
      const v = vector.sign_with_label;
      const [publicKey, content] = [fromHex(v.pub), fromHex(v.content)];
      const check = (signature: Uint8Array): unknown =>
        verifyWithLabel(crypto, publicKey, v.label, content, signature);
      expect(await check(fromHex(v.signature))).toBe(true);
      expect(toHex(await crypto.signaturePublicKeyOf(fromHex(v.priv)))).toBe(v.pub);
      const signer = createSigner(crypto, { publicKey, privateKey: fromHex(v.priv) });
      expect(await check(await signWithLabel(signer, v.label, content))).toBe(true);
    });

    test("encryptWithLabel and decryptWithLabel", async () => {
      const v = vector.encrypt_with_label;
      const [privateKey, publicKey] = [fromHex(v.priv), fromHex(v.pub)];
      const context = fromHex(v.context);
      const plaintext = fromHex(v.plaintext);
      const given = { kemOutput: fromHex(v.kem_output), ciphertext: fromHex(v.ciphertext) };
      expect(await decryptWithLabel(crypto, privateKey, v.label, context, given)).toEqual(
        plaintext,
      );
      expect(toHex(await crypto.publicKeyOf(privateKey))).toBe(v.pub);
      const sealed = await encryptWithLabel(crypto, publicKey, v.label, context, plaintext);
      expect(await decryptWithLabel(crypto, privateKey, v.label, context, sealed)).toEqual(
        plaintext,
      );
    });
  });
}
