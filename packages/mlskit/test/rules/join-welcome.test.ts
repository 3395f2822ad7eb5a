/** Rules of section 10 about the Welcome itself: its entries, secrets and keys. RFC 9420 §12.4.3.1. */
import { describe, expect, test } from "vitest";
import { toHex, utf8 } from "../../src/codec/index.ts";
import { Secret } from "../../src/crypto/index.ts";
import { decodeMlsMessage, encodeMlsMessage } from "../../src/framing/mls-message.ts";
import type { PreSharedKeyId } from "../../src/key-schedule/pre-shared-key.ts";
import type { Welcome } from "../../src/messages/welcome.ts";
import { keyPackageRef } from "../../src/key-packages/key-package.ts";
import { memoryStorage } from "../../src/index.ts";
import { faultStorage } from "../../src/storage/fault.ts";
import { agree, expectRule, refuses } from "../support/assertions.ts";
import { testEnvironment } from "../support/environment.ts";
import { flipped, forgeWelcome, treeOfLeaves } from "../support/forge.ts";
import { bundleOf, contents, Door } from "../support/forge-join.ts";
import { resumption, withPsks } from "../support/forge-lists.ts";
import { authenticatorOf, join, newClient, Party, provider } from "../support/parties.ts";
import { TestGroup } from "../support/test-group.ts";

const NO_MATCH = { code: "NO_MATCHING_KEY_PACKAGE" } as const;

/** The Welcome inside a message. */
function welcomeIn(bytes: Uint8Array): Welcome {
  const { wireFormat, message } = decodeMlsMessage(bytes);
  if (wireFormat !== "welcome") throw new Error("a Welcome was expected");
  return message;
}

const wrapped = (message: Welcome): Uint8Array =>
  encodeMlsMessage({ wireFormat: "welcome", message });

describe("which key package", () => {
  test("mk-93 [J] a Welcome for others, or for nobody", async () => {
    const door = await Door.of();
    const others = [await newClient("erin"), await newClient("frank")];
    const { bytes } = await forgeWelcome(door.next, { joiners: others });
    await door.refusesWelcome(bytes, "mk-93", NO_MATCH);
    const empty = wrapped({ ...welcomeIn(door.welcome), secrets: [] });
    await door.refusesWelcome(empty, "mk-93", NO_MATCH);
    await door.opens();
  });

  test("mk-93 [J] a Welcome for a key package that we deleted is an orphan", async () => {
    const door = await Door.of();
    await door.client.deleteKeyPackage(keyPackageRef(provider.suite(1), door.joiner.keyPackage));
    await door.refusesWelcome(door.welcome, "mk-93", { code: "ORPHAN_WELCOME" });
  });

  test("mk-93 [J] ok: ours is the last entry, after garbage that names it as well", async () => {
    const door = await Door.of();
    const others = [await newClient("erin"), await newClient("frank")];
    const forged = await forgeWelcome(door.next, { joiners: [...others, door.joiner] });
    const { secrets } = forged.welcome;
    const garbage = { ...secrets[0]!, newMember: secrets[2]!.newMember };
    const bytes = wrapped({ ...forged.welcome, secrets: [garbage, ...secrets] });
    const group = await door.client.join(bytes);
    expect(toHex(group.epochAuthenticator)).toBe(toHex(forged.secrets.epochAuthenticator.bytes));
  });

  test("mk-94 [J] a Welcome of another suite than the key package", async () => {
    const door = await Door.of();
    const bytes = await door.forgedWelcome({
      alterWelcome: (welcome) => ({ ...welcome, cipherSuite: 3 }),
    });
    await door.refusesWelcome(bytes, "mk-94", { code: "INVALID_WELCOME" });
    await door.opens();
  });

  test("mk-94 [J] a Welcome of a suite that we do not implement", async () => {
    const door = await Door.of();
    const bytes = await door.forgedWelcome({
      alterWelcome: (welcome) => ({ ...welcome, cipherSuite: 0x4a4a }),
    });
    const expected = { as: "UNS", code: "UNSUPPORTED_CIPHER_SUITE" } as const;
    await door.refusesWelcome(bytes, "mk-94", expected);
    await door.opens();
  });

  test.each([1, 2, 4, 7])("mk-94 [J] ok: the same suite, here %i", async (suite) => {
    await (await Door.of({ names: ["alice"], group: { suite } })).opens();
  });
});

describe("what is encrypted", () => {
  type Alter = (welcome: Welcome) => Welcome;
  type Sealed = Welcome["secrets"][number]["encryptedGroupSecrets"];
  const entry =
    (change: (sealed: Sealed) => Sealed): Alter =>
    (welcome) => ({
      ...welcome,
      secrets: welcome.secrets.map(({ newMember, encryptedGroupSecrets }) => ({
        newMember,
        encryptedGroupSecrets: change(encryptedGroupSecrets),
      })),
    });
  const damage: readonly [string, Alter][] = [
    ["secrets", entry((sealed) => ({ ...sealed, ciphertext: flipped(sealed.ciphertext, 0) }))],
    ["tag", entry((sealed) => ({ ...sealed, ciphertext: flipped(sealed.ciphertext, -1) }))],
    ["length", entry((sealed) => ({ ...sealed, ciphertext: sealed.ciphertext.subarray(0, 3) }))],
    ["KEM output", entry((sealed) => ({ ...sealed, kemOutput: flipped(sealed.kemOutput, 5) }))],
    ["KEM output of zeros", entry((sealed) => ({ ...sealed, kemOutput: new Uint8Array(32) }))],
    ["KEM output cut off", entry((sealed) => ({ ...sealed, kemOutput: new Uint8Array(31) }))],
    [
      "GroupInfo, to which the secrets are bound",
      (welcome) => ({ ...welcome, encryptedGroupInfo: flipped(welcome.encryptedGroupInfo, 9) }),
    ],
  ];

  test.each(damage)("mk-95 [J] a Welcome damaged in its %s", async (_, alter) => {
    const door = await Door.of({ names: ["alice"] });
    const bytes = wrapped(alter(welcomeIn(door.welcome)));
    await door.refusesWelcome(bytes, "mk-95", { code: "DECRYPTION_FAILED" });
    await door.opens();
  });

  test("mk-95 [J] secrets that open, and a GroupInfo that does not open with them", async () => {
    const door = await Door.of({ names: ["alice"] });
    const bytes = await door.forgedWelcome({
      alterSecrets: (secrets) => ({ ...secrets, joinerSecret: new Uint8Array(32).fill(1) }),
    });
    await door.refusesWelcome(bytes, "mk-95", { code: "DECRYPTION_FAILED" });
    await door.opens();
  });

  test.each([1, 2, 3, 5])("mk-95 [J] ok: what alice encrypted, in suite %i", async (suite) => {
    await (await Door.of({ group: { suite } })).opens();
  });
});

describe("pre-shared keys", () => {
  const external: PreSharedKeyId = {
    type: "external",
    pskId: utf8("shared"),
    nonce: new Uint8Array(32).fill(3),
  };
  const psks = [{ id: external, secret: new Secret(utf8("a secret")) }];

  test("valn1401 [J] one that is not at hand, and all that are missing are named", async () => {
    const door = await Door.of({ names: ["alice"] });
    const bytes = await door.forgedWelcome({ psks });
    await door.refusesWelcome(bytes, "valn1401", { code: "MISSING_PSK" });
    const error = await expectRule(() => door.client.join(bytes), "valn1401");
    expect(error.details).toEqual({ missing: [external] });
    const elsewhere = await door.forgedWelcome({
      psks: [{ id: resumption("application"), secret: psks[0]!.secret }],
    });
    await door.refusesWelcome(elsewhere, "valn1401", { code: "MISSING_PSK" });
    await door.client.putPsk(external.pskId, psks[0]!.secret.bytes);
    await door.client.join(bytes);
  });

  test("valn1401 [J] two of usage reinit or branch, although both are at hand", async () => {
    const environment = withPsks();
    const group = await TestGroup.of(["alice"], { environment });
    const alice = group.party("alice");
    const bob = await newClient("bob");
    const leaves = [alice.bundle, bob].map(({ keyPackage }) => keyPackage.leafNode);
    for (const usages of [["reinit", "branch"] as const, ["branch", "branch"] as const]) {
      const ids = usages.map((usage, i) => {
        return { ...resumption(usage), nonce: new Uint8Array(32).fill(i) };
      });
      const secret = new Secret(utf8("the resumption secret"));
      const { bytes } = await forgeWelcome(alice.epoch, {
        joiners: [bob],
        nodes: treeOfLeaves(leaves),
        psks: ids.map((id) => ({ id, secret })),
        context: { epoch: 1n },
      });
      const enter = () => join(bytes, [bob], environment);
      await refuses(bob, enter, "valn1401", { as: "VAL", code: "INVALID_WELCOME" });
    }
  });

  test("valn1401 [J] ok: one of usage branch beside others", async () => {
    const environment = withPsks();
    const group = await TestGroup.of(["alice"], { environment });
    const alice = group.party("alice");
    const bob = await newClient("bob");
    const leaves = [alice.bundle, bob].map(({ keyPackage }) => keyPackage.leafNode);
    const ids = [external, resumption("branch"), resumption("application")];
    const { bytes } = await forgeWelcome(alice.epoch, {
      joiners: [bob],
      nodes: treeOfLeaves(leaves),
      psks: ids.map((id) => ({ id, secret: new Secret(utf8(`the ${id.type} secret`)) })),
      context: { epoch: 1n },
    });
    expect((await join(bytes, [bob], environment)).psks).toEqual(ids);
  });
});

describe("what was opened", () => {
  test("valn1404 [J] a GroupInfo of another suite than the key package", async () => {
    const door = await Door.of({ names: ["alice"] });
    const bytes = await door.forgedWelcome({ context: { cipherSuite: 3 } });
    await door.refusesWelcome(bytes, "valn1404", { code: "INVALID_GROUP_INFO" });
    await door.opens();
  });

  test("mk-08 [D] a GroupInfo of another version", async () => {
    const door = await Door.of({ names: ["alice"] });
    const bytes = await door.forgedWelcome({ context: { version: 2 } });
    await door.refusesWelcome(bytes, "mk-08", { as: "UNS" });
    await door.opens();
  });

  test("valn1404 [J] ok: the same suite and version", async () => {
    await (await Door.of({ group: { suite: 3 } })).opens();
  });

  const tags: readonly [string, (tag: Uint8Array) => Uint8Array][] = [
    ["another", (tag) => flipped(tag, 0)],
    ["a shorter", (tag) => tag.subarray(1)],
    ["a longer", (tag) => Uint8Array.from([...tag, 0])],
    ["an empty", () => new Uint8Array()],
  ];
  test.each(tags)("valn1411 [J] %s confirmation tag", async (_, alterConfirmationTag) => {
    const door = await Door.of({ names: ["alice"] });
    const bytes = await door.forgedWelcome({ alterConfirmationTag });
    await door.refusesWelcome(bytes, "valn1411", { code: "TAG_INVALID" });
    await door.opens();
  });

  test("valn1411 [J] the tag of an epoch with another joiner secret", async () => {
    const door = await Door.of({ names: ["alice"] });
    const { confirmationTag } = door.next;
    const bytes = await door.forgedWelcome({ alterConfirmationTag: () => confirmationTag });
    await door.refusesWelcome(bytes, "valn1411", { code: "TAG_INVALID" });
    await door.opens();
  });

  test("valn1411 [J] ok: the tag that follows from the secrets", async () => {
    const door = await Door.of();
    await door.believedOn("J");
  });
});

describe("our leaf and our path", () => {
  test("mk-99 [J] the leaf of another key package of ours", async () => {
    const door = await Door.of({ names: ["alice", "bob"] });
    const other = await bundleOf((await door.client.createKeyPackage()).bytes);
    const { bytes } = await forgeWelcome(door.next, { joiners: [other] });
    await door.refusesWelcome(bytes, "mk-99", { code: "INVALID_WELCOME" });
    await door.opens();
  });

  test("mk-99 [J] no leaf of ours at all", async () => {
    const door = await Door.of({ names: ["alice", "bob"] });
    const { epoch } = door.group.party("alice");
    const { bytes } = await forgeWelcome(epoch, { joiners: [door.joiner] });
    await door.refusesWelcome(bytes, "mk-99", { code: "INVALID_WELCOME" });
    await door.opens();
  });

  test("mk-99 [J] ok: the leaf of the key package that the Welcome names, in any place", async () => {
    for (const names of [["alice"], ["alice", "bob", "carol", "erin"]]) {
      const door = await Door.of({ names });
      expect((await door.opens()).ownLeafIndex).toBe(names.length);
    }
  });

  test("mk-100 [J] a path secret of the right length that does not fit the tree", async () => {
    const door = await Door.of();
    const bytes = await door.forgedWelcome({ pathSecret: () => new Uint8Array(32).fill(1) });
    await door.refusesWelcome(bytes, "mk-100", { code: "INVALID_WELCOME" });
    await door.opens();
  });

  test("mk-100 [J] a path secret for a node that is blank", async () => {
    const group = await TestGroup.of(["alice"]);
    const alice = group.party("alice");
    const bob = await newClient("bob");
    const leaves = [alice.bundle, bob].map(({ keyPackage }) => keyPackage.leafNode);
    const { bytes } = await forgeWelcome(alice.epoch, {
      joiners: [bob],
      nodes: treeOfLeaves(leaves),
      pathSecret: () => new Uint8Array(32),
    });
    await refuses(bob, () => join(bytes, [bob], testEnvironment()), "mk-100");
  });

  test("mk-100 [J] a path secret from ourselves", async () => {
    const group = await TestGroup.of(["alice"]);
    const alice = group.party("alice");
    const bob = await newClient("bob");
    const leaves = [alice.bundle, bob].map(({ keyPackage }) => keyPackage.leafNode);
    const forgery = {
      joiners: [bob],
      nodes: treeOfLeaves(leaves),
      signer: 1,
      signWith: bob.signer,
    };
    const { bytes } = await forgeWelcome(alice.epoch, {
      ...forgery,
      pathSecret: () => new Uint8Array(32),
    });
    const enter = () => join(bytes, [bob], testEnvironment());
    await refuses(bob, enter, "mk-100");
  });

  test("mk-100 [J] ok: the path secret of a Commit with a path, and none without", async () => {
    for (const names of [["alice"], ["alice", "bob", "carol"], ["a", "b", "c", "d", "e"]]) {
      const group = await TestGroup.of(names);
      await group.add(names[0]!, new Map([["dave", await newClient("dave")]]));
      const { privateKeys } = group.party("dave").epoch;
      expect(privateKeys.size).toBeGreaterThan(1);
      const bare = { forcePath: false };
      await group.add(names[0]!, new Map([["erin", await newClient("erin")]]), bare);
      expect(group.party("erin").epoch.privateKeys.size).toBe(1);
      await agree(group);
    }
  });
});

describe("the group that is joined", () => {
  test("valn1403 [J] a Welcome into a group with the id of a live one", async () => {
    const door = await Door.of();
    const group = await door.opens();
    const again = await bundleOf((await door.client.createKeyPackage()).bytes);
    const leaves = [door.group.party("alice").bundle, again].map(
      ({ keyPackage }) => keyPackage.leafNode,
    );
    const { bytes } = await forgeWelcome(door.group.party("alice").epoch, {
      joiners: [again],
      nodes: treeOfLeaves(leaves),
    });
    const before = await contents(door.storage);
    await expectRule(() => door.client.join(bytes), "valn1403", { code: "GROUP_EXISTS" });
    expect(await contents(door.storage)).toEqual(before);
    expect((await group.send("still here")).generation).toBe(0);
  });

  test("valn1403 [X] an external join into a live group, unless it replaces our leaf there", async () => {
    const door = await Door.of();
    const group = await door.opens();
    const info = await group.groupInfo();
    const before = await contents(door.storage);
    const enter = () => door.client.joinExternally(info);
    await expectRule(enter, "valn1403", { code: "GROUP_EXISTS" });
    expect(await contents(door.storage)).toEqual(before);
    const resync = await door.client.joinExternally(info, { resync: true });
    expect(resync.group.status).toBe("pendingJoin");
  });

  test("valn1403 [JX] ok: into a group that we were removed from", async () => {
    for (const path of ["J", "X"]) {
      const door = await Door.of();
      const group = await door.opens();
      const { next } = door;
      const { bundle } = door.group.party("alice");
      const alice = new Party("alice", bundle, next, door.group.environment);
      door.group.parties.clear();
      door.group.parties.set("alice", alice);
      door.group.observer.enter(next);
      const { commit } = await door.group.commit("alice", {
        proposals: [{ type: "remove", removed: group.ownLeafIndex }],
      });
      await group.process(commit, { accept: true });
      expect(group.status).toBe("inactive");
      const { id } = group;
      const again = await bundleOf((await door.client.createKeyPackage()).bytes);
      if (path === "X") {
        const info = await door.group.groupInfo("alice");
        const message = encodeMlsMessage({ wireFormat: "groupInfo", message: info });
        const { commit: joins } = await door.client.joinExternally(message);
        await alice.receive(joins);
        await door.client.acceptJoin(id);
      } else {
        const proposals = [{ type: "add", keyPackage: again.keyPackage } as const];
        const made = await door.group.commit("alice", { proposals });
        await door.client.join(made.welcomes[0]!.bytes);
      }
      const joined = await door.client.group(id);
      expect(toHex(joined.epochAuthenticator)).toBe(authenticatorOf(alice.epoch));
    }
  });
});

describe("what becomes of the key package", () => {
  test.each(["failWrite", "crashBeforeWrite"] as const)(
    "mk-101 [J] a join whose write fails leaves it: %s",
    async (fault) => {
      const inner = memoryStorage();
      const storage = faultStorage(inner);
      const door = await Door.of({ client: { storage } });
      const before = await contents(inner);
      storage.plan[fault] = storage.writes + 1;
      await expect(door.client.join(door.welcome)).rejects.toThrow();
      expect(await contents(inner)).toEqual(before);
      if (fault === "failWrite") await door.opens();
    },
  );

  test("mk-101 [J] looking into a Welcome, or staging and dropping it, leaves it", async () => {
    const door = await Door.of();
    const before = await contents(door.storage);
    await door.client.peekWelcome(door.welcome);
    await door.client.stageWelcome(door.welcome);
    expect(await contents(door.storage)).toEqual(before);
    await door.opens();
  });

  test("mk-101 [J] it goes in the very write that stores the group", async () => {
    const inner = memoryStorage();
    const storage = faultStorage(inner);
    const door = await Door.of({ client: { storage } });
    const reference = toHex(keyPackageRef(provider.suite(1), door.joiner.keyPackage));
    const writes = storage.writes;
    await door.client.join(door.welcome);
    expect(storage.writes).toBe(writes + 1);
    const left = (await contents(inner)).filter((record) => !record.includes("gone"));
    expect(left.filter((record) => record.split(" ")[0]!.includes(reference))).toEqual([]);
    expect(await door.client.keyPackages()).toEqual([]);
    expect(await door.client.groups()).toHaveLength(1);
  });
});

describe("the Welcomes of a Commit", () => {
  test.each([1, 2, 3, 5, undefined])(
    "mk-102 [C] with %s joiners for each, every added member is reached once",
    async (joinersPerWelcome) => {
      const secret = new Secret(utf8("shared"));
      const environment = testEnvironment({ psks: () => secret });
      const group = await TestGroup.of(["alice", "bob"], { environment });
      const joiners = [];
      for (const name of ["c", "d", "e", "f", "g"]) joiners.push(await newClient(name));
      const ids = ["z", "a", "m"].map((name): PreSharedKeyId => {
        return { type: "external", pskId: utf8(name), nonce: new Uint8Array(32) };
      });
      const [byValue, byReference, last] = ids;
      await group.propose("bob", { type: "psk", psk: byReference! });
      const made = await group.createCommit("alice", {
        proposals: [
          { type: "psk", psk: byValue! },
          ...joiners.map(({ keyPackage }) => ({ type: "add", keyPackage }) as const),
          { type: "psk", psk: last! },
        ],
        joinersPerWelcome,
      });
      expect(made.welcomes).toHaveLength(Math.ceil(5 / (joinersPerWelcome ?? 5)));
      const reached = made.welcomes.flatMap(({ bytes }) => {
        return welcomeIn(bytes).secrets.map(({ newMember }) => toHex(newMember));
      });
      const crypto = provider.suite(1);
      const expected = joiners.map(({ keyPackage }) => toHex(keyPackageRef(crypto, keyPackage)));
      expect(reached.sort()).toEqual(expected.sort());
      for (const { bytes, keyPackageRefs } of made.welcomes) {
        expect(welcomeIn(bytes).secrets.map(({ newMember }) => newMember)).toEqual(keyPackageRefs);
      }
      for (const joiner of joiners) {
        const own = keyPackageRef(crypto, joiner.keyPackage);
        const { bytes } = made.welcomes.find(({ keyPackageRefs }) => {
          return keyPackageRefs.some((reference) => toHex(reference) === toHex(own));
        })!;
        const staged = await join(bytes, [joiner], environment);
        expect(staged.psks).toEqual([byReference, byValue, last]);
        expect(authenticatorOf(staged.epoch)).toBe(authenticatorOf(made.next));
      }
    },
  );

  test("mk-102 [C] a Commit without Adds has none", async () => {
    const group = await TestGroup.of(["alice", "bob"]);
    expect((await group.createCommit("alice")).welcomes).toEqual([]);
  });
});
