/**
 * A store in an SQLite database, with the driver as an argument. M-STO-06.
 *
 * ```sql
 * CREATE TABLE mlskit_format (version INTEGER NOT NULL);             -- one row
 * CREATE TABLE mlskit_records (key TEXT PRIMARY KEY NOT NULL, version INTEGER NOT NULL, value BLOB NOT NULL);
 * ```
 *
 * Replaced and deleted values do not stay in the files: `secure_delete` overwrites freed cells and
 * pages with zeros, and the rollback journal, which holds old pages while a batch is written, is cut
 * to length zero by the commit. A write-ahead log would keep them until a checkpoint that any reader
 * can hold up, so WAL mode is switched off.
 */
import { StorageError } from "../errors.ts";
import { checkBatch, checkVersions, closed, failed, lockTimeout } from "./batch.ts";
import {
  checkProtection,
  protect,
  type ProtectedStorage,
  type StoreProtection,
} from "./protection.ts";
import {
  isDatabaseLocked,
  type SqliteDatabase,
  type SqliteRow,
  type SqliteQuery,
  prepareQuery,
} from "./sqlite-driver.ts";
import type { Storage, StoredRecord, WriteBatch } from "./storage.ts";

export type { SqliteDatabase, SqliteStatement } from "./sqlite-driver.ts";

const FORMAT = 1;

export type SqliteStorageOptions = SqliteSettings & StoreProtection;

export interface SqliteSettings {
  /**
   * No other connection may use the database until this store is closed. P-MP-01. SQLite's own lock
   * is kept, which the system lifts when the process dies; a driver without locks of the system
   * (node-sqlite3-wasm) leaves it behind.
   */
  readonly exclusive?: boolean;
  /** How long SQLite waits for another connection before `STORE_LOCKED`; 10,000 ms by default. */
  readonly lockTimeout?: number;
}

/**
 * Uses an open database of node:sqlite, better-sqlite3, bun:sqlite or node-sqlite3-wasm. The tables
 * are created if they are missing; other tables are left alone. The application closes the database,
 * after the store. Without encryption every call of the store answers synchronously.
 * @throws StorageError `STORAGE_FAILED`, `STORAGE_VERSION`, `STORAGE_KEY_MISMATCH`, `STORE_LOCKED`
 * @throws UsageError `STORE_UNPROTECTED`
 */
export async function sqliteStorage<O extends SqliteStorageOptions>(
  database: SqliteDatabase,
  options: O,
): Promise<ProtectedStorage<O>> {
  checkProtection(options);
  const storage = guarded("the database cannot be prepared", () => {
    prepareDatabase(database, lockTimeout(options), options.exclusive === true);
    return new SqliteStorage(database);
  });
  return await protect(storage, options);
}

function prepareDatabase(database: SqliteDatabase, timeout: number, exclusive: boolean): void {
  database.exec(`PRAGMA busy_timeout = ${timeout}`);
  database.exec("PRAGMA journal_mode = TRUNCATE");
  database.exec("PRAGMA synchronous = FULL");
  database.exec("PRAGMA secure_delete = ON");
  database.exec("PRAGMA temp_store = MEMORY");
  checkPragma(database, "secure_delete", ["1"]);
  checkPragma(database, "journal_mode", ["truncate", "memory"]);
  database.exec(`PRAGMA locking_mode = ${exclusive ? "EXCLUSIVE" : "NORMAL"}`);
  checkPragma(database, "locking_mode", [exclusive ? "exclusive" : "normal"]);
  database.exec(exclusive ? "BEGIN EXCLUSIVE" : "BEGIN IMMEDIATE");
  try {
    database.exec("CREATE TABLE IF NOT EXISTS mlskit_format (version INTEGER NOT NULL)");
    database.exec(
      `INSERT INTO mlskit_format SELECT ${FORMAT} WHERE NOT EXISTS (SELECT 1 FROM mlskit_format)`,
    );
    database.exec(
      "CREATE TABLE IF NOT EXISTS mlskit_records " +
        "(key TEXT PRIMARY KEY NOT NULL, version INTEGER NOT NULL, value BLOB NOT NULL)",
    );
    const format = Number(once(database, "SELECT version FROM mlskit_format")?.["version"]);
    if (format !== FORMAT) {
      throw new StorageError("STORAGE_VERSION", "the store was written by a later release", {
        details: { format },
      });
    }
    database.exec("COMMIT");
  } catch (error) {
    rollback(database);
    throw error;
  }
}

/** Settings that forward secrecy depends on are not taken on trust. */
function checkPragma(database: SqliteDatabase, name: string, accepted: readonly string[]): void {
  const value = String(once(database, `PRAGMA ${name}`)?.[name]);
  if (accepted.includes(value)) return;
  throw new StorageError("STORAGE_FAILED", `SQLite does not accept the setting of ${name}`, {
    details: { value },
  });
}

function once(database: SqliteDatabase, sql: string): SqliteRow | undefined {
  const query = prepareQuery(database, sql);
  try {
    return query.get();
  } finally {
    query.finalize();
  }
}

class SqliteStorage implements Storage {
  readonly #database: SqliteDatabase;
  readonly #get: SqliteQuery;
  readonly #list: SqliteQuery;
  readonly #version: SqliteQuery;
  readonly #put: SqliteQuery;
  readonly #delete: SqliteQuery;
  #isOpen = true;

  constructor(database: SqliteDatabase) {
    this.#database = database;
    const prepare = (sql: string): SqliteQuery => prepareQuery(database, sql);
    this.#get = prepare("SELECT key, version, value FROM mlskit_records WHERE key = ?");
    this.#list = prepare(
      "SELECT key, version, value FROM mlskit_records WHERE key >= ? AND key < ? ORDER BY key",
    );
    this.#version = prepare("SELECT version FROM mlskit_records WHERE key = ?");
    // Some drivers bind an empty array as NULL.
    this.#put = prepare(
      "INSERT INTO mlskit_records (key, version, value) VALUES (?, 1, coalesce(?, x'')) " +
        "ON CONFLICT (key) DO UPDATE SET version = version + 1, value = excluded.value",
    );
    this.#delete = prepare("DELETE FROM mlskit_records WHERE key = ?");
  }

  get(key: string): StoredRecord | undefined {
    this.#checkOpen();
    return guarded("the database cannot be read", () => {
      const row = this.#get.get(key);
      return row === undefined ? undefined : recordOf(row);
    });
  }

  list(prefix: string): readonly StoredRecord[] {
    this.#checkOpen();
    // No key contains a character above "~".
    return guarded("the database cannot be read", () =>
      this.#list.all(prefix, `${prefix}\u007f`).map(recordOf),
    );
  }

  write(batch: WriteBatch): void {
    this.#checkOpen();
    checkBatch(batch);
    guarded("the database cannot be written", () => {
      this.#database.exec("BEGIN IMMEDIATE");
      try {
        checkVersions(batch, (key) => Number(this.#version.get(key)?.["version"] ?? 0));
        for (const { key, value } of batch.puts) this.#put.run(key, value);
        for (const key of batch.deletes) this.#delete.run(key);
        this.#database.exec("COMMIT");
      } catch (error) {
        rollback(this.#database);
        throw error;
      }
    });
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    for (const query of [this.#get, this.#list, this.#version, this.#put, this.#delete]) {
      query.finalize();
    }
    letGo(this.#database);
  }

  #checkOpen(): void {
    if (!this.#isOpen) throw closed();
  }
}

function recordOf(row: SqliteRow): StoredRecord {
  const value = row["value"];
  return {
    key: String(row["key"]),
    value: value instanceof Uint8Array ? Uint8Array.from(value) : new Uint8Array(0),
    version: Number(row["version"]),
  };
}

/** The lock of an owner ends with the next access in this mode. */
function letGo(database: SqliteDatabase): void {
  try {
    database.exec("PRAGMA locking_mode = NORMAL");
    once(database, "SELECT version FROM mlskit_format");
  } catch {
    // The application closed the database already, and the lock with it.
  }
}

/** The first error is the one to report; SQLite may have rolled back by itself. */
function rollback(database: SqliteDatabase): void {
  try {
    database.exec("ROLLBACK");
  } catch {
    // No transaction is open any more.
  }
}

function guarded<T>(message: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!isDatabaseLocked(error)) throw failed(message, error);
    throw new StorageError("STORE_LOCKED", "another connection holds the database", {
      cause: error,
    });
  }
}
