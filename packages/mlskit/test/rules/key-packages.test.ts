/** Rules of section 5: key packages. RFC 9420 §10. */
import { describe, expect, test } from "vitest";
import { EMPTY_BYTES, encode, toHex, utf8 } from "../../src/codec/index.ts";
import { decodeMlsMessage, encodeMlsMessage, MlsMessage } from "../../src/framing/mls-message.ts";
import { createProposal } from "../../src/group/proposal-message.ts";
import { agree, expectRule, refusedByAll, refuses } from "../support/assertions.ts";
import { flipped, forgeProposal, type KeyPackageForgery } from "../support/forge.ts";
import { newClient } from "../support/parties.ts";
import { MESSAGE_DEFAULTS, TestGroup } from "../support/test-group.ts";
import type { RuleId } from "../../src/rule-registry.ts";
import { notAdded, outsider, refusedAsAdd } from "./carriers.ts";

const NAMES = ["alice", "bob", "carol"];

const CASES: readonly [RuleId, string, KeyPackageForgery][] = [
  ["valn0201", "for another suite", { fields: { cipherSuite: 2 } }],
  ["valn0201", "for a suite that does not exist", { fields: { cipherSuite: 0xfff0 } }],
  ["valn0203", "signed wrongly", { alterSignature: (signature) => flipped(signature, 9) }],
  ["valn0203", "without a signature", { alterSignature: () => EMPTY_BYTES }],
];

describe.each(CASES)("%s a key package %s", (rule, _, forgery) => {
  test("[C] is not added by us", async () => {
    await notAdded(await TestGroup.of(NAMES), await outsider(forgery), rule);
  });

  test("[RO] spoils a Commit that adds it, and is not kept as a proposal", async () => {
    const group = await TestGroup.of(NAMES);
    const client = await outsider(forgery);
    await refusedAsAdd(group, client, rule);
    const add = { type: "add", keyPackage: client.keyPackage } as const;
    const { bytes } = await forgeProposal(group.party("bob"), add);
    await refusedByAll(group, "bob", bytes, rule);
  });
});

test("valn0202 [CRO] a key package whose leaf breaks a rule for leaves", async () => {
  const group = await TestGroup.of(NAMES);
  const client = await outsider({ leaf: { extensions: [{ type: 0x3333, data: EMPTY_BYTES }] } });
  await notAdded(group, client, "valn0107", { code: "INVALID_KEY_PACKAGE" });
  await refusedAsAdd(group, client, "valn0107", { code: "INVALID_KEY_PACKAGE" });
});

test("valn0204 [CRO] one key for two purposes", async () => {
  const group = await TestGroup.of(NAMES);
  const client = await newClient("mallory");
  const { encryptionKey } = client.keyPackage.leafNode;
  const double = await outsider({ fields: { initKey: encryptionKey }, leaf: { encryptionKey } });
  await notAdded(group, double, "valn0204");
  await refusedAsAdd(group, double, "valn0204");
});

test("valn0205 [C] a key package does not travel in a message of another version", async () => {
  const { keyPackage } = await outsider({ fields: { version: 2 } });
  const message = { wireFormat: "keyPackage", message: keyPackage } as const;
  await expectRule(() => encode(MlsMessage, message), "valn0205");
});

test("valn0205 [C] ok: both mls10", async () => {
  const { keyPackage } = await newClient("alice");
  const bytes = encodeMlsMessage({ wireFormat: "keyPackage", message: keyPackage });
  expect(decodeMlsMessage(bytes)).toMatchObject({ message: { version: 1 } });
});

test("valn0201 valn0202 valn0203 valn0204 mk-58 [CRO] ok: a key package as it is made", async () => {
  const group = await TestGroup.of(NAMES);
  const dave = await newClient("dave");
  await group.propose("bob", { type: "add", keyPackage: dave.keyPackage });
  await group.commit("carol");
  await agree(group);
});

test("mk-57 [C] no init key comes twice, whatever else is the same", async () => {
  const { signer } = await newClient("alice");
  const keys = new Set<string>();
  for (let i = 0; i < 50; i++) {
    const { keyPackage } = await newClient("alice", { signer });
    keys.add(toHex(keyPackage.initKey));
    keys.add(toHex(keyPackage.leafNode.encryptionKey));
  }
  expect(keys.size).toBe(100);
});

test("mk-58 valn0203 [C] a proposal is checked when it is made, and when it is committed", async () => {
  const group = await TestGroup.of(NAMES);
  const broken = await outsider({ alterSignature: (signature) => flipped(signature, 0) });
  const add = { type: "add", keyPackage: broken.keyPackage } as const;
  const alice = group.party("alice");
  const make = () => createProposal(alice.epoch, add, MESSAGE_DEFAULTS, group.environment);
  await refuses(alice, make, "valn0203");
  await refuses(alice, () => group.createCommit("alice", { proposals: [add] }), "valn0203");
});

test("mk-59 [C] extensions of our key packages are listed in our capabilities", async () => {
  const extensions = [{ type: 0x4444, data: utf8("x") }];
  await expectRule(() => newClient("alice", { extensions }), "mk-59", { as: "USE" });
});

test("mk-59 valn1604 [CRO] ok: unlisted ones in the key packages of others, listed ones in ours", async () => {
  const extensions = [{ type: 0x4444, data: utf8("x") }];
  await newClient("alice", { extensions, capabilities: { extensions: [0x4444] } });
  const group = await TestGroup.of(NAMES);
  const client = await outsider({ fields: { extensions } });
  await group.propose("bob", { type: "add", keyPackage: client.keyPackage });
  await group.commit("alice");
  await agree(group);
});
