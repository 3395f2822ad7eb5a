import fs from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { prepareQuery } from "../../../src/storage/sqlite-driver.ts";
import { sqliteStorage } from "../../../src/storage/sqlite.ts";
import type { Storage } from "../../../src/storage/storage.ts";
import { describeContract } from "./describe-contract.ts";
import { allBytes, temporaryDirectories } from "./directories.ts";
import { optionalModule } from "./optional-modules.ts";
import { type DatabaseClass, limitedSqlite, openSqlite, tornSqlite } from "./torn-sqlite.ts";

const newDirectory = temporaryDirectories();
const files = new WeakMap<Storage, string>();

/** Driver module and the name of its database class. */
const drivers = [
  ["node:sqlite", "DatabaseSync"],
  ["better-sqlite3", "default"],
  ["bun:sqlite", "Database"],
  ["node-sqlite3-wasm", "Database"],
] as const;

for (const [name, exported] of drivers) {
  const Database = optionalModule(name)?.[exported] as DatabaseClass | undefined;
  if (Database === undefined || !runs(Database)) {
    describe.skip(`M-STO-06: SQLite store on ${name} (not installed)`, () => {
      test("contract", () => undefined);
    });
    continue;
  }
  const harness = {
    Database,
    newFile,
    options: { lockTimeout: 100, dangerouslyUnencrypted: true },
  } as const;
  const open = async (file: string): Promise<Storage> => {
    const storage = await openSqlite(harness, file);
    files.set(storage, file);
    return storage;
  };

  describeContract(`M-STO-06: SQLite store on ${name}, sto-8 contract`, {
    open: () => open(newFile()),
    reopen: (storage) => open(files.get(storage) as string),
    torn: (prepare, write) => tornSqlite(harness, prepare, write),
    limited: () => limitedSqlite(harness),
  });

  test(`M-STO-15: ${name}: no replaced or deleted value is left in any byte of the files`, async () => {
    const file = newFile();
    const storage = await open(file);
    const live = new Map<string, string>();
    for (let round = 0; round < 60; round++) {
      const names = ["head", `ratchet/${round % 7}`, `tree/${round % 3}`];
      const gone = round % 5 === 4 ? [`ratchet/${(round + 3) % 7}`] : [];
      const puts = names.map((key) => {
        live.set(key, `secret;${round};${key};`);
        const value = `secret;${round};${key};`.repeat(1 + ((round * 37) % 700));
        return { key, value: Buffer.from(value) };
      });
      for (const key of gone) live.delete(key);
      void storage.write({ puts, deletes: gone, expect: [] });
      const text = allBytes(path.dirname(file)).toString("latin1");
      expect(new Set(text.match(/secret;\d+;[a-z/\d]+;/g))).toEqual(new Set(live.values()));
    }
    void storage.close();
  });

  test(`M-STO-10: ${name}: a database of a later format is refused with STORAGE_VERSION`, async () => {
    const file = newFile();
    await (await open(file)).close();
    const database = new Database(file);
    database.exec("UPDATE mlskit_format SET version = 2");
    await expect(sqliteStorage(database, { dangerouslyUnencrypted: true })).rejects.toThrow(
      expect.objectContaining({ code: "STORAGE_VERSION" }),
    );
    database.close();
  });

  test(`M-STO-18: ${name}: failures of SQLite are StorageErrors with their cause`, async () => {
    const file = newFile();
    const database = new Database(file);
    const storage = await sqliteStorage(database, {
      dangerouslyUnencrypted: true,
      lockTimeout: 20,
    });
    const other = new Database(file);
    other.exec("BEGIN IMMEDIATE");
    const put = () =>
      storage.write({ puts: [{ key: "a", value: new Uint8Array(1) }], deletes: [], expect: [] });
    expect(put).toThrow(expect.objectContaining({ code: "STORE_LOCKED" }));
    other.exec("ROLLBACK");
    void put();
    other.exec("DROP TABLE mlskit_records");
    other.close();
    expect(put).toThrow(expect.objectContaining({ code: "STORAGE_FAILED" }));
    expect(() => storage.get("a")).toThrow(
      expect.objectContaining({ code: "STORAGE_FAILED", cause: expect.anything() }),
    );
    void storage.close();
    database.close();
  });

  test(`P-MP-01: ${name}: lockTimeout may be longer than SQLite's own`, async () => {
    for (const lockTimeout of [Number.POSITIVE_INFINITY, 2 ** 40]) {
      const database = new Database(newFile());
      const storage = await sqliteStorage(database, { dangerouslyUnencrypted: true, lockTimeout });
      const query = prepareQuery(database, "PRAGMA busy_timeout");
      expect(Object.values(query.get() ?? {}).map(Number)).toEqual([2 ** 31 - 1]);
      query.finalize();
      void storage.close();
      database.close();
    }
  });

  test(`P-MP-01: ${name}: an exclusive store has one connection until it is closed`, async () => {
    const file = newFile();
    const settings = { lockTimeout: 20, dangerouslyUnencrypted: true } as const;
    const [database, other] = [new Database(file), new Database(file)];
    const owner = await sqliteStorage(database, { ...settings, exclusive: true });
    const value = new Uint8Array(1);
    void owner.write({ puts: [{ key: "a", value }], deletes: [], expect: [] });
    const locked = { code: "STORE_LOCKED", retryable: true };
    await expect(sqliteStorage(other, settings)).rejects.toMatchObject(locked);
    await expect(sqliteStorage(other, { ...settings, exclusive: true })).rejects.toMatchObject(
      locked,
    );
    void owner.write({ puts: [{ key: "a", value }], deletes: [], expect: [] });
    await owner.close();
    const next = await sqliteStorage(other, settings);
    expect(next.get("a")).toMatchObject({ version: 2 });
    await next.close();
    for (const each of [database, other]) each.close();
  });
}

function newFile(): string {
  const directory = newDirectory();
  fs.mkdirSync(directory);
  return path.join(directory, "store.db");
}

/** A driver may be installed without its native part. */
function runs(Database: DatabaseClass): boolean {
  try {
    new Database(":memory:").close();
    return true;
  } catch {
    return false;
  }
}
