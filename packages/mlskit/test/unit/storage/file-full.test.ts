/** The file store on a full disk. M-STO-18. */
import { expect, test } from "vitest";
import { encryptedStorage } from "../../../src/storage/encrypted.ts";
import { SimulatedDisk } from "../../../src/storage/fault-file.ts";
import { fileStorage } from "../../../src/storage/file.ts";
import { memoryStorage } from "../../../src/storage/memory.ts";
import type { Storage } from "../../../src/storage/storage.ts";
import { testGroup } from "../../../src/testing/index.ts";
import { temporaryDirectories } from "./directories.ts";

const newDirectory = temporaryDirectories();
const key = new Uint8Array(32).fill(5);

test("M-STO-18: a full disk is reported as STORAGE_FAILED, and the store goes on", async () => {
  const disk = new SimulatedDisk();
  const storage = await fileStorage(newDirectory(), {
    dangerouslyUnencrypted: true,
    openFile: () => disk.open(),
  });
  const put = (key: string, size: number) =>
    storage.write({
      puts: [{ key, value: new Uint8Array(size).fill(7) }],
      deletes: [],
      expect: [],
    });
  await put("a", 1000);
  disk.capacity = disk.bytes.length + 10_000;
  await expect(put("b", 100_000)).rejects.toMatchObject({
    code: "STORAGE_FAILED",
    cause: { code: "ENOSPC" },
  });
  await expect(put("a", 100_000)).rejects.toMatchObject({ code: "STORAGE_FAILED" });
  expect(await storage.get("b")).toBeUndefined();
  expect(await storage.get("a")).toMatchObject({ version: 1 });
  await put("a", 2000);
  await storage.write({ puts: [], deletes: ["a"], expect: [] });
  expect(await storage.list("")).toEqual([]);
  await storage.close();
});

test("on a full disk records can still be deleted, which makes room", async () => {
  const disk = new SimulatedDisk();
  disk.capacity = 300_000;
  const storage = await fileStorage(newDirectory(), {
    dangerouslyUnencrypted: true,
    openFile: () => disk.open(),
  });
  const put = (key: string, size: number) =>
    storage.write({ puts: [{ key, value: new Uint8Array(size) }], deletes: [], expect: [] });
  for (const size of [20_000, 300]) {
    let count = 0;
    for (;;) {
      try {
        await put(`${size}/${count}`, size);
        count++;
      } catch (error) {
        expect(error).toMatchObject({ code: "STORAGE_FAILED", cause: { code: "ENOSPC" } });
        break;
      }
    }
    expect(await storage.list(`${size}/`)).toHaveLength(count);
  }
  const before = (await storage.list("")).length;
  await storage.write({ puts: [], deletes: ["20000/0", "20000/1"], expect: [] });
  await put("more", 15_000);
  expect(await storage.list("")).toHaveLength(before - 1);
  await storage.close();
});

const putting = (name: string, size: number) => ({
  puts: [{ key: name, value: new Uint8Array(size).fill(7) }],
  deletes: [],
  expect: [],
});

/** Puts records until there is no room for one more of any size. */
async function fill(storage: Storage): Promise<void> {
  for (const size of [5000, 300, 1]) {
    for (let count = 0; ; count++) {
      try {
        await storage.write(putting(`filler/${size}/${count}`, size));
      } catch (error) {
        expect(error).toMatchObject({ code: "STORAGE_FAILED", cause: { code: "ENOSPC" } });
        break;
      }
    }
  }
}

for (const isEncrypted of [false, true]) {
  test(`M-STO-18: on a full disk all records can be deleted at once (${isEncrypted ? "" : "not "}encrypted)`, async () => {
    const disk = new SimulatedDisk();
    disk.capacity = 700_000;
    const file = await fileStorage(newDirectory(), {
      dangerouslyUnencrypted: true,
      openFile: () => disk.open(),
    });
    const storage = isEncrypted ? await encryptedStorage(file, key) : file;
    await storage.write(putting("head", 2000));
    for (let i = 0; i < 300; i++) await storage.write(putting(`row/${i}`, 40));
    await fill(storage);
    const all = (await storage.list("")).map((record) => record.key);
    expect(all.length).toBeGreaterThan(400);
    // What stays is written again, no larger than it was.
    const deletes = all.filter((name) => name !== "head");
    await storage.write({ ...putting("head", 2000), deletes });
    expect((await storage.list("")).map((record) => record.key)).toEqual(["head"]);
    await storage.write(putting("more", 100_000));
    await storage.close();
  });
}

test("M-STO-18: what one batch added one batch can delete, though the disk was full after it", async () => {
  const disk = new SimulatedDisk();
  const storage = await fileStorage(newDirectory(), {
    dangerouslyUnencrypted: true,
    openFile: () => disk.open(),
  });
  const names = Array.from({ length: 2000 }, (_, i) => `row/${i}`);
  const puts = names.map((name) => ({ key: name, value: new Uint8Array(300) }));
  await storage.write({ puts, deletes: [], expect: [] });
  disk.capacity = disk.bytes.length;
  await storage.write({ ...putting("row/0", 300), deletes: names.slice(1) });
  expect(await storage.list("")).toHaveLength(1);
  await storage.close();
});

test("M-STO-18: on a full disk a client can still delete a group", async () => {
  const disk = new SimulatedDisk();
  const file = await fileStorage(newDirectory(), {
    dangerouslyUnencrypted: true,
    openFile: () => disk.open(),
  });
  const storage = await encryptedStorage(file, key);
  const world = await testGroup({
    members: 3,
    storage: (name) => (name === "member 0" ? storage : memoryStorage()),
  });
  for (let round = 0; round < 3; round++) await world.say(1, "a ratchet of its own");
  const { client, group } = world.member(0);
  disk.capacity = disk.bytes.length;
  await fill(storage);
  await expect(client.createGroup()).rejects.toMatchObject({ code: "STORAGE_FAILED" });
  const before = (await storage.list("")).length;
  await client.deleteGroup(group.id);
  expect((await storage.list("")).length).toBeLessThan(before - 5);
  expect(await client.groups()).toEqual([]);
  await client.close();
});
