/** A new store beside a rollback guard that remembers another one. P-MP-05, P-MP-07. */
import { expect, test } from "vitest";
import { Client, exportClient, importClient } from "../../src/index.ts";
import { memoryStorage } from "../../src/storage/memory.ts";
import type { Storage } from "../../src/storage/storage.ts";
import { testGroup } from "../../src/testing/index.ts";
import { copyableWorld, guardedStores, KEY, optionsOf } from "./copyable-world.ts";
import { MapStorage } from "./map-storage.ts";
import { moveRegistry } from "./move-registry.ts";

/** As after a reinstallation: the guard was kept, the store that it remembers was not. */
async function guardOfLostStore() {
  const open = guardedStores();
  const lost = await open(new MapStorage());
  await lost.write({ puts: [{ key: "a", value: new Uint8Array(1) }], deletes: [], expect: [] });
  return open;
}

const worldOn = (storage: Storage) =>
  testGroup({ storage: (name) => (name === "member 0" ? storage : memoryStorage()) });

test("P-MP-05 a client that is made in a new store is not frozen for a store that was lost", async () => {
  const open = await guardOfLostStore();
  const disk = new MapStorage();
  const storage = await open(disk);
  expect(storage.rollback).toBe("suspected");
  const world = await worldOn(storage);
  expect(storage.rollback).toBe("none");
  await world.say(0, "from the new store");
  const { group } = await world.reopen(0, await open(disk));
  expect(group.isFrozen).toBe(false);

  // From here on the guard watches over this one.
  const backup = disk.copy();
  await world.say(0, "after the backup");
  expect((await open(backup)).rollback).toBe("suspected");
});

test("P-MP-05 a store that holds a client stays suspected when one is to be made there", async () => {
  const open = guardedStores();
  const disk = new MapStorage();
  const world = await worldOn(await open(disk));
  const backup = disk.copy();
  await world.say(0, "of the lost state");
  const restored = await open(backup);
  const attempt = Client.create({ ...optionsOf(world, restored), identity: "x" });
  await expect(attempt).rejects.toMatchObject({ code: "IDENTITY_EXISTS" });
  expect(restored.rollback).toBe("suspected");
  expect((await world.reopen(0, restored)).group.isFrozen).toBe(true);
});

test("P-MP-05 P-MP-07 a client that moves into a new store is not frozen if its move is claimed", async () => {
  for (const isClaimed of [true, false]) {
    const { world, store } = await copyableWorld();
    const { claim } = moveRegistry();
    const request = {
      sealed: await exportClient(store(0), KEY),
      key: KEY,
      claim: isClaimed ? claim : undefined,
    };
    const open = await guardOfLostStore();
    const disk = new MapStorage();
    await importClient({ ...request, storage: await open(disk) });
    // Unclaimed, the same blob may have been imported into the store that was lost, and used there.
    const { group } = await world.reopen(0, await open(disk));
    expect(group.isFrozen).toBe(!isClaimed);
  }
});

test("P-MP-05 P-MP-07 a store stays suspected if the move into it is refused", async () => {
  const { store } = await copyableWorld();
  const { claim } = moveRegistry();
  const request = { sealed: await exportClient(store(0), KEY), key: KEY, claim };
  await importClient({ ...request, storage: memoryStorage() });
  const storage = await (await guardOfLostStore())(new MapStorage());
  const again = importClient({ ...request, storage });
  await expect(again).rejects.toMatchObject({ code: "CLIENT_MOVED" });
  expect(storage.rollback).toBe("suspected");
});
