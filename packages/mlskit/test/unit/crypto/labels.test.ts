/** Labelled forms. RFC 9420 §5.1.2, §5.1.3, §5.2, §8. */
import { expect, test } from "vitest";
import { concat, utf8 } from "../../../src/codec/index.ts";
import {
  deriveSecret,
  encryptContext,
  expandWithLabel,
  labeledContent,
  makeKeyPackageRef,
  makeProposalRef,
} from "../../../src/crypto/index.ts";
import { nodeProvider } from "../../../src/providers/index.ts";

const crypto = nodeProvider().suite(1);
const bytes = (...values: readonly number[]): Uint8Array => Uint8Array.from(values);

test("SignContent and EncryptContext are two length-prefixed strings", () => {
  const expected = concat(bytes(11), utf8("MLS 1.0 abc"), bytes(2, 7, 8));
  expect(labeledContent("abc", bytes(7, 8))).toEqual(expected);
  expect(encryptContext("abc", bytes(7, 8))).toEqual(expected);
  const long = new Uint8Array(100);
  expect(labeledContent("abc", long)).toEqual(
    concat(bytes(11), utf8("MLS 1.0 abc"), bytes(0x40, 100), long),
  );
});

test("a length that no HKDF has is refused, by HPKE's export as well", async () => {
  const { publicKey } = await crypto.generateKeyPair();
  for (const length of [-1, 1.5, 255 * crypto.suite.kdf.size + 1]) {
    const expected = { code: "INVALID_LENGTH" };
    const prk = new Uint8Array(crypto.suite.kdf.size);
    expect(() => crypto.expand(prk, bytes(1), length)).toThrow(expect.objectContaining(expected));
    const exported = async () => crypto.sendExport(publicKey, bytes(1), bytes(2), length);
    await expect(exported()).rejects.toMatchObject(expected);
  }
});

test("expandWithLabel equals HKDF-Expand of the KDFLabel for every length", () => {
  const secret = new Uint8Array(32).fill(3);
  for (const length of [0, 1, 12, 16, 32, 33, 64, 300]) {
    const label = concat(
      bytes(length >> 8, length & 0xff, 11),
      utf8("MLS 1.0 abc"),
      bytes(2, 1, 2),
    );
    const expected = crypto.expand(secret, label, length);
    expect(expandWithLabel(crypto, secret, "abc", bytes(1, 2), length)).toEqual(expected);
  }
  expect(deriveSecret(crypto, secret, "x")).toEqual(
    expandWithLabel(crypto, secret, "x", bytes(), 32),
  );
  for (const length of [-1, 1.5, 65_536, 255 * 32 + 1]) {
    expect(() => expandWithLabel(crypto, secret, "x", bytes(), length)).toThrow(
      expect.objectContaining({ code: "INVALID_LENGTH" }),
    );
  }
});

test("references hash the label without another prefix", () => {
  const value = bytes(1, 2, 3);
  const reference = (label: string): Uint8Array =>
    crypto.hash(concat(bytes(label.length), utf8(label), bytes(3), value));
  expect(makeKeyPackageRef(crypto, value)).toEqual(reference("MLS 1.0 KeyPackage Reference"));
  expect(makeProposalRef(crypto, value)).toEqual(reference("MLS 1.0 Proposal Reference"));
});

test("any number of labels gives the same results", () => {
  const secret = new Uint8Array(32);
  const derive = (i: number): Uint8Array => deriveSecret(crypto, secret, `label ${i}`);
  const first = Array.from({ length: 400 }, (_, i) => derive(i));
  expect(Array.from({ length: 400 }, (_, i) => derive(i))).toEqual(first);
});
