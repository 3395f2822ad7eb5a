/** What went wrong elsewhere with Welcomes and joining. RFC 9420 §12.4.3. */
import { describe, expect, test } from "vitest";
import { toHex, utf8 } from "../../src/codec/index.ts";
import { Secret } from "../../src/crypto/index.ts";
import { APP_DATA_DICTIONARY, dictionaryExtension } from "../../src/drafts/app-data-dictionary.ts";
import { CryptoError, MlsError } from "../../src/errors.ts";
import type { Extension } from "../../src/extensions/extension.ts";
import { encodeMlsMessage } from "../../src/framing/mls-message.ts";
import { keyPackageRef } from "../../src/key-packages/key-package.ts";
import type { PreSharedKeyId } from "../../src/key-schedule/pre-shared-key.ts";
import { Client, type ClientOptions, type Group, memoryStorage } from "../../src/index.ts";
import type { Welcome } from "../../src/messages/welcome.ts";
import { faultStorage } from "../../src/storage/fault.ts";
import { expectRule } from "../support/assertions.ts";
import { acceptAnyCredential, NOW, testEnvironment } from "../support/environment.ts";
import { forgeWelcome, treeOfLeaves } from "../support/forge.ts";
import { type Desk, newDesk, seat } from "../support/forge-clients.ts";
import { bundleOf, contents, Door } from "../support/forge-join.ts";
import {
  CUSTOM_EXTENSION,
  EXTENDED,
  externalSenders,
  remove,
  required,
} from "../support/forge-lists.ts";
import { capabilitiesFor, newClient, provider } from "../support/parties.ts";
import { TestGroup } from "../support/test-group.ts";

describe("join-1 the key package survives", () => {
  const psk: PreSharedKeyId = {
    type: "external",
    pskId: utf8("nobody has it"),
    nonce: new Uint8Array(32),
  };
  type Attempt = (door: Door) => Promise<unknown>;
  const failures: readonly [string, Attempt][] = [
    [
      "garbage that names it",
      (door) => {
        const newMember = keyPackageRef(provider.suite(1), door.joiner.keyPackage);
        const garbage = new Uint8Array(48);
        const encryptedGroupSecrets = { kemOutput: garbage, ciphertext: garbage };
        const secrets = [{ newMember, encryptedGroupSecrets }];
        const message = { cipherSuite: 1, secrets, encryptedGroupInfo: garbage };
        return door.client.join(encodeMlsMessage({ wireFormat: "welcome", message }));
      },
    ],
    [
      "a missing PSK",
      async (door) => {
        const psks = [{ id: psk, secret: new Secret(utf8("secret")) }];
        await door.client.join(await door.forgedWelcome({ psks }));
      },
    ],
    [
      "a missing tree",
      async (door) => door.client.join(await door.forgedWelcome({ ratchetTree: false })),
    ],
    [
      "a wrong tree",
      async (door) => {
        const ratchetTree = door.group.party("alice").epoch.tree.encode();
        await door.client.join(await door.forgedWelcome({ ratchetTree: false }), { ratchetTree });
      },
    ],
    [
      "bytes that are no message",
      (door) => door.client.join(door.welcome.subarray(0, door.welcome.length - 1)),
    ],
  ];
  test.each(failures)("%s", async (_, attempt) => {
    const door = await Door.of({ names: ["alice", "bob"] });
    const before = await contents(door.storage);
    await expect(attempt(door)).rejects.toThrow();
    expect(await contents(door.storage)).toEqual(before);
    await door.opens();
  });

  test("a credential that the application refuses, until it does not", async () => {
    let verdict: true | { reason: string } = { reason: "who is that?" };
    const authenticationService = {
      ...acceptAnyCredential,
      validate: (identities: readonly unknown[]) => identities.map(() => verdict),
    };
    const door = await Door.of({ client: { authenticationService } });
    await door.refusesWelcome(door.welcome, "valn0101", { code: "CREDENTIAL_REJECTED" });
    verdict = true;
    await door.opens();
  });

  test("a store that fails to write", async () => {
    const storage = faultStorage(memoryStorage());
    const door = await Door.of({ client: { storage } });
    const before = await contents(storage);
    storage.plan.failWrite = storage.writes + 1;
    await expect(door.client.join(door.welcome)).rejects.toMatchObject({ code: "STORAGE_FAILED" });
    expect(await contents(storage)).toEqual(before);
    expect(await door.client.keyPackages()).toHaveLength(1);
    await door.opens();
  });

  test("an application that looks and declines", async () => {
    const door = await Door.of();
    const before = await contents(door.storage);
    const staged = await door.client.stageWelcome(door.welcome);
    expect(staged.inviter).toBe(0);
    expect(await contents(door.storage)).toEqual(before);
    await door.opens();
  });
});

describe("join-2 one package, one group", () => {
  test("the same Welcome twice changes nothing", async () => {
    const door = await Door.of();
    const group = await door.opens();
    const before = await contents(door.storage);
    const again = () => door.client.join(door.welcome);
    await expectRule(again, "mk-93", { code: "ORPHAN_WELCOME" });
    expect(await contents(door.storage)).toEqual(before);
    await group.send("still here");
    const last = await Door.of({ keyPackage: { lastResort: true } });
    await last.opens();
    const twice = () => last.client.join(last.welcome);
    await expectRule(twice, "valn1403", { code: "GROUP_EXISTS" });
  });

  test("a crash after the write neither loses nor doubles it", async () => {
    const inner = memoryStorage();
    const storage = faultStorage(inner);
    const door = await Door.of({ client: { storage } });
    storage.plan.crashAfterWrite = storage.writes + 1;
    await expect(door.client.join(door.welcome)).rejects.toThrow();
    const again = await Client.open({
      storage: inner,
      authenticationService: acceptAnyCredential,
      clock: () => NOW,
    });
    expect(await again.keyPackages()).toEqual([]);
    const [group, ...others] = await again.groups();
    expect(others).toEqual([]);
    expect(toHex(group!.epochAuthenticator)).toBe(
      toHex(door.next.secrets.epochAuthenticator.bytes),
    );
  });
});

describe("join-3 a Welcome with the id of a live group cannot touch it", () => {
  type Before = (own: Group) => Promise<unknown>;
  const states: readonly [string, Before][] = [
    ["at rest", async () => undefined],
    ["with a pending Commit", (own) => own.update()],
    ["with proposals", (own) => own.proposeRemove(1)],
  ];

  async function live(before: Before) {
    const group = await TestGroup.of(["alice", "bob"]);
    const desk = await newDesk("carol");
    const carol = await seat(group, desk);
    await before(carol);
    const again = await bundleOf((await desk.client.createKeyPackage()).bytes);
    return { group, desk, carol, again };
  }

  test.each(states)("forged by a stranger, %s", async (_, before) => {
    const { group, desk, carol, again } = await live(before);
    const eve = await TestGroup.of(["eve"]);
    const leaves = [eve.party("eve").bundle, again].map(({ keyPackage }) => keyPackage.leafNode);
    const { bytes } = await forgeWelcome(eve.party("eve").epoch, {
      joiners: [again],
      nodes: treeOfLeaves(leaves),
    });
    await untouched(group, desk, carol, bytes);
  });

  test.each(states)("into a later epoch of the group itself, %s", async (_, before) => {
    const { group, desk, carol, again } = await live(before);
    const proposals = [remove(2), { type: "add", keyPackage: again.keyPackage } as const];
    const { welcomes } = await group.createCommit("alice", { proposals, pending: [] });
    await untouched(group, desk, carol, welcomes[0]!.bytes);
  });

  async function untouched(group: TestGroup, desk: Desk, carol: Group, welcome: Uint8Array) {
    const view = () => [carol.epoch, carol.status, toHex(carol.epochAuthenticator)];
    const [stored, seen] = [await contents(desk.storage), view()];
    await expectRule(() => desk.client.join(welcome), "valn1403", { code: "GROUP_EXISTS" });
    expect(await contents(desk.storage)).toEqual(stored);
    expect(view()).toEqual(seen);
    const { commit } = await group.commit("alice");
    expect((await carol.process(commit)).kind).toBe("commit");
    expect(await desk.client.keyPackages()).toHaveLength(1);
  }
});

describe("join-4 what is not ours to open", () => {
  test("an unknown version of the message", async () => {
    const door = await Door.of();
    for (const version of [0, 2]) {
      const bytes = door.welcome.slice();
      bytes[1] = version;
      await door.refusesWelcome(bytes, "mk-08", { as: "UNS" });
    }
    await door.opens();
  });

  test("an unknown suite, and no entries at all", async () => {
    const door = await Door.of();
    const alter = (changes: object) => ({ alterWelcome: (it: Welcome) => ({ ...it, ...changes }) });
    for (const cipherSuite of [0, 2, 0xffff]) {
      const bytes = await door.forgedWelcome(alter({ cipherSuite }));
      const before = await contents(door.storage);
      await expect(door.client.join(bytes)).rejects.toBeInstanceOf(MlsError);
      expect(await contents(door.storage)).toEqual(before);
    }
    const empty = await door.forgedWelcome(alter({ secrets: [] }));
    await door.refusesWelcome(empty, "mk-93", { code: "NO_MATCHING_KEY_PACKAGE" });
    await door.opens();
  });

  test("several entries with ours last, and several of our own packages", async () => {
    const door = await Door.of({ names: ["alice"] });
    const second = await bundleOf((await door.client.createKeyPackage()).bytes);
    const joiners = [await newClient("x"), second, await newClient("y"), door.joiner];
    const { bytes } = await forgeWelcome(door.next, { joiners });
    // The tree holds the leaf of the last one; the first of ours is opened, and does not fit.
    await door.refusesWelcome(bytes, "mk-99");
    expect(await door.client.keyPackages()).toHaveLength(2);
    const right = await forgeWelcome(door.next, {
      joiners: [await newClient("x"), await newClient("y"), door.joiner],
    });
    await door.client.join(right.bytes);
    expect(await door.client.keyPackages()).toHaveLength(1);
  });
});

test("join-5 a tree from elsewhere is checked like one that came along", async () => {
  const door = await Door.of();
  const welcome = await door.forgedWelcome({ ratchetTree: false });
  await door.refusesWelcome(welcome, "mk-96", { code: "TREE_REQUIRED" });
  const tree = door.next.tree.encode();
  const flipped = tree.slice();
  flipped[tree.length - 1]! ^= 1;
  await door.refusesWelcome(welcome, "valn1405", { ratchetTree: flipped });
  await door.client.join(welcome, { ratchetTree: tree });
});

test("join-6 a wrong path secret is noticed although the epoch's secrets agree", async () => {
  const door = await Door.of();
  const bytes = await door.forgedWelcome({ pathSecret: () => new Uint8Array(32).fill(9) });
  await door.refusesWelcome(bytes, "mk-100");
  await door.client.join(await door.forgedWelcome());
});

test("join-7 members whose leaves have expired do not bar the door", async () => {
  const later = NOW + 30n * 86_400n;
  const lifetime = { notBefore: NOW - 60n, notAfter: later + 60n };
  const door = await Door.of({ client: { clock: () => later }, keyPackage: { lifetime } });
  const { notices } = await door.client.stageWelcome(door.welcome);
  expect(new Set(notices.map(({ rule }) => rule))).toEqual(new Set(["valn0106"]));
  await door.opens();
});

describe("join-9 extensions of the group that is joined", () => {
  const supported: readonly [string, readonly Extension[], Partial<ClientOptions>][] = [
    ["none", [], {}],
    ["those of the RFC", [required(), externalSenders()], {}],
    [
      "one that the application knows",
      EXTENDED,
      { types: { extensions: new Set([CUSTOM_EXTENSION]) } },
    ],
    [
      "one of a draft that is plugged in",
      [dictionaryExtension([])],
      { types: { extensions: new Set([APP_DATA_DICTIONARY]) } },
    ],
  ];

  const groupWith = (extensions: readonly Extension[]) => {
    const types = extensions.map(({ type }) => type).filter((type) => type > 5);
    return {
      extensions,
      client: { capabilities: { extensions: types } },
      environment: testEnvironment({
        types: { ...testEnvironment().types, extensions: new Set(types) },
      }),
    };
  };

  test.each(supported)("%s, are no obstacle", async (_, extensions, client) => {
    const door = await Door.of({ group: groupWith(extensions), client });
    const group = await door.opens();
    expect(group.extensions).toEqual(extensions);
  });

  test("one that nobody here knows, are one", async () => {
    const capabilities = { ...capabilitiesFor(1), extensions: [CUSTOM_EXTENSION] };
    const door = await Door.of({ group: groupWith(EXTENDED), keyPackage: { capabilities } });
    await door.refusesWelcome(door.welcome, "valn1415", { code: "UNSUPPORTED_EXTENSION" });
  });
});

describe("join-10 resumption PSKs of usage application", () => {
  test("of another group, in a Welcome into any epoch", async () => {
    const first = await TestGroup.of(["alice"]);
    const desk = await newDesk("bob");
    const b = await seat(first, desk);
    const { context, secrets } = first.party("alice").epoch;
    const id: PreSharedKeyId = {
      type: "resumption",
      usage: "application",
      groupId: context.groupId,
      epoch: context.epoch,
      nonce: new Uint8Array(32).fill(6),
    };
    const second = await TestGroup.of(["erin"]);
    const erin = second.party("erin");
    const joiner = await bundleOf((await desk.client.createKeyPackage()).bytes);
    for (const epoch of [2n, 77n]) {
      const leaves = [erin.bundle, joiner].map(({ keyPackage }) => keyPackage.leafNode);
      const { bytes } = await forgeWelcome(erin.epoch, {
        joiners: [joiner],
        nodes: treeOfLeaves(leaves),
        context: { groupId: utf8("another group"), epoch },
        psks: [{ id, secret: secrets.resumptionPsk }],
      });
      expect((await desk.client.stageWelcome(bytes)).epoch.context.epoch).toBe(epoch);
    }
    expect(b.status).toBe("active");
  });
});

test("join-11 errors keep their cause, and none is folded into another", async () => {
  const door = await Door.of();
  const damaged = door.welcome.slice();
  damaged[damaged.length - 1]! ^= 1;
  const error = await expectRule(() => door.client.join(damaged), "mk-95");
  expect(error).toBeInstanceOf(CryptoError);
  expect(error.cause).toBeInstanceOf(CryptoError);
});

test("join-12 a Welcome whose package is gone is told apart from one for somebody else", async () => {
  const door = await Door.of();
  const other = await Door.of();
  await door.refusesWelcome(other.welcome, "mk-93", { code: "NO_MATCHING_KEY_PACKAGE" });
  await door.client.deleteKeyPackage(keyPackageRef(provider.suite(1), door.joiner.keyPackage));
  await door.refusesWelcome(door.welcome, "mk-93", { code: "ORPHAN_WELCOME" });
});
