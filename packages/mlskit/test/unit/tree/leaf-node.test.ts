import { describe, expect, test } from "vitest";
import { EMPTY_BYTES, MAX_UINT64, withEncoding } from "../../../src/codec/index.ts";
import { createSigner } from "../../../src/crypto/signer.ts";
import { UsageError } from "../../../src/errors.ts";
import { signLeafNode, verifyJob } from "../../../src/tree/leaf-node.ts";
import {
  checkLeafNode,
  type LeafNodeRequirements,
} from "../../../src/tree/leaf-node-validation.ts";
import { type LeafNode, LeafNodeFields } from "../../../src/tree/nodes.ts";
import { verifySignatures } from "../../../src/tree/signature-batch.ts";
import { leafIndex } from "../../../src/tree/tree-math.ts";
import { GROUP_ID, sampleClient, suiteCrypto } from "./samples.ts";

const crypto = suiteCrypto();
const binding = { groupId: GROUP_ID, leafIndex: leafIndex(3) };
const { signer, leaf } = await sampleClient(crypto, 1);

function changed(change: Partial<LeafNodeFields>, of: LeafNode = leaf): LeafNode {
  return withEncoding(LeafNodeFields, { ...of, ...change });
}

function rules(
  of: LeafNode,
  requirements: Partial<LeafNodeRequirements> = {},
): Promise<readonly string[]> {
  const run = async (): Promise<readonly string[]> => {
    const all = { crypto, code: "INVALID_PROPOSAL" as const, ...requirements };
    return (await checkLeafNode(of, all)).map(({ rule }) => rule);
  };
  return run();
}

async function refused(
  of: LeafNode,
  rule: string,
  requirements: Partial<LeafNodeRequirements> = {},
): Promise<void> {
  await expect(rules(of, requirements)).rejects.toEqual(
    expect.objectContaining({ rule, code: "INVALID_PROPOSAL" }),
  );
}

describe("signatures", () => {
  test("of leaves in a group bind the group and the place", async () => {
    for (const origin of [
      { source: "update" },
      { source: "commit", parentHash: new Uint8Array(32) },
    ] as const) {
      const signed = await signLeafNode(crypto, signer, { ...leaf, origin }, binding);
      await verifySignatures(crypto, [verifyJob(signed, binding)]);
      for (const other of [
        { ...binding, leafIndex: leafIndex(4) },
        { ...binding, groupId: EMPTY_BYTES },
      ]) {
        await expect(verifySignatures(crypto, [verifyJob(signed, other)])).rejects.toEqual(
          expect.objectContaining({ rule: "valn0102", code: "SIGNATURE_INVALID" }),
        );
      }
    }
  });

  test("of leaves from key packages bind neither", async () => {
    await verifySignatures(crypto, [verifyJob(leaf, undefined), verifyJob(leaf, binding)]);
  });

  test("are refused to a signer with another key", async () => {
    const stranger = createSigner(crypto, await crypto.generateSignatureKeyPair());
    await expect(signLeafNode(crypto, stranger, leaf, binding)).rejects.toThrow(UsageError);
  });
});

describe("a leaf node", () => {
  test("that is in order passes without notices", async () => {
    expect(await rules(leaf, { source: "keyPackage" })).toEqual([]);
  });

  test("with another source than its place demands is refused", async () => {
    const update = changed({ origin: { source: "update" } });
    await refused(update, "valn0108", { source: "keyPackage" });
    await refused(leaf, "valn0109", { source: "update" });
    await refused(update, "valn0110", { source: "commit" });
  });

  test("that keeps the key it replaces is refused", async () => {
    await refused(changed({ origin: { source: "update" } }), "valn0109", { replaces: leaf });
    const origin = { source: "commit", parentHash: EMPTY_BYTES } as const;
    await refused(changed({ origin }), "valn1208", { replaces: leaf });
  });

  test("must list its credential type, its extensions and the version", async () => {
    const { capabilities } = leaf;
    const without = (change: Partial<typeof capabilities>): LeafNode =>
      changed({ capabilities: { ...capabilities, ...change } });
    await refused(without({ credentials: [2] }), "valn0113");
    await refused(without({ versions: [] }), "mk-49");
    expect(await rules(without({ cipherSuites: [] }))).toEqual(["mk-49"]);
    const extension = { type: 0xf000, data: EMPTY_BYTES };
    await refused(changed({ extensions: [extension] }), "valn0107");
    const listed = { ...capabilities, extensions: [0xf000, 1] };
    expect(await rules(changed({ extensions: [extension], capabilities: listed }))).toEqual([]);
    const empty = { type: "x509", certificates: [] } as const;
    const listsBoth = { ...capabilities, credentials: [1, 2] };
    await refused(changed({ credential: empty, capabilities: listsBoth }), "mk-17");
  });

  test("may carry an application id, and no other extension of the RFC", async () => {
    expect(await rules(changed({ extensions: [{ type: 1, data: Uint8Array.of(0) }] }))).toEqual([]);
    await expect(
      rules(changed({ extensions: [{ type: 1, data: Uint8Array.of(0, 0) }] })),
    ).rejects.toEqual(expect.objectContaining({ rule: "mk-16" }));
    for (const type of [2, 3, 4, 5]) {
      await refused(changed({ extensions: [{ type, data: EMPTY_BYTES }] }), "valn1601");
    }
  });

  test("must support what the group requires and uses, default types aside", async () => {
    const required = { extensionTypes: [1, 5], proposalTypes: [1, 7], credentialTypes: [1] };
    expect(await rules(leaf, { requiredCapabilities: required })).toEqual([]);
    for (const more of [
      { extensionTypes: [6] },
      { proposalTypes: [8] },
      { credentialTypes: [2] },
    ]) {
      const requiredCapabilities = { ...required, ...more };
      await refused(leaf, "valn0103", { requiredCapabilities });
    }
    const used = { groupExtensionTypes: [3, 5, 99] };
    await refused(leaf, "valn0502", { ...used, source: "keyPackage" });
    const update = changed({ origin: { source: "update" } });
    await refused(update, "valn0602", { ...used, source: "update" });
    const commit = changed({ origin: { source: "commit", parentHash: EMPTY_BYTES } });
    await refused(commit, "valn1210", { ...used, source: "commit" });
    expect(await rules(leaf, used)).toEqual([]);
  });

  test("has a lifetime whose bounds both belong to it", async () => {
    const lasting = (notBefore: bigint, notAfter: bigint): LeafNode =>
      changed({ origin: { source: "keyPackage", lifetime: { notBefore, notAfter } } });
    await refused(lasting(2n, 1n), "mk-54");
    expect(await rules(lasting(1n, 1n), { lifetime: { now: 1n, mode: "sending" } })).toEqual([]);
    for (const now of [9n, 21n]) {
      const leaf = lasting(10n, 20n);
      expect(await rules(leaf, { lifetime: { now } })).toEqual(["valn0106"]);
      await refused(leaf, "valn0106", { lifetime: { now, mode: "strict" } });
      await refused(leaf, "valn0105", { lifetime: { now, mode: "sending" } });
    }
    expect(await rules(lasting(0n, MAX_UINT64), { lifetime: { now: MAX_UINT64 } })).toEqual([]);
    expect(await rules(lasting(5n, 10n), { lifetime: { maximum: 5n } })).toEqual([]);
    await refused(lasting(5n, 11n), "mk-55", { lifetime: { maximum: 5n } });
  });

  test("needs keys in the format of the suite", async () => {
    await refused(changed({ encryptionKey: new Uint8Array(31) }), "mk-18");
    await refused(changed({ encryptionKey: new Uint8Array(32) }), "mk-18");
    await refused(changed({ signatureKey: new Uint8Array(33) }), "mk-19");
  });
});
