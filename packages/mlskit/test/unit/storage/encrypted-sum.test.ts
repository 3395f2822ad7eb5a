/** Records that were left out or put back. M-STO-04. */
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test, vi } from "vitest";
import { importStoreKey, openHeader } from "../../../src/storage/encrypted-keys.ts";
import { EncryptedStorage } from "../../../src/storage/encrypted-storage.ts";
import { encryptedStorage } from "../../../src/storage/encrypted.ts";
import { fileStorage } from "../../../src/storage/file.ts";
import { memoryStorage } from "../../../src/storage/memory.ts";
import type { Storage, StoredRecord, WriteBatch } from "../../../src/storage/storage.ts";
import { MeasuringStorage, SeededRandom, testGroup } from "../../../src/testing/index.ts";
import { readGolden } from "../../golden/media.ts";
import { STORE_KEY } from "../../golden/world.ts";
import { MapStorage } from "../../production/map-storage.ts";
import { temporaryDirectories } from "./directories.ts";

const key = new Uint8Array(32).fill(1);
const otherKey = new Uint8Array(32).fill(2);
const newDirectory = temporaryDirectories();
const REFUSED = { code: "STORAGE_FAILED" };

const put = async (storage: Storage, name: string, value: string): Promise<void> =>
  storage.write({ puts: [{ key: name, value: Buffer.from(value) }], deletes: [], expect: [] });
const remove = (storage: Storage, name: string) =>
  storage.write({ puts: [], deletes: [name], expect: [] });

test("M-STO-04 sto-5: a single record that was left out, or put back with its old version, is noticed", async () => {
  const inner = new MapStorage();
  const storage = await encryptedStorage(inner, key);
  for (const name of ["a", "b", "g/1", "g/2"]) await put(storage, name, "old");
  const old = new Map(inner.records);
  for (const name of ["a", "b", "g/1", "g/2"]) await put(storage, name, "new");
  await put(storage, "late", "new");
  // Gone, and there again: the same version with another value.
  await put(storage, "again", "old");
  const before = new Map(inner.records);
  await remove(storage, "again");
  await put(storage, "again", "new");
  const now = new Map(inner.records);
  const again = [...now].filter(([name, { value, version }]) => {
    const was = before.get(name);
    return name.startsWith("r/") && was?.version === version && was.value !== value;
  });
  expect(again).toHaveLength(1);

  const opened = async (changes: readonly (readonly [string, StoredRecord | undefined])[]) => {
    inner.records.clear();
    for (const [name, record] of now) inner.records.set(name, record);
    for (const [name, record] of changes) {
      if (record === undefined) inner.records.delete(name);
      else inner.records.set(name, record);
    }
    return encryptedStorage(inner, key);
  };
  const names = [...now.keys()].filter((name) => name !== "header");
  for (const name of names) {
    await expect(opened([[name, undefined]]), `without ${name}`).rejects.toMatchObject(REFUSED);
  }
  for (const [name, record] of [...old, ...before]) {
    if (now.get(name) === record) continue;
    await expect(opened([[name, record]]), `old ${name}`).rejects.toMatchObject(REFUSED);
    // Nor does the counter of that time help, unless everything else is of that time as well.
    if (old.get(name) !== record) continue;
    const both = [
      [name, record],
      ["counter", old.get("counter")],
    ] as const;
    await expect(opened(both), `both ${name}`).rejects.toMatchObject(REFUSED);
  }
  const all = [
    ...old,
    ...[...now.keys()].filter((name) => !old.has(name)).map((name) => [name, undefined] as const),
  ];
  expect(await (await opened(all)).list("")).toHaveLength(4);
  const whole = await opened([]);
  expect(await whole.list("")).toHaveLength(6);
  // While the store is open it can be asked.
  await whole.verify();
  inner.records.delete(names.find((name) => name.startsWith("r/")) as string);
  await expect(whole.verify()).rejects.toMatchObject(REFUSED);
  await expect(encryptedStorage(inner, key)).rejects.toMatchObject(REFUSED);
  const unchecked = await encryptedStorage(inner, key, { verify: false });
  expect(await unchecked.list("")).toHaveLength(5);
});

test("M-STO-04: the sum stays right through writes of several handles, deletions, failures and changes of the key", async () => {
  const random = new SeededRandom("sum");
  const inner = new MapStorage();
  let current = key;
  let handles = [await encryptedStorage(inner, key), await encryptedStorage(inner, key)];
  const pick = <T>(all: readonly T[]): T => all[random.below(all.length)] as T;
  const names = ["a", "b", "g/1", "g/2", "g/2/x", "h"];
  for (let round = 0; round < 200; round++) {
    const writes = Array.from({ length: 1 + random.below(4) }, async () => {
      const handle = pick(handles);
      const touched = names.filter(() => random.chance(0.4));
      const puts = touched
        .filter(() => random.chance(0.7))
        .map((name) => ({ key: name, value: Buffer.from(`${round}`) }));
      const deletes = touched.filter((name) => !puts.some((record) => record.key === name));
      const known = random.chance(0.5) ? await handle.get(pick(names)) : undefined;
      const expected = known === undefined ? [] : [known];
      await handle.write({ puts, deletes, expect: expected }).catch((error: unknown) => {
        expect(error).toMatchObject({ code: "STORAGE_CONFLICT" });
      });
      if (random.chance(0.3)) await handle.list(pick(["", "g/", "g/2"]));
    });
    await Promise.all(writes);
    await (await encryptedStorage(inner, current)).verify();
    if (round % 40 !== 39) continue;
    current = current === key ? otherKey : key;
    const [first, second] = handles as [(typeof handles)[0], (typeof handles)[0]];
    const rotation = first.rotateKey(current, 2);
    await put(second, "a", "during").catch((error: unknown) => {
      expect(error).toMatchObject({ code: "STORAGE_KEY_MISMATCH" });
    });
    await rotation;
    handles = [first, await encryptedStorage(inner, current)];
  }
  expect(inner.records.get("counter")?.version).toBeGreaterThan(200);
});

async function firstFormat(): Promise<MapStorage> {
  const file = fileURLToPath(new URL("../../golden/stores/1/alice.encrypted.gz", import.meta.url));
  const directory = newDirectory();
  fs.mkdirSync(directory);
  fs.writeFileSync(path.join(directory, "records"), readGolden(file));
  const raw = await fileStorage(directory, { dangerouslyUnencrypted: true });
  const inner = new MapStorage((await raw.list("")).map((record) => [record.key, record]));
  await raw.close();
  expect(inner.records.get("header")?.value[0]).toBe(1);
  return inner;
}

test("M-STO-04 M-STO-10: a store of the first format gets its sum when it is opened", async () => {
  const inner = await firstFormat();
  const rows = inner.records.size - 1;
  const storage = await encryptedStorage(inner, STORE_KEY);
  expect(inner.records.get("header")?.value[0]).toBe(2);
  expect(await storage.list("")).toHaveLength(rows);
  await put(storage, "new", "record");
  expect(await (await encryptedStorage(inner, STORE_KEY)).list("")).toHaveLength(rows + 1);
  const name = [...inner.records.keys()].find((found) => found.startsWith("r/")) as string;
  inner.records.delete(name);
  await expect(encryptedStorage(inner, STORE_KEY)).rejects.toMatchObject(REFUSED);
});

test("M-STO-04: the header of the first format, put back with an old record, gets no new sum", async () => {
  const inner = await firstFormat();
  const header = inner.records.get("header") as StoredRecord;
  const storage = await encryptedStorage(inner, STORE_KEY);
  await put(storage, "a", "old");
  const before = new Map(inner.records);
  await put(storage, "a", "new");
  const old = [...before.values()].find(
    (record) => record.key.startsWith("r/") && inner.records.get(record.key) !== record,
  ) as StoredRecord;
  inner.records.set("header", header).set(old.key, old);
  await expect(encryptedStorage(inner, STORE_KEY)).rejects.toMatchObject(REFUSED);
  expect(inner.records.get("header")).toBe(header);
});

test("M-STO-04 M-STO-10: of processes that upgrade a store at once, each opens it", async () => {
  const inner = await firstFormat();
  const late = new MapStorage();
  const list = (prefix: string) => inner.list(prefix);
  const write = (batch: WriteBatch) => inner.write(batch);
  // It read the header before the other process began, and the records when that had finished.
  const first = inner.get("header");
  const headers = [first];
  Object.assign(late, { list, write, get: (name: string) => headers.shift() ?? inner.get(name) });
  await encryptedStorage(inner, STORE_KEY);
  await (await encryptedStorage(late, STORE_KEY)).verify();
  expect(headers).toEqual([]);
});

/** A store whose reads of one record wait, before or after the record is looked up. */
function heldStorage(records: MapStorage, when: "before" | "after") {
  const held: (() => void)[] = [];
  let name = "";
  const storage: Storage = {
    get: async (key) => {
      const found = records.get(key);
      if (key !== name) return found;
      name = "";
      await new Promise<void>((resume) => held.push(resume));
      return when === "before" ? records.get(key) : found;
    },
    list: (prefix) => records.list(prefix),
    write: (batch) => records.write(batch),
    close: () => undefined,
  };
  const hold = (key: string) => (name = key);
  const reached = () => vi.waitFor(() => expect(held).toHaveLength(1));
  return { storage, hold, reached, release: () => held.pop()?.() };
}

async function recreate(storage: Storage, name: string): Promise<void> {
  await remove(storage, name);
  await put(storage, name, "again");
}

test("M-STO-04: what is read while the sum is being read is not remembered with it", async () => {
  const inner = new MapStorage();
  const other = await encryptedStorage(inner, key);
  await put(other, "a", "once");
  const { storage: slow, hold, reached, release } = heldStorage(inner, "before");
  const storage = await encryptedStorage(slow, key);
  hold("counter");
  const writing = put(storage, "b", "new");
  await reached();
  expect((await storage.get("a"))?.version).toBe(1);
  await recreate(other, "a");
  release();
  await writing;
  await put(storage, "a", "twice");
  await storage.verify();
});

test("M-STO-04: what is read for an expectation while others write is not remembered", async () => {
  const inner = new MapStorage();
  const other = await encryptedStorage(inner, key);
  await put(other, "a", "once");
  const { storage: slow, hold, reached, release } = heldStorage(inner, "after");
  const storage = await encryptedStorage(slow, key);
  hold([...inner.records.keys()].find((name) => name.startsWith("r/")) as string);
  const expecting = storage.write({ puts: [], deletes: [], expect: [{ key: "a", version: 0 }] });
  const refused = expect(expecting).rejects.toMatchObject({ code: "STORAGE_CONFLICT" });
  await reached();
  await recreate(other, "a");
  await put(storage, "b", "new");
  release();
  await refused;
  await put(storage, "a", "twice");
  await storage.verify();
});

test("an expectation that another process overtook fails at once", async () => {
  const inner = new MapStorage();
  const other = await encryptedStorage(inner, key);
  await put(other, "a", "once");
  const { storage: counted } = heldStorage(inner, "before");
  let attempts = 0;
  const storage = await encryptedStorage(
    {
      ...counted,
      write: (batch) => {
        attempts++;
        return counted.write(batch);
      },
    },
    key,
  );
  await put(storage, "b", "loads the sum");
  attempts = 0;
  const { version } = (await storage.get("a")) as StoredRecord;
  await put(other, "a", "twice");
  const expecting = storage.write({ puts: [], deletes: [], expect: [{ key: "a", version }] });
  await expect(expecting).rejects.toMatchObject({ code: "STORAGE_CONFLICT" });
  expect(attempts).toBe(1);
});

test("the key of the sum is wiped when the store is closed or has another key", async () => {
  const storeKey = await importStoreKey(key);
  const inner = new MapStorage();
  await encryptedStorage(inner, key);
  const header = inner.records.get("header") as StoredRecord;
  for (const work of ["close", "rotateKey"] as const) {
    const keys = await openHeader(header.value, storeKey);
    const storage = new EncryptedStorage(inner, storeKey, header, keys);
    expect(keys.sumKey.some((byte) => byte !== 0)).toBe(true);
    await storage[work](otherKey);
    expect(keys.sumKey).toEqual(new Uint8Array(32));
  }
});

test("M-STO-04 M-STO-13: encrypted, with the sum, a message writes at most 300 bytes at the median", async () => {
  const stores: MeasuringStorage[] = [];
  const world = await testGroup({
    members: 2,
    storage: async () => {
      const measured = new MeasuringStorage(memoryStorage());
      stores.push(measured);
      return encryptedStorage(measured, key);
    },
  });
  const [sent, received]: [number[], number[]] = [[], []];
  for (let i = 0; i < 41; i++) {
    const before = stores.map(({ bytesWritten }) => bytesWritten) as [number, number];
    await world.say(0, `message ${i}`);
    sent.push(stores[0]!.bytesWritten - before[0]);
    received.push(stores[1]!.bytesWritten - before[1]);
  }
  for (const sizes of [sent, received]) {
    sizes.sort((a, b) => a - b);
    console.log(`encrypted: ${sizes[20]} bytes at the median, ${sizes.at(-1)} at most`);
    expect(sizes[20]).toBeLessThanOrEqual(300);
    expect(sizes.at(-1)).toBeLessThanOrEqual(2048);
  }
});
