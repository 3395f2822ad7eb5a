/** What goes when its time is over, though nothing happens. */
import { describe, expect, test } from "vitest";
import { applyRetention } from "../../src/production/index.ts";
import { Client, type Outcome } from "../../src/index.ts";
import { type TestGroup, testGroup } from "../../src/testing/index.ts";
import { MapStorage } from "./map-storage.ts";

const DAY = 86_400;

async function world(members = 2) {
  const stores = new Map<string, MapStorage>();
  const storage = (name: string): MapStorage => {
    const store = new MapStorage();
    stores.set(name, store);
    return store;
  };
  const group = await testGroup({ members, storage });
  const store = (index: number) => stores.get(`member ${index}`) as MapStorage;
  return { group, store };
}

const keysOf = (store: MapStorage, pattern: RegExp): string[] =>
  [...store.records.keys()].filter((key) => pattern.test(key));
const PAST = /^g\d+\/x/;

/** A message that is late by one epoch. */
async function lateMessage(group: TestGroup): Promise<Uint8Array> {
  const { bytes } = await group.member(0).group.send("late");
  await group.commit(0);
  return bytes;
}

describe("past epochs", () => {
  test("M-STO-15 keys of past epochs go by age when the group is opened, and a snapshot leaves them", async () => {
    const { group, store } = await world();
    const late = await lateMessage(group);
    const epoch = keysOf(store(1), PAST)[0]?.slice(-1) as string;
    const ofEpoch = new RegExp(`^g\\d+/([xnr])${epoch}(\\.|$)`);
    expect(keysOf(store(1), ofEpoch).length).toBeGreaterThan(1);
    const kept = store(1).copy();
    group.clock.advance(7 * DAY);
    const { group: open } = await group.reopen(1, kept);
    expect((await open.process(late)).kind).toBe("application");

    group.clock.advance(1);
    const before = [...store(1).records];
    const options = { storage: store(1), authenticationService: group.directory };
    const clock = group.clock;
    const snapshot = await Client.openSnapshot({ ...options, clock });
    await snapshot.group(open.id);
    expect([...store(1).records]).toEqual(before);
    const { group: again } = await group.reopen(1, store(1));
    expect(keysOf(store(1), ofEpoch)).toEqual([]);
    expect((await again.process(late)).kind).toBe("epochTooOld");
    await group.commit(0);
    group.assertAgreement();
  });

  test("M-STO-15 a message that fails writes nothing, also when old keys are overdue", async () => {
    const { group, store } = await world();
    const late = await lateMessage(group);
    await group.commit(0);
    group.clock.advance(8 * DAY);
    const before = [...store(1).records];
    const outcomes: Outcome["kind"][] = [];
    const broken = late.slice();
    broken[broken.length - 1] = (broken.at(-1) as number) ^ 1;
    for (const bytes of [late, broken]) {
      outcomes.push((await group.member(1).group.process(bytes)).kind);
    }
    expect(outcomes).toEqual(["epochTooOld", "epochTooOld"]);
    expect([...store(1).records]).toEqual(before);
    await applyRetention(group.member(1).client);
    expect(keysOf(store(1), PAST)).toEqual([]);
  });
});

describe("ended groups", () => {
  test("M-STO-15 a group that we were removed from goes after 30 days, or after the time that is set", async () => {
    for (const [options, days] of [
      [{}, 30],
      [{ endedGroups: 3 * DAY }, 3],
    ] as const) {
      const { group, store } = await world(3);
      const { client, group: left } = group.member(2);
      group.clock.advance(100 * DAY);
      const { commit } = await group.member(0).group.remove([left.ownLeafIndex]);
      expect((await left.process(commit, { accept: true })).kind).toBe("removed");
      group.clock.advance(days * DAY - 1);
      expect(await applyRetention(client, options)).toMatchObject({ groups: 0 });
      expect((await client.group(left.id)).members().length).toBe(2);
      group.clock.advance(1);
      expect(await applyRetention(client, options)).toMatchObject({ groups: 1 });
      expect(keysOf(store(2), /^g(roup\/|\d+\/)/)).toEqual([]);
      // Groups that go on are not touched.
      group.clock.advance(400 * DAY);
      await applyRetention(group.member(1).client, options);
      expect(group.member(1).group.status).toBe("active");
    }
  });
});

describe("a group that cannot be read", () => {
  test("M-STO-15 is told, and does not keep the others from being looked through", async () => {
    const { group, store } = await world();
    const { client } = group.member(1);
    const broken = await client.createGroup({ groupId: Uint8Array.of(0) });
    const long = await client.createGroup({ groupId: new Uint8Array(200).fill(1) });
    const { reference } = await client.createKeyPackage();
    await client.deleteKeyPackage(reference);
    await lateMessage(group);
    expect(keysOf(store(1), PAST).length).toBeGreaterThan(0);
    group.clock.advance(401 * DAY);
    const damaged = [...store(1).records].filter(([key]) => {
      return /^g\d+\/h$/.test(key) && !key.startsWith("g0/");
    });
    expect(damaged).toHaveLength(2);
    for (const [key, record] of damaged) {
      store(1).records.set(key, { ...record, value: record.value.slice(0, 40) });
    }
    const { client: again } = await group.reopen(1, store(1));
    const report = await applyRetention(again);
    const error = expect.objectContaining({ code: "STORAGE_FAILED" });
    expect(report.failed).toHaveLength(2);
    expect(report.failed).toContainEqual({ groupId: broken.id, error });
    expect(report.failed).toContainEqual({ groupId: undefined, error });
    expect(long.id).toHaveLength(200);
    expect(report.records).toBe(2);
    expect(keysOf(store(1), PAST)).toEqual([]);
    await again.close();
    await expect(applyRetention(again)).rejects.toMatchObject({ code: "CLIENT_CLOSED" });
  });
});

describe("what is remembered of key packages", () => {
  test("M-STO-15 that a key package was ours is forgotten after 400 days, when none can be valid any more", async () => {
    const { group, store } = await world();
    const { client } = group.member(1);
    const { bytes, reference } = await client.createKeyPackage();
    const { group: other } = await group
      .member(0)
      .client.createGroupWith([bytes])
      .then(async (made) => made);
    const { welcomes } = await other.acceptCommit();
    await client.deleteKeyPackage(reference);
    const join = () => client.join(welcomes[0]!.bytes);
    await expect(join()).rejects.toMatchObject({ code: "ORPHAN_WELCOME" });
    group.clock.advance(400 * DAY);
    await applyRetention(client);
    await expect(join()).rejects.toMatchObject({ code: "ORPHAN_WELCOME" });
    group.clock.advance(1);
    // The one that led into the first group has the same age.
    expect((await applyRetention(client)).records).toBe(2);
    expect(keysOf(store(1), /^gone/)).toEqual([]);
    await expect(join()).rejects.toMatchObject({ code: "NO_MATCHING_KEY_PACKAGE" });
  });

  test("M-STO-15 the store does not grow by used key packages and entered groups", async () => {
    const { group, store } = await world();
    const { client } = group.member(1);
    const sizes: number[] = [];
    for (let round = 0; round < 60; round++) {
      const { bytes } = await client.createKeyPackage();
      const { group: other } = await group.member(0).client.createGroupWith([bytes]);
      const { welcomes } = await other.acceptCommit();
      await client.join(welcomes[0]!.bytes);
      await client.deleteGroup(other.id);
      group.clock.advance(10 * DAY);
      await applyRetention(client);
      sizes.push(store(1).records.size);
    }
    expect(sizes.at(-1)).toBe(sizes[45]);
    expect(keysOf(store(1), /^gone/).length).toBeLessThan(42);
    expect(keysOf(store(1), /^entered/)).toEqual([]);
  });

  test("M-STO-15 valn1403 [J] an epoch entered with a last resort is remembered as long as that is there", async () => {
    const { group, store } = await world();
    const { client } = group.member(1);
    const { bytes, reference } = await client.createKeyPackage({ lastResort: true });
    const { group: other } = await group.member(0).client.createGroupWith([bytes]);
    const { welcomes } = await other.acceptCommit();
    const join = () => client.join(welcomes[0]!.bytes);
    await join();
    await client.deleteGroup(other.id);
    group.clock.advance(1000 * DAY);
    await applyRetention(client);
    expect(keysOf(store(1), /^entered/)).toHaveLength(1);
    await expect(join()).rejects.toMatchObject({ code: "GROUP_EXISTS" });
    await client.deleteKeyPackage(reference);
    await applyRetention(client);
    expect(keysOf(store(1), /^entered/)).toEqual([]);
    await expect(join()).rejects.toMatchObject({ code: "ORPHAN_WELCOME" });
  });
});
