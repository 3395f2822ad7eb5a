/** Conformance of the KEM and of HPKE. RFC 9180, RFC 9420 §5.1.3. */
import { concat, fromHex, utf8 } from "../codec/bytes.ts";
import type { HpkePsk, SuiteCrypto } from "../crypto/crypto-provider.ts";
import {
  type Check,
  expect,
  expectBytes,
  expectError,
  flip,
  NOTHING,
  sequence,
} from "./conformance-support.ts";
import { HPKE_VECTORS, type HpkeVector } from "./conformance-vectors.ts";

export function hpkeChecks(crypto: SuiteCrypto): readonly Check[] {
  const vectors = HPKE_VECTORS.filter((vector) => vector.suite === crypto.suite.id);
  return [
    ...vectors.map((vector) => knownAnswer(crypto, vector)),
    ...roundTrips(crypto),
    ...keyFormats(crypto),
  ];
}

function pskOf(vector: HpkeVector): HpkePsk | undefined {
  if (vector.psk === undefined || vector.pskId === undefined) return undefined;
  return { psk: fromHex(vector.psk), pskId: fromHex(vector.pskId) };
}

function knownAnswer(crypto: SuiteCrypto, vector: HpkeVector): Check {
  const psk = pskOf(vector);
  return {
    name: `HPKE known answer, ${psk === undefined ? "base" : "psk"} mode`,
    async run() {
      const privateKey = fromHex(vector.privateKey);
      if (vector.ikm !== undefined) {
        const pair = await crypto.deriveKeyPair(fromHex(vector.ikm));
        expectBytes(pair.privateKey, vector.privateKey, "derived private key");
        expectBytes(pair.publicKey, vector.publicKey, "derived public key");
      }
      expectBytes(await crypto.publicKeyOf(privateKey), vector.publicKey, "publicKeyOf");
      const info = fromHex(vector.info);
      const kemOutput = fromHex(vector.kemOutput);
      const sealed = { kemOutput, ciphertext: fromHex(vector.ciphertext) };
      const opened = await crypto.open(privateKey, sealed, info, fromHex(vector.aad), psk);
      expectBytes(opened, vector.plaintext, "plaintext");
      if (vector.exported !== undefined) {
        const context = utf8("TestContext");
        const secret = await crypto.receiveExport(privateKey, kemOutput, info, context, 32);
        expectBytes(secret, vector.exported, "exported secret");
      }
    },
  };
}

function roundTrips(crypto: SuiteCrypto): readonly Check[] {
  const info = utf8("info");
  const aad = utf8("aad");
  const plaintext = sequence(48);
  return [
    {
      name: "seal and open, and every change that open refuses",
      async run() {
        const { publicKey, privateKey } = await crypto.generateKeyPair();
        const other = await crypto.generateKeyPair();
        const sealed = await crypto.seal(publicKey, info, aad, plaintext);
        expect(sealed.kemOutput.length === crypto.suite.kem.encSize, "length of kem_output");
        expectBytes(await crypto.open(privateKey, sealed, info, aad), plaintext, "plaintext");
        const refused = (work: () => unknown): Promise<void> =>
          expectError("DECRYPTION_FAILED", work);
        const { kemOutput, ciphertext } = sealed;
        await refused(() => crypto.open(other.privateKey, sealed, info, aad));
        await refused(() => crypto.open(privateKey, sealed, utf8("other"), aad));
        await refused(() => crypto.open(privateKey, sealed, info, NOTHING));
        for (const changed of [flip(ciphertext, 0), flip(ciphertext, -1), NOTHING]) {
          await refused(() =>
            crypto.open(privateKey, { kemOutput, ciphertext: changed }, info, aad),
          );
        }
        const foreign = { kemOutput: other.publicKey, ciphertext };
        await refused(() => crypto.open(privateKey, foreign, info, aad));
      },
    },
    {
      name: "seal uses a fresh key each time",
      async run() {
        const { publicKey } = await crypto.generateKeyPair();
        const first = await crypto.seal(publicKey, info, aad, plaintext);
        const second = await crypto.seal(publicKey, info, aad, plaintext);
        expect(first.kemOutput.join() !== second.kemOutput.join(), "kem_output differs");
        expect(first.ciphertext.join() !== second.ciphertext.join(), "ciphertext differs");
      },
    },
    {
      name: "psk mode",
      async run() {
        const { publicKey, privateKey } = await crypto.generateKeyPair();
        const psk = { psk: sequence(32), pskId: utf8("id") };
        const sealed = await crypto.seal(publicKey, info, aad, plaintext, psk);
        expectBytes(await crypto.open(privateKey, sealed, info, aad, psk), plaintext, "plaintext");
        const wrong: readonly (HpkePsk | undefined)[] = [
          undefined,
          { ...psk, psk: sequence(32, 1) },
          { ...psk, pskId: utf8("other") },
        ];
        for (const other of wrong) {
          await expectError("DECRYPTION_FAILED", () =>
            crypto.open(privateKey, sealed, info, aad, other),
          );
        }
        await expectError("EMPTY_INPUT", () =>
          crypto.seal(publicKey, info, aad, plaintext, { psk: NOTHING, pskId: utf8("id") }),
        );
      },
    },
    {
      name: "sendExport and receiveExport",
      async run() {
        const { publicKey, privateKey } = await crypto.generateKeyPair();
        const context = utf8("context");
        const sent = await crypto.sendExport(publicKey, info, context, 77);
        const receive = (i: Uint8Array, c: Uint8Array): Promise<Uint8Array> | Uint8Array =>
          crypto.receiveExport(privateKey, sent.kemOutput, i, c, 77);
        expect(sent.secret.length === 77, "length");
        expectBytes(await receive(info, context), sent.secret, "exported secret");
        expect((await receive(info, NOTHING)).join() !== sent.secret.join(), "context matters");
        expect((await receive(NOTHING, context)).join() !== sent.secret.join(), "info matters");
      },
    },
    {
      name: "sealMany seals each job to its key, in order",
      async run() {
        expect((await crypto.sealMany(info, [])).length === 0, "no jobs");
        const pairs = await Promise.all(
          Array.from({ length: 10 }, async () => crypto.generateKeyPair()),
        );
        const jobs = pairs.map(({ publicKey }, i) => ({ publicKey, plaintext: sequence(i, i) }));
        const sealed = await crypto.sealMany(info, jobs);
        expect(sealed.length === jobs.length, "one result per job");
        for (const [i, message] of sealed.entries()) {
          const privateKey = pairs[i]?.privateKey ?? NOTHING;
          const opened = await crypto.open(privateKey, message, info, NOTHING);
          expectBytes(opened, sequence(i, i), `plaintext ${i}`);
        }
      },
    },
    {
      name: "deriveKeyPair depends on its input alone",
      async run() {
        const first = await crypto.deriveKeyPair(sequence(crypto.suite.kdf.size));
        const again = await crypto.deriveKeyPair(sequence(crypto.suite.kdf.size));
        const other = await crypto.deriveKeyPair(sequence(crypto.suite.kdf.size, 1));
        expectBytes(again.privateKey, first.privateKey, "private key");
        expectBytes(again.publicKey, first.publicKey, "public key");
        expect(other.publicKey.join() !== first.publicKey.join(), "another input, another key");
        expect(first.privateKey.length === crypto.suite.kem.privateKeySize, "private key size");
        expect(first.publicKey.length === crypto.suite.kem.publicKeySize, "public key size");
        expect(await crypto.isValidPublicKey(first.publicKey), "the public key is valid");
      },
    },
  ];
}

/** Bytes that are not a public key of the group, by what is wrong with them. */
export function invalidKemKeys(crypto: SuiteCrypto, valid: Uint8Array): Record<string, Uint8Array> {
  const { group, publicKeySize } = crypto.suite.kem;
  const shared = {
    empty: NOTHING,
    "too short": valid.subarray(0, -1),
    "too long": concat(valid, new Uint8Array(1)),
  };
  if (group === "x25519" || group === "x448") {
    const one = new Uint8Array(publicKeySize);
    one[0] = 1;
    return { ...shared, "all zero": new Uint8Array(publicKeySize), "u = 1": one };
  }
  return { ...shared, ...invalidPoints(valid) };
}

/** Wrong encodings of an uncompressed point. */
export function invalidPoints(valid: Uint8Array): Record<string, Uint8Array> {
  const size = (valid.length - 1) / 2;
  const odd = (valid[valid.length - 1] ?? 0) & 1;
  const withFirst = (first: number, body: Uint8Array): Uint8Array =>
    concat(new Uint8Array([first]), body);
  return {
    "off the curve": flip(valid, -1),
    compressed: withFirst(2 + odd, valid.subarray(1, 1 + size)),
    hybrid: withFirst(6 + odd, valid.subarray(1)),
    infinity: new Uint8Array(1),
    "all zero": withFirst(4, new Uint8Array(2 * size)),
    "coordinates out of range": withFirst(4, new Uint8Array(2 * size).fill(0xff)),
  };
}

function keyFormats(crypto: SuiteCrypto): readonly Check[] {
  const { group, privateKeySize } = crypto.suite.kem;
  const isNist = group !== "x25519" && group !== "x448";
  const checks: Check[] = [
    {
      name: "mk-18: invalid KEM public keys are refused with INVALID_PUBLIC_KEY",
      async run() {
        const { publicKey, privateKey } = await crypto.generateKeyPair();
        for (const [what, key] of Object.entries(invalidKemKeys(crypto, publicKey))) {
          expect(!(await crypto.isValidPublicKey(key)), `a key that is ${what} is invalid`);
          const refused = (work: () => unknown): Promise<void> =>
            expectError("INVALID_PUBLIC_KEY", work);
          await refused(() => crypto.seal(key, NOTHING, NOTHING, NOTHING));
          await refused(() => crypto.sealMany(NOTHING, [{ publicKey: key, plaintext: NOTHING }]));
          await refused(() => crypto.sendExport(key, NOTHING, NOTHING, 16));
          const sealed = { kemOutput: key, ciphertext: new Uint8Array(32) };
          await refused(() => crypto.open(privateKey, sealed, NOTHING, NOTHING));
          await refused(() => crypto.receiveExport(privateKey, key, NOTHING, NOTHING, 16));
        }
      },
    },
    {
      name: "private KEM keys of a wrong length are refused with INVALID_PRIVATE_KEY",
      async run() {
        for (const key of [NOTHING, sequence(privateKeySize + 1, 1)]) {
          await expectError("INVALID_PRIVATE_KEY", () => crypto.publicKeyOf(key));
        }
        if (!isNist) {
          const short = sequence(privateKeySize - 1);
          await expectError("INVALID_PRIVATE_KEY", () => crypto.publicKeyOf(short));
          return;
        }
        for (const key of [new Uint8Array(privateKeySize), sequence(privateKeySize).fill(0xff)]) {
          await expectError("INVALID_PRIVATE_KEY", () => crypto.publicKeyOf(key));
        }
      },
    },
  ];
  if (isNist) {
    checks.push({
      name: "M-SUITE-15: a private key without its leading zero bytes is the same key",
      async run() {
        const full = sequence(privateKeySize);
        full[1] = 0;
        const stripped = full.subarray(2);
        const publicKey = await crypto.publicKeyOf(full);
        expectBytes(await crypto.publicKeyOf(stripped), publicKey, "publicKeyOf");
        const sealed = await crypto.seal(publicKey, NOTHING, NOTHING, sequence(5));
        expectBytes(await crypto.open(stripped, sealed, NOTHING, NOTHING), sequence(5), "opened");
      },
    });
  }
  return checks;
}
