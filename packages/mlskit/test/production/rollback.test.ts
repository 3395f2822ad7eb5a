/** A store from a backup, or beside a copy of it. P-CR-04, P-MP-05, P-MP-06. */
import { describe, expect, test } from "vitest";
import {
  acceptDetached,
  Client,
  commitDetached,
  type Group,
  type Storage,
} from "../../src/index.ts";
import { memoryStorage } from "../../src/storage/memory.ts";
import { seededProvider, testGroup } from "../../src/testing/index.ts";
import { SealWatch } from "../simulate/seals.ts";
import { copyableWorld, FROZEN, guardedStores, optionsOf } from "./copyable-world.ts";
import { MapStorage } from "./map-storage.ts";

describe("rollback", () => {
  test("P-CR-04 P-MP-05 P-MP-06 a store from a backup is noticed, receives, and encrypts nothing until a later Commit of another member", async () => {
    const disk = new MapStorage();
    const open = guardedStores();
    const storage = await open(disk);
    const world = await testGroup({
      storage: (name) => (name === "member 0" ? storage : memoryStorage()),
    });
    const unused = await world.member(0).client.createKeyPackage();
    const backup = disk.copy();
    const lost = await world.member(0).group.send("the lost state used generation 0");
    await world.deliver(lost.bytes, 0);
    await world.commit(1);

    const restored = await open(backup);
    expect(restored.rollback).toBe("suspected");
    const { client, group } = await world.reopen(0, restored);
    expect(group.isFrozen).toBe(true);
    const isFrozen = async (): Promise<void> => {
      await expect(group.send("again generation 0")).rejects.toMatchObject(FROZEN);
      await expect(group.proposeUpdate()).rejects.toMatchObject(FROZEN);
      await expect(group.update()).rejects.toMatchObject(FROZEN);
    };
    await isFrozen();
    // A Welcome for it may lead to an epoch in which the lost state has sent.
    expect(await client.keyPackages()).toEqual([]);
    const d = await world.member(1).client.createGroup();
    await d.add([unused.bytes]);
    const [welcome] = (await d.acceptCommit()).welcomes;
    await expect(client.join(welcome!.bytes)).rejects.toMatchObject({ code: "ORPHAN_WELCOME" });

    // It stays so over a restart, though the guard goes on from here.
    expect(restored.rollback).toBe("none");
    const again = await Client.open(optionsOf(world, await open(backup.copy())));
    expect((await again.group(group.id)).isFrozen).toBe(true);

    // The lost state was in this epoch: its Commits do not heal, and receiving is allowed.
    const missed = await world.member(1).group.send("of the epoch that was reached");
    expect((await group.process(missed.bytes)).kind).toBe("future");
    const catchUp = await world.member(2).group.update();
    await world.member(1).group.process(catchUp.commit, { accept: true });
    await world.member(2).group.acceptCommit();
    await isFrozen();
  });

  test("P-CR-04 a restore from backup is noticed, freezes the group, is healed by a resync, and goes on without using a key twice", async () => {
    const disk = new MapStorage();
    const open = guardedStores();
    const storage = await open(disk);
    const seals = new SealWatch(seededProvider("restore"));
    const world = await testGroup({
      members: 3,
      provider: seals.provider,
      storage: (name) => (name === "member 0" ? storage : memoryStorage()),
    });
    await world.say(0, "before the backup");
    const backup = disk.copy();
    const lost = await world.member(0).group.send("sent after the backup");
    for (const { kind } of await world.deliver(lost.bytes, 0)) expect(kind).toBe("application");
    await world.say(1, "received after the backup");
    seals.keep();

    // Restored: noticed when it is opened, and frozen by that alone.
    const restored = await open(backup);
    expect(restored.rollback).toBe("suspected");
    const { client, group } = await world.reopen(0, restored);
    expect(group.isFrozen).toBe(true);
    const encrypting = [
      () => group.send("again with the keys of what was lost"),
      () => group.proposeUpdate(),
      () => group.update(),
    ];
    for (const encrypt of encrypting) await expect(encrypt()).rejects.toMatchObject(FROZEN);
    seals.keep();

    // Healed: an external commit uses no key of a ratchet.
    const info = await world.member(1).group.groupInfo();
    const { commit } = await client.joinExternally(info, { resync: true });
    for (const { kind } of await world.deliver(commit, 0)) expect(kind).toBe("commit");
    const { client: restarted, group: healed } = await world.reopen(0, restored);
    await restarted.acceptJoin(healed.id);
    expect(healed.isFrozen).toBe(false);

    // And it goes on: both ways, through epochs of everybody's, and over a restart.
    const talk = async (): Promise<void> => {
      for (const from of [0, 1, 2]) {
        const kinds = (await world.say(from, `from ${from}`)).map(({ kind }) => kind);
        expect(kinds).toEqual(["application", "application"]);
      }
    };
    await talk();
    await world.commit(0);
    await world.commit(1);
    await talk();
    const again = await open(backup);
    expect(again.rollback).toBe("none");
    const { group: reopened } = await world.reopen(0, again);
    expect(reopened.isFrozen).toBe(false);
    await talk();
    world.assertAgreement();
    seals.keep();
  });

  test("P-MP-06 without another copy a Commit of another member heals, if it is later than what was lost", async () => {
    const { world, store } = await copyableWorld();
    const backup = store(0).copy();
    const log: Uint8Array[] = [];
    await world.deliver((await world.member(0).group.send("lost")).bytes, 0);
    // The lost state made this one, and has sent in its epoch.
    const { commit } = await world.member(1).group.update();
    await world.deliver(commit, 1);
    await world.member(1).group.acceptCommit();
    log.push(commit);
    await world.deliver((await world.member(0).group.send("lost as well")).bytes, 0);
    const reached = world.member(1).group.epoch;

    const { client, group } = await world.reopen(0, backup);
    expect(group.isFrozen).toBe(false);
    await client.suspectRollback();
    await group.limitRollback(reached);
    for (const missed of log) {
      expect((await group.process(missed, { accept: true })).kind).toBe("commit");
    }
    expect(group.epoch).toBe(reached);
    await expect(group.send("not yet")).rejects.toMatchObject(FROZEN);
    await world.commit(2);
    expect(group.isFrozen).toBe(false);
    const [first, second] = await world.say(0, "in an epoch that nobody else of us has seen");
    expect([first?.kind, second?.kind]).toEqual(["application", "application"]);
    world.assertAgreement();
  });

  test("P-MP-06 a clone is healed by a resync alone, and no key encrypts two messages", async () => {
    const seals = new SealWatch(seededProvider("clone"));
    const { world, store } = await copyableWorld({ provider: seals.provider });
    const clone = store(0).copy();
    await world.say(0, "of the original");
    seals.keep();
    const { client, group } = await world.reopen(0, clone);
    await client.suspectRollback();
    await world.commit(1);
    await expect(group.send("still not")).rejects.toMatchObject(FROZEN);
    const groupInfo = await world.member(1).group.groupInfo();
    const { commit } = await client.joinExternally(groupInfo, { resync: true });
    await world.deliver(commit, 0);
    const { id } = group;
    await client.acceptJoin(id);
    const healed = await client.group(id);
    expect(healed.isFrozen).toBe(false);
    const { bytes, generation } = await healed.send("with keys of its own");
    expect(generation).toBe(0);
    for (const { kind } of await world.deliver(bytes, 0)) expect(kind).toBe("application");
    seals.keep();
  });

  test("P-MP-06 a group that steps back while the client is frozen is frozen as well", async () => {
    const { world, afterList, reopen } = await listedWorld();
    const { client, group } = world.member(0);
    await client.joinExternally(await world.member(1).group.groupInfo(), { resync: true });
    afterList(() => client.rejectJoin(group.id));
    await client.suspectRollback();
    expect((await client.group(group.id)).isFrozen).toBe(true);
    await expect((await reopen()).send("no")).rejects.toMatchObject(FROZEN);
  });

  test("P-MP-06 a group that is entered while the client is frozen is frozen as well", async () => {
    const { world, afterList } = await listedWorld();
    const { client } = world.member(0);
    const other = await world.member(1).client.createGroup();
    await other.add([(await client.createKeyPackage()).bytes]);
    const [welcome] = (await other.acceptCommit()).welcomes;
    afterList(() => client.join(welcome!.bytes));
    await client.suspectRollback();
    expect((await client.group(other.id)).isFrozen).toBe(true);
    expect(await client.keyPackages()).toEqual([]);
  });
});

/** In which something happens once, just after the groups of the first member were listed. */
async function listedWorld() {
  const inner = memoryStorage();
  let action: (() => Promise<unknown>) | undefined;
  const storage: Storage = {
    get: (key) => inner.get(key),
    list: async (prefix) => {
      const found = await inner.list(prefix);
      if (prefix !== "group/" || action === undefined) return found;
      const now = action;
      action = undefined;
      await now();
      return found;
    },
    write: (batch) => inner.write(batch),
    close: () => undefined,
  };
  const world = await testGroup({
    storage: (name) => (name === "member 0" ? storage : memoryStorage()),
  });
  return {
    world,
    afterList: (what: () => Promise<unknown>) => void (action = what),
    reopen: async () => (await world.reopen(0, storage)).group,
  };
}

test("M-COM-15 P-MP-06 a detached Commit that counts begins its epoch in a frozen group as well", async () => {
  const world = await testGroup({ members: 2 });
  const [a, b] = world.groups as [Group, Group];
  const key = new Uint8Array(32).fill(7);
  const detached = await commitDetached(a, key, { forcePath: true });
  await world.member(0).client.suspectRollback();
  await expect(a.send("x")).rejects.toMatchObject(FROZEN);
  await world.deliver(detached.commit, 0);
  await acceptDetached(a, key, detached);
  expect(a.epochAuthenticator).toEqual(b.epochAuthenticator);
  await expect(a.send("x")).rejects.toMatchObject(FROZEN);
});
