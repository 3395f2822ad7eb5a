/** After every operation, on every adapter at once: what RFC 9420 §9.2 wants gone is gone. M-SEC-02. */
import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { afterAll, describe, expect, test, vi } from "vitest";
import { toHex } from "../../src/codec/index.ts";
import type { Client } from "../../src/index.ts";
import { encryptedStorage } from "../../src/storage/encrypted.ts";
import { fileStorage } from "../../src/storage/file.ts";
import { indexedDbStorage } from "../../src/storage/indexeddb.ts";
import { type SqliteDatabase, sqliteStorage } from "../../src/storage/sqlite.ts";
import type { Storage, WriteBatch } from "../../src/storage/storage.ts";
import { seededProvider } from "../../src/testing/index.ts";
import { allBytes, temporaryDirectories } from "../unit/storage/directories.ts";
import { CrashWorld } from "./crash-world.ts";
import { EXPORT_OPERATIONS } from "./export-operations.ts";
import { MapStorage } from "./map-storage.ts";
import { OPERATIONS } from "./operations.ts";
import { PRODUCTION_OPERATIONS } from "./production-operations.ts";
import { SecretWatch, type SeenSecret } from "./secret-watch.ts";

vi.setConfig({ testTimeout: 120_000 });
const newDirectory = temporaryDirectories();
const require = createRequire(import.meta.url);
const { IDBFactory, IDBKeyRange } = require("fake-indexeddb") as typeof globalThis & {
  IDBFactory: new () => IDBFactory;
};
Object.assign(globalThis, { IDBKeyRange });
const { Database } = require("node-sqlite3-wasm") as {
  Database: new (file: string) => SqliteDatabase & { close(): void };
};

interface Medium {
  readonly name: string;
  readonly storage: Storage;
  /** Every byte that is anywhere in it. */
  bytes(): Buffer | Promise<Buffer>;
}

/** Keeps the same records in all media. */
class Everywhere implements Storage {
  readonly live: MapStorage = new MapStorage();
  readonly media: Medium[] = [];
  readonly #databases: { close(): void }[] = [];

  async open(): Promise<void> {
    const [file, sqlite] = [newDirectory(), newDirectory()];
    const storage = await fileStorage(file, { dangerouslyUnencrypted: true, durability: "none" });
    this.media.push({ name: "file", storage, bytes: () => allBytes(file) });
    const ofSqlite = await sqliteStorage(this.#database(sqlite), { dangerouslyUnencrypted: true });
    this.media.push({ name: "SQLite", storage: ofSqlite, bytes: () => allBytes(sqlite) });
    const factory = new IDBFactory();
    const indexed = await indexedDbStorage("x", { factory, dangerouslyUnencrypted: true });
    const bytes = () => recordsOf(factory, "x");
    this.media.push({ name: "IndexedDB", storage: indexed, bytes });
    await this.#openEncrypted();
  }

  async #openEncrypted(): Promise<void> {
    const key = new Uint8Array(32).fill(1);
    const inner = new MapStorage();
    this.media.push({
      name: "memory, encrypted",
      storage: await encryptedStorage(inner, key),
      bytes: () => bytesOf([...inner.records.values()]),
    });
    const [file, sqlite] = [newDirectory(), newDirectory()];
    const storage = await fileStorage(file, { key, durability: "none" });
    this.media.push({ name: "file, encrypted", storage, bytes: () => allBytes(file) });
    const ofSqlite = await sqliteStorage(this.#database(sqlite), { key });
    this.media.push({
      name: "SQLite, encrypted",
      storage: ofSqlite,
      bytes: () => allBytes(sqlite),
    });
    const factory = new IDBFactory();
    const indexed = await indexedDbStorage("x", { factory, key });
    this.media.push({
      name: "IndexedDB, encrypted",
      storage: indexed,
      bytes: () => recordsOf(factory, "x"),
    });
  }

  #database(directory: string): SqliteDatabase {
    fs.mkdirSync(directory);
    const database = new Database(path.join(directory, "store.db"));
    this.#databases.push(database);
    return database;
  }

  get(key: string) {
    return this.live.get(key);
  }

  list(prefix: string) {
    return this.live.list(prefix);
  }

  async write(batch: WriteBatch): Promise<void> {
    this.live.write(batch);
    for (const { storage } of this.media) await storage.write(batch);
  }

  async close(): Promise<void> {
    for (const { storage } of this.media) await storage.close();
    for (const database of this.#databases) database.close();
  }
}

/** What is in a database, as it is there. */
async function recordsOf(factory: IDBFactory, name: string): Promise<Buffer> {
  const database = await new Promise<IDBDatabase>((resolve, reject) => {
    const request = factory.open(name);
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error("no database"));
  });
  const records = await new Promise<{ key: string; value: Uint8Array }[]>((resolve, reject) => {
    const request = database.transaction("records").objectStore("records").getAll();
    request.onsuccess = () => resolve(request.result as { key: string; value: Uint8Array }[]);
    request.onerror = () => reject(request.error ?? new Error("no answer"));
  });
  database.close();
  return bytesOf(records);
}

function bytesOf(records: readonly { readonly key: string; readonly value: Uint8Array }[]): Buffer {
  return Buffer.concat(records.flatMap(({ key, value }) => [Buffer.from(key), value]));
}

const labelsIn = (bytes: Buffer, secrets: readonly SeenSecret[]): string[] =>
  secrets.filter(({ value }) => bytes.includes(Buffer.from(value))).map(({ label }) => label);

/** Authenticators of epochs that a client is in, or may come to be in. */
async function liveEpochs(alice: Client): Promise<Set<string>> {
  const live = new Set<string>();
  for (const group of await alice.groups()) {
    if (group.status === "inactive") continue;
    if (group.status !== "pendingJoin") live.add(toHex(group.epochAuthenticator));
    const { pendingCommit } = group;
    if (pendingCommit !== undefined) live.add(toHex(pendingCommit.next.epochAuthenticator()));
  }
  return live;
}

const counts = { operations: 0, secrets: 0, searches: 0 };

describe("M-SEC-02 M-STO-15 ks-9 nothing that is used up or over is in any byte of any store after", () => {
  test.each(
    [...OPERATIONS, ...PRODUCTION_OPERATIONS, ...EXPORT_OPERATIONS].map(
      (operation) => [operation.name, operation] as const,
    ),
  )("%s", async (_, operation) => {
    const store = new Everywhere();
    await store.open();
    const watch = new SecretWatch(seededProvider("alice"));
    const world = new CrashWorld("others");
    const { providerOf, newStorage } = world;
    world.providerOf = (name) => (name === "alice" ? watch.provider : providerOf(name));
    world.newStorage = (name) => (name === "alice" ? store : newStorage(name));
    const run = await operation.prepare(world);
    const before = world.clients.has("alice") ? await liveEpochs(world.alice) : [];
    await run(world);

    const secrets = [...watch.seen.values()];
    const live = bytesOf([...store.live.records.values()]);
    const current = await liveEpochs(world.alice);
    const groups = await world.alice.groups();
    const joining = groups.some(({ status }) => status === "pendingJoin") ? 1 : 0;
    // Until a join is accepted the former state stays.
    if (joining > 0) for (const epoch of before) current.add(epoch);
    expect(labelsIn(live, watch.over(current, joining))).toEqual([]);
    // Beyond its live records no medium holds a secret, and an encrypted one holds none.
    const held = new Set(secrets.filter(({ value }) => live.includes(Buffer.from(value))));
    const gone = secrets.filter((secret) => !held.has(secret));
    for (const { name, bytes } of store.media) {
      const all = await bytes();
      const isEncrypted = name.endsWith("encrypted");
      const searched = isEncrypted ? secrets : gone;
      expect(labelsIn(all, searched), name).toEqual([]);
      // The search finds what is there.
      if (!isEncrypted) expect(labelsIn(all, [...held])).toHaveLength(held.size);
      else expect(all.length, name).toBeGreaterThan(live.length);
      counts.searches += searched.length;
    }
    counts.operations++;
    counts.secrets += secrets.length;
    await store.close();
  });
});

afterAll(() => {
  const { operations, secrets, searches } = counts;
  console.log(
    `${operations} operations, ${secrets} secrets, ${searches} searches of media, 0 found`,
  );
});
