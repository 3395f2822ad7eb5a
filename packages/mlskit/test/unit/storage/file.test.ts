import fs from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { deleteFileStorage, fileStorage } from "../../../src/storage/file.ts";
import type { Storage } from "../../../src/storage/storage.ts";
import { describeContract } from "./describe-contract.ts";
import { allBytes, temporaryDirectories } from "./directories.ts";
import { limitedFile, tornFile } from "./torn-file.ts";

const newDirectory = temporaryDirectories();
const directories = new WeakMap<Storage, string>();

async function open(directory: string, durability: "fsync" | "none"): Promise<Storage> {
  const storage = await fileStorage(directory, { dangerouslyUnencrypted: true, durability });
  directories.set(storage, directory);
  return storage;
}

for (const durability of ["fsync", "none"] as const) {
  describeContract(`M-STO-03: file store (${durability}), sto-8 contract`, {
    open: () => open(newDirectory(), durability),
    reopen: (storage) => open(directories.get(storage) as string, durability),
    torn: (prepare, work) => tornFile({ newDirectory, durability }, prepare, work),
    limited: () => limitedFile(newDirectory()),
  });
}

test("M-STO-03: the directory and every file in it are private to their owner", async () => {
  const directory = newDirectory();
  const storage = await fileStorage(directory, { dangerouslyUnencrypted: true });
  await write(storage, { a: "1" });
  expect(fs.statSync(directory).mode & 0o777).toBe(0o700);
  for (const name of fs.readdirSync(directory)) {
    expect(fs.statSync(path.join(directory, name)).mode & 0o777, name).toBe(0o600);
  }
  await storage.close();
  fs.chmodSync(path.join(directory, "records"), 0o644);
  fs.chmodSync(directory, 0o755);
  await (await fileStorage(directory, { dangerouslyUnencrypted: true })).close();
  expect(fs.statSync(directory).mode & 0o777).toBe(0o700);
  expect(fs.statSync(path.join(directory, "records")).mode & 0o777).toBe(0o600);
});

test("M-STO-15: no replaced or deleted value is left in any byte of the directory", async () => {
  const directory = newDirectory();
  const storage = await fileStorage(directory, { dangerouslyUnencrypted: true });
  const live = new Map<string, string>();
  for (let round = 0; round < 60; round++) {
    const puts: Record<string, string> = {};
    for (const name of ["head", `ratchet/${round % 7}`, `tree/${round % 3}`]) {
      puts[name] = `secret;${round};${name};`.repeat(1 + ((round * 37) % 90));
      live.set(name, `secret;${round};${name};`);
    }
    const gone = round % 5 === 4 ? [`ratchet/${(round + 3) % 7}`, "never"] : [];
    for (const name of gone) live.delete(name);
    await write(storage, puts, gone);
    const found = new Set(
      allBytes(directory)
        .toString("latin1")
        .match(/secret;\d+;[a-z/\d]+;/g),
    );
    expect(found).toEqual(new Set(live.values()));
  }
  await storage.close();
});

test("sto-7: the store does not grow over 10,000 messages, and shrinks after a group is gone", async () => {
  const directory = newDirectory();
  const storage = await fileStorage(directory, {
    dangerouslyUnencrypted: true,
    durability: "none",
  });
  const size = () => fs.statSync(path.join(directory, "records")).size;
  for (let message = 0; message < 10_000; message++) {
    await write(storage, { [`ratchet/${message % 20}`]: "x".repeat(60 + (message % 40)) });
  }
  expect(size()).toBe(65_536);
  const tree = Array.from({ length: 400 }, (_, i) => `tree/${i}`);
  await write(storage, Object.fromEntries(tree.map((key) => [key, "t".repeat(10_000)])));
  expect(size()).toBeLessThan(4_500_000);
  await write(storage, {}, tree);
  await write(storage, { "ratchet/0": "x" });
  expect(size()).toBeLessThan(200_000);
  expect(await storage.list("")).toHaveLength(20);
  await storage.close();
});

test("damaged and foreign files are refused, not taken for empty stores", async () => {
  const directory = newDirectory();
  const file = path.join(directory, "records");
  const storage = await fileStorage(directory, { dangerouslyUnencrypted: true });
  for (let i = 0; i < 5; i++) await write(storage, { [`key/${i}`]: `value ${i}` });
  const bytes = fs.readFileSync(file);
  const damage = (marker: string) => {
    const copy = Buffer.from(bytes);
    const at = copy.indexOf(marker);
    copy[at] = copy[at]! ^ 1;
    fs.writeFileSync(file, copy);
  };
  damage("value 2");
  await expect(async () => storage.get("key/2")).rejects.toMatchObject({ code: "STORAGE_FAILED" });
  await storage.close();
  for (const marker of ["value 0", "value 4", "key/3", "MR"]) {
    damage(marker);
    await expect(fileStorage(directory, { dangerouslyUnencrypted: true })).rejects.toMatchObject({
      code: "STORAGE_FAILED",
    });
  }
  damage("mlskit");
  await expect(fileStorage(directory, { dangerouslyUnencrypted: true })).rejects.toMatchObject({
    code: "STORAGE_FAILED",
  });
  fs.writeFileSync(file, "something else altogether, long enough to be mistaken for a header ....");
  await expect(fileStorage(directory, { dangerouslyUnencrypted: true })).rejects.toMatchObject({
    code: "STORAGE_FAILED",
  });
  fs.writeFileSync(file, bytes);
  const intact = await fileStorage(directory, { dangerouslyUnencrypted: true });
  expect(await intact.list("")).toHaveLength(5);
  await intact.close();
});

test("M-STO-10: a store of a later format is refused with STORAGE_VERSION", async () => {
  const directory = newDirectory();
  await (await fileStorage(directory, { dangerouslyUnencrypted: true })).close();
  const file = path.join(directory, "records");
  const bytes = fs.readFileSync(file);
  bytes[7] = 2;
  fs.writeFileSync(file, bytes);
  await expect(fileStorage(directory, { dangerouslyUnencrypted: true })).rejects.toMatchObject({
    code: "STORAGE_VERSION",
  });
});

test("a value that imitates a record is never read as one", async () => {
  const directory = newDirectory();
  const storage = await fileStorage(directory, { dangerouslyUnencrypted: true });
  await write(storage, { real: "1" });
  const file = fs.readFileSync(path.join(directory, "records"));
  await storage.write({ puts: [{ key: "copy", value: file }], deletes: [], expect: [] });
  // Damage to the outer header exposes the copies of whole records inside.
  await storage.write({ puts: [], deletes: ["copy"], expect: [] });
  expect((await storage.list("")).map(({ key }) => key)).toEqual(["real"]);
  await storage.close();
});

test("P-MP-01: a lock that another process holds gives STORE_LOCKED after the time limit", async () => {
  const directory = newDirectory();
  const storage = await fileStorage(directory, { dangerouslyUnencrypted: true, lockTimeout: 50 });
  await write(storage, { a: "1" });
  const owner = fs.readdirSync(directory).find((name) => name.startsWith("owner-")) as string;
  const foreign = JSON.parse(fs.readFileSync(path.join(directory, owner), "utf8"));
  const lock = path.join(directory, "lock");
  fs.writeFileSync(lock, JSON.stringify({ ...foreign, token: "0".repeat(24), host: "elsewhere" }));
  const attempt = write(storage, { a: "2" });
  await expect(attempt).rejects.toMatchObject({ code: "STORE_LOCKED", retryable: true });
  expect(await storage.get("a")).toMatchObject({ version: 1 });
  // A process that cannot run any more: ids are at most 2^22.
  const dead = { ...foreign, token: "1".repeat(24), pid: 2 ** 30 };
  fs.writeFileSync(lock, JSON.stringify(dead));
  await write(storage, { a: "3" });
  // A process id that has been given to another process since.
  fs.writeFileSync(lock, JSON.stringify({ ...foreign, token: "2".repeat(24), started: "x/1" }));
  if (process.platform === "linux") await write(storage, { a: "4" });
  else fs.rmSync(lock);
  await storage.close();
  expect(fs.readdirSync(directory)).toEqual(["records"]);
});

test("M-STO-13: a small write goes to the file as a few hundred bytes, at any store size", async () => {
  const written: number[] = [];
  const onWrite = (bytes: number) => written.push(bytes);
  const storage = await fileStorage(newDirectory(), {
    dangerouslyUnencrypted: true,
    durability: "none",
    onWrite,
  });
  const chunks = Array.from({ length: 400 }, (_, i) => [`tree/${i}`, "t".repeat(10_000)]);
  await write(storage, Object.fromEntries(chunks));
  await write(storage, { "ratchet/0": "x".repeat(80) });
  written.length = 0;
  for (let i = 0; i < 20; i++) await write(storage, { "ratchet/0": "x".repeat(80) });
  // The record, zeros over the one before, and the sequence number.
  expect(written).toEqual(Array.from({ length: 20 }, () => 160 + 160 + 8));
  await storage.close();
});

test("deleteFileStorage overwrites and removes the store", async () => {
  const directory = newDirectory();
  await (await fileStorage(directory, { dangerouslyUnencrypted: true })).close();
  deleteFileStorage(directory);
  deleteFileStorage(directory);
  expect(fs.readdirSync(directory)).toEqual([]);
});

async function write(
  storage: Storage,
  puts: Readonly<Record<string, string>>,
  deletes: readonly string[] = [],
): Promise<void> {
  const values = Object.entries(puts).map(([key, value]) => ({ key, value: Buffer.from(value) }));
  await storage.write({ puts: values, deletes, expect: [] });
}
