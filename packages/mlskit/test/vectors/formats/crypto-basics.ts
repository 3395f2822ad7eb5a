/** crypto-basics: labelled hashing, derivation, signing and encryption. RFC 9420 §5, §8, §9. */
import {
  createSigner,
  decryptWithLabel,
  deriveSecret,
  deriveTreeSecret,
  encryptWithLabel,
  expandWithLabel,
  refHash,
  signWithLabel,
  type SuiteCrypto,
  verifyWithLabel,
} from "../../../src/crypto/index.ts";
import { type CaseRun, expected, type Format, suiteOf } from "../format.ts";
import type { Value } from "../value.ts";
import { checkKemKey, checkSignatureKey } from "./keys.ts";

const KEYS = [
  "cipher_suite",
  "ref_hash",
  "expand_with_label",
  "derive_secret",
  "derive_tree_secret",
  "sign_with_label",
  "encrypt_with_label",
] as const;

export const cryptoBasics: Format = {
  type: "crypto-basics",
  keys: KEYS,
  hasSuite: true,
  async verify(value, run) {
    const fields = value.object(...KEYS);
    const crypto = suiteOf(fields.cipher_suite, run);
    const { checks } = run;
    const ref = fields.ref_hash.object("label", "value", "out");
    const reference = refHash(crypto, ref.label.text(), ref.value.hex());
    checks.bytes("hash references", reference, ref.out.hex());
    checkDerivations(crypto, fields, run);
    await checkSigning(crypto, fields.sign_with_label, run);
    await checkEncryption(crypto, fields.encrypt_with_label, run);
  },
  controls: [
    ...expected(
      "ref_hash.out",
      "expand_with_label.out",
      "derive_secret.out",
      "derive_tree_secret.out",
      "encrypt_with_label.plaintext",
    ),
    { kind: "signature", path: "sign_with_label.signature", caughtBy: ["signatures"] },
    { kind: "signed content", path: "sign_with_label.content", caughtBy: ["signatures"] },
    { kind: "KEM output", path: "encrypt_with_label.kem_output" },
    { kind: "ciphertext", path: "encrypt_with_label.ciphertext" },
    { kind: "private key", path: "sign_with_label.priv" },
    { kind: "private key", path: "encrypt_with_label.priv" },
    { kind: "input", path: "ref_hash.value" },
    { kind: "input", path: "derive_tree_secret.generation" },
  ],
};

type Fields = Readonly<Record<(typeof KEYS)[number], Value>>;

function checkDerivations(crypto: SuiteCrypto, fields: Fields, { checks }: CaseRun): void {
  const e = fields.expand_with_label.object("secret", "label", "context", "length", "out");
  const length = e.length.integer();
  const expanded = expandWithLabel(crypto, e.secret.hex(), e.label.text(), e.context.hex(), length);
  checks.bytes("expanded secrets", expanded, e.out.hex());
  const d = fields.derive_secret.object("secret", "label", "out");
  const derived = deriveSecret(crypto, d.secret.hex(), d.label.text());
  checks.bytes("derived secrets", derived, d.out.hex());
  const t = fields.derive_tree_secret.object("secret", "label", "generation", "length", "out");
  const size = t.length.integer();
  const generation = t.generation.integer();
  const tree = deriveTreeSecret(crypto, t.secret.hex(), t.label.text(), generation, size);
  checks.bytes("tree secrets", tree, t.out.hex());
}

async function checkSigning(crypto: SuiteCrypto, value: Value, { checks }: CaseRun): Promise<void> {
  const s = value.object("priv", "pub", "content", "label", "signature");
  const [privateKey, publicKey, content] = [s.priv.hex(), s.pub.hex(), s.content.hex()];
  const label = s.label.text();
  const verify = (signature: Uint8Array) =>
    verifyWithLabel(crypto, publicKey, label, content, signature);
  checks.that("signatures", await verify(s.signature.hex()), "the signature is refused");
  await checkSignatureKey(crypto, checks, privateKey, publicKey);
  const signer = createSigner(crypto, { publicKey, privateKey });
  const own = await signWithLabel(signer, label, content);
  checks.that("own signatures", await verify(own), "our own signature is refused");
}

async function checkEncryption(crypto: SuiteCrypto, value: Value, run: CaseRun): Promise<void> {
  const { checks } = run;
  const e = value.object(
    "priv",
    "pub",
    "label",
    "context",
    "plaintext",
    "kem_output",
    "ciphertext",
  );
  const [privateKey, publicKey, plaintext] = [e.priv.hex(), e.pub.hex(), e.plaintext.hex()];
  const [label, context] = [e.label.text(), e.context.hex()];
  await checkKemKey(crypto, checks, privateKey, publicKey);
  const given = { kemOutput: e.kem_output.hex(), ciphertext: e.ciphertext.hex() };
  const opened = await decryptWithLabel(crypto, privateKey, label, context, given);
  checks.bytes("decryptions", opened, plaintext);
  const sealed = await encryptWithLabel(crypto, publicKey, label, context, plaintext);
  const again = await decryptWithLabel(crypto, privateKey, label, context, sealed);
  checks.bytes("own encryptions", again, plaintext);
}
