/** In which forms golden stores are kept. */
import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { fromHex, toHex } from "../../src/codec/index.ts";
import { fileStorage } from "../../src/storage/file.ts";
import { indexedDbStorage } from "../../src/storage/indexeddb.ts";
import { type SqliteDatabase, sqliteStorage } from "../../src/storage/sqlite.ts";
import type { Storage, StoredRecord } from "../../src/storage/storage.ts";
import { MapStorage } from "../production/map-storage.ts";
import { STORE_KEY } from "./world.ts";

export interface Medium {
  /** What a golden file is called. */
  readonly extension: string;
  /** A store in `directory`, with what the file said. */
  open(directory: string): Promise<Storage>;
  load(directory: string, golden: Uint8Array): void;
  save(directory: string, storage: Storage): Promise<Uint8Array>;
}

/** A store that is one file in a directory. */
function inFile(extension: string, name: string, open: Medium["open"]): Medium {
  return {
    extension,
    open,
    load: (directory, golden) => {
      fs.mkdirSync(directory, { recursive: true, mode: 0o700 });
      fs.writeFileSync(path.join(directory, name), golden);
    },
    save: async (directory) => fs.readFileSync(path.join(directory, name)),
  };
}

const openSqlite = async (directory: string): Promise<Storage> => {
  fs.mkdirSync(directory, { recursive: true });
  const { Database } = require("node-sqlite3-wasm") as {
    Database: new (file: string) => SqliteDatabase;
  };
  return sqliteStorage(new Database(path.join(directory, "store.db")), {
    dangerouslyUnencrypted: true,
  });
};

/** Records as lines, for what is the same in every store. */
const memory: MapStorage[] = [];
const dump: Medium = {
  extension: "records",
  open: async () => memory.pop() ?? new MapStorage(),
  load: (_, golden) => {
    const lines = Buffer.from(golden).toString("utf8").trimEnd().split("\n");
    const records = lines.map((line) => {
      const [key = "", version = "", value = ""] = line.split("\t");
      return [key, { key, version: Number(version), value: fromHex(value) }] as const;
    });
    memory.push(new MapStorage(records));
  },
  save: async (_, storage) => {
    const records = await storage.list("");
    const lines = records.map(({ key, version, value }) => [key, version, toHex(value)].join("\t"));
    return Buffer.from(`${lines.join("\n")}\n`);
  },
};

const require = createRequire(import.meta.url);
const { IDBFactory, IDBKeyRange } = require("fake-indexeddb") as typeof globalThis & {
  IDBFactory: new () => IDBFactory;
};
Object.assign(globalThis, { IDBKeyRange });

/** A database as IndexedDB itself sees it; made without the store's help. */
interface DatabaseDump {
  readonly version: number;
  readonly stores: readonly {
    readonly name: string;
    readonly keyPath: string | string[] | null;
    readonly records: readonly (readonly [key: string, version: number, value: string])[];
  }[];
}

const factories = new Map<string, IDBFactory>();
const DATABASE = "golden";

function factoryOf(directory: string): IDBFactory {
  const known = factories.get(directory) ?? new IDBFactory();
  factories.set(directory, known);
  return known;
}

const settled = <T>(request: IDBRequest<T>): Promise<T> =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error as Error);
  });

const indexedDb: Medium = {
  extension: "indexeddb",
  open: async (directory) => {
    await loading.get(directory);
    const factory = factoryOf(directory);
    return indexedDbStorage(DATABASE, { factory, dangerouslyUnencrypted: true });
  },
  load: (directory, golden) => {
    const dump = JSON.parse(Buffer.from(golden).toString("utf8")) as DatabaseDump;
    const request = factoryOf(directory).open(DATABASE, dump.version);
    request.onupgradeneeded = () => {
      for (const { name, keyPath, records } of dump.stores) {
        const store = request.result.createObjectStore(name, { keyPath });
        for (const [key, version, value] of records) {
          store.put({ key, value: fromHex(value), version });
        }
      }
    };
    loading.set(
      directory,
      settled(request).then((database) => database.close()),
    );
  },
  save: async (directory) => {
    const database = await settled(factoryOf(directory).open(DATABASE));
    const stores: DatabaseDump["stores"][number][] = [];
    for (const name of database.objectStoreNames) {
      const store = database.transaction(name).objectStore(name);
      const found = (await settled(store.getAll())) as StoredRecord[];
      const records = found.map(({ key, version, value }) => [key, version, toHex(value)] as const);
      stores.push({ name, keyPath: store.keyPath, records });
    }
    const { version } = database;
    database.close();
    return Buffer.from(JSON.stringify({ version, stores } satisfies DatabaseDump));
  },
};
const loading = new Map<string, Promise<void>>();

const openEncrypted = (directory: string): Promise<Storage> =>
  fileStorage(directory, { key: STORE_KEY });

export const MEDIA: readonly Medium[] = [
  dump,
  inFile("file", "records", (directory) =>
    fileStorage(directory, { dangerouslyUnencrypted: true }),
  ),
  // Of the first format, without a sum of all records; and of the second.
  inFile("encrypted", "records", openEncrypted),
  inFile("encrypted-2", "records", openEncrypted),
  inFile("sqlite", "store.db", openSqlite),
  indexedDb,
];

export const readGolden = (file: string): Uint8Array => gunzipSync(fs.readFileSync(file));
export const writeGolden = (file: string, bytes: Uint8Array): void =>
  fs.writeFileSync(file, gzipSync(bytes, { level: 9 }));
