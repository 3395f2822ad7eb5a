/** The encrypting store itself; opened by `encryptedStorage`. */
import { MlsError, StorageError } from "../errors.ts";
import { byKey, checkBatch, closed, conflict, copyBatch, failed } from "./batch.ts";
import {
  addDataKey,
  dropOldDataKeys,
  importStoreKey,
  openHeader,
  type StoreKeys,
} from "./encrypted-keys.ts";
import {
  generationOf,
  openValue,
  packRecord,
  RecordNames,
  sealValue,
  unpackRecord,
} from "./encrypted-records.ts";
import {
  compareProgress,
  encodeProgress,
  type RollbackGuard,
  type RollbackState,
} from "./rollback-guard.ts";
import { TurnQueue } from "./turn-queue.ts";
import type { Storage, StoredRecord, WriteBatch } from "./storage.ts";

export const HEADER_NAME = "header";
/** An empty value whose version counts the writes; kept only where there is a guard. */
const COUNTER_NAME = "counter";
const MAX_ATTEMPTS = 50;
const MAX_CACHED_VERSIONS = 50_000;
const NO_BYTES: Uint8Array = /* @__PURE__ */ new Uint8Array(0);

export class EncryptedStorage implements Storage {
  readonly #inner: Storage;
  readonly #guard: RollbackGuard | undefined;
  readonly #names: RecordNames;
  /** Versions of inner records as last seen; a wrong one costs a retry, never a wrong result. */
  readonly #versions: Map<string, number> = new Map();
  readonly #turns: TurnQueue = new TurnQueue();
  #storeKey: CryptoKey;
  #header: StoredRecord;
  #keys: StoreKeys;
  #rollback: RollbackState = "unguarded";
  #isOpen = true;

  constructor(
    inner: Storage,
    storeKey: CryptoKey,
    header: StoredRecord,
    keys: StoreKeys,
    guard?: RollbackGuard,
  ) {
    this.#inner = inner;
    this.#storeKey = storeKey;
    this.#header = header;
    this.#keys = keys;
    this.#names = new RecordNames(keys);
    this.#guard = guard;
  }

  /** Random, made with the store; a copy of the store has the same one. P-MP-05. */
  get storeId(): Uint8Array {
    return Uint8Array.from(this.#keys.storeId);
  }

  get rollback(): RollbackState {
    return this.#rollback;
  }

  /** Whether a change of the key has not reached all records; {@link finishRotation} goes on. */
  get isRotating(): boolean {
    return this.#keys.dataKeys.size > 1;
  }

  /** Compares the store with what the guard remembers. */
  async checkRollback(): Promise<void> {
    if (this.#guard === undefined) return;
    const counter = await this.#inner.get(COUNTER_NAME);
    // Authentic: the version is bound to the value.
    if (counter !== undefined) await openValue(this.#keys, counter);
    const writes = counter?.version ?? 0;
    this.#rollback = compareProgress(await this.#guard.recall(), this.#keys.storeId, writes);
  }

  /** The application has dealt with a suspected rollback; the guard remembers from here on. */
  async acceptRollback(): Promise<void> {
    this.#checkOpen();
    if (this.#rollback !== "suspected") return;
    const writes = (await this.#inner.get(COUNTER_NAME))?.version ?? 0;
    await this.#guard?.remember(encodeProgress(this.#keys.storeId, writes));
    this.#rollback = "none";
  }

  async get(key: string): Promise<StoredRecord | undefined> {
    this.#checkOpen();
    const record = await this.#inner.get(await this.#names.nameOf(key));
    if (record === undefined) return undefined;
    const found = await this.#open(record);
    // 96 bits of HMAC name a record; should two keys ever share them, it must not go unnoticed.
    if (found.key !== key) throw new StorageError("STORAGE_FAILED", "two keys have one name");
    return found;
  }

  async list(prefix: string): Promise<readonly StoredRecord[]> {
    this.#checkOpen();
    const records = await this.#inner.list(await this.#names.prefixOf(prefix));
    const found = await Promise.all(records.map((record) => this.#open(record)));
    return found.filter(({ key }) => key.startsWith(prefix)).sort(byKey);
  }

  async write(batch: WriteBatch): Promise<void> {
    this.#checkOpen();
    checkBatch(batch);
    const copy = copyBatch(batch);
    const keys = [...copy.puts, ...copy.expect].map(({ key }) => key).concat(copy.deletes);
    // A guard counts all writes, so all of them are in each other's way.
    if (this.#guard !== undefined) keys.push(COUNTER_NAME);
    await this.#turns.run(keys, async () => {
      const named = await this.#named(copy);
      for (const { value } of copy.puts) value.fill(0);
      try {
        await this.#writeNamed(named);
      } finally {
        for (const { value } of named.puts) value.fill(0);
      }
    });
  }

  async close(): Promise<void> {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    await this.#turns.idle();
    this.#versions.clear();
    await this.#inner.close();
  }

  /**
   * Changes the application's key: from here on only `key` opens the store. Records are then
   * rewritten under a new data key, `batchSize` at a time, which raises their versions. If that is
   * interrupted, nothing is lost: open the store with the new key and call {@link finishRotation}.
   * P-ENC-04, M-STO-07.
   */
  async rotateKey(key: Uint8Array | CryptoKey, batchSize = 64): Promise<void> {
    this.#checkOpen();
    await this.finishRotation(batchSize);
    const newKey = await importStoreKey(key);
    const header = await addDataKey(this.#header.value, this.#storeKey, newKey);
    await this.#replaceHeader(header, newKey);
    await this.finishRotation(batchSize);
  }

  async finishRotation(batchSize = 64): Promise<void> {
    while (this.isRotating) {
      this.#checkOpen();
      const records = await this.#inner.list("");
      const old = records.filter(
        (record) => record.key !== HEADER_NAME && generationOf(record) !== this.#keys.current,
      );
      for (let at = 0; at < old.length; at += batchSize) {
        await this.#reseal(old.slice(at, at + batchSize));
      }
      if (old.length > 0) continue;
      await this.#replaceHeader(dropOldDataKeys(this.#header.value), this.#storeKey);
    }
  }

  /** Rewrites records under the current data key; those that were written meanwhile come again. */
  async #reseal(records: readonly StoredRecord[]): Promise<void> {
    const puts = await Promise.all(
      records.map(async (record) => {
        const plaintext = await openValue(this.#keys, record);
        const value = await sealValue(this.#keys, record.key, record.version + 1, plaintext);
        plaintext.fill(0);
        return { key: record.key, value };
      }),
    );
    const expect = records.map(({ key, version }) => ({ key, version }));
    for (const { key } of records) this.#versions.delete(key);
    try {
      await this.#inner.write({ puts, deletes: [], expect: [...expect, this.#header] });
    } catch (error) {
      if (!MlsError.is(error, "STORAGE_CONFLICT")) throw error;
      await this.#reload();
    }
  }

  async #replaceHeader(value: Uint8Array, storeKey: CryptoKey): Promise<void> {
    const { version } = this.#header;
    const header = { key: HEADER_NAME, value, version: version + 1 };
    const keys = await openHeader(value, storeKey);
    await this.#inner.write({ puts: [header], deletes: [], expect: [this.#header] });
    this.#header = header;
    this.#keys = keys;
    this.#storeKey = storeKey;
  }

  /** After a conflict: another process may have changed the key. */
  async #reload(): Promise<void> {
    const header = await this.#inner.get(HEADER_NAME);
    if (header === undefined) throw closed();
    if (header.version === this.#header.version) return;
    this.#keys = await openHeader(header.value, this.#storeKey);
    this.#header = header;
  }

  async #open(record: StoredRecord): Promise<StoredRecord> {
    if (!this.#keys.dataKeys.has(generationOf(record))) await this.#reload();
    const plaintext = await openValue(this.#keys, record);
    if (this.#versions.size >= MAX_CACHED_VERSIONS) this.#versions.clear();
    this.#versions.set(record.key, record.version);
    return { ...unpackRecord(this.#keys, record.key, plaintext), version: record.version };
  }

  /**
   * A value is encrypted for the version it is going to have, so that version must not change
   * meanwhile: it is expected of the inner store. If another process was faster, versions are read
   * again; only what the caller expected decides about a conflict.
   */
  async #writeNamed(named: WriteBatch): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        const counter = await this.#tryWrite(named);
        if (this.#rollback !== "suspected") {
          await this.#guard?.remember(encodeProgress(this.#keys.storeId, counter));
        }
        return;
      } catch (error) {
        if (!MlsError.is(error, "STORAGE_CONFLICT") || attempt === MAX_ATTEMPTS) throw error;
      }
      await this.#reload();
      for (const { key } of [...named.puts, ...named.expect]) this.#versions.delete(key);
      this.#versions.delete(COUNTER_NAME);
      for (const [index, { key, version }] of named.expect.entries()) {
        const actual = await this.#versionOf(key);
        if (actual !== version) throw conflict(index, version, actual);
      }
    }
  }

  /** @returns how many writes there have been, if that is counted */
  async #tryWrite(named: WriteBatch): Promise<number> {
    const expected = new Map(named.expect.map(({ key, version }) => [key, version]));
    const puts = [...named.puts];
    if (this.#guard !== undefined) puts.push({ key: COUNTER_NAME, value: NO_BYTES });
    for (const { key } of puts) {
      if (!expected.has(key)) expected.set(key, await this.#versionOf(key));
    }
    expected.set(HEADER_NAME, this.#header.version);
    const sealed = await Promise.all(
      puts.map(async ({ key, value }) => {
        const version = (expected.get(key) ?? 0) + 1;
        return { key, value: await this.#seal(key, version, value) };
      }),
    );
    const expect = [...expected].map(([key, version]) => ({ key, version }));
    await this.#inner.write({ puts: sealed, deletes: named.deletes, expect });
    for (const { key } of puts) this.#versions.set(key, (expected.get(key) ?? 0) + 1);
    for (const key of named.deletes) this.#versions.delete(key);
    return this.#versions.get(COUNTER_NAME) ?? 0;
  }

  async #seal(name: string, version: number, plaintext: Uint8Array): Promise<Uint8Array> {
    try {
      return await sealValue(this.#keys, name, version, plaintext);
    } catch (error) {
      throw failed("a record cannot be encrypted", error);
    }
  }

  async #versionOf(name: string): Promise<number> {
    const known = this.#versions.get(name);
    if (known !== undefined) return known;
    const version = (await this.#inner.get(name))?.version ?? 0;
    this.#versions.set(name, version);
    return version;
  }

  /** The batch in names of the inner store, values packed with their keys. */
  async #named(batch: WriteBatch): Promise<WriteBatch> {
    const names = this.#names;
    return {
      puts: await Promise.all(
        batch.puts.map(async ({ key, value }) => ({
          key: await names.nameOf(key),
          value: packRecord(this.#keys, key, value),
        })),
      ),
      deletes: await Promise.all(batch.deletes.map((key) => names.nameOf(key))),
      expect: await Promise.all(
        batch.expect.map(async ({ key, version }) => ({ key: await names.nameOf(key), version })),
      ),
    };
  }

  #checkOpen(): void {
    if (!this.#isOpen) throw closed();
  }
}
