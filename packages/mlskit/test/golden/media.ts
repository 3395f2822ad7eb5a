/** In which forms golden stores are kept. */
import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { fromHex, toHex } from "../../src/codec/index.ts";
import { encryptedStorage } from "../../src/storage/encrypted.ts";
import { fileStorage } from "../../src/storage/file.ts";
import { type SqliteDatabase, sqliteStorage } from "../../src/storage/sqlite.ts";
import type { Storage } from "../../src/storage/storage.ts";
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
  const require = createRequire(import.meta.url);
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

export const MEDIA: readonly Medium[] = [
  dump,
  inFile("file", "records", (directory) =>
    fileStorage(directory, { dangerouslyUnencrypted: true }),
  ),
  inFile("encrypted", "records", async (directory) =>
    encryptedStorage(await fileStorage(directory, { dangerouslyUnencrypted: true }), STORE_KEY),
  ),
  inFile("sqlite", "store.db", openSqlite),
];

export const readGolden = (file: string): Uint8Array => gunzipSync(fs.readFileSync(file));
export const writeGolden = (file: string, bytes: Uint8Array): void =>
  fs.writeFileSync(file, gzipSync(bytes, { level: 9 }));
