/** Two copies of one state: backups, clones, moves, snapshots. P-CR-04, P-MP-03 to P-MP-08. */
import { describe, expect, test } from "vitest";
import { toHex } from "../../src/codec/index.ts";
import { safeExportSecret } from "../../src/drafts/index.ts";
import { Client, exportClient, exportSendingKey, importClient } from "../../src/index.ts";
import { eventLog } from "../../src/production/index.ts";
import { memoryStorage } from "../../src/storage/memory.ts";
import type { Storage } from "../../src/storage/storage.ts";
import { FaultStorage, testGroup } from "../../src/testing/index.ts";
import { copyableWorld, FROZEN, KEY, optionsOf } from "./copyable-world.ts";
import { contentsOf, MapStorage } from "./map-storage.ts";
import { moveRegistry } from "./move-registry.ts";

describe("moving", () => {
  test("M-STO-14 P-MP-07 a client moves as one sealed blob, and the source is retired", async () => {
    const { world, store } = await copyableWorld();
    const source = store(0);
    await world.member(0).group.update();
    const { commit } = world.member(0).group.pendingCommit!;
    const before = toHex(world.member(0).group.epochAuthenticator);
    const { client: moved, group: running } = world.member(0);
    const sealed = await exportClient(source, KEY);

    // Nothing but the blob is left, whoever asks, and nothing can be read in it.
    expect([...source.records.keys()]).toEqual(["moved"]);
    expect(Buffer.from(sealed).includes("member 0")).toBe(false);
    const options = optionsOf(world, source);
    await expect(Client.open(options)).rejects.toMatchObject({ code: "CLIENT_MOVED" });
    await expect(Client.create({ ...options, identity: "x" })).rejects.toMatchObject({
      code: "CLIENT_MOVED",
    });
    expect(await exportClient(source, KEY)).toEqual(sealed);

    const target = memoryStorage();
    await importClient({ sealed, key: KEY, storage: target });
    const { group } = await world.reopen(0, target);
    expect(toHex(group.epochAuthenticator)).toBe(before);
    expect(group.pendingCommit?.commit).toEqual(commit);
    await world.deliver(commit, 0);
    await group.acceptCommit();
    world.assertAgreement();
    await world.say(0, "from the target");
    await expect(running.send("from the source")).rejects.toMatchObject({
      code: "GROUP_NOT_FOUND",
    });
    // Nor is anything made in it that nobody would find again.
    for (const attempt of [
      () => moved.createKeyPackage(),
      () => moved.createGroup(),
      () => moved.addIdentity({ identity: "another" }),
    ]) {
      await expect(attempt()).rejects.toMatchObject({ code: "CLIENT_MOVED" });
    }
    expect([...source.records.keys()]).toEqual(["moved"]);
  });

  test("M-STO-14 P-MP-07 the blob opens with its key alone, into an empty store, and once if it is claimed", async () => {
    const { world, store } = await copyableWorld();
    const sealed = await exportClient(store(0), KEY);
    const { moves, claim } = moveRegistry();
    const to = (storage: Storage, changes: object = {}): Promise<void> =>
      importClient({ sealed, key: KEY, storage, claim, ...changes });
    await expect(to(store(1))).rejects.toMatchObject({ code: "STORE_NOT_EMPTY" });
    const other = { key: new Uint8Array(32).fill(4) };
    await expect(to(memoryStorage(), other)).rejects.toMatchObject({
      code: "STORAGE_KEY_MISMATCH",
    });
    for (const at of [1, 20, sealed.length - 1]) {
      const changed = sealed.slice();
      changed[at]! ^= 1;
      await expect(to(memoryStorage(), { sealed: changed })).rejects.toMatchObject({
        code: "STORAGE_KEY_MISMATCH",
      });
    }
    const later = Uint8Array.of(2, ...sealed.slice(1));
    await expect(to(memoryStorage(), { sealed: later })).rejects.toMatchObject({
      code: "STORAGE_VERSION",
    });
    expect(moves.size).toBe(0);
    await to(memoryStorage());
    await expect(to(memoryStorage())).rejects.toMatchObject({ code: "CLIENT_MOVED" });
    expect(world.members.length).toBe(3);
  });

  test("M-STO-14 P-CR-03 cut at its only write, a move has happened or not, and nothing is lost", async () => {
    for (const isAfter of [false, true]) {
      const { world, store } = await copyableWorld();
      const faults = new FaultStorage(
        store(0),
        isAfter ? { crashAfterWrite: 1 } : { crashBeforeWrite: 1 },
      );
      await expect(exportClient(faults, KEY)).rejects.toMatchObject({ blame: "storage" });
      const found = faults.reopen();
      if (!isAfter) await Client.open(optionsOf(world, found));
      const target = memoryStorage();
      await importClient({ sealed: await exportClient(found, KEY), key: KEY, storage: target });
      await world.reopen(0, target);
      await world.say(0, "from the target");
      world.assertAgreement();
    }
  });

  test("M-STO-14 what is written while the client is being sealed moves as well, or is not written", async () => {
    const { world, store } = await copyableWorld();
    const { client } = world.member(0);
    const late: string[] = [];
    const slow: Storage = {
      get: (key) => store(0).get(key),
      list: async (prefix) => {
        const found = store(0).list(prefix);
        // Between the list and the write that retires the store.
        if (late.length > 0) return found;
        late.push("7f");
        await client.putPsk(Uint8Array.of(0x7f), KEY);
        return found;
      },
      write: (batch) => store(0).write(batch),
      close: () => undefined,
    };
    const sealed = await exportClient(slow, KEY);
    expect([...store(0).records.keys()]).toEqual(["moved"]);
    const target = memoryStorage();
    await importClient({ sealed, key: KEY, storage: target });
    const moved = (await world.reopen(0, target)).client;
    expect(await moved.pskIds()).toEqual(late);

    // The other way round: the store is retired between the first read and the write.
    const source = store(1);
    const write = source.write.bind(source);
    source.write = (batch) => {
      source.write = write;
      write({ puts: [{ key: "moved", value: sealed }], deletes: [], expect: [] });
      write(batch);
    };
    const other = world.member(1).client;
    await expect(other.createKeyPackage()).rejects.toMatchObject({ code: "CLIENT_MOVED" });
    const note = () => other.transaction(async (tx) => tx.put("note", KEY));
    await expect(note()).rejects.toMatchObject({ code: "CLIENT_MOVED" });
    expect([...source.records.keys()].filter((key) => /^(keypackage|app)/.test(key))).toEqual([]);
  });

  test("M-STO-14 P-CR-03 a claimed import that is cut goes on to the same target, and to no other", async () => {
    const { world, store } = await copyableWorld();
    const sealed = await exportClient(store(0), KEY);
    for (const plan of [
      { crashBeforeWrite: 1 },
      { crashAfterWrite: 1 },
      { crashBeforeWrite: 2 },
      { crashAfterWrite: 2 },
    ]) {
      const { moves, claim } = moveRegistry();
      const target = new MapStorage();
      const to = (storage: Storage) => importClient({ sealed, key: KEY, storage, claim });
      await expect(to(new FaultStorage(target, plan))).rejects.toMatchObject({ blame: "storage" });
      const hasArrived = plan.crashAfterWrite === 2;
      if (plan.crashBeforeWrite === 2) {
        expect(moves.size).toBe(1);
        await expect(to(new MapStorage())).rejects.toMatchObject({ code: "CLIENT_MOVED" });
      }
      if (hasArrived) await expect(to(target)).rejects.toMatchObject({ code: "STORE_NOT_EMPTY" });
      else await to(target);
      expect([...target.records.keys()]).toContain("meta");
      expect([...target.records.keys()]).not.toContain("target");
      expect(moves.size).toBe(1);
      expect((await Client.open(optionsOf(world, target))).identity).toBeDefined();
    }
  });

  test("M-STO-14 M-EVT-05 a client that has moved logs no events, and a store where one did moves all the same", async () => {
    const { world, store } = await copyableWorld({ eventLog: eventLog() });
    const { client } = world.member(0);
    const { group: other } = await world
      .member(1)
      .client.createGroupWith([(await client.createKeyPackage()).bytes]);
    const welcome = (await other.acceptCommit()).welcomes[0]!.bytes.slice();
    welcome[welcome.length - 1]! ^= 1;
    const error = { blame: "crypto" };
    await expect(client.stageWelcome(welcome)).rejects.toMatchObject(error);
    const logged = () => [...store(0).records].filter(([key]) => key.startsWith("event"));
    const events = logged();
    expect(events.length).toBeGreaterThan(1);
    // Retired after the key package was read; what is wrong with the Welcome is told all the same.
    const moved = { key: "moved", value: new Uint8Array(1) };
    store(0).write({ puts: [moved], deletes: [], expect: [] });
    await expect(client.stageWelcome(welcome)).rejects.toMatchObject(error);
    expect(logged()).toEqual(events);
    store(0).write({ puts: [], deletes: ["moved"], expect: [] });
    await exportClient(store(0), KEY);

    // An earlier build wrote them all the same.
    for (const [key, record] of events) store(0).records.set(key, record);
    const sealed = await exportClient(store(0), KEY);
    const target = new MapStorage();
    await importClient({ sealed, key: KEY, storage: target });
    await Client.open(optionsOf(world, target));
    expect([...target.records.keys()].filter((key) => key.startsWith("event"))).toHaveLength(
      events.length,
    );
  });

  test("M-STO-14 an export that somebody overtakes fails and retires nothing", async () => {
    const { world, store } = await copyableWorld();
    const overtaken = new MapStorage();
    overtaken.list = (prefix) => store(0).list(prefix);
    overtaken.get = (key) => store(0).get(key);
    overtaken.write = (batch) => {
      const [first] = batch.expect;
      store(0).write({
        puts: [{ key: first!.key, value: new Uint8Array(1) }],
        deletes: [],
        expect: [],
      });
      store(0).write(batch);
    };
    await expect(exportClient(overtaken, KEY)).rejects.toMatchObject({ code: "STORAGE_CONFLICT" });
    expect(store(0).records.has("moved")).toBe(false);
    expect(world.members.length).toBe(3);
  });
});

describe("snapshots", () => {
  test("P-MP-08 a snapshot reads messages and Commits, encrypts nothing, and uses up nothing of the owner's", async () => {
    const { world, store } = await copyableWorld();
    const { bytes } = await world.member(1).group.send("pushed");
    const { commit } = await world.member(1).group.update();
    await world.member(2).group.process(commit, { accept: true });
    await world.member(1).group.acceptCommit();
    const next = await world.member(1).group.send("of the next epoch");
    const before = await contentsOf(store(0));

    const reader = await Client.openSnapshot(optionsOf(world, store(0)));
    const group = await reader.group(world.member(0).group.id);
    for (const [message, kind] of [
      [bytes, "application"],
      [bytes, "duplicate"],
      [commit, "commit"],
      [next.bytes, "application"],
    ] as const) {
      expect((await group.process(message, { accept: true })).kind).toBe(kind);
    }
    const refused = [
      () => group.send("no"),
      () => group.update(),
      () => group.proposeUpdate(),
      () => group.leave(),
      () => reader.createKeyPackage(),
      () => reader.createGroup(),
      () => reader.transaction(async (tx) => tx.put("a", bytes)),
      () => reader.deleteGroup(group.id),
      () => reader.putPsk(bytes, bytes),
      () => reader.suspectRollback(),
      () => exportSendingKey(group),
      () => safeExportSecret(group, 1),
    ];
    for (const attempt of refused) {
      await expect((async () => attempt())()).rejects.toMatchObject({ code: "READ_ONLY" });
    }
    await reader.close();

    expect(await contentsOf(store(0))).toBe(before);
    const owner = world.member(0).group;
    expect((await owner.process(bytes)).kind).toBe("application");
    expect((await owner.process(commit, { accept: true })).kind).toBe("commit");
    expect((await owner.process(next.bytes)).kind).toBe("application");
  });
});

describe("generations", () => {
  test("P-MP-06 a frozen group hands out no sending key", async () => {
    const { world } = await copyableWorld();
    const { client, group } = world.member(0);
    await client.suspectRollback();
    await expect(exportSendingKey(group)).rejects.toMatchObject(FROZEN);
  });

  test("P-MP-03 a Commit that waits can be accepted although a copy of its sender used the same key", async () => {
    const { world, store } = await copyableWorld();
    const [{ group }, { group: sender }] = [world.member(0), world.member(1)];
    const clone = await Client.open(optionsOf(world, store(1).copy()));
    const { commit } = await sender.update();
    const { bytes } = await (await clone.group(sender.id)).proposeUpdate();
    const waiting = await group.process(commit, { accept: false });
    if (waiting.kind !== "commit") throw new Error(waiting.kind);
    expect((await group.process(bytes, { accept: true })).kind).toBe("proposal");
    expect((await waiting.accept()).isMerged).toBe(true);
    await sender.acceptCommit();
    expect(group.epochAuthenticator).toEqual(sender.epochAuthenticator);
  });

  test("P-MP-03 who was overtaken reads the ratchet again and uses nothing from its cache", async () => {
    for (const generationBlock of [1, 8]) {
      const { world, store } = await copyableWorld({ config: { generationBlock } });
      const first = world.member(0).group;
      const second = await (await Client.open(optionsOf(world, store(0)))).group(first.id);
      const generations = new Set<number>();
      for (let round = 0; round < 6; round++) {
        for (const group of [first, second]) {
          const { generation, bytes } = await group.send(`round ${round}`);
          expect(generations.has(generation)).toBe(false);
          generations.add(generation);
          for (const { kind } of await world.deliver(bytes, 0)) expect(kind).toBe("application");
        }
      }
      // After an epoch of the other one as well.
      const { commit } = await second.update();
      await second.acceptCommit();
      await world.deliver(commit, 0);
      const { bytes, epoch } = await first.send("in the new epoch");
      expect(epoch).toBe(second.epoch);
      for (const { kind } of await world.deliver(bytes, 0)) expect(kind).toBe("application");
    }
  });

  test("P-MP-04 generations are reserved in blocks, and after a restart the rest of a block is skipped", async () => {
    const { world, store } = await copyableWorld({ config: { generationBlock: 8 } });
    const { group } = world.member(0);
    const batches = store(0).writes;
    const generations: number[] = [];
    const wrote: boolean[] = [];
    const say = async (from = world.member(0).group): Promise<void> => {
      const before = batches.filter(({ records }) => records > 0).length;
      const { generation, bytes } = await from.send("hello");
      generations.push(generation);
      wrote.push(batches.filter(({ records }) => records > 0).length > before);
      for (const { kind } of await world.deliver(bytes, 0)) expect(kind).toBe("application");
    };
    for (let i = 0; i < 10; i++) await say();
    expect(generations).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(wrote).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map((i) => i % 8 === 0));
    await world.reopen(0, store(0));
    await say();
    expect(generations.at(-1)).toBe(16);
    expect(group.id).toEqual(world.member(0).group.id);

    // A transaction that fails takes the rest of its block with it.
    const failing = world.member(0).client.transaction(async (tx) => {
      await (await tx.group(group.id)).send("never leaves");
      throw new Error("changed my mind");
    });
    await expect(failing).rejects.toThrow("changed my mind");
    await say();
    expect(generations.at(-1)).toBe(24);

    // Handshake messages have generations of their own.
    const { bytes } = await world.member(0).group.proposeUpdate();
    await world.deliver(bytes, 0);
    await world.commit(1);
    world.assertAgreement();
  });

  test("P-MP-04 what is handed out for media, and a block that is not wanted any more, leave no generation to be used twice", async () => {
    const { world, store } = await copyableWorld({ config: { generationBlock: 8 } });
    const used: number[] = [];
    const say = async (): Promise<void> => {
      used.push((await world.member(0).group.send("hello")).generation);
    };
    const hand = async (): Promise<void> => {
      used.push((await exportSendingKey(world.member(0).group)).generation);
    };
    await say();
    await hand();
    await say();
    await world.reopen(0, store(0));
    await hand();
    await say();
    // Off and on again within a block.
    await world.member(0).group.configure({ generationBlock: 1 });
    await say();
    await world.member(0).group.configure({ generationBlock: 8 });
    await say();
    await world.reopen(0, store(0));
    await say();
    expect(used).toEqual([0, 1, 2, 8, 9, 10, 11, 16]);
  });

  test("P-MP-04 a block is at most 16 generations, and keys of a block are not in the store", async () => {
    const { world, store } = await copyableWorld({ config: { generationBlock: 1000 } });
    await world.say(0, "hello");
    await world.reopen(0, store(0));
    expect(world.member(0).group.nextGeneration).toBe(16);
  });
});

test("M-STO-16 groups that are kept in memory and groups that are read for each call go the same way", async () => {
  const states: string[] = [];
  for (const cache of ["keep", "reload"] as const) {
    const faults: FaultStorage[] = [];
    const storage = (): FaultStorage => {
      const store = new FaultStorage(new MapStorage(), {});
      faults.push(store);
      return store;
    };
    const world = await testGroup({ seed: "cache", cache, storage });
    const { group, client } = world.member(0);
    const other = await client.group(group.id);
    await world.say(0, "one");
    await world.say(1, "two");
    await group.proposeUpdate().then(({ bytes }) => world.deliver(bytes, 0));
    await world.commit(1);
    await world.commit(0, { remove: [2] });
    await expect(group.remove([7])).rejects.toThrow();
    await world.say(1, "three");
    expect([other.epoch, other.nextGeneration, other.memberCount]).toEqual([3n, 0, 2]);
    const before = faults[0]!.reads;
    await group.send("four");
    expect(faults[0]!.reads - before).toBe(cache === "keep" ? 0 : 1);
    states.push(`${await contentsOf(faults[0]!)} ${toHex(group.epochAuthenticator)}`);
    await client.deleteGroup(group.id);
    expect(() => group.epoch).toThrow("deleted");
    expect(() => other.epoch).toThrow("deleted");
  }
  expect(states[1]).toBe(states[0]);
});

test("M-STO-19 a tree that is kept elsewhere is handed in on load, and checked by its hash", async () => {
  const trees = new Map<string, Uint8Array>();
  let stored: (bytes: Uint8Array | undefined) => Uint8Array | undefined = (bytes) => bytes;
  const tree = (groupId: Uint8Array, epoch: bigint) =>
    stored(trees.get(`${toHex(groupId)} ${epoch}`));
  const { world, store } = await copyableWorld({ tree, config: { storedTree: false } });
  const keep = (): void => {
    const { id, epoch } = world.member(0).group;
    trees.set(`${toHex(id)} ${epoch}`, world.member(0).group.ratchetTree());
  };
  const chunks = (index: number) =>
    [...store(index).records.keys()].filter((key) => /\/t/.test(key));
  await world.commit(1);
  await world.say(0, "hello");
  expect(chunks(0)).toEqual([]);
  await world.member(0).group.update();
  const options = { ...optionsOf(world, store(0)), tree };
  const { id } = world.member(0).group;
  const load = async () => (await Client.open(options)).group(id);
  await expect(load()).rejects.toMatchObject({ code: "TREE_MISSING", blame: "storage" });
  keep();
  for (const wrong of [
    (bytes: Uint8Array) => bytes.map((byte, i) => (i === 60 ? byte ^ 1 : byte)),
    (bytes: Uint8Array) => bytes.slice(0, -1),
    () => world.member(0).group.contextBytes,
  ]) {
    stored = (bytes) => wrong(bytes!);
    await expect(load()).rejects.toMatchObject({ code: "TREE_MISMATCH" });
  }
  stored = (bytes) => bytes;
  // With a Commit that waits, whose tree is the difference to this one.
  const { group } = await world.reopen(0, store(0));
  await world.deliver(group.pendingCommit!.commit, 0);
  await group.acceptCommit();
  world.assertAgreement();
  keep();
  await world.say(0, "in the new epoch");

  // The other way and back.
  await group.configure({ storedTree: true });
  expect(chunks(0).length).toBeGreaterThan(0);
  stored = () => undefined;
  expect((await load()).memberCount).toBe(3);
  await group.configure({ storedTree: false });
  expect(chunks(0)).toEqual([]);
  await group.configure({ storedTree: true });
  // Where a group has ended, what is left of it is in the store.
  const { commit } = await world.member(0).group.remove([2]);
  await world.deliver(commit, 0);
  await world.member(0).group.acceptCommit();
  const left = await Client.open({ ...optionsOf(world, store(2)), tree });
  expect((await left.group(id)).memberCount).toBe(2);
});
