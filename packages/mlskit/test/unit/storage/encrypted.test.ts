import fs from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { StorageError } from "../../../src/errors.ts";
import { encryptedStorage, type EncryptedStorage } from "../../../src/storage/encrypted.ts";
import { faultStorage } from "../../../src/storage/fault.ts";
import { fileStorage } from "../../../src/storage/file.ts";
import { memoryStorage } from "../../../src/storage/memory.ts";
import { sqliteStorage } from "../../../src/storage/sqlite.ts";
import type { Storage, StoredRecord } from "../../../src/storage/storage.ts";
import { describeContract } from "./describe-contract.ts";
import { allBytes, temporaryDirectories } from "./directories.ts";
import { limitedBatches, tornBatches } from "./torn-batches.ts";
import { limitedFile, tornFile } from "./torn-file.ts";
import { type DatabaseClass, limitedSqlite, tornSqlite } from "./torn-sqlite.ts";
import type { StorageHarness } from "../../../src/storage/contract.ts";
import { optionalModule } from "./optional-modules.ts";

const newDirectory = temporaryDirectories();
const key = new Uint8Array(32).fill(1);
const otherKey = new Uint8Array(32).fill(2);

/** Inner stores that outlive their handles, and how to get one more handle. */
const handles = new WeakMap<Storage, () => Promise<Storage>>();

async function openOn(
  inner: () => Promise<Storage>,
  options: Parameters<typeof encryptedStorage>[2],
): Promise<Storage> {
  const storage = await encryptedStorage(await inner(), key, options);
  handles.set(storage, () => openOn(inner, options));
  return storage;
}

function contractOn(
  title: string,
  inner: () => () => Promise<Storage>,
  options: Parameters<typeof encryptedStorage>[2] = {},
  faults: Pick<StorageHarness, "torn" | "limited"> = {},
): void {
  describeContract(`M-STO-04: encrypted store on ${title}, sto-8 contract`, {
    open: () => openOn(inner(), options),
    reopen: (storage) => handles.get(storage)!(),
    ...faults,
  });
}

const onMemory = () => {
  const inner = memoryStorage();
  // A fault store leaves its inner store open.
  return async () => faultStorage(inner);
};
const wrap = (inner: Storage) => encryptedStorage(inner, key);
const faultsOn = (around: typeof wrap): Pick<StorageHarness, "torn" | "limited"> => ({
  torn: (prepare, work) => tornBatches(memoryStorage, around, prepare, work),
  limited: () => limitedBatches(memoryStorage(), around),
});
contractOn("memory", onMemory, {}, faultsOn(wrap));
contractOn(
  "memory, with a rollback guard",
  onMemory,
  { rollbackGuard: guard() },
  faultsOn((inner) => encryptedStorage(inner, key, { rollbackGuard: guard() })),
);
contractOn(
  "a file",
  () => {
    const directory = newDirectory();
    return () => fileStorage(directory, { dangerouslyUnencrypted: true });
  },
  {},
  {
    torn: (prepare, work) => tornFile({ newDirectory, wrap }, prepare, work),
    limited: () => limitedFile(newDirectory(), wrap),
  },
);

const Sqlite = optionalModule("node-sqlite3-wasm")?.["Database"] as DatabaseClass | undefined;
if (Sqlite !== undefined) {
  const newFile = (): string => {
    const directory = newDirectory();
    fs.mkdirSync(directory);
    return path.join(directory, "store.db");
  };
  const harness = { Database: Sqlite, newFile, options: { key } };
  contractOn(
    "SQLite",
    () => {
      const inner = sqliteStorage(new Sqlite(":memory:"), { dangerouslyUnencrypted: true });
      return async () => faultStorage(await inner);
    },
    {},
    {
      torn: (prepare, work) => tornSqlite(harness, prepare, work),
      limited: () => limitedSqlite(harness),
    },
  );
}

function guard() {
  const states: Uint8Array[] = [];
  return {
    states,
    recall: () => states.at(-1),
    remember: (state: Uint8Array) => {
      states.push(state);
    },
  };
}

function put(storage: Storage, key: string, value: string) {
  return storage.write({ puts: [{ key, value: Buffer.from(value) }], deletes: [], expect: [] });
}

async function read(storage: Storage, key: string): Promise<string | undefined> {
  const record = await storage.get(key);
  return record === undefined ? undefined : Buffer.from(record.value).toString();
}

/** Replaces what the inner store holds under some names. */
async function overwrite(inner: Storage, records: readonly StoredRecord[]): Promise<void> {
  await inner.write({ puts: records, deletes: [], expect: [] });
}

/** A store whose records a test may forge, versions included. */
function forgeable() {
  const records = new Map<string, StoredRecord>();
  const storage: Storage = {
    get: (name) => records.get(name),
    list: (prefix) => [...records.values()].filter((record) => record.key.startsWith(prefix)),
    write: ({ puts, deletes }) => {
      for (const { key: name, value } of puts) {
        records.set(name, { key: name, value, version: (records.get(name)?.version ?? 0) + 1 });
      }
      for (const name of deletes) records.delete(name);
    },
    close: () => undefined,
  };
  return { records, storage };
}

/** Neither the header nor the counter. */
const isRecord = (name: string): boolean => /^[pr]\//.test(name);

test("M-STO-04: no value and no key is readable in the inner store", async () => {
  const directory = newDirectory();
  const storage = await encryptedStorage(
    await fileStorage(directory, { dangerouslyUnencrypted: true }),
    key,
  );
  for (let i = 0; i < 20; i++) await put(storage, `readable/group/${i % 4}`, `readable value ${i}`);
  expect(allBytes(directory).toString("latin1")).not.toContain("readable");
  expect(allBytes(directory).includes(Buffer.from(key))).toBe(false);
  await storage.close();
});

test("P-ENC-02: equal values of one record are encrypted under fresh nonces", async () => {
  const { storage: inner, records } = forgeable();
  const storage = await encryptedStorage(inner, key);
  const seen = new Set<string>();
  for (let i = 0; i < 50; i++) {
    await put(storage, "a", "same");
    for (const { key: name, value } of records.values()) {
      if (isRecord(name)) seen.add(Buffer.from(value.subarray(2, 14)).toString("hex"));
    }
  }
  expect(seen.size).toBe(50);
});

test("sto-5: a record that was exchanged, rolled back or changed is refused", async () => {
  const { storage: inner, records } = forgeable();
  const storage = await encryptedStorage(inner, key);
  await put(storage, "a", "old");
  const old = [...records.values()].find(({ key: name }) => isRecord(name))!;
  await put(storage, "a", "new");
  await put(storage, "b", "new");
  const [a, b] = [...records.values()].filter(({ key: name }) => isRecord(name));
  const refused = (forged: StoredRecord) => {
    records.set(a!.key, forged);
    return expect(storage.get("a")).rejects.toMatchObject({ code: "STORAGE_FAILED" });
  };
  await refused({ ...a!, value: b!.value });
  await refused({ ...a!, value: b!.value, version: b!.version });
  await refused({ ...a!, value: old.value });
  await refused({ ...a!, version: 1 });
  await refused({ ...a!, version: 3 });
  for (let i = 1; i < a!.value.length; i++) {
    const value = Uint8Array.from(a!.value);
    value[i] = value[i]! ^ 1;
    await refused({ ...a!, value });
    await refused({ ...a!, value: a!.value.subarray(0, i) });
  }
  records.set(a!.key, a!);
  expect(await read(storage, "a")).toBe("new");
});

test("M-STO-18: a version that no store gives is a record that was altered", async () => {
  const { storage: inner, records } = forgeable();
  const storage = await encryptedStorage(inner, key);
  await put(storage, "a", "1");
  const [name, record] = [...records].find(([found]) => isRecord(found))!;
  for (const version of [Number.NaN, 1.5, Number.POSITIVE_INFINITY, -1]) {
    records.set(name, { ...record, version });
    await expect(storage.get("a")).rejects.toMatchObject({
      code: "STORAGE_FAILED",
      cause: expect.anything(),
    });
  }
});

test("sto-5: a record of another store with the same key is refused", async () => {
  const [one, two] = [forgeable(), forgeable()];
  const first = await encryptedStorage(one.storage, key);
  const second = await encryptedStorage(two.storage, key);
  await put(first, "a", "1");
  await put(second, "a", "2");
  const foreign = [...one.records.values()].find(({ key: name }) => isRecord(name))!;
  const own = [...two.records.values()].find(({ key: name }) => isRecord(name))!;
  expect(foreign.key).not.toBe(own.key);
  two.records.set(own.key, { ...foreign, key: own.key });
  await expect(second.get("a")).rejects.toMatchObject({ code: "STORAGE_FAILED" });
});

test("P-ENC-03: names hide keys, and list asks the inner store only for the segments it needs", async () => {
  const { storage: inner } = forgeable();
  const asked: string[] = [];
  const spy: Storage = {
    ...inner,
    list: (prefix) => {
      asked.push(prefix);
      return inner.list(prefix);
    },
  };
  const storage = await encryptedStorage(spy, key);
  for (const name of ["g/1/a", "g/1/b", "g/2/a", "h/1/a", "g"]) await put(storage, name, name);
  const list = async (prefix: string) => (await storage.list(prefix)).map((record) => record.key);
  asked.length = 0;
  expect(await list("g/1/")).toEqual(["g/1/a", "g/1/b"]);
  expect(await inner.list(asked[0]!)).toHaveLength(2);
  expect(await list("g/")).toEqual(["g/1/a", "g/1/b", "g/2/a"]);
  expect(await inner.list(asked[1]!)).toHaveLength(3);
  expect(await list("g")).toEqual(["g", "g/1/a", "g/1/b", "g/2/a"]);
  expect(await list("")).toHaveLength(5);
  const names = (await inner.list("r/")).map((record) => record.key.split("/"));
  // Equal segments in different places do not look equal.
  expect(new Set(names.map((parts) => parts.at(-1))).size).toBe(5);
});

test("P-ENC-03: keys can be left readable for debugging", async () => {
  const { storage: inner, records } = forgeable();
  const storage = await encryptedStorage(inner, key, { dangerouslyReadableKeys: true });
  await put(storage, "group/7", "hidden");
  expect([...records.keys()]).toEqual(["header", "p/group/7", "counter"]);
  expect((await storage.list("gr")).map((record) => record.key)).toEqual(["group/7"]);
  // The store remembers.
  expect(await read(await encryptedStorage(inner, key), "group/7")).toBe("hidden");
});

test("M-STO-07: a wrong key is STORAGE_KEY_MISMATCH, and changes nothing", async () => {
  const inner = memoryStorage();
  const storage = await encryptedStorage(inner, key);
  await put(storage, "a", "1");
  await expect(encryptedStorage(inner, otherKey)).rejects.toMatchObject({
    code: "STORAGE_KEY_MISMATCH",
  });
  expect(await read(await encryptedStorage(inner, key), "a")).toBe("1");
  for (const unusable of [new Uint8Array(16), new Uint8Array(33)]) {
    await expect(encryptedStorage(inner, unusable)).rejects.toMatchObject({
      code: "INVALID_LENGTH",
    });
  }
});

test("P-ENC-05: an unencrypted store is not taken for an encrypted one", async () => {
  const inner = memoryStorage();
  await put(inner, "a", "1");
  await expect(encryptedStorage(inner, key)).rejects.toMatchObject({ code: "STORAGE_FAILED" });
});

test("P-ENC-01: a non-extractable CryptoKey opens the store; one for other uses is refused", async () => {
  const inner = memoryStorage();
  const algorithm = { name: "AES-GCM", length: 256 };
  const own = await crypto.subtle.generateKey(algorithm, false, ["encrypt", "decrypt"]);
  await put(await encryptedStorage(inner, own), "a", "1");
  expect(await read(await encryptedStorage(inner, own), "a")).toBe("1");
  const stranger = await crypto.subtle.generateKey(algorithm, false, ["encrypt", "decrypt"]);
  await expect(encryptedStorage(inner, stranger)).rejects.toMatchObject({
    code: "STORAGE_KEY_MISMATCH",
  });
  const halves = await Promise.all([
    crypto.subtle.generateKey(algorithm, false, ["decrypt"]),
    crypto.subtle.generateKey({ name: "AES-GCM", length: 128 }, false, ["encrypt", "decrypt"]),
  ]);
  for (const half of halves) {
    await expect(encryptedStorage(inner, half)).rejects.toMatchObject({ code: "INVALID_LENGTH" });
  }
});

async function filled(inner: Storage, records: number): Promise<EncryptedStorage> {
  const storage = await encryptedStorage(inner, key);
  for (let i = 0; i < records; i++) await put(storage, `key/${i}`, `value ${i}`);
  return storage;
}

async function values(storage: Storage): Promise<string[]> {
  return (await storage.list("key/")).map(({ value }) => Buffer.from(value).toString()).sort();
}

test("P-ENC-04: a key change rewrites every record, and the old key opens nothing", async () => {
  const { storage: inner, records } = forgeable();
  const storage = await filled(inner, 30);
  const before = new Map(records);
  const expected = await values(storage);
  await storage.rotateKey(otherKey, 7);
  expect(storage.isRotating).toBe(false);
  for (const [name, { value }] of records) {
    expect(Buffer.from(value).equals(before.get(name)!.value), name).toBe(false);
  }
  expect(await values(storage)).toEqual(expected);
  await put(storage, "key/new", "value new");
  await expect(encryptedStorage(inner, key)).rejects.toMatchObject({
    code: "STORAGE_KEY_MISMATCH",
  });
  const again = await encryptedStorage(inner, otherKey);
  expect(await values(again)).toEqual([...expected, "value new"].sort());
  // Nor does an old record open when it is put back.
  const [name, old] = [...before].find(([found]) => isRecord(found))!;
  records.set(name, old);
  await expect(again.list("")).rejects.toMatchObject({ code: "STORAGE_FAILED" });
});

test("P-ENC-04: a key change that is interrupted at any write is finished later", async () => {
  const inner = memoryStorage();
  const expected = await values(await filled(inner, 10));
  let [current, next] = [key, otherKey];
  for (let cut = 1; ; cut++) {
    for (const kind of ["crashBeforeWrite", "crashAfterWrite"] as const) {
      const disk = faultStorage(inner, { [kind]: cut });
      const storage = await encryptedStorage(disk, current);
      await storage.rotateKey(next, 3).catch(() => undefined);
      if (!disk.hasCrashed) {
        expect(cut).toBeGreaterThan(5);
        return;
      }
      const opened = await encryptedStorage(faultStorage(inner), next).catch(() => undefined);
      const again = opened ?? (await encryptedStorage(faultStorage(inner), current));
      expect(await values(again)).toEqual(expected);
      await put(again, "key/0", "value 0");
      await again.finishRotation(3);
      expect(again.isRotating).toBe(false);
      expect(await values(again)).toEqual(expected);
      if (opened !== undefined) [current, next] = [next, current];
    }
  }
});

test("P-ENC-04: a process that still has the old key cannot write under it", async () => {
  const inner = memoryStorage();
  const stale = await filled(inner, 3);
  const storage = await encryptedStorage(inner, key);
  await storage.rotateKey(otherKey);
  await expect(put(stale, "key/0", "x")).rejects.toMatchObject({ code: "STORAGE_KEY_MISMATCH" });
  await expect(stale.get("key/0")).rejects.toMatchObject({ code: "STORAGE_KEY_MISMATCH" });
  expect(await read(storage, "key/0")).toBe("value 0");
});

test("writes during a key change are kept", async () => {
  const storage = await filled(memoryStorage(), 40);
  const rotation = storage.rotateKey(otherKey, 5);
  const writes = Array.from({ length: 40 }, (_, i) => put(storage, `key/${i}`, `changed ${i}`));
  await Promise.all([rotation, ...writes]);
  expect(storage.isRotating).toBe(false);
  expect(await values(storage)).toEqual(
    Array.from({ length: 40 }, (_, i) => `changed ${i}`).sort(),
  );
});

for (const [when, who] of [
  ["list", "the same handle"],
  ["list", "another one"],
  ["get", "another one"],
] as const) {
  test(`P-ENC-04: a value written anew after a deletion outlives a key change (by ${who}, after ${when})`, async () => {
    const inner = memoryStorage();
    const rewrite = async (storage: Storage): Promise<void> => {
      await storage.write({ puts: [], deletes: ["key/0"], expect: [] });
      await put(storage, "key/0", "new");
    };
    let meddle: (() => Promise<void>) | undefined;
    const meddleOnce = async <T>(found: T): Promise<T> => {
      const now = meddle;
      meddle = undefined;
      await now?.();
      return found;
    };
    const storage = await filled(
      {
        write: (batch) => inner.write(batch),
        close: () => inner.close(),
        get: async (name) => {
          const record = await inner.get(name);
          return when === "get" && isRecord(name) ? meddleOnce(record) : record;
        },
        list: async (prefix) => {
          const found = await inner.list(prefix);
          return when === "list" ? meddleOnce(found) : found;
        },
      },
      3,
    );
    meddle = async () => {
      const other = () => encryptedStorage(inner, otherKey);
      await rewrite(who === "another one" ? await other() : storage);
    };
    await storage.rotateKey(otherKey);
    expect(meddle).toBeUndefined();
    expect(await values(storage)).toEqual(["new", "value 1", "value 2"]);
    const sealed = (await inner.list("")).filter(({ key: name }) => name !== "header");
    expect(sealed.map(({ value }) => value[1])).toEqual([1, 1, 1, 1]);
    await (await encryptedStorage(inner, otherKey)).verify();
  });
}

test("P-MP-05: a store that is older than remembered, or another one, is suspected", async () => {
  const { storage: inner, records } = forgeable();
  const rollbackGuard = guard();
  let storage = await encryptedStorage(inner, key, { rollbackGuard });
  expect(storage.rollback).toBe("none");
  await put(storage, "a", "1");
  const backup = new Map(records);
  await put(storage, "a", "2");
  storage = await encryptedStorage(inner, key, { rollbackGuard });
  expect(storage.rollback).toBe("none");

  records.clear();
  for (const [name, record] of backup) records.set(name, record);
  storage = await encryptedStorage(inner, key, { rollbackGuard });
  expect(storage.rollback).toBe("suspected");
  expect(await read(storage, "a")).toBe("1");
  // Writing does not make it forget.
  await put(storage, "a", "x");
  await put(storage, "a", "y");
  records.clear();
  for (const [name, record] of backup) records.set(name, record);
  storage = await encryptedStorage(inner, key, { rollbackGuard });
  expect(storage.rollback).toBe("suspected");
  await storage.acceptRollback();
  expect((await encryptedStorage(inner, key, { rollbackGuard })).rollback).toBe("none");

  const other = await encryptedStorage(memoryStorage(), key, { rollbackGuard });
  expect(other.rollback).toBe("suspected");
  expect((await encryptedStorage(inner, key)).rollback).toBe("unguarded");
});

test("P-MP-05: a forged write counter is refused", async () => {
  const { storage: inner, records } = forgeable();
  const rollbackGuard = guard();
  await put(await encryptedStorage(inner, key, { rollbackGuard }), "a", "1");
  await overwrite(inner, [records.get("counter")!]);
  await expect(encryptedStorage(inner, key, { rollbackGuard })).rejects.toMatchObject({
    code: "STORAGE_FAILED",
  });
});

test("P-MP-05: a write that the guard fails to remember does not fail and is not made twice", async () => {
  const { storage: inner, records } = forgeable();
  const rollbackGuard = guard();
  const storage = await encryptedStorage(inner, key, { rollbackGuard });
  await put(storage, "a", "1");
  const { remember } = rollbackGuard;
  rollbackGuard.remember = () => {
    throw new StorageError("STORAGE_CONFLICT", "the guard has no luck");
  };
  await put(storage, "a", "2");
  expect(records.get("counter")?.version).toBe(2);
  expect((await encryptedStorage(inner, key, { rollbackGuard })).rollback).toBe("none");
  rollbackGuard.remember = remember;
  const backup = new Map(records);
  await put(storage, "a", "3");
  for (const [name, record] of backup) records.set(name, record);
  expect((await encryptedStorage(inner, key, { rollbackGuard })).rollback).toBe("suspected");
});
