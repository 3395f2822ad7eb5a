/** Catalogue M-ID: identities, credentials, and who believes them. */
import fs from "node:fs";
import { describe, expect, test } from "vitest";
import { expiringMembers } from "../../src/production/index.ts";
import {
  decodeRecord,
  identityRecord,
  storedTypes,
} from "../../src/client/records/record-codecs.ts";
import { fromUtf8, RFC_TYPES, skipOpaque, toHex, utf8 } from "../../src/codec/index.ts";
import {
  type AuthenticationService,
  Client,
  type ClientOptions,
  createSigner,
  type CredentialEvent,
  defaultProvider,
  ExternalSenders,
  ExtensionType,
  type Group,
  type IdentitySelector,
  judgeEach,
  KeyDirectory,
  makeExtension,
  memoryStorage,
  type Verdict,
} from "../../src/index.ts";
import { testGroup } from "../../src/testing/index.ts";
import { ApplicationId, findExtension } from "../../src/wire.ts";
import { contents } from "../support/forge-join.ts";

const DAY = 86_400n;
const directory = new KeyDirectory();

async function newClient(name: string, options: Partial<ClientOptions> = {}): Promise<Client> {
  const client = await Client.create({
    storage: memoryStorage(),
    authenticationService: directory,
    identity: name,
    ...options,
  });
  directory.add(client.identity);
  return client;
}

const soon = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5));

/** Writes down where it was asked, and refuses names for events. */
function inquisitive() {
  const events: CredentialEvent[] = [];
  const sizes: number[] = [];
  const refuses = new Set<CredentialEvent>();
  const service: AuthenticationService = {
    validate: async (identities, { event }) => {
      events.push(event);
      sizes.push(identities.length);
      return identities.map(() => (refuses.has(event) ? { reason: "not today" } : true));
    },
    isSuccessor: () => true,
  };
  return { events, sizes, refuses, service };
}

describe("identities", () => {
  test("M-ID-01: an identity is any byte string but the empty one", async () => {
    const identity = Uint8Array.of(0, 255, 128, 7);
    const client = await newClient("x", {});
    const odd = await client.addIdentity({ identity });
    expect(odd.credential).toEqual({ type: "basic", identity });
    for (const empty of ["", new Uint8Array(0)]) {
      await expect(client.addIdentity({ identity: empty })).rejects.toMatchObject({
        code: "EMPTY_IDENTITY",
      });
    }
    expect(await client.identities()).toHaveLength(2);
  });

  test("M-ID-02: the service is asked at every event, and its refusal changes nothing", async () => {
    const { events, refuses, service } = inquisitive();
    const world = await testGroup({ members: 3, authenticationService: service });
    const [a, b] = world.groups as [Group, Group];
    expect(events).toContain("join");
    expect(events).toContain("add");
    const rejected = { code: "CREDENTIAL_REJECTED", details: { reason: "not today" } };
    const state = async (): Promise<readonly string[]> => contents(world.member(1).storage);
    const { client } = await world.newClient("d");
    const { bytes: keyPackage } = await client.createKeyPackage();
    const suite = defaultProvider().suite(1);
    const signer = createSigner(suite, await suite.generateSignatureKeyPair());
    const update = await a.proposeUpdate({ signer });
    const add = await a.proposeAdd(keyPackage);
    await a.dropAllProposals();
    const senders = makeExtension(ExtensionType.externalSenders, ExternalSenders, [
      client.identity,
    ]);
    const external = await client.joinExternally(await a.groupInfo());
    const { commit: path } = await a.update({ signer });
    await a.discardCommit();
    const { commit: context } = await a.commit({ extensions: [senders] });
    await a.discardCommit();
    const received: readonly [CredentialEvent, Uint8Array][] = [
      ["update", update.bytes],
      ["add", add.bytes],
      ["externalJoin", external.commit],
      ["commit", path],
      ["externalSender", context],
    ];
    for (const [event, bytes] of received) {
      refuses.clear();
      refuses.add(event);
      const before = await state();
      expect(await b.process(bytes), event).toMatchObject({ error: rejected });
      expect(await state(), event).toEqual(before);
    }
    refuses.clear();
    const { welcomes } = await a.commitImmediately({ add: [keyPackage] });
    await client.rejectJoin(a.id);
    refuses.add("join");
    await expect(client.join(welcomes[0]!.bytes)).rejects.toMatchObject(rejected);
    await expect(client.joinExternally(await a.groupInfo())).rejects.toMatchObject(rejected);
    expect(await client.groups()).toEqual([]);
    expect(await client.keyPackages()).toHaveLength(1);
    refuses.clear();
    refuses.add("add");
    const { client: last } = await world.newClient("e");
    const adding = a.add([(await last.createKeyPackage()).bytes]);
    await expect(adding).rejects.toMatchObject(rejected);
    expect(a.status).toBe("active");
  });

  test("M-ID-03: key pairs per scheme, once per client under their public key, readable and deletable", async () => {
    const storage = memoryStorage();
    const client = await newClient("x", { storage });
    const second = await client.addIdentity({ identity: "x", cipherSuite: 2 });
    expect(second.signatureKey.length).toBe(65);
    const groups = [await client.createGroup(), await client.createGroup()];
    expect(groups).toHaveLength(2);
    const records = await contents(storage);
    const keys = records.filter((record) => record.startsWith("identity/"));
    expect(keys).toHaveLength(2);
    for (const { signatureKey } of [client.identity, second]) {
      expect(keys.some((record) => record.startsWith(`identity/${toHex(signatureKey)} `))).toBe(
        true,
      );
    }
    const stored = await storage.get(`identity/${toHex(client.identity.signatureKey)}`);
    const record = decodeRecord(identityRecord, stored!.value, storedTypes(RFC_TYPES));
    const privateKey = toHex(record.privateKey!.bytes);
    expect(privateKey).toHaveLength(64);
    expect(records.filter((entry) => entry.includes(privateKey))).toHaveLength(1);
    await client.removeIdentity(second);
    expect(await client.identities()).toEqual([client.identity]);
    expect(await storage.get(`identity/${toHex(second.signatureKey)}`)).toBeUndefined();
  });

  test("M-ID-04: after a restart the stored key is used; without one it is SIGNER_NOT_FOUND", async () => {
    const storage = memoryStorage();
    const client = await newClient("x", { storage });
    const options = { storage, authenticationService: directory };
    const again = await Client.open({ ...options, identity: "x" });
    expect(again.identity).toEqual(client.identity);
    expect((await again.createGroup()).members()[0]!.signatureKey).toEqual(
      client.identity.signatureKey,
    );
    await expect(Client.open({ ...options, identity: "y" })).rejects.toMatchObject({
      code: "SIGNER_NOT_FOUND",
    });
    const empty = { ...options, storage: memoryStorage() };
    await expect(Client.open(empty)).rejects.toMatchObject({ code: "SIGNER_NOT_FOUND" });
    expect(await again.identities()).toHaveLength(1);
  });

  test("M-ID-05 M-ID-06: several identities and suites, chosen per group, and one in many groups", async () => {
    const client = await newClient("x");
    const work = await client.addIdentity({ identity: "x at work", cipherSuite: 2 });
    directory.add(work);
    const used = async (identity = client.identity): Promise<unknown[]> => {
      const group = await client.createGroup({ identity });
      return [group.cipherSuite, group.members()[0]!.credential];
    };
    expect(await used()).toEqual([1, client.identity.credential]);
    expect(await used()).toEqual([1, client.identity.credential]);
    expect(await used(work)).toEqual([2, work.credential]);
    expect(await client.groups()).toHaveLength(3);
  });

  test("M-ID-07: a hook decides on successors; by default the Basic identity stays the same", async () => {
    const world = await testGroup({ members: ["a", "b"] });
    const { group, client } = world.member(0);
    const renamed = await client.addIdentity({ identity: "somebody else" });
    world.directory.add(renamed);
    const rejected = { code: "CREDENTIAL_REJECTED", rule: "mk-48" };
    await expect(group.commit({ identity: renamed })).rejects.toMatchObject(rejected);
    const { credential } = renamed;
    world.directory.add({ identity: "somebody else", signatureKey: client.identity.signatureKey });
    await expect(group.proposeUpdate({ credential })).rejects.toMatchObject(rejected);
    const info = await group.groupInfo();
    await expect(
      client.joinExternally(info, { identity: renamed, resync: { leafIndex: 1 } }),
    ).rejects.toMatchObject(rejected);
    const asked: string[] = [];
    const lenient = await testGroup({
      members: ["a", "b"],
      authenticationService: {
        validate: (all) => all.map(() => true),
        isSuccessor: async (_, __, { event }) => {
          asked.push(event);
          return true as const;
        },
      },
    });
    const other = lenient.member(0);
    const sent = await other.group.proposeUpdate({ credential });
    await lenient.deliver(sent.bytes, 0);
    await lenient.commit(1);
    await lenient.commit(0, { leaf: { credential: other.client.identity.credential } });
    const third = await other.client.addIdentity({ identity: "third" });
    const back = await other.client.joinExternally(await lenient.member(1).group.groupInfo(), {
      identity: third,
      resync: { leafIndex: 0 },
    });
    await lenient.deliver(back.commit, 0);
    expect(new Set(asked)).toEqual(new Set(["update", "commit", "externalJoin"]));
  });

  test("M-ID-09: the devices of one person are listed, added and removed together", async () => {
    const world = await testGroup({ members: ["a"] });
    const { group } = world.member(0);
    const phones: Uint8Array[] = [];
    for (let i = 0; i < 3; i++) {
      const { client } = await world.newClient("bob");
      phones.push((await client.createKeyPackage()).bytes);
    }
    await group.commitImmediately({ add: phones });
    expect(group.findMembers({ identity: "bob" }).map(({ leafIndex }) => leafIndex)).toEqual([
      1, 2, 3,
    ]);
    await group.removeMember({ identity: "bob", all: true });
    await group.acceptCommit();
    expect(group.memberCount).toBe(1);
  });

  test("M-ID-10: a group that is over needs no identity, and is read without", async () => {
    const world = await testGroup({ members: 2 });
    const { client, storage, group } = world.member(1);
    const { commit } = await world.member(0).group.remove([1]);
    await group.process(commit, { accept: true });
    await client.addIdentity({ identity: "next" });
    await client.removeIdentity(client.identity);
    const { clock, directory: authenticationService } = world;
    const again = await Client.open({ storage, clock, authenticationService });
    const [ended] = await again.groups();
    expect([ended?.status, ended?.memberCount]).toEqual(["inactive", 1]);
    await expect(ended?.send("no")).rejects.toMatchObject({ code: "GROUP_INACTIVE" });
    await again.deleteGroup(group.id);
    expect(await again.groups()).toEqual([]);
  });

  test("M-ID-10: credentials are listed, searched and removed with their key packages, unless in use", async () => {
    const client = await newClient("x");
    const spare = await client.addIdentity({ identity: "spare" });
    directory.add(spare);
    await client.createKeyPackages(2, { identity: spare });
    await client.createKeyPackage();
    const listed = await client.identities();
    expect(listed.map(({ identity }) => identity)).toEqual([utf8("x"), utf8("spare")]);
    const big = await client.addIdentity({ identity: "spare", cipherSuite: 2 });
    const search = (selector: IdentitySelector) => client.identities(selector);
    expect(await search({ identity: "spare" })).toEqual([spare, big]);
    expect(await search({ identity: spare.credential, cipherSuite: 2 })).toEqual([big]);
    expect(await search({ signatureKey: spare.signatureKey })).toEqual([spare]);
    expect(await search({ cipherSuite: 1 })).toEqual([client.identity, spare]);
    expect(await search({ identity: "nobody" })).toEqual([]);
    await client.removeIdentity(big);
    const group = await client.createGroup({ identity: spare });
    await expect(client.removeIdentity(spare)).rejects.toMatchObject({
      code: "CREDENTIAL_IN_USE",
      details: { groupId: group.id },
    });
    expect(await client.keyPackages()).toHaveLength(3);
    await client.deleteGroup(group.id);
    await client.removeIdentity(spare);
    expect(await client.identities()).toHaveLength(1);
    expect(await client.keyPackages()).toHaveLength(1);
    await expect(client.removeIdentity(client.identity)).rejects.toMatchObject({
      code: "CREDENTIAL_IN_USE",
    });
  });

  test("M-ID-10: identities are listed as they were made, also when earlier ones were removed", async () => {
    const alice = await newClient("alice");
    const made = [alice.identity, await alice.addIdentity({ identity: "alice" })];
    for (let i = 0; i < 8; i++) {
      await alice.removeIdentity(made.shift()!);
      made.push(await alice.addIdentity({ identity: "alice" }));
      expect(await alice.identities()).toEqual(made);
    }
    const both = ["bob", "carol"].map((identity) => alice.addIdentity({ identity }));
    const [bob, carol] = await Promise.all(both);
    expect(await alice.identities()).toEqual([...made, bob, carol]);
  });

  test("M-ID-10: credentials of different types are different, though they look alike", async () => {
    const body = Uint8Array.of(1, 7);
    const types = { credentials: new Map([0xf0a0, 0xf0a1].map((type) => [type, skipOpaque])) };
    const client = await newClient("x", { types });
    const make = async (credentialType: number) =>
      client.addIdentity({ identity: { type: "custom", credentialType, body } });
    const [one, two] = [await make(0xf0a0), await make(0xf0a1)];
    expect(await client.identities({ identity: one.credential })).toEqual([one]);
    expect(await client.identities({ identity: two.credential })).toEqual([two]);
  });

  test("M-ID-11: application_id is readable on every member, and neither authenticated nor unique", async () => {
    const world = await testGroup({ members: 1 });
    const { group } = world.member(0);
    const id = makeExtension(ExtensionType.applicationId, ApplicationId, utf8("device 7"));
    const joiners = [(await world.newClient("b")).client, (await world.newClient("c")).client];
    const add: Uint8Array[] = [];
    // Two members say the same of themselves, and nobody is asked whether it is true.
    for (const joiner of joiners) {
      add.push((await joiner.createKeyPackage({ leafExtensions: [id] })).bytes);
    }
    const { welcomes } = await group.commitImmediately({ add });
    const groups = [group];
    for (const joiner of joiners) groups.push(await joiner.join(welcomes[0]!.bytes));
    for (const each of groups) {
      const read = each
        .members()
        .map(({ extensions }) => findExtension(extensions, ExtensionType.applicationId));
      expect(read).toEqual([undefined, id.data, id.data]);
    }
    for (const file of ["extension", "typed-extensions"]) {
      const url = new URL(`../../src/extensions/${file}.ts`, import.meta.url);
      const text = fs.readFileSync(url, "utf8").replaceAll(/\s+(\* )?/g, " ");
      expect(text, file).toMatch(
        /neither authenticated nor unique[^/]*\*\/ export const Application_?ID/i,
      );
    }
  });

  test("M-ID-08: a hook says which leaves are one client; by default it is the signature key", async () => {
    const validate: AuthenticationService["validate"] = (all) => all.map(() => true);
    const isSuccessor = (): true => true;
    const asked: string[] = [];
    // One phone: whatever its key, the credential names it.
    const clientId: AuthenticationService["clientId"] = ({ credential }) => {
      const name = credential.type === "basic" ? credential.identity : utf8("?");
      asked.push(toHex(name));
      return name;
    };
    const build = async (service: AuthenticationService) => {
      const world = await testGroup({ members: ["a"], authenticationService: service });
      const packages: Uint8Array[] = [];
      for (const name of ["phone", "phone", "tablet"]) {
        const { client } = await world.newClient(name);
        packages.push((await client.createKeyPackage()).bytes);
      }
      return { group: world.member(0).group, packages };
    };
    const hooked = await build({ validate, isSuccessor, clientId });
    const [one, two, tablet] = hooked.packages as [Uint8Array, Uint8Array, Uint8Array];
    const duplicate = { code: "INVALID_PROPOSAL", rule: "valn0306" };
    const twice = { code: "INVALID_PROPOSAL", rule: "valn0305" };
    await expect(hooked.group.add([one, two])).rejects.toMatchObject(twice);
    await hooked.group.commitImmediately({ add: [one, tablet] });
    await expect(hooked.group.add([two])).rejects.toMatchObject(duplicate);
    expect(new Set(asked)).toContain(toHex(utf8("phone")));
    // In one Commit the client may be replaced.
    const [phone] = hooked.group.findMembers({ identity: "phone" });
    await hooked.group.commitImmediately({ remove: [phone!.leafIndex], add: [two] });
    expect(hooked.group.memberCount).toBe(3);
    const plain = await build({ validate, isSuccessor });
    await plain.group.commitImmediately({ add: plain.packages });
    expect(plain.group.memberCount).toBe(4);
    await expect(plain.group.add([plain.packages[0]!])).rejects.toMatchObject(duplicate);
  });

  test("M-ID-13: members with expired or soon-expiring credentials are listed", async () => {
    const world = await testGroup({
      members: ["a", "b", "c", "d"],
      authenticationService: {
        validate: (all) => all.map(() => true),
        isSuccessor: () => true,
        expiresAt: ({ credential }) => {
          const name = credential.type === "basic" ? fromUtf8(credential.identity) : "";
          return name === "b" ? START + 5n * DAY : name === "c" ? START + 20n * DAY : undefined;
        },
      },
    });
    const { group } = world.member(0);
    const START = world.clock();
    const names = async (within?: bigint) => {
      const found = await expiringMembers(group, within);
      return found.map(({ identity, isExpired }) => [fromUtf8(identity!), isExpired]);
    };
    expect(await names(6n * DAY)).toEqual([["b", false]]);
    expect(await names()).toEqual([
      ["b", false],
      ["c", false],
    ]);
    world.clock.advance(6 * 86_400);
    expect(await names(0n)).toEqual([["b", true]]);
    const [b] = await expiringMembers(group, 0n);
    expect(b).toMatchObject({ leafIndex: 1, expiresAt: START + 5n * DAY });
    // Leaves from key packages end with their lifetime, until a Commit renews them.
    world.clock.advance(80 * 86_400);
    expect(await names(0n)).toEqual([
      ["b", true],
      ["c", true],
      ["d", true],
    ]);
    await world.commit(3, { forcePath: true });
    expect(await names(0n)).toEqual([
      ["b", true],
      ["c", true],
    ]);
  });

  test("M-ID-13: an expired credential is replaced by a valid one, by Update or Commit", async () => {
    const expired = new Set<string>();
    const world = await testGroup({
      members: 2,
      authenticationService: {
        validate: (all) =>
          all.map(({ signatureKey }) =>
            expired.has(toHex(signatureKey)) ? { reason: "expired" } : true,
          ),
        isSuccessor: () => true,
      },
    });
    const { client, group } = world.member(0);
    expired.add(toHex(group.members()[0]!.signatureKey));
    const identity = await client.addIdentity({ identity: "member 0" });
    await world.commit(0, { identity });
    const suite = defaultProvider().suite(1);
    expired.add(toHex(group.members()[0]!.signatureKey));
    const signer = createSigner(suite, await suite.generateSignatureKeyPair());
    const sent = await group.proposeUpdate({ signer });
    await world.deliver(sent.bytes, 0);
    await world.commit(1);
    expect(group.members()[0]!.signatureKey).toEqual(signer.publicKey);
    world.assertAgreement();
  });

  test("M-ID-14: the answer of one call for a whole tree asks with bounded concurrency", async () => {
    const calls: number[] = [];
    const asked: string[] = [];
    let open = 0;
    let most = 0;
    const service: AuthenticationService = {
      validate: (identities) => {
        calls.push(identities.length);
        return judgeEach(
          identities,
          async ({ credential }) => {
            const name = credential.type === "basic" ? fromUtf8(credential.identity) : "?";
            asked.push(name);
            most = Math.max(most, ++open);
            // The later, the sooner: verdicts come in another order than the questions.
            await new Promise((resolve) => setTimeout(resolve, 12 - Number(name.slice(7))));
            open--;
            return name === refusedName ? { reason: `not ${name}` } : true;
          },
          4,
        );
      },
      isSuccessor: () => true,
    };
    let refusedName = "";
    const world = await testGroup({ members: 12, authenticationService: service });
    const { client } = await world.newClient("member 0");
    const info = await world.member(0).group.groupInfo();
    for (const list of [calls, asked]) list.length = 0;
    most = 0;
    await client.checkGroupInfo(info);
    expect([calls, asked.length, most, open]).toEqual([[12], 12, 4, 0]);
    refusedName = "member 7";
    await expect(client.checkGroupInfo(info)).rejects.toMatchObject({
      code: "CREDENTIAL_REJECTED",
      details: { reason: "not member 7" },
    });
  });

  test("M-ID-14: a question that fails ends it, and no further ones are asked", async () => {
    const identities = Array.from({ length: 20 }, (_, i) => ({
      credential: { type: "basic", identity: Uint8Array.of(i) } as const,
      signatureKey: Uint8Array.of(i),
    }));
    const asked: number[] = [];
    const failing = judgeEach(
      identities,
      async ({ signatureKey: [i] }): Promise<Verdict> => {
        asked.push(i!);
        if (i === 5) throw new Error("the directory is gone");
        return true;
      },
      2,
    );
    await expect(failing).rejects.toThrow("the directory is gone");
    await soon();
    expect(asked.length).toBeLessThan(8);
    expect(await judgeEach([], () => true)).toEqual([]);
    const verdicts = await judgeEach(identities, ({ signatureKey: [i] }) =>
      i === 3 ? { reason: "no" } : true,
    );
    expect(verdicts.map((verdict) => verdict === true)).toEqual(identities.map((_, i) => i !== 3));
  });

  test("M-ID-14: a whole tree is judged in one call", async () => {
    const { events, sizes, service } = inquisitive();
    const world = await testGroup({ members: 5, authenticationService: service });
    const { client } = await world.newClient("f");
    const info = await world.member(0).group.groupInfo();
    events.length = 0;
    sizes.length = 0;
    await client.checkGroupInfo(info);
    expect(events).toEqual(["join"]);
    expect(sizes).toEqual([5]);
  });

  test("M-ID-15: no two members or added leaves share a signature key", async () => {
    const world = await testGroup({ members: 2 });
    const { group } = world.member(0);
    const { client: twin } = await world.newClient("twin");
    const both = (await twin.createKeyPackages(2)).map(({ bytes }) => bytes);
    await expect(group.add(both)).rejects.toMatchObject({ code: "INVALID_PROPOSAL" });
    const again = (await world.member(1).client.createKeyPackage()).bytes;
    await expect(group.add([again])).rejects.toMatchObject({ rule: "valn0306" });
    expect(group.status).toBe("active");
  });
});

test("M-ID-12: there is no client without an authentication service", async () => {
  const options = { storage: memoryStorage(), identity: "x" } as Parameters<
    typeof Client.create
  >[0];
  const refused = { code: "NO_AUTHENTICATION_SERVICE", blame: "usage" };
  await expect(Client.create(options)).rejects.toMatchObject(refused);
  await expect(Client.open(options)).rejects.toMatchObject(refused);
  await expect(Client.openSnapshot(options)).rejects.toMatchObject(refused);
  expect(await contents(options.storage)).toEqual([]);
});
