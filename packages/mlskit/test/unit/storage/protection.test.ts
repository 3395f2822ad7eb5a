/** No durable store is unencrypted by accident. P-ENC-05. */
import fs from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { type FileStorageOptions, fileStorage } from "../../../src/storage/file.ts";
import { type IndexedDbStorageOptions, indexedDbStorage } from "../../../src/storage/indexeddb.ts";
import {
  type SqliteDatabase,
  type SqliteStorageOptions,
  sqliteStorage,
} from "../../../src/storage/sqlite.ts";
import type { Storage } from "../../../src/storage/storage.ts";
import { allBytes, temporaryDirectories } from "./directories.ts";
import { optionalModule } from "./optional-modules.ts";

const newDirectory = temporaryDirectories();
const key = new Uint8Array(32).fill(5);

/** Every kind of durable store: how it opens and what its medium then holds. */
interface Kind {
  open(place: string, options: object): Promise<Storage>;
  bytes(place: string): Promise<Buffer>;
}

const kinds: Record<string, Kind> = {
  file: {
    open: (place, options) => fileStorage(place, options as FileStorageOptions),
    bytes: async (place) => (fs.existsSync(place) ? allBytes(place) : Buffer.alloc(0)),
  },
};

const Database = optionalModule("node-sqlite3-wasm")?.["Database"] as
  | (new (
      file: string,
    ) => SqliteDatabase & { close(): void })
  | undefined;
if (Database !== undefined) {
  kinds["SQLite"] = {
    open: async (place, options) => {
      fs.mkdirSync(place, { recursive: true });
      const database = new Database(path.join(place, "store.db"));
      const storage = await sqliteStorage(database, options as SqliteStorageOptions).catch(
        (error: unknown) => {
          database.close();
          throw error;
        },
      );
      const close = storage.close.bind(storage);
      storage.close = async () => {
        await close();
        database.close();
      };
      return storage;
    },
    bytes: async (place) => allBytes(place),
  };
}

const fake = optionalModule("fake-indexeddb");
const Factory = fake?.["IDBFactory"] as (new () => IDBFactory) | undefined;
if (Factory !== undefined) {
  const factory = new Factory();
  Object.assign(globalThis, { IDBKeyRange: fake?.["IDBKeyRange"] });
  kinds["IndexedDB"] = {
    open: (place, options) =>
      indexedDbStorage(place, { factory, ...options } as IndexedDbStorageOptions),
    bytes: async (place) => {
      if (!(await factory.databases()).some(({ name }) => name === place)) return Buffer.alloc(0);
      const raw = await indexedDbStorage(place, { factory, dangerouslyUnencrypted: true });
      const records = await raw.list("");
      await raw.close();
      return Buffer.concat(records.flatMap((record) => [Buffer.from(record.key), record.value]));
    },
  };
}

const value = Buffer.from("a readable value");
const write = (storage: Storage) =>
  storage.write({ puts: [{ key: "a/readable-key", value }], deletes: [], expect: [] });

for (const [name, { open, bytes }] of Object.entries(kinds)) {
  test(`P-ENC-05: a ${name} store without a key is refused unless it is asked for by name`, async () => {
    const place = newDirectory();
    const wishes = [{}, { key: undefined }, { dangerouslyUnencrypted: false }];
    for (const options of wishes) {
      await expect(open(place, options)).rejects.toMatchObject({
        code: "STORE_UNPROTECTED",
        blame: "usage",
      });
    }
    expect(await bytes(place)).toHaveLength(0);
    // As options are put together from settings of which one is missing.
    const storage = await open(place, { key: undefined, dangerouslyUnencrypted: true });
    await write(storage);
    await storage.close();
    expect((await bytes(place)).toString("latin1")).toContain("a readable value");
    // A key for a store without encryption is a mistake, not a wish to encrypt what is there.
    await expect(open(place, { key })).rejects.toMatchObject({ code: "STORAGE_FAILED" });
  });

  test(`P-ENC-05 M-STO-04: a ${name} store with a key encrypts what it holds`, async () => {
    const place = newDirectory();
    let storage = await open(place, { key });
    await write(storage);
    await storage.close();
    expect((await bytes(place)).toString("latin1")).not.toContain("readable");
    await expect(open(place, { key: new Uint8Array(32) })).rejects.toMatchObject({
      code: "STORAGE_KEY_MISMATCH",
    });
    storage = await open(place, { key });
    expect(Buffer.from((await storage.get("a/readable-key"))!.value)).toEqual(value);
    await storage.close();
  });
}

test("P-ENC-05: all kinds of durable stores are tried", () => {
  expect(Object.keys(kinds)).toEqual(["file", "SQLite", "IndexedDB"]);
});
