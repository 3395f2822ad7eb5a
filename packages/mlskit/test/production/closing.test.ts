/** What is under way when the client is closed or a transaction is aborted, and what waits for what. P-TX-08. */
import { expect, test } from "vitest";
import { Client } from "../../src/index.ts";
import { testGroup } from "../../src/testing/index.ts";
import { MapStorage } from "./map-storage.ts";

const later = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Member 0 on a store that takes its time, and notes what happens to it. */
async function slowWorld() {
  const store = new MapStorage();
  const happened: string[] = [];
  const storage = {
    get: (key: string) => store.get(key),
    list: (prefix: string) => store.list(prefix),
    write: async (batch: Parameters<MapStorage["write"]>[0]) => {
      await later(5);
      store.write(batch);
      happened.push("written");
    },
    close: () => {
      happened.push("closed");
    },
  };
  const world = await testGroup({
    members: 2,
    storage: (name) => (name === "member 0" ? storage : new MapStorage()),
  });
  happened.length = 0;
  return { world, store, happened, ...world.member(0) };
}

test("closing lets everything that has begun come to its end, and nothing else begin", async () => {
  const { world, store, happened, client, group } = await slowWorld();
  const begun = [
    group.send("first"),
    group.send("waits for the first"),
    client.createKeyPackage(),
    client.createGroup(),
    client.transaction(async (tx) => {
      await later(10);
      const own = await tx.group(group.id);
      await own.send("in a transaction");
      tx.put("note", Uint8Array.of(1));
    }),
  ];
  await later(1);
  const closed = client.close();
  await expect(group.send("too late")).rejects.toMatchObject({ code: "CLIENT_CLOSED" });
  await expect(client.groups()).rejects.toMatchObject({ code: "CLIENT_CLOSED" });
  expect(await Promise.allSettled(begun)).toEqual(
    begun.map(() => expect.objectContaining({ status: "fulfilled" })),
  );
  await closed;
  await client.close();
  expect(happened).toEqual([...begun.map(() => "written"), "closed"]);
  const { clock, directory: authenticationService } = world;
  const again = await Client.open({ storage: store, clock, authenticationService });
  expect(await again.groups()).toHaveLength(2);
  expect((await (await again.group(world.member(1).group.id)).send("next")).generation).toBe(3);
});

test("P-TX-08 an abort ends a callback that waits for ever, and what waits for its groups goes on", async () => {
  const { client, group, storage } = (await testGroup({ members: 2 })).member(0);
  const stuck: readonly (() => Promise<unknown>)[] = [
    () => new Promise(() => undefined),
    // Both would wait for the transaction that they are in.
    () => group.send("on a group that is held"),
    () => client.transaction(async () => undefined),
  ];
  for (const wait of stuck) {
    const controller = new AbortController();
    let late: Promise<unknown> | undefined;
    const running = client.transaction(
      async (tx) => {
        const own = await tx.group(group.id);
        await own.send("dropped");
        tx.put("dropped", Uint8Array.of(1));
        late = wait();
        await late;
      },
      { signal: controller.signal },
    );
    await later(5);
    const next = group.send("waits");
    controller.abort();
    await expect(running).rejects.toMatchObject({ name: "AbortError" });
    expect((await next).bytes.length).toBeGreaterThan(0);
    if (wait !== stuck[0]) await late;
  }
  expect(await storage.get("app/dropped")).toBeUndefined();
  // Two messages in each round at most, and none twice under one key.
  expect((await group.send("last")).generation).toBe(4);
  await client.close();
});

test("P-TX-04 a callback that goes on after an abort changes nothing", async () => {
  const { client, group } = (await testGroup({ members: 2 })).member(0);
  const controller = new AbortController();
  let afterwards: Promise<unknown> | undefined;
  const running = client.transaction(
    async (tx) => {
      const own = await tx.group(group.id);
      await new Promise((_, reject) => controller.signal.addEventListener("abort", reject)).catch(
        () => undefined,
      );
      afterwards = own.send("too late");
      await afterwards;
    },
    { signal: controller.signal },
  );
  await later(5);
  controller.abort();
  await expect(running).rejects.toMatchObject({ name: "AbortError" });
  await expect(afterwards).rejects.toMatchObject({ code: "TRANSACTION_CLOSED" });
  expect((await group.send("first")).generation).toBe(0);
});

test("P-MP-06 a transaction over several groups and a suspected rollback do not wait for each other", async () => {
  const { client } = (await testGroup({ members: 2 })).member(0);
  await client.createGroup();
  const ids = (await client.groups()).map(({ id }) => id);
  for (const order of [ids, [...ids].reverse()]) {
    let frozen: Promise<void> | undefined;
    await client.transaction(async (tx) => {
      for (const id of order) {
        await tx.group(id);
        frozen ??= client.suspectRollback();
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    });
    await frozen;
  }
  expect((await client.groups()).every(({ isFrozen }) => isFrozen)).toBe(true);
});

test("closing waits for a transaction that names no group, as for all others", async () => {
  const { client, happened } = await slowWorld();
  const running = client.transaction(
    async (tx) => {
      await later(10);
      tx.put("note", Uint8Array.of(1));
    },
    { groups: [] },
  );
  await later(1);
  await client.close();
  await running;
  expect(happened).toEqual(["written", "closed"]);
});

test("a closed client has no events to wait for, and tells nothing about its groups", async () => {
  const { client, group } = (await testGroup({ members: 1 })).member(0);
  const closing = client.close();
  const closed = expect.objectContaining({ code: "CLIENT_CLOSED", blame: "usage" });
  expect(() => client.events()).toThrow(closed);
  await closing;
  expect(() => client.events()).toThrow(closed);
  expect(() => group.epoch).toThrow(closed);
  expect(() => group.nextGeneration).toThrow(closed);
});

test("a deleted group has no next generation", async () => {
  const { client, group } = (await testGroup({ members: 1 })).member(0);
  await group.send("first");
  expect(group.nextGeneration).toBe(1);
  await client.deleteGroup(group.id);
  const gone = expect.objectContaining({ code: "GROUP_NOT_FOUND", blame: "state" });
  expect(() => group.epoch).toThrow(gone);
  expect(() => group.nextGeneration).toThrow(gone);
});

test("P-TX-03 what takes the place of a group and a transaction that holds it do not wait for each other", async () => {
  const world = await testGroup({ members: 2 });
  const { client, group } = world.member(0);
  const [other, gone] = [world.member(1), await client.createGroup()];
  const reInit = { groupId: Uint8Array.of(7), version: 1, cipherSuite: 1, extensions: [] };
  const { commit } = await group.commitImmediately({ reInit });
  await other.group.process(commit, { accept: true });
  const { bytes } = await other.client.createKeyPackage();
  await gone.commitImmediately({
    reInit: { ...reInit, groupId: Uint8Array.of(8) },
  });
  await client.createSuccessor(gone.id, []);
  expect(gone.status).toBe("inactive");
  const successions = [
    { held: group.id, start: () => client.createSuccessor(group.id, [bytes]) },
    { held: gone.id, start: () => client.createGroup({ groupId: gone.id, replace: true }) },
  ];
  for (const { held, start } of successions) {
    const running = client.transaction(async (tx) => {
      await tx.group(held);
      await later(10);
      // A write of its own.
      await client.createKeyPackage();
    });
    await later(1);
    const started = start();
    await Promise.all([running, started]);
  }
  expect(await client.keyPackages()).toHaveLength(2);
  await client.close();
}, 5_000);
