import fs from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { type SqliteDatabase, sqliteStorage } from "../../../src/storage/sqlite.ts";
import type { StorageWork } from "../../../src/storage/contract.ts";
import type { Storage } from "../../../src/storage/storage.ts";
import { describeContract } from "./describe-contract.ts";
import { allBytes, temporaryDirectories } from "./directories.ts";
import { optionalModule } from "./optional-modules.ts";

const newDirectory = temporaryDirectories();
const files = new WeakMap<Storage, string>();

type Database = SqliteDatabase & { close(): void };

/** Driver module and the name of its database class. */
const drivers = [
  ["node:sqlite", "DatabaseSync"],
  ["better-sqlite3", "default"],
  ["bun:sqlite", "Database"],
  ["node-sqlite3-wasm", "Database"],
] as const;

for (const [name, exported] of drivers) {
  const Database = optionalModule(name)?.[exported] as (new (file: string) => Database) | undefined;
  if (Database === undefined || !runs(Database)) {
    describe.skip(`M-STO-06: SQLite store on ${name} (not installed)`, () => {
      test("contract", () => undefined);
    });
    continue;
  }
  const open = async (file: string): Promise<Storage> => {
    const database = new Database(file);
    const storage = await sqliteStorage(database, {
      dangerouslyUnencrypted: true,
      lockTimeout: 100,
    });
    const close = storage.close.bind(storage);
    storage.close = () => {
      void close();
      database.close();
      storage.close = close;
    };
    files.set(storage, file);
    return storage;
  };

  describeContract(`M-STO-06: SQLite store on ${name}, sto-8 contract`, {
    open: () => open(newFile()),
    reopen: (storage) => open(files.get(storage) as string),
    torn: (prepare, write) => torn(Database, open, prepare, write),
    limited: async () => {
      const database = new Database(newFile());
      return {
        storage: await sqliteStorage(database, { dangerouslyUnencrypted: true }),
        // As large as it is; pages that are free already can be used.
        fill: () => void database.exec("PRAGMA max_page_count = 1"),
        free: () => void database.exec("PRAGMA max_page_count = 1000000"),
      };
    },
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

/** The files as they are after every single call of the driver, as if the process had died there. */
async function* torn(
  Database: new (file: string) => Database,
  open: (file: string) => Promise<Storage>,
  prepare: StorageWork,
  write: StorageWork,
): AsyncGenerator<Storage> {
  const file = newFile();
  const storage = await open(file);
  await prepare(storage);
  await storage.close();
  const copies: string[] = [];
  const database = new Database(file);
  // With hardly a cache, pages go to the disk before the commit, and their old values to the journal.
  database.exec("PRAGMA cache_size = 1");
  const keepCopy = <T>(value: T): T => {
    const copy = newFile();
    fs.cpSync(path.dirname(file), path.dirname(copy), { recursive: true });
    // One driver locks by a directory, which outlives its process.
    fs.rmSync(`${copy}.lock`, { recursive: true, force: true });
    copies.push(copy);
    return value;
  };
  const watched = await sqliteStorage(
    {
      exec: (sql) => keepCopy(database.exec(sql)),
      prepare: (sql) => {
        const statement = database.prepare(sql);
        return {
          run: (...all) => keepCopy(statement.run(...all)),
          all: (...all) => statement.all(...all),
          finalize: () => statement.finalize?.(),
        };
      },
    },
    { dangerouslyUnencrypted: true },
  );
  copies.length = 0;
  await write(watched);
  await watched.close();
  database.close();
  for (const copy of copies) yield await open(copy);
}

function newFile(): string {
  const directory = newDirectory();
  fs.mkdirSync(directory);
  return path.join(directory, "store.db");
}

/** A driver may be installed without its native part. */
function runs(Database: new (file: string) => Database): boolean {
  try {
    new Database(":memory:").close();
    return true;
  } catch {
    return false;
  }
}
