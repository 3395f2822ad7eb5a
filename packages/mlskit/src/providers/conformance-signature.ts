/** Conformance of signatures. RFC 9420 §5.1.2, RFC 8032. */
import { concat, fromHex, utf8 } from "../codec/bytes.ts";
import type { SuiteCrypto } from "../crypto/crypto-provider.ts";
import { derToFixed, fixedToDer } from "../crypto/ecdsa-der.ts";
import { invalidPoints } from "./conformance-hpke.ts";
import {
  type Check,
  expect,
  expectBytes,
  expectError,
  flip,
  NOTHING,
  sequence,
} from "./conformance-support.ts";
import { ED25519_RFC8032, SIGNATURE_VECTORS } from "./conformance-vectors.ts";

export function signatureChecks(crypto: SuiteCrypto): readonly Check[] {
  const { name, signatureSize } = crypto.suite.signature;
  const isEdDsa = signatureSize !== undefined;
  const message = utf8("message");
  return [
    {
      name: "signatures with known answers",
      async run() {
        const vectors = SIGNATURE_VECTORS.filter((vector) => vector.suite === crypto.suite.id);
        for (const vector of vectors) {
          const privateKey = fromHex(vector.privateKey);
          const publicKey = await crypto.signaturePublicKeyOf(privateKey);
          expectBytes(publicKey, vector.publicKey, "public key");
          const signed = fromHex(vector.message);
          expect(await crypto.verify(publicKey, signed, fromHex(vector.signature)), "verify");
          const own = await crypto.sign(privateKey, signed);
          if (isEdDsa) expectBytes(own, vector.signature, "EdDSA is deterministic");
          expect(await crypto.verify(publicKey, signed, own), "verify own");
        }
        if (name !== "ed25519") return;
        const signed = fromHex(ED25519_RFC8032.message);
        const own = await crypto.sign(fromHex(ED25519_RFC8032.privateKey), signed);
        expectBytes(own, ED25519_RFC8032.signature, "RFC 8032");
      },
    },
    {
      name: "sign and verify, and every change that verify refuses",
      async run() {
        const keys = await crypto.generateSignatureKeyPair();
        const other = await crypto.generateSignatureKeyPair();
        expect(await crypto.isValidSignatureKey(keys.publicKey), "generated key is valid");
        const signature = await crypto.sign(keys.privateKey, message);
        expect(await crypto.verify(keys.publicKey, message, signature), "valid signature");
        const no = async (k: Uint8Array, m: Uint8Array, s: Uint8Array): Promise<void> =>
          expect(!(await crypto.verify(k, m, s)), "a changed input does not verify");
        await no(other.publicKey, message, signature);
        await no(keys.publicKey, utf8("massage"), signature);
        await no(keys.publicKey, NOTHING, signature);
        await no(keys.publicKey, message, flip(signature, 8));
        await no(keys.publicKey, message, flip(signature, -1));
      },
    },
    {
      name: "mk-19: malformed signature keys are invalid and verify nothing",
      async run() {
        const { privateKey, publicKey } = await crypto.generateSignatureKeyPair();
        const signature = await crypto.sign(privateKey, message);
        const wrong: Record<string, Uint8Array> = {
          empty: NOTHING,
          "too short": publicKey.subarray(0, -1),
          "too long": concat(publicKey, new Uint8Array(1)),
          ...(isEdDsa ? {} : invalidPoints(publicKey)),
        };
        for (const [what, key] of Object.entries(wrong)) {
          expect(!(await crypto.isValidSignatureKey(key)), `a key that is ${what} is invalid`);
          expect(!(await crypto.verify(key, message, signature)), `${what}: verify`);
        }
      },
    },
    {
      name: "mk-20: malformed signatures do not verify",
      async run() {
        const { privateKey, publicKey } = await crypto.generateSignatureKeyPair();
        const signature = await crypto.sign(privateKey, message);
        const malformed = [
          NOTHING,
          new Uint8Array(1),
          signature.subarray(0, -1),
          concat(signature, new Uint8Array(1)),
          new Uint8Array(signature.length),
          ...(isEdDsa ? [] : malformedDer(signature, privateKey.length)),
        ];
        for (const [i, bytes] of malformed.entries()) {
          expect(!(await crypto.verify(publicKey, message, bytes)), `malformed signature ${i}`);
        }
      },
    },
    {
      name: "verifyMany answers each job in order, whatever is wrong with the others",
      async run() {
        expect((await crypto.verifyMany([])).length === 0, "no jobs");
        for (const count of [1, 3, 20]) {
          const jobs = await Promise.all(
            Array.from({ length: count }, async (_, i) => {
              const keys = await crypto.generateSignatureKeyPair();
              const content = sequence(i);
              const signature = await crypto.sign(keys.privateKey, content);
              if (i % 5 === 1) return { ...keys, message: utf8("other"), signature };
              if (i % 5 === 2) return { ...keys, message: content, signature: NOTHING };
              if (i % 5 === 3) return { publicKey: NOTHING, message: content, signature };
              return { ...keys, message: content, signature };
            }),
          );
          const results = await crypto.verifyMany(jobs);
          expect(results.length === count, "one result per job");
          for (const [i, valid] of results.entries()) {
            expect(valid === (i % 5 === 0 || i % 5 === 4), `job ${i} of ${count}`);
          }
        }
      },
    },
    {
      name: "private signature keys of a wrong length are refused with INVALID_PRIVATE_KEY",
      async run() {
        const { privateKey } = await crypto.generateSignatureKeyPair();
        for (const key of [NOTHING, concat(privateKey, privateKey)]) {
          await expectError("INVALID_PRIVATE_KEY", () => crypto.sign(key, message));
          await expectError("INVALID_PRIVATE_KEY", () => crypto.signaturePublicKeyOf(key));
        }
      },
    },
  ];
}

/** Encodings of the same r and s, or of values out of range, that are not DER for valid signatures. */
function malformedDer(signature: Uint8Array, scalarSize: number): readonly Uint8Array[] {
  const fixed = derToFixed(signature, scalarSize) ?? new Uint8Array(2 * scalarSize);
  const zeroR = fixed.slice();
  zeroR.fill(0, 0, scalarSize);
  const zeroS = fixed.slice();
  zeroS.fill(0, scalarSize);
  const inner = signature.subarray(signature[1] === 0x81 ? 3 : 2);
  const sequenceOf = (...header: readonly number[]): Uint8Array =>
    concat(new Uint8Array([0x30, ...header]), inner);
  const padded = concat(new Uint8Array([0x02, (inner[1] ?? 0) + 1, 0]), inner.subarray(2));
  return [
    fixed, // r || s, the form of other protocols
    fixedToDer(zeroR),
    fixedToDer(zeroS),
    concat(signature, NOTHING, new Uint8Array([0x05, 0x00])),
    sequenceOf(0x80), // indefinite length
    sequenceOf(0x82, 0, inner.length), // length in too many bytes
    concat(new Uint8Array([0x30, padded.length]), padded), // r with a superfluous zero byte
  ];
}
