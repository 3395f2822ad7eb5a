/** The durable stores that several processes of Node can use at the same time. */
import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { fileStorage } from "../../src/storage/file.ts";
import { type SqliteDatabase, sqliteStorage } from "../../src/storage/sqlite.ts";
import type { Storage } from "../../src/storage/storage.ts";

export const SENDER_STORES = ["file", "encrypted file", "SQLite", "encrypted SQLite"] as const;
export type SenderStore = (typeof SENDER_STORES)[number];

const KEY = new Uint8Array(32).fill(4);

export async function openSenderStore(kind: SenderStore, directory: string): Promise<Storage> {
  const protection = kind.startsWith("encrypted")
    ? { key: KEY }
    : ({ dangerouslyUnencrypted: true } as const);
  const settings = { lockTimeout: 60_000, ...protection };
  if (kind.endsWith("file")) return fileStorage(directory, settings);
  fs.mkdirSync(directory, { recursive: true });
  const { Database } = createRequire(import.meta.url)("node-sqlite3-wasm") as {
    Database: new (file: string) => SqliteDatabase & { close(): void };
  };
  const database = new Database(path.join(directory, "store.db"));
  const storage = await sqliteStorage(database, settings);
  const close = storage.close.bind(storage);
  storage.close = async () => {
    await close();
    database.close();
  };
  return storage;
}
