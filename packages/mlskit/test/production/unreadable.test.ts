/** One group that cannot be read holds up nothing else. M-STO-15, M-STO-18, P-MP-06, M-ID-10. */
import { expect, test } from "vitest";
import { Client, type Group, type Storage, StorageError } from "../../src/index.ts";
import {
  applyRetention,
  type GroupTransport,
  reportExpiry,
  rotateIdentity,
  unfinishedRotations,
} from "../../src/production/index.ts";
import { testGroup } from "../../src/testing/index.ts";
import { EMPTY_BYTES, utf8 } from "../../src/codec/index.ts";
import { encryptedStorage } from "../../src/storage/encrypted.ts";
import { MapStorage } from "./map-storage.ts";

/** Where the plain configuration begins in a head. */
const CONFIG = utf8('{"');

/** What may become of a record. */
const DAMAGES: Readonly<Record<string, (head: Uint8Array) => Uint8Array>> = {
  "is cut": (head) => head.slice(0, 20),
  "is empty": () => EMPTY_BYTES,
  "has a changed byte in its settings": (head) => {
    const changed = head.slice();
    const at = changed.findIndex((_, i) => CONFIG.every((byte, j) => head[i + j] === byte));
    changed[at] = 0x7d;
    return changed;
  },
};

/** Member 0 after a restart, with a group whose head is damaged. */
async function damagedWorld(damage = DAMAGES["is cut"]!) {
  const world = await testGroup({ members: 2 });
  const { client, storage, group } = world.member(0);
  const damaged = await client.createGroup();
  const head = (await storage.get("g1/h"))!.value;
  const puts = [{ key: "g1/h", value: damage(head) }];
  await storage.write({ puts, deletes: [], expect: [] });
  const { clock, directory: authenticationService } = world;
  const open = () => Client.open({ storage, clock, authenticationService });
  const repair = () =>
    storage.write({ puts: [{ key: "g1/h", value: head }], deletes: [], expect: [] });
  return { world, storage, group, damagedId: damaged.id, client: await open(), open, repair };
}

test.each(Object.keys(DAMAGES))(
  "M-STO-15 a group whose record %s is told apart from others, which go on, and can be deleted",
  async (name) => {
    const { storage, group, damagedId, client } = await damagedWorld(DAMAGES[name]);
    expect((await client.groups()).map(({ id }) => id)).toEqual([group.id]);
    expect(await client.unreadableGroups()).toMatchObject([
      { groupId: damagedId, error: { code: "STORAGE_FAILED" } },
    ]);
    await reportExpiry(client);
    expect(await applyRetention(client)).toMatchObject({ failed: [{ groupId: damagedId }] });
    await expect(client.group(damagedId)).rejects.toMatchObject({ code: "STORAGE_FAILED" });
    await client.deleteGroup(damagedId);
    expect(await storage.list("g1/")).toEqual([]);
    expect(await client.unreadableGroups()).toEqual([]);
    expect(await client.groups()).toHaveLength(1);
  },
);

test.each(Object.keys(DAMAGES))(
  "P-MP-06 a group whose record %s is frozen as well, should it be readable later",
  async (name) => {
    const { group, damagedId, client, open, repair } = await damagedWorld(DAMAGES[name]);
    await client.suspectRollback();
    expect((await client.group(group.id)).isFrozen).toBe(true);
    await repair();
    const again = await (await open()).group(damagedId);
    await expect(again.send("no")).rejects.toMatchObject({ code: "ROLLBACK_SUSPECTED" });
  },
);

test("M-STO-18 P-MP-06 the same goes for a record that an encrypted store finds changed", async () => {
  const inner = new MapStorage();
  const key = new Uint8Array(32).fill(7);
  const encrypted = await encryptedStorage(inner, key);
  const world = await testGroup({
    members: 2,
    storage: (name) => (name === "member 0" ? encrypted : new MapStorage()),
  });
  const { client, group } = world.member(0);
  const before = new Set(inner.list("").map((record) => record.key));
  const damaged = await client.createGroup();
  const rows = inner.list("r/").filter((record) => !before.has(record.key));
  // The records of the new group are those of which there are several in one folder.
  const folderOf = (name: string): string => name.split("/")[1]!;
  const own = rows.filter(({ key: name }) =>
    rows.some((other) => other.key !== name && folderOf(other.key) === folderOf(name)),
  );
  expect(own.length).toBeGreaterThan(3);
  for (const row of own) {
    const copy = inner.copy();
    const value = row.value.slice();
    value[value.length - 1]! ^= 1;
    copy.write({ puts: [{ key: row.key, value }], deletes: [], expect: [] });
    const again = await Client.open({
      storage: await encryptedStorage(copy, key, { verify: false }),
      clock: world.clock,
      authenticationService: world.directory,
    });
    expect(await again.groups()).toHaveLength(1);
    expect(await again.unreadableGroups()).toMatchObject([
      { groupId: damaged.id, error: { code: "STORAGE_FAILED" } },
    ]);
    await again.suspectRollback();
    await expect((await again.group(group.id)).send("no")).rejects.toMatchObject({
      code: "ROLLBACK_SUSPECTED",
    });
  }
});

test("M-ID-10 M-UPD-08 a rotation leaves what it cannot read for later, and the identity that may be needed there", async () => {
  const { world, client, damagedId, repair, open } = await damagedWorld();
  const other = world.member(1).group;
  const transport: GroupTransport = {
    deliver: async ({ commit }, group) => {
      if (group.memberCount > 1) await other.process(commit, { accept: true });
      return { type: "accepted" };
    },
    propose: () => undefined,
    catchUp: () => undefined,
  };
  const from = client.identity;
  const to = await client.addIdentity({ identity: "member 0" });
  world.directory.add(to);
  const first = await rotateIdentity(client, { from, to, transport });
  expect(first).toEqual({ isDone: false, done: 1, left: [damagedId] });
  await expect(client.removeIdentity(from)).rejects.toMatchObject({ code: "CREDENTIAL_IN_USE" });
  await repair();
  const again = await open();
  const [unfinished] = await unfinishedRotations(again);
  const second = await rotateIdentity(again, { ...unfinished!, transport });
  expect(second).toEqual({ isDone: true, done: 2, left: [] });
  expect((await again.identities()).map(({ signatureKey }) => signatureKey)).toEqual([
    to.signatureKey,
  ]);
});

/** Member 0 after a restart, on a store that does something before it lists a group's records. */
async function listeningWorld() {
  const store = new MapStorage();
  let before: (prefix: string) => unknown = () => undefined;
  const storage = {
    get: (key: string) => store.get(key),
    list: async (prefix: string) => {
      await before(prefix);
      return store.list(prefix);
    },
    write: (batch: Parameters<MapStorage["write"]>[0]) => store.write(batch),
    close: () => undefined,
  };
  const world = await testGroup({
    members: 2,
    storage: (name) => (name === "member 0" ? storage : new MapStorage()),
  });
  const { clock, directory: authenticationService } = world;
  const open = () => Client.open({ storage, clock, authenticationService });
  return { world, store, open, beforeList: (work: typeof before) => (before = work) };
}

test("M-STO-18 a store that fails says so, instead of showing its groups as gone or unreadable", async () => {
  const { open, beforeList, world } = await listeningWorld();
  const client = await open();
  const cause = new Error("EIO");
  beforeList((prefix) => {
    if (/^g\d/.test(prefix)) throw cause;
  });
  const failed = { code: "STORAGE_FAILED", cause };
  await expect(client.groups()).rejects.toMatchObject(failed);
  await expect(client.unreadableGroups()).rejects.toMatchObject(failed);
  // This must not fail for what can be done blindly.
  await client.suspectRollback();
  beforeList(() => undefined);
  expect(await client.unreadableGroups()).toEqual([]);
  const [group] = await client.groups();
  expect(group?.id).toEqual(world.member(0).group.id);
  expect(group?.isFrozen).toBe(true);
});

test("M-STO-15 a group that is deleted while groups are listed is in neither list; one whose records are gone is unreadable", async () => {
  const { open, beforeList, store, world } = await listeningWorld();
  const { id } = world.member(0).group;
  const [client, other] = [await open(), await open()];
  let isDeleting = false;
  beforeList(async (prefix) => {
    if (!/^g\d/.test(prefix) || isDeleting) return;
    isDeleting = true;
    await other.deleteGroup(id);
  });
  const kept = new Map(store.records);
  expect(await client.unreadableGroups()).toEqual([]);
  expect(await client.groups()).toEqual([]);
  for (const [key, record] of kept) if (!key.startsWith("g0/")) store.records.set(key, record);
  expect(await (await open()).unreadableGroups()).toMatchObject([
    { groupId: id, error: { code: "GROUP_NOT_FOUND" } },
  ]);
});

test("M-STO-19 a tree that the application fails to fetch makes one group unreadable", async () => {
  const { world, store, outside } = await treeWorld();
  const { clock, directory: authenticationService } = world;
  const tree = () => Promise.reject(new Error("offline"));
  const again = await Client.open({ storage: store, clock, authenticationService, tree });
  expect((await again.groups()).map(({ id }) => id)).toEqual([world.member(0).group.id]);
  expect(await again.unreadableGroups()).toMatchObject([
    { groupId: outside.id, error: { code: "TREE_MISSING", cause: { message: "offline" } } },
  ]);
});

test("P-BUF-02 M-STO-15 a group that cannot be read keeps no other from keeping early messages", async () => {
  const world = await testGroup({ members: 2, config: { bufferedSeconds: 60 } });
  const { client, storage } = world.member(0);
  const [maker, keeper] = [world.member(1).client, world.member(0).group];
  const other = await maker.createGroup();
  await other.add([(await client.createKeyPackage()).bytes]);
  const { welcomes } = await other.acceptCommit();
  const broken = await client.join(welcomes[0]!.bytes);
  const early = async (group: Group): Promise<Uint8Array> => {
    await group.update();
    await group.acceptCommit();
    return (await group.send("early")).bytes;
  };
  expect(await broken.process(await early(other))).toMatchObject({ isBuffered: true });
  const head = (await storage.get("g1/h"))!.value.slice(0, 20);
  await storage.write({ puts: [{ key: "g1/h", value: head }], deletes: [], expect: [] });
  world.clock.advance(3600);
  const { client: again, group } = await world.reopen(0, storage);
  await expect(again.group(broken.id)).rejects.toMatchObject({ code: "STORAGE_FAILED" });
  const message = await early(world.member(1).group);
  expect(await group.process(message)).toMatchObject({ kind: "future", isBuffered: true });
  expect(await storage.list("g1/b")).toEqual([]);
  expect(keeper.id).toEqual(group.id);
});

for (const cache of ["keep", "reload"] as const) {
  test(`P-TX-04 M-STO-19 a slow tree does not bring back an epoch that has ended meanwhile (${cache})`, async () => {
    const { world, store, outside } = await treeWorld();
    const { clock, directory: authenticationService } = world;
    const bytes = outside.ratchetTree();
    let current = bytes;
    let answer: () => void = () => undefined;
    const slow = new Promise<Uint8Array>((resolve) => {
      answer = () => {
        resolve(bytes);
      };
    });
    let calls = 0;
    const tree = () => (calls++ === 0 ? slow : current);
    const again = await Client.open({ storage: store, clock, authenticationService, tree, cache });
    const reading = again.group(outside.id);
    const fast = await again.group(outside.id);
    await fast.update();
    await fast.acceptCommit();
    current = fast.ratchetTree();
    answer();
    const group = await reading;
    expect([group.epoch, fast.epoch]).toEqual([1n, 1n]);
    expect(group.epochAuthenticator).toEqual(fast.epochAuthenticator);
  });
}

test("P-CR-04 a store that is put back under an open client is read as it is", async () => {
  const store = new MapStorage();
  const world = await testGroup({
    storage: (name) => (name === "member 0" ? store : new MapStorage()),
  });
  const { client, group } = world.member(0);
  const before = store.copy();
  for (let i = 0; i < 3; i++) await group.configure({ resumptionPsks: i + 1 });
  store.records.clear();
  for (const [key, record] of before.records) store.records.set(key, record);
  await group.configure({ resumptionPsks: 9 });
  const { group: reopened } = await world.reopen(0, store);
  expect(reopened.config.resumptionPsks).toBe(9);
  await client.close();
});

test("P-BUF-02 P-TX-05 a read that fails while room is made leaves the other group's messages", async () => {
  const store = new MapStorage();
  let failing = "";
  const storage: Storage = {
    get: (key) => store.get(key),
    list: (prefix) => {
      if (prefix === failing) throw new StorageError("STORAGE_FAILED", "no disk");
      return store.list(prefix);
    },
    write: (batch) => store.write(batch),
    close: () => undefined,
  };
  const world = await testGroup({
    members: 2,
    config: { bufferedSeconds: 60 },
    storage: (name) => (name === "member 0" ? storage : new MapStorage()),
  });
  const other = await world.member(1).client.createGroup();
  await other.add([(await world.member(0).client.createKeyPackage()).bytes]);
  const { welcomes } = await other.acceptCommit();
  const mine = await world.member(0).client.join(welcomes[0]!.bytes);
  await other.update();
  await other.acceptCommit();
  await mine.process((await other.send("early")).bytes);
  world.clock.advance(3600);
  const { client, group } = await world.reopen(0, storage);
  const peer = world.member(1).group;
  await peer.update();
  await peer.acceptCommit();
  const { bytes } = await peer.send("early as well");
  const kept = store.list("g1/b").map(({ key }) => key);
  expect(kept).toHaveLength(1);
  await client.transaction(async (tx) => {
    const inside = await tx.group(group.id);
    failing = "g1/";
    await expect(inside.process(bytes)).rejects.toMatchObject({ code: "STORAGE_FAILED" });
    failing = "";
    tx.put("note", utf8("goes on"));
  });
  expect(store.list("g1/b").map(({ key }) => key)).toEqual(kept);
});

/** Member 0 with one group of each kind: its tree in the store, or elsewhere. */
async function treeWorld() {
  const store = new MapStorage();
  const world = await testGroup({
    members: 1,
    storage: (name) => (name === "member 0" ? store : new MapStorage()),
  });
  const { client } = world.member(0);
  return { world, store, outside: await client.createGroup({ config: { storedTree: false } }) };
}
