/** Catalogue M-REI: what stays of a group that a ReInit closed, and how its successor comes about. */
import { describe, expect, test } from "vitest";
import {
  continueSuccession,
  type SuccessionOptions,
  type SuccessionStep,
} from "../../src/production/index.ts";
import { fromUtf8, toHex, utf8 } from "../../src/codec/index.ts";
import type { Client, Group, NewGroup } from "../../src/index.ts";
import { memoryStorage } from "../../src/storage/memory.ts";
import {
  assertAgreement,
  type FaultStorage,
  faultStorage,
  type TestGroup,
  testGroup,
} from "../../src/testing/index.ts";

const NAMES = ["alice", "bob", "carol"];

/** A group of three that was closed in favour of one with suite 3. */
async function closed(): Promise<{
  readonly world: TestGroup;
  readonly id: Uint8Array;
  store(index: number): FaultStorage;
}> {
  const world = await testGroup({ members: NAMES, storage: () => faultStorage(memoryStorage()) });
  const { group } = world.member(0);
  const { id } = group;
  const reInit = { groupId: utf8("next"), version: 1, cipherSuite: 3, extensions: [] };
  await world.commit(0, { reInit });
  for (const { client, name } of world.members) {
    world.directory.add(await client.addIdentity({ identity: name, cipherSuite: 3 }));
  }
  return { world, id, store: (index) => world.member(index).storage as FaultStorage };
}

async function freshPackage(client: Client): Promise<Uint8Array> {
  const identity = (await client.identities()).find(({ cipherSuite }) => cipherSuite === 3);
  return (await client.createKeyPackage({ identity: identity! })).bytes;
}

describe("the successor of a group", () => {
  test("mk-107 M-SEC-12: a ReInit that names another group of ours does not replace that one", async () => {
    const world = await testGroup({ members: NAMES });
    const [alice, bob] = [world.member(0).client, world.member(1).client];
    const live = await bob.createGroup();
    const reInit = { groupId: live.id, version: 1, cipherSuite: 1, extensions: [] };
    await world.commit(0, { reInit });
    const { id } = world.member(1).group;
    const keyPackages = [
      (await alice.createKeyPackage()).bytes,
      (await world.member(2).client.createKeyPackage()).bytes,
    ];
    const refused = { code: "GROUP_EXISTS", rule: "mk-107" };
    await expect(bob.createSuccessor(id, keyPackages)).rejects.toMatchObject(refused);
    expect((await bob.group(live.id)).epochAuthenticator).toEqual(live.epochAuthenticator);
    expect((await bob.group(id)).status).toBe("suspended");
    // One that is over has no claim to the id, and leaves nothing behind.
    const made = await alice.createSuccessor(id, [
      (await bob.createKeyPackage()).bytes,
      keyPackages[1]!,
    ]);
    await expect(bob.join(made.welcomes[0]!.bytes)).rejects.toMatchObject({ code: "GROUP_EXISTS" });
    const { client: dave } = await world.newClient("dave");
    await live.add([(await dave.createKeyPackage()).bytes]);
    const { welcomes } = await live.acceptCommit();
    const { commit } = await (await dave.join(welcomes[0]!.bytes)).remove([0]);
    await live.process(commit, { accept: true });
    expect(live.status).toBe("inactive");
    assertAgreement([made.group, await bob.join(made.welcomes[0]!.bytes)]);
    expect(await world.member(1).storage.list("g1/")).toEqual([]);
  });

  test("valn1403 M-SEC-12: a suspended group makes way for its successor alone", async () => {
    const { world, id } = await closed();
    const { client: bob, group } = world.member(1);
    const { client: mallory } = await world.newClient("mallory");
    const stranger = await mallory.createGroup({ groupId: id });
    await stranger.add([(await bob.createKeyPackage()).bytes]);
    const { welcomes } = await stranger.acceptCommit();
    const refused = { code: "GROUP_EXISTS", rule: "valn1403" };
    await expect(bob.join(welcomes[0]!.bytes)).rejects.toMatchObject(refused);
    const info = await stranger.groupInfo();
    await expect(bob.joinExternally(info)).rejects.toMatchObject(refused);
    expect([group.status, (await bob.group(id)).members()]).toEqual(["suspended", group.members()]);
  });

  test("M-REI-03: the suspension is stored with its parameters, its resumption PSK and the members", async () => {
    const { world, id, store } = await closed();
    const before = world.member(1).group;
    const members = before.members().map(({ identity }) => fromUtf8(identity!));
    const psk = before.dangerouslyExportResumptionPsk();
    const { client, group } = await world.reopen(1, store(1).reopen());
    expect([group.status, group.epoch]).toEqual(["suspended", 2n]);
    expect(group.reInit).toEqual({
      type: "reInit",
      groupId: utf8("next"),
      version: 1,
      cipherSuite: 3,
      extensions: [],
    });
    expect(group.members().map(({ identity }) => fromUtf8(identity!))).toEqual(members);
    expect(members).toEqual(NAMES);
    expect(group.dangerouslyExportResumptionPsk()).toEqual(psk);
    // All of it is good for what it is kept for.
    const keyPackages = [
      await freshPackage(world.member(0).client),
      await freshPackage(world.member(2).client),
    ];
    const made = await client.createSuccessor(id, keyPackages);
    const joined = await world.member(2).client.join(made.welcomes[0]!.bytes);
    assertAgreement([made.group, joined]);
  });

  test("M-REI-07: Welcomes that go out late name their own Commit, whatever the successor has had since", async () => {
    const { world, id, store } = await closed();
    const packages = new Map<string, Uint8Array>();
    for (const { client, name } of world.members) packages.set(name, await freshPackage(client));
    const delivered: NewGroup[] = [];
    const options: SuccessionOptions = {
      keyPackage: (member) => packages.get(fromUtf8(member.identity!)),
      deliver: async (created) => {
        delivered.push(created);
        if (delivered.length === 1) throw new Error("no network");
        await created.group.handedOut(created);
      },
      patience: 0,
    };
    const bob = world.member(1).client;
    await expect(continueSuccession(bob, id, options)).rejects.toThrow("no network");
    const { group, client } = await world.reopen(1, store(1).reopen());
    expect(group.status).toBe("inactive");
    // Meanwhile Bob has added somebody, whose Welcome is still to be handed out.
    const successor = await client.group(delivered[0]!.group.id);
    const tag = successor.confirmationTag;
    const { client: dave } = await world.newClient("dave");
    world.directory.add(await dave.addIdentity({ identity: "dave", cipherSuite: 3 }));
    await successor.commitImmediately({ add: [await freshPackage(dave)] });
    expect((await continueSuccession(client, id, options)).type).toBe("created");
    expect(delivered[1]!.confirmationTag).toEqual(delivered[0]!.confirmationTag);
    expect(delivered[0]!.confirmationTag).toEqual(tag);
    expect(successor.toHandOut.map(({ epoch }) => epoch)).toEqual([2n]);
  });

  test("M-REI-07: a key package that is of no use is not kept, and asked for again", async () => {
    const { world, id } = await closed();
    const packages = new Map<string, Uint8Array>();
    for (const { client, name } of world.members) packages.set(name, await freshPackage(client));
    const carol = world.member(2).client;
    const bad = [new Uint8Array(5), utf8("no"), (await carol.createKeyPackage()).bytes];
    const options: SuccessionOptions = {
      keyPackage: ({ identity }) => {
        const name = fromUtf8(identity!);
        return (name === "carol" ? bad.shift() : undefined) ?? packages.get(name);
      },
      deliver: () => undefined,
      patience: 0,
    };
    const bob = world.member(1).client;
    for (let i = 0; i < 3; i++) {
      const step = await continueSuccession(bob, id, options);
      const missing = step.type === "collecting" ? step.missing : [];
      expect(missing.map(({ identity }) => fromUtf8(identity!))).toEqual(["carol"]);
    }
    expect((await continueSuccession(bob, id, options)).type).toBe("created");
  });

  test("M-REI-07: only one that was kept and cannot be used for the successor is asked for again", async () => {
    const { world, id } = await closed();
    const [alice, bob, carol] = world.members.map(({ client }) => client);
    const eve = (await world.newClient("eve")).client;
    await eve.addIdentity({ identity: "eve", cipherSuite: 3 });
    const asked: string[] = [];
    // Nobody vouches for Eve, who is no member either; Alice's stands in for nobody else.
    const packages = [eve!, alice!, carol!].map(freshPackage);
    const options: SuccessionOptions = {
      keyPackage: ({ identity }) => {
        const name = fromUtf8(identity!);
        asked.push(name);
        return name === "alice" ? freshPackage(alice!) : packages.shift();
      },
      deliver: () => undefined,
      patience: 0,
    };
    await expect(continueSuccession(bob!, id, options)).rejects.toMatchObject({
      code: "CREDENTIAL_REJECTED",
    });
    await expect(continueSuccession(bob!, id, options)).rejects.toMatchObject({
      blame: "validation",
    });
    expect((await continueSuccession(bob!, id, options)).type).toBe("created");
    expect(asked).toEqual(["alice", "carol", "carol", "carol"]);
  });

  test("M-REI-07: as long as our own credential is not accepted no key package is asked for again", async () => {
    const world = await testGroup({ members: NAMES });
    const { id } = world.member(0).group;
    const reInit = { groupId: utf8("next"), version: 1, cipherSuite: 3, extensions: [] };
    await world.commit(0, { reInit });
    const [alice, bob, carol] = world.members.map(({ client }) => client);
    const identities = await Promise.all(
      world.members.map(({ client, name }) =>
        client.addIdentity({ identity: name, cipherSuite: 3 }),
      ),
    );
    world.directory.add(identities[0]!);
    world.directory.add(identities[2]!);
    let asked = 0;
    const options: SuccessionOptions = {
      keyPackage: ({ identity }) => {
        asked += 1;
        return freshPackage(fromUtf8(identity!) === "alice" ? alice! : carol!);
      },
      deliver: () => undefined,
      patience: 0,
    };
    for (let i = 0; i < 2; i++) {
      await expect(continueSuccession(bob!, id, options)).rejects.toMatchObject({
        code: "CREDENTIAL_REJECTED",
      });
    }
    expect(asked).toBe(2);
    world.directory.add(identities[1]!);
    expect((await continueSuccession(bob!, id, options)).type).toBe("created");
    expect(asked).toBe(2);
  });

  test("M-REI-07: a successor that was deleted before its Welcomes went out ends the job", async () => {
    const { world, id, store } = await closed();
    const packages = new Map<string, Uint8Array>();
    for (const { client, name } of world.members) packages.set(name, await freshPackage(client));
    const options: SuccessionOptions = {
      keyPackage: (member) => packages.get(fromUtf8(member.identity!)),
      deliver: () => Promise.reject(new Error("no network")),
      patience: 0,
    };
    const bob = world.member(1).client;
    await expect(continueSuccession(bob, id, options)).rejects.toThrow("no network");
    await bob.deleteGroup(utf8("next"));
    expect(await continueSuccession(bob, id, options)).toEqual({ type: "done" });
    expect(await store(1).list("job/")).toEqual([]);
  });

  test("M-REI-07: collecting, waiting and taking over are steps of a job that survives restarts", async () => {
    const { world, id, store } = await closed();
    const { clock } = world;
    const published = new Map<string, Uint8Array>();
    const asked: string[] = [];
    const delivered: NewGroup[] = [];
    const options: SuccessionOptions = {
      keyPackage: (member, { cipherSuite }) => {
        expect(cipherSuite).toBe(3);
        const name = fromUtf8(member.identity!);
        asked.push(name);
        return published.get(name);
      },
      deliver: (created) => {
        delivered.push(created);
        if (delivered.length === 1) throw new Error("no network");
      },
      patience: 600,
    };
    const step = (client: Client): Promise<SuccessionStep> => {
      return continueSuccession(client, id, options);
    };
    // Epoch 2 of three members: Bob is first in line, then Carol, then Alice.
    const start = clock();
    const waiting = await step(world.member(2).client);
    expect(waiting).toEqual({ type: "waiting", until: start + 600n });
    expect(await step(world.member(0).client)).toEqual({ type: "waiting", until: start + 1200n });
    published.set("alice", await freshPackage(world.member(0).client));
    const collecting = await step(world.member(1).client);
    expect(collecting.type).toBe("collecting");
    const missing = collecting.type === "collecting" ? collecting.missing : [];
    expect(missing.map(({ identity }) => fromUtf8(identity!))).toEqual(["carol"]);
    // Bob disappears. Carol's process ends and comes back, and it becomes her turn.
    asked.length = 0;
    await step(world.member(2).client);
    const carol = (await world.reopen(2, store(2).reopen())).client;
    published.set("bob", await freshPackage(world.member(1).client));
    clock.advance(599);
    expect(await step(carol)).toEqual({ type: "waiting", until: start + 600n });
    clock.advance(1);
    // What she had collected before the restart is not asked for again.
    expect(asked).toEqual(["alice", "bob", "bob"]);
    await expect(step(carol)).rejects.toThrow("no network");
    expect(asked).toHaveLength(3);
    // The successor is made; only its Welcomes have to go out, also after another restart.
    const again = (await world.reopen(2, store(2).reopen())).client;
    const created = await step(again);
    expect(created.type).toBe("created");
    expect(delivered).toHaveLength(2);
    expect(delivered[1]!.welcomes).toEqual(delivered[0]!.welcomes);
    const welcome = delivered[1]!.welcomes[0]!.bytes;
    const joined: Group[] = [created.type === "created" ? created.group : await again.group(id)];
    for (const index of [0, 1]) joined.push(await world.member(index).client.join(welcome));
    assertAgreement(joined);
    expect(joined[0]!.cipherSuite).toBe(3);
    // Nobody does it twice.
    for (const { client } of world.members) expect(await step(client)).toEqual({ type: "done" });
    for (const { storage } of world.members) {
      const left = (await storage.list("job/")).map(({ key }) => key);
      expect(left).toEqual([]);
    }
    expect(toHex((await again.group(utf8("next"))).id)).toBe(toHex(utf8("next")));
  });
});
