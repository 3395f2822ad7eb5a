/** How a store in SQLite is cut off, and how its disk fills up. */
import fs from "node:fs";
import path from "node:path";
import type { LimitedStorage, StorageWork } from "../../../src/storage/contract.ts";
import {
  type SqliteDatabase,
  type SqliteStorageOptions,
  sqliteStorage,
} from "../../../src/storage/sqlite.ts";
import type { Storage } from "../../../src/storage/storage.ts";

export type Database = SqliteDatabase & { close(): void };
export type DatabaseClass = new (file: string) => Database;

export interface TornSqlite {
  readonly Database: DatabaseClass;
  /** In a directory of its own. */
  readonly newFile: () => string;
  readonly options: SqliteStorageOptions;
}

/** The store, with which its database is closed. */
export async function openSqlite(
  { Database, options }: Omit<TornSqlite, "newFile">,
  file: string,
): Promise<Storage> {
  const database = new Database(file);
  const storage = await sqliteStorage(database, options);
  const close = storage.close.bind(storage);
  storage.close = async () => {
    await close();
    database.close();
    storage.close = close;
  };
  return storage;
}

/** The files as they are after every single call of the driver, as if the process had died there. */
export async function* tornSqlite(
  harness: TornSqlite,
  prepare: StorageWork,
  write: StorageWork,
): AsyncGenerator<Storage> {
  const { Database, newFile, options } = harness;
  const file = newFile();
  const storage = await openSqlite(harness, file);
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
    options,
  );
  copies.length = 0;
  await write(watched);
  const whole = copies.length;
  await watched.close();
  database.close();
  for (const copy of copies.slice(0, whole)) yield openSqlite(harness, copy);
}

export async function limitedSqlite({
  Database,
  newFile,
  options,
}: TornSqlite): Promise<LimitedStorage> {
  const database = new Database(newFile());
  return {
    storage: await sqliteStorage(database, options),
    // As large as it is; pages that are free already can be used.
    fill: () => void database.exec("PRAGMA max_page_count = 1"),
    free: () => void database.exec("PRAGMA max_page_count = 1000000"),
  };
}
