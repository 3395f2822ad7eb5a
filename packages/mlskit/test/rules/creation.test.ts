/** Rules of section 12: new groups, exported secrets, what is kept, and where extensions belong. RFC 9420 §8, §11, §17.3. */
import { describe, expect, test } from "vitest";
import { EMPTY_BYTES, fromHex, toHex, utf8 } from "../../src/codec/index.ts";
import { Secret } from "../../src/crypto/index.ts";
import { type Extension, ExtensionType } from "../../src/extensions/extension.ts";
import { encodeMlsMessage } from "../../src/framing/mls-message.ts";
import { interimTranscriptHash } from "../../src/framing/transcript-hash.ts";
import { createGroup } from "../../src/group/create-group.ts";
import { DEFAULT_LIMITS } from "../../src/group/environment.ts";
import type { Client, Group } from "../../src/index.ts";
import { exportSecret } from "../../src/key-schedule/exporter.ts";
import { confirmationTag } from "../../src/key-schedule/key-schedule.ts";
import type { Proposal } from "../../src/messages/proposal.ts";
import type { Storage } from "../../src/storage/storage.ts";
import { agree, expectRule, refusedByAll, refuses } from "../support/assertions.ts";
import { testEnvironment } from "../support/environment.ts";
import { forgeCommit, forgeProposal, groupInfoMessage } from "../support/forge.ts";
import { contents, Door, newTestClient } from "../support/forge-join.ts";
import {
  ABLE,
  acceptedList,
  CUSTOM_EXTENSION,
  EXTENDED,
  extend,
  externalSenders,
  knowing,
  required,
  withPsks,
} from "../support/forge-lists.ts";
import { type ClientOptions, newClient, newSigner, provider } from "../support/parties.ts";
import { GROUP_ID, TestGroup } from "../support/test-group.ts";
import { notAdded, outsider, refusedAsAdd, refusedAsTree, refusedAsUpdate } from "./carriers.ts";

const NAMES = ["alice", "bob", "carol"];

describe("the first epoch", () => {
  test.each([1, 2, 4, 7])(
    "mk-106 [C] nothing but chance tells two groups apart, in suite %i",
    async (suite) => {
      const creator = await newClient("alice", { suite });
      const crypto = provider.suite(suite);
      const options = { crypto, groupId: GROUP_ID, extensions: [], creator };
      const made = [];
      for (let i = 0; i < 3; i++) made.push(await createGroup(options, testEnvironment()));
      expect(new Set(made.map(({ contextBytes }) => toHex(contextBytes))).size).toBe(1);
      const secrets = made.flatMap(({ secrets: all }) => Object.values(all));
      expect(new Set(secrets.map(({ bytes }) => toHex(bytes))).size).toBe(secrets.length);
      const [{ secrets: own, confirmationTag: tag, interimTranscriptHash: interim }] = made as [
        (typeof made)[number],
      ];
      expect(tag).toEqual(confirmationTag(crypto, own.confirmationKey, EMPTY_BYTES));
      expect(interim).toEqual(interimTranscriptHash(crypto, EMPTY_BYTES, tag));
    },
  );

  test("mk-106 [C] ok: whoever is added to it agrees with its creator", async () => {
    for (const forcePath of [true, false]) {
      const group = await TestGroup.of(["alice"]);
      await group.add("alice", new Map([["bob", await newClient("bob")]]), { forcePath });
      await agree(group);
    }
  });
});

describe("creating a group", () => {
  test("mk-107 [C] an id that is in use is not taken, whoever asks to replace it", async () => {
    const { client, storage } = await newTestClient("alice");
    const group = await client.createGroup({ groupId: GROUP_ID });
    const before = await contents(storage);
    for (const replace of [undefined, false, true]) {
      const create = () => client.createGroup({ groupId: GROUP_ID, replace });
      await expectRule(create, "mk-107", { code: "GROUP_EXISTS" });
    }
    expect(await contents(storage)).toEqual(before);
    await group.update();
  });

  test("mk-107 [C] that of an inactive group is taken only when told to", async () => {
    const { client, group, storage } = await removed();
    const before = await contents(storage);
    const create = () => client.createGroup({ groupId: group.id });
    await expectRule(create, "mk-107", { code: "GROUP_EXISTS" });
    expect(await contents(storage)).toEqual(before);
    const again = await client.createGroup({ groupId: group.id, replace: true });
    expect(again.memberCount).toBe(1);
    await again.update();
    expect((await client.group(again.id)).status).toBe("pendingCommit");
  });

  test("mk-107 [C] ok: ids that are free, or made up", async () => {
    const { client } = await newTestClient("alice");
    await client.createGroup({ groupId: GROUP_ID });
    const [first, second] = [await client.createGroup(), await client.createGroup()];
    expect(new Set([first, second].map(({ id }) => toHex(id))).size).toBe(2);
    expect(first.id).toHaveLength(32);
    expect(await client.groups()).toHaveLength(3);
  });

  const unfit: readonly [string, readonly Extension[]][] = [
    ["an extension that the creator does not list", [{ type: 0x9999, data: EMPTY_BYTES }]],
    ["an extension type that it would require", [required({ extensionTypes: [0x9999] })]],
    ["a proposal type that it would require", [required({ proposalTypes: [0x9999] })]],
    ["a credential type that it would require", [required({ credentialTypes: [2] })]],
  ];
  test.each(unfit)("mk-108 [C] %s", async (_, extensions) => {
    const { client, storage } = await newTestClient("alice");
    const before = await contents(storage);
    const create = () => client.createGroup({ extensions });
    await expectRule(create, "mk-108", { code: "INVALID_EXTENSION" });
    expect(await contents(storage)).toEqual(before);
    await client.createGroup();
  });

  test("mk-108 [C] ok: what the creator's leaf lists, and what needs no listing", async () => {
    const extensions = [...EXTENDED, required({ extensionTypes: [CUSTOM_EXTENSION, 1, 5] })];
    const group = await TestGroup.of(NAMES, { environment: knowing(), client: ABLE, extensions });
    await agree(group);
  });

  test("mk-109 [C] a suite that is not the best of all first members, unless it is named", async () => {
    const { client: alice, storage } = await newTestClient("alice", { cipherSuite: 3 });
    const { client: bob } = await newTestClient("bob", { cipherSuite: 3 });
    const { bytes } = await bob.createKeyPackage();
    expect(alice.bestCipherSuite([bytes])).toBe(1);
    const before = await contents(storage);
    const error = await expectRule(() => alice.createGroupWith([bytes]), "mk-109", {
      code: "DOWNGRADE",
    });
    expect(error.details).toEqual({ cipherSuite: 1 });
    expect(await contents(storage)).toEqual(before);
    const { group } = await alice.createGroupWith([bytes], { identity: alice.identity });
    expect(group.cipherSuite).toBe(3);
  });

  test("mk-109 [C] ok: the best, or a lesser one if a member has no better", async () => {
    const { client: alice } = await newTestClient("alice", { cipherSuite: 3 });
    const { client: bob } = await newTestClient("bob", { cipherSuite: 3 });
    const capabilities = {
      versions: [1],
      cipherSuites: [3],
      extensions: [],
      proposals: [],
      credentials: [1],
    };
    const { bytes } = await bob.createKeyPackage({ capabilities });
    const { group } = await alice.createGroupWith([bytes]);
    expect(group.cipherSuite).toBe(3);
    const { client: carol } = await newTestClient("carol");
    const { client: dave } = await newTestClient("dave");
    const best = await carol.createGroupWith([(await dave.createKeyPackage()).bytes]);
    expect(best.group.cipherSuite).toBe(1);
  });
});

/** A client that was removed from a group. */
async function removed(): Promise<{
  readonly client: Client;
  readonly storage: Storage;
  readonly group: Group;
}> {
  const door = await Door.of({ names: ["alice"] });
  const group = await door.opens();
  const alice = door.group.party("alice");
  alice.enter(door.next);
  door.group.observer.enter(door.next);
  const proposals = [{ type: "remove", removed: group.ownLeafIndex } as const];
  const { commit } = await door.group.commit("alice", { proposals });
  await group.process(commit, { accept: true });
  return { client: door.client, storage: door.storage, group };
}

describe("exported secrets", () => {
  const ended = { as: "STA", code: "GROUP_INACTIVE" } as const;

  test.each([1, 2, 5, 7])(
    "mk-110 [C] of a length that the KDF cannot produce, in suite %i",
    async (suite) => {
      const { crypto, secrets } = (await TestGroup.of(["alice"], { suite })).party("alice").epoch;
      const { size } = crypto.suite.kdf;
      for (const length of [-1, 0.5, 255 * size + 1, 0x10000, 2 ** 32, Number.NaN]) {
        const attempt = () =>
          exportSecret(crypto, secrets.exporterSecret, "x", EMPTY_BYTES, length);
        await expectRule(attempt, "mk-110", { code: "INVALID_LENGTH" });
      }
    },
  );

  test("mk-110 [C] of a group that has ended, or is not ours yet", async () => {
    const { group } = await removed();
    for (const attempt of [
      () => group.export("x", EMPTY_BYTES, 32),
      () => group.epochAuthenticator,
      () => group.dangerouslyExportResumptionPsk(),
    ]) {
      await expectRule(attempt, "mk-110", ended);
    }
    const door = await Door.of();
    const info = groupInfoMessage(await door.forgedInfo());
    const { group: joining } = await door.client.joinExternally(info);
    const early = () => joining.export("x", EMPTY_BYTES, 32);
    await expectRule(early, "mk-110", { as: "STA", code: "PENDING_JOIN" });
  });

  test("mk-110 [C] ok: of every length from 0 to 255 hashes, the same for all members", async () => {
    const { client } = await newTestClient("alice");
    const group = await client.createGroup();
    for (const length of [0, 1, 32, 33, 255 * 32]) {
      expect(group.export("label", utf8("context"), length)).toHaveLength(length);
    }
    const longer = toHex(group.export("label", utf8("context"), 33));
    expect(longer).not.toContain(toHex(group.export("label", utf8("context"), 32)));
    await agree(await TestGroup.of(NAMES));
  });
});

describe("resumption secrets", () => {
  const psk = (epoch: bigint): Proposal => ({
    type: "psk",
    psk: { type: "resumption", usage: "application", groupId: GROUP_ID, epoch, nonce: NONCE },
  });
  const NONCE = new Uint8Array(32).fill(1);

  /** A client that joined in epoch 2 and saw as many Commits as there are epochs after it. */
  async function member(kept: number, commits: number): Promise<{ door: Door; group: Group }> {
    const door = await Door.of({ names: ["alice", "bob"] });
    const group = await door.client.join(door.welcome, { config: { resumptionPsks: kept } });
    const alice = door.group.party("alice");
    door.group.party("bob").isMember = false;
    alice.enter(door.next);
    door.group.observer.enter(door.next);
    for (let i = 0; i < commits; i++) {
      const { commit } = await door.group.commit("alice");
      await group.process(commit, { accept: true });
    }
    expect(group.epoch).toBe(2n + BigInt(commits));
    return { door, group };
  }

  async function available(group: Group): Promise<bigint[]> {
    const found: bigint[] = [];
    for (let epoch = 0n; epoch <= group.epoch; epoch++) {
      const made = await group.commit({ proposals: [psk(epoch)] }).catch(() => undefined);
      if (made === undefined) continue;
      found.push(epoch);
      await group.discardCommit();
    }
    return found;
  }

  test.each([
    [0, [7n]],
    [1, [6n, 7n]],
    [3, [4n, 5n, 6n, 7n]],
    [9, [2n, 3n, 4n, 5n, 6n, 7n]],
  ])("mk-111 [RJ] of %i past epochs, counted from our joining", async (kept, expected) => {
    const { group } = await member(kept, 5);
    expect(await available(group)).toEqual(expected);
    const old = () => group.commit({ proposals: [psk(1n)] });
    await expectRule(old, "valn1205", { as: "STA", code: "MISSING_PSK" });
  });

  test("mk-111 [R] a Commit by a secret that is not kept is refused, and the next one is not", async () => {
    const { door, group } = await member(1, 3);
    const alice = door.group.party("alice");
    alice.environment = { ...alice.environment, psks: () => new Secret(utf8("whatever")) };
    const { commit } = await door.group.createCommit("alice", { proposals: [psk(3n)] });
    const before = await contents(door.storage);
    const attempt = () => group.process(commit, { accept: true });
    await expectRule(attempt, "valn1205", { as: "STA", code: "MISSING_PSK" });
    expect(await contents(door.storage)).toEqual(before);
    const honest = await door.group.commit("alice");
    expect((await group.process(honest.commit, { accept: true })).kind).toBe("commit");
  });

  test("mk-111 [R] what becomes surplus goes at once, from memory and from the store", async () => {
    const { door, group } = await member(4, 4);
    await group.configure({ resumptionPsks: 2 });
    expect(await available(group)).toEqual([4n, 5n, 6n]);
    const keys = (await door.storage.list("")).filter(({ value }) => value.length < 40);
    const before = keys.length;
    await group.configure({ resumptionPsks: 0 });
    const after = (await door.storage.list("")).filter(({ value }) => value.length < 40);
    expect(after.length).toBe(before - 2);
    expect(await available(group)).toEqual([6n]);
  });
});

describe("extensions of a leaf", () => {
  test.each([2, 3, 4, 5])("valn1601 [CRJXO] of type %i", async (type) => {
    const extensions = [{ type, data: EMPTY_BYTES }];
    const make = () => newClient("alice", { leafExtensions: extensions });
    await expectRule(make, "valn1601", { as: "USE", code: "INVALID_KEY_PACKAGE" });
    const group = await TestGroup.of(NAMES);
    const leaf = { extensions };
    const alice = group.party("alice");
    const commit = () => group.createCommit("alice", { leaf });
    await refuses(alice, commit, "valn1601", { as: "USE" });
    const update = () => group.proposeUpdate("alice", leaf);
    await refuses(alice, update, "valn1601", { as: "USE" });
    const client = await outsider({ leaf });
    await notAdded(group, client, "valn1601");
    await refusedAsAdd(group, client, "valn1601");
    await refusedAsUpdate(group, { changes: leaf }, "valn1601");
    await refusedAsTree({ bob: { leaf } }, "valn1601");
    await agree(group);
  });

  test("valn1601 [CRJXO] ok: an application id, and types that are listed", async () => {
    const client: ClientOptions = {
      capabilities: { extensions: [0x3333] },
      leafExtensions: [
        { type: 1, data: fromHex("03616263") },
        { type: 0x3333, data: utf8("anything") },
      ],
    };
    const group = await TestGroup.of(NAMES, { client });
    await group.externalJoin("dave", await newClient("dave", client));
    await agree(group);
    const door = await Door.of({ group: { client } });
    await door.believedOn("JXO");
  });
});

describe("extensions of a GroupInfo", () => {
  test.each([1, 2, 3, 4, 5])("valn1602 [C] of type %i", async (type) => {
    const extensions = [{ type, data: EMPTY_BYTES }];
    const { client, storage } = await newTestClient("alice");
    const group = await client.createGroup();
    const before = await contents(storage);
    const describeIt = () => group.groupInfo({ extensions });
    await expectRule(describeIt, "valn1602", { code: "INVALID_EXTENSION" });
    expect(await contents(storage)).toEqual(before);
    const others = await TestGroup.of(["alice"]);
    const { keyPackage } = await newClient("bob");
    const proposals = [{ type: "add", keyPackage } as const];
    for (const options of [
      { proposals, welcomeExtensions: extensions },
      { groupInfo: { externalPub: true, extensions } },
    ]) {
      const commit = () => others.createCommit("alice", options);
      await refuses(others.party("alice"), commit, "valn1602");
    }
  });

  test("valn1602 [JXO] ok: those that stand in a GroupInfo of others are not looked at", async () => {
    const data = utf8("nonsense");
    const misplaced = [1, 3, 5].map((type) => ({ type, data }));
    const alterExtensions = (list: readonly Extension[]) => [...list, ...misplaced];
    const door = await Door.of();
    await door.believedOn("JXO", { alterExtensions });
    const outside = await Door.of();
    const info = groupInfoMessage(await outside.forgedInfo({ alterExtensions }));
    await outside.client.joinExternally(info);
  });

  test("valn1602 [C] ok: the tree, the key for external joins, and types of the application", async () => {
    const group = await TestGroup.of(NAMES);
    const extensions = [{ type: 0x7777, data: utf8("mine") }];
    const info = await group.groupInfo("alice", { extensions });
    expect(info.extensions.map(({ type }) => type)).toEqual([
      ExtensionType.ratchetTree,
      ExtensionType.externalPub,
      0x7777,
    ]);
    await group.externalJoin("dave", await newClient("dave"), { groupInfo: info });
    await agree(group);
  });
});

describe("extensions of a group context", () => {
  const reInit = (extensions: readonly Extension[]): Proposal => ({
    type: "reInit",
    groupId: utf8("successor"),
    version: 1,
    cipherSuite: 1,
    extensions,
  });

  test.each([1, 2, 4])("valn1603 [CRJXO] of type %i", async (type) => {
    const extensions = [{ type, data: fromHex("00") }];
    const group = await TestGroup.of(NAMES);
    const alice = group.party("alice");
    for (const proposal of [extend(extensions), reInit(extensions)]) {
      const commit = () => group.createCommit("alice", { proposals: [proposal] });
      await refuses(alice, commit, "valn1603", { code: "INVALID_PROPOSAL" });
      await refuses(alice, () => group.propose("alice", proposal), "valn1603");
      const { bytes } = await forgeCommit(alice, { proposals: [proposal] });
      await refusedByAll(group, "alice", bytes, "valn1603");
      const sent = await forgeProposal(alice, proposal);
      await refusedByAll(group, "alice", sent.bytes, "valn1603");
    }
    await agree(group);
    const door = await Door.of();
    await door.refusedOn("JXO", { context: { extensions } }, "valn1603");
  });

  test.each([1, 2, 4])(
    "valn1603 mk-108 [C] no group is created with one of type %i",
    async (type) => {
      const { client, storage } = await newTestClient("alice");
      const before = await contents(storage);
      const create = () => client.createGroup({ extensions: [{ type, data: fromHex("00") }] });
      const error = await expectRule(create, "mk-108", { code: "INVALID_EXTENSION" });
      expect(error.cause).toMatchObject({ rule: "valn1603" });
      expect(await contents(storage)).toEqual(before);
    },
  );

  test("valn1603 [CRJXO] ok: requirements, external senders, and what all members know", async () => {
    const extensions = [required(), externalSenders(await newSigner()), ...EXTENDED];
    const group = await TestGroup.of(NAMES, { environment: knowing(), client: ABLE });
    await acceptedList(group, [extend(extensions)]);
    await group.externalJoin("dave", await newClient("dave", ABLE));
    await agree(group);
    const door = await Door.of({
      group: { environment: knowing(), client: ABLE, extensions },
      client: { types: { extensions: new Set([CUSTOM_EXTENSION]) } },
    });
    await door.believedOn("XO");
    await door.opens();
  });
});

describe("extensions of a key package", () => {
  test.each([1, 2, 3, 4, 5])("valn1604 [C] of type %i", async (type) => {
    const extensions = [{ type, data: fromHex("00") }];
    const { client, storage } = await newTestClient("alice");
    const before = await contents(storage);
    const make = () => client.createKeyPackage({ extensions });
    await expectRule(make, "valn1604", { code: "INVALID_KEY_PACKAGE" });
    expect(await contents(storage)).toEqual(before);
    await client.createKeyPackage();
  });

  test("valn1604 [CRO] where they are judged strictly, those of others as well", async () => {
    const limits = { ...DEFAULT_LIMITS, strictExtensions: true };
    const group = await TestGroup.of(NAMES, { environment: testEnvironment({ limits }) });
    for (const type of [1, 2, 3, 4, 5]) {
      const extensions = [{ type, data: fromHex("00") }];
      const client = await outsider({ fields: { extensions } });
      await notAdded(group, client, "valn1604", { as: "VAL", code: "INVALID_KEY_PACKAGE" });
      await refusedAsAdd(group, client, "valn1604", { as: "VAL" });
      const { bytes } = await forgeProposal(group.party("alice"), {
        type: "add",
        keyPackage: client.keyPackage,
      });
      await refusedByAll(group, "alice", bytes, "valn1604", { as: "VAL" });
    }
    const unknown = [{ type: 0x4444, data: utf8("?") }];
    const { keyPackage } = await outsider({ fields: { extensions: unknown } });
    await acceptedList(group, [{ type: "add", keyPackage }]);
  });

  test("valn1604 [CRO] ok: misplaced and unknown ones in the key packages of others", async () => {
    const extensions = [1, 3, 5, 0x4444].map((type) => ({ type, data: utf8("?") }));
    const group = await TestGroup.of(NAMES, { environment: withPsks() });
    const client = await outsider({ fields: { extensions } });
    await acceptedList(group, [{ type: "add", keyPackage: client.keyPackage }]);
    const message = encodeMlsMessage({ wireFormat: "keyPackage", message: client.keyPackage });
    const { client: bob } = await newTestClient("bob");
    await (await bob.createGroup()).add([message]);
  });
});
