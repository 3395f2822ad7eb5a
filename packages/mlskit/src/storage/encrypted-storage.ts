/** The encrypting store itself; opened by `encryptedStorage`. */
import { equalBytes } from "../codec/bytes.ts";
import { MlsError, StorageError } from "../errors.ts";
import { byKey, checkBatch, closed, conflict, copyBatch, failed } from "./batch.ts";
import {
  addDataKey,
  type Bytes,
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
  addTerm,
  COUNTER_NAME,
  HEADER_NAME,
  incomplete,
  type Sum,
  SUM_SIZE,
  sumOf,
  termOf,
} from "./encrypted-sum.ts";
import {
  compareProgress,
  encodeProgress,
  type RollbackGuard,
  type RollbackState,
} from "./rollback-guard.ts";
import { TurnQueue } from "./turn-queue.ts";
import type { Storage, StoredRecord, WriteBatch } from "./storage.ts";

const MAX_ATTEMPTS = 200;
const MAX_CACHED = 50_000;

/** A record of the inner store as last seen. */
interface Seen {
  readonly version: number;
  /** Its part of the sum; undefined where there is no record. */
  readonly term: Sum | undefined;
}

const ABSENT: Seen = { version: 0, term: undefined };

export class EncryptedStorage implements Storage {
  readonly #inner: Storage;
  readonly #guard: RollbackGuard | undefined;
  readonly #names: RecordNames;
  /**
   * Read after the sum was, or written by us since. What somebody else wrote since then makes the next
   * write fail, since that changes the counter, and all of this is forgotten.
   */
  readonly #seen: Map<string, Seen> = new Map();
  #sum: { readonly version: number; readonly value: Sum } | undefined;
  /** Raised by what may overtake a read, whose result is then not remembered. */
  #stamp = 0;
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

  /**
   * Reads everything and sees whether the sum of all records is right. M-STO-04.
   * @throws StorageError `STORAGE_FAILED`
   */
  async verify(): Promise<void> {
    this.#checkOpen();
    for (let before = -1; ; ) {
      const records = await this.#inner.list("");
      const counter = records.find(({ key }) => key === COUNTER_NAME);
      const sum = await this.#readSum(counter);
      if (equalBytes(sum, sumOf(this.#keys, records))) return;
      // A list that is not of one moment would be right the next time, or after the next write.
      const version = counter?.version ?? 0;
      if (version === before) throw incomplete();
      before = version;
    }
  }

  async #readSum(counter: StoredRecord | undefined): Promise<Sum> {
    // Authentic: the version is bound to the value.
    return counter === undefined ? new Uint8Array(SUM_SIZE) : this.#openValue(counter);
  }

  /** Compares the store with what the guard remembers. */
  async checkRollback(): Promise<void> {
    if (this.#guard === undefined) return;
    const counter = await this.#inner.get(COUNTER_NAME);
    await this.#readSum(counter);
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
    const name = await this.#names.nameOf(key);
    const stamp = this.#stamp;
    const record = await this.#inner.get(name);
    if (record === undefined) return undefined;
    const found = await this.#open(record, stamp);
    // 96 bits of HMAC name a record; should two keys ever share them, it must not go unnoticed.
    if (found.key !== key) throw new StorageError("STORAGE_FAILED", "two keys have one name");
    return found;
  }

  async list(prefix: string): Promise<readonly StoredRecord[]> {
    this.#checkOpen();
    const name = await this.#names.prefixOf(prefix);
    const stamp = this.#stamp;
    const records = await this.#inner.list(name);
    const found = await Promise.all(records.map((record) => this.#open(record, stamp)));
    return found.filter(({ key }) => key.startsWith(prefix)).sort(byKey);
  }

  async write(batch: WriteBatch): Promise<void> {
    this.#checkOpen();
    checkBatch(batch);
    const copy = copyBatch(batch);
    const keys = [...copy.puts, ...copy.expect].map(({ key }) => key).concat(copy.deletes);
    // What changes the sum is in the way of whatever else does.
    if (copy.puts.length + copy.deletes.length > 0) keys.push(COUNTER_NAME);
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
    this.#forget();
    this.#keys.sumKey.fill(0);
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
      // The counter is written with any of the others.
      const rows = old.filter(({ key }) => key !== COUNTER_NAME);
      for (let at = 0; at < rows.length; at += batchSize) {
        await this.#reseal(rows.slice(at, at + batchSize).map(({ key }) => key));
      }
      if (old.length > 0 && rows.length === 0) await this.#reseal([]);
      if (old.length > 0) continue;
      await this.#dropOldKeys();
    }
  }

  /** Another process may do so at the same time, or change the key. */
  async #dropOldKeys(): Promise<void> {
    try {
      await this.#replaceHeader(dropOldDataKeys(this.#header.value), this.#storeKey);
    } catch (error) {
      if (!MlsError.is(error, "STORAGE_CONFLICT")) throw error;
      await this.#reload();
    }
  }

  /** Rewrites records under the current data key; if others write meanwhile, they come again. */
  #reseal(names: readonly string[]): Promise<void> {
    return this.#turns.run([COUNTER_NAME, ...names], async () => {
      const puts: { key: string; value: Bytes }[] = [];
      try {
        // A name and a version may have come to another value since they were listed. What is read
        // after the sum is right as long as the counter is, which is expected.
        this.#sum ??= await this.#loadSum();
        for (const key of names) {
          const record = await this.#inner.get(key);
          if (record !== undefined) puts.push({ key, value: await this.#openValue(record) });
        }
        await this.#tryWrite({ puts, deletes: [], expect: [] });
      } catch (error) {
        if (!MlsError.is(error, "STORAGE_CONFLICT")) throw error;
        await this.#reload();
      } finally {
        for (const { value } of puts) value.fill(0);
      }
    });
  }

  async #replaceHeader(value: Uint8Array, storeKey: CryptoKey): Promise<void> {
    const { version } = this.#header;
    const header = { key: HEADER_NAME, value, version: version + 1 };
    const keys = await openHeader(value, storeKey);
    await this.#inner.write({ puts: [header], deletes: [], expect: [this.#header] });
    this.#adopt(header, keys);
    this.#storeKey = storeKey;
  }

  #adopt(header: StoredRecord, keys: StoreKeys): void {
    this.#keys.sumKey.fill(0);
    this.#header = header;
    this.#keys = keys;
  }

  /** After a conflict: another process may have changed the key. */
  async #reload(): Promise<void> {
    const header = await this.#inner.get(HEADER_NAME);
    if (header === undefined) throw closed();
    if (header.version === this.#header.version) return;
    this.#adopt(header, await openHeader(header.value, this.#storeKey));
  }

  async #open(record: StoredRecord, stamp: number): Promise<StoredRecord> {
    const plaintext = await this.#openValue(record);
    this.#see(record, stamp);
    return { ...unpackRecord(this.#keys, record.key, plaintext), version: record.version };
  }

  async #openValue(record: StoredRecord): Promise<Bytes> {
    if (!this.#keys.dataKeys.has(generationOf(record))) await this.#reload();
    return openValue(this.#keys, record);
  }

  #see(record: StoredRecord, stamp: number): Seen {
    const seen = { version: record.version, term: termOf(this.#keys, record) };
    if (stamp !== this.#stamp) return seen;
    if (this.#seen.size >= MAX_CACHED) this.#seen.clear();
    this.#seen.set(record.key, seen);
    return seen;
  }

  #forget(): void {
    this.#stamp++;
    this.#seen.clear();
    this.#sum = undefined;
  }

  /**
   * A value is encrypted for the version it is going to have, so that version must not change
   * meanwhile: it is expected of the inner store. If another process was faster, versions are read
   * again; only what the caller expected decides about a conflict.
   */
  async #writeNamed(named: WriteBatch): Promise<void> {
    const isEmpty = named.puts.length + named.deletes.length === 0;
    for (let attempt = 1; ; attempt++) {
      try {
        if (isEmpty) {
          return await this.#inner.write({ ...named, expect: [...named.expect, this.#header] });
        }
        return await this.#remember(await this.#tryWrite(named));
      } catch (error) {
        if (!MlsError.is(error, "STORAGE_CONFLICT") || attempt === MAX_ATTEMPTS) throw error;
      }
      this.#forget();
      await this.#reload();
      for (const [index, { key, version }] of named.expect.entries()) {
        const actual = (await this.#lookAt(key)).version;
        if (actual !== version) throw conflict(index, version, actual);
      }
    }
  }

  async #remember(writes: number): Promise<void> {
    if (this.#rollback === "suspected") return;
    try {
      await this.#guard?.remember(encodeProgress(this.#keys.storeId, writes));
    } catch {
      // The write is durable all the same, and an older remembered state suspects nobody wrongly.
    }
  }

  /** @returns how many writes there have been */
  async #tryWrite({ puts, deletes, expect }: WriteBatch): Promise<number> {
    try {
      const { version: writes, value } = (this.#sum ??= await this.#loadSum());
      const sum = Uint8Array.from(value);
      const expected = new Map(expect.map(({ key, version }) => [key, version]));
      const keys = [...puts.map(({ key }) => key), ...deletes];
      const seen = await Promise.all(keys.map((key) => this.#lookAt(key)));
      for (const [i, { version, term }] of seen.entries()) {
        const key = keys[i] as string;
        if (!expected.has(key)) expected.set(key, version);
        if (term !== undefined) addTerm(sum, term);
      }
      const sealed = await Promise.all(
        puts.map(async (put) => {
          const version = (expected.get(put.key) ?? 0) + 1;
          return { key: put.key, version, value: await this.#seal(put.key, version, put.value) };
        }),
      );
      const terms = sealed.map((record) => termOf(this.#keys, record));
      for (const term of terms) addTerm(sum, term);
      const counter = await this.#seal(COUNTER_NAME, writes + 1, sum);
      expected.set(COUNTER_NAME, writes).set(HEADER_NAME, this.#header.version);
      await this.#inner.write({
        puts: [...sealed, { key: COUNTER_NAME, value: counter }],
        deletes,
        expect: [...expected].map(([key, version]) => ({ key, version })),
      });
      this.#stamp++;
      this.#sum = { version: writes + 1, value: sum };
      for (const [i, { key, version }] of sealed.entries()) {
        this.#seen.set(key, { version, term: terms[i] });
      }
      for (const key of deletes) this.#seen.set(key, ABSENT);
      return writes + 1;
    } catch (error) {
      this.#forget();
      throw error;
    }
  }

  async #loadSum(): Promise<{ readonly version: number; readonly value: Sum }> {
    const counter = await this.#inner.get(COUNTER_NAME);
    // Only now: what was read before the counter may be older than the sum.
    this.#forget();
    return { version: counter?.version ?? 0, value: await this.#readSum(counter) };
  }

  async #lookAt(name: string): Promise<Seen> {
    const known = this.#seen.get(name);
    if (known !== undefined) return known;
    const stamp = this.#stamp;
    const record = await this.#inner.get(name);
    return record === undefined ? ABSENT : this.#see(record, stamp);
  }

  async #seal(name: string, version: number, plaintext: Uint8Array): Promise<Uint8Array> {
    try {
      return await sealValue(this.#keys, name, version, plaintext);
    } catch (error) {
      throw failed("a record cannot be encrypted", error);
    }
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
