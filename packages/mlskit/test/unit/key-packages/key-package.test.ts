import { describe, expect, test } from "vitest";
import { decode, EMPTY_BYTES, toHex, withEncoding } from "../../../src/codec/index.ts";
import type { SuiteCrypto } from "../../../src/crypto/crypto-provider.ts";
import { createSigner } from "../../../src/crypto/signer.ts";
import { UnsupportedError, UsageError } from "../../../src/errors.ts";
import {
  createKeyPackage,
  type CreateKeyPackageOptions,
} from "../../../src/key-packages/create-key-package.ts";
import {
  isLastResort,
  KeyPackage,
  KeyPackageFields,
  keyPackageRef,
} from "../../../src/key-packages/key-package.ts";
import {
  checkKeyPackage,
  keyPackageSignatures,
  type KeyPackageRequirements,
  validateKeyPackages,
} from "../../../src/key-packages/key-package-validation.ts";
import { nodeProvider } from "../../../src/providers/node.ts";

const provider = nodeProvider();
const crypto = provider.suite(1);

async function optionsFor(suite: SuiteCrypto): Promise<CreateKeyPackageOptions> {
  return {
    crypto: suite,
    signer: createSigner(suite, await suite.generateSignatureKeyPair()),
    credential: { type: "basic", identity: Uint8Array.of(65) },
    capabilities: {
      versions: [1],
      cipherSuites: [suite.suite.id],
      extensions: [0x000a, 0xf001],
      proposals: [],
      credentials: [1],
    },
    lifetime: { notBefore: 0n, notAfter: 100n },
  };
}

const options = await optionsFor(crypto);
const { keyPackage, privateKeys } = await createKeyPackage(options);

function changed(change: Partial<KeyPackageFields>): KeyPackage {
  return withEncoding(KeyPackageFields, { ...keyPackage, ...change });
}

describe("a new key package", () => {
  test.each(provider.suites)("is valid and survives its encoding, suite %i", async (id) => {
    const suite = provider.suite(id);
    const created = await createKeyPackage(await optionsFor(suite));
    const copy = decode(KeyPackage, created.keyPackage.encoded);
    expect(await validateKeyPackages([copy], { crypto: suite })).toEqual({
      keyPackages: [copy],
      notices: [],
    });
    expect(toHex(keyPackageRef(suite, copy))).toBe(toHex(keyPackageRef(suite, created.keyPackage)));
    const { initKey, encryptionKey } = created.privateKeys;
    expect(toHex(await suite.publicKeyOf(initKey.bytes))).toBe(toHex(copy.initKey));
    expect(toHex(await suite.publicKeyOf(encryptionKey.bytes))).toBe(
      toHex(copy.leafNode.encryptionKey),
    );
  });

  test("never repeats an init key", async () => {
    const other = await createKeyPackage(options);
    expect(toHex(other.keyPackage.initKey)).not.toBe(toHex(keyPackage.initKey));
    expect(JSON.stringify(privateKeys)).not.toContain(toHex(privateKeys.initKey.bytes));
  });

  test("can be marked as a last resort", async () => {
    const extensions = [{ type: 0x000a, data: EMPTY_BYTES }];
    const lastResort = await createKeyPackage({ ...options, extensions });
    expect(isLastResort(lastResort.keyPackage)).toBe(true);
    expect(isLastResort(keyPackage)).toBe(false);
  });

  test("that peers would refuse is not made", async () => {
    const { capabilities } = options;
    const cases: [string, Partial<CreateKeyPackageOptions>][] = [
      ["mk-49", { capabilities: { ...capabilities, versions: [] } }],
      ["mk-49", { capabilities: { ...capabilities, cipherSuites: [2] } }],
      ["mk-50", { capabilities: { ...capabilities, extensions: [1] } }],
      ["mk-50", { capabilities: { ...capabilities, proposals: [7] } }],
      ["valn0113", { capabilities: { ...capabilities, credentials: [] } }],
      ["valn1604", { extensions: [{ type: 3, data: EMPTY_BYTES }] }],
      ["mk-59", { extensions: [{ type: 0xf002, data: EMPTY_BYTES }] }],
      ["valn1601", { leafExtensions: [{ type: 3, data: EMPTY_BYTES }] }],
      ["valn0107", { leafExtensions: [{ type: 0xf002, data: EMPTY_BYTES }] }],
      ["mk-54", { lifetime: { notBefore: 2n, notAfter: 1n } }],
      ["mk-55", { maxLifetime: 99n }],
    ];
    for (const [rule, change] of cases) {
      const made = createKeyPackage({ ...options, ...change });
      await expect(made).rejects.toThrow(UsageError);
      await expect(made).rejects.toEqual(expect.objectContaining({ rule }));
    }
    await createKeyPackage({ ...options, maxLifetime: 100n });
  });
});

describe("a received key package", () => {
  const refused = async (
    subject: KeyPackage,
    rule: string,
    change: Partial<KeyPackageRequirements> = {},
  ): Promise<void> => {
    const error = expect.objectContaining({ rule, code: "INVALID_KEY_PACKAGE" });
    const run = async (): Promise<unknown> => checkKeyPackage(subject, { crypto, ...change });
    await expect(run()).rejects.toEqual(error);
  };

  test("of another version is unsupported", () => {
    const encoded = keyPackage.encoded.slice();
    encoded[1] = 2;
    const read = (): unknown => decode(KeyPackage, encoded);
    expect(read).toThrow(UnsupportedError);
    expect(read).toThrow(expect.objectContaining({ rule: "mk-08" }));
  });

  test("for another suite, with one key for both purposes or a malformed one is refused", async () => {
    await refused(changed({ cipherSuite: 3 }), "valn0201");
    await refused(changed({ initKey: keyPackage.leafNode.encryptionKey }), "valn0204");
    await refused(changed({ initKey: new Uint8Array(31) }), "mk-18");
  });

  test("is held to the rules for leaves", async () => {
    await refused(keyPackage, "valn0105", { lifetime: { now: 101n, mode: "sending" } });
    await refused(keyPackage, "mk-55", { lifetime: { maximum: 99n } });
    await refused(keyPackage, "valn0502", { groupExtensionTypes: [0xf002] });
  });

  test("may carry unlisted and unknown extensions, and misplaced ones unless strict", async () => {
    const unknown = changed({ extensions: [{ type: 0xf00d, data: EMPTY_BYTES }] });
    expect(await checkKeyPackage(unknown, { crypto, strictExtensions: true })).toEqual([]);
    const misplaced = changed({ extensions: [{ type: 3, data: EMPTY_BYTES }] });
    expect(await checkKeyPackage(misplaced, { crypto })).toEqual([]);
    await refused(misplaced, "valn1604", { strictExtensions: true });
  });

  test("has two signatures, and each of them counts", async () => {
    const [leafJob, packageJob] = keyPackageSignatures(keyPackage);
    expect([leafJob?.rule, packageJob?.rule]).toEqual(["valn0102", "valn0203"]);
    const forged = changed({ signature: new Uint8Array(64) });
    await expect(validateKeyPackages([keyPackage, forged], { crypto })).rejects.toEqual(
      expect.objectContaining({ rule: "valn0203", code: "SIGNATURE_INVALID" }),
    );
    const other = (await createKeyPackage(options)).keyPackage;
    await expect(
      validateKeyPackages([changed({ leafNode: other.leafNode, initKey: other.initKey })], {
        crypto,
      }),
    ).rejects.toEqual(expect.objectContaining({ rule: "valn0203" }));
  });
});
