/**
 * A store in IndexedDB, for browsers. M-STO-05.
 *
 * Browsers keep IndexedDB in log-structured files and remove old values when they see fit. Deletion
 * is therefore not physical here, and the store is encrypted unless the caller insists.
 */
import { StorageError, UnsupportedError } from "../errors.ts";
import { checkBatch, checkVersions, closed, copyBatch, failed, lockTimeout } from "./batch.ts";
import {
  checkProtection,
  protect,
  type ProtectedStorage,
  type StoreProtection,
} from "./protection.ts";
import type { Storage, StoredRecord, WriteBatch } from "./storage.ts";
import { takeWebLock, WriteTurns } from "./web-lock.ts";

/** The key is best a non-extractable CryptoKey, which may be kept in IndexedDB itself. */
export type IndexedDbStorageOptions = IndexedDbEnvironment & StoreProtection;

export interface IndexedDbEnvironment {
  /** `globalThis.indexedDB` by default. */
  readonly factory?: IDBFactory;
  /** `navigator.locks` by default, where there are Web Locks. */
  readonly locks?: LockManager | undefined;
  /** Nobody else may have the store open at the same time. Needs Web Locks. */
  readonly exclusive?: boolean;
  /** How long to wait for tabs that are in the way before `STORE_LOCKED`; 10,000 ms by default. */
  readonly lockTimeout?: number;
}

/**
 * Opens or creates the database `name`. Tabs and workers may share it: a batch is one readwrite
 * transaction, and those exclude each other. With `exclusive` one of them owns it until it closes
 * the store or dies. P-MP-01.
 * @throws StorageError `STORAGE_FAILED`, `STORAGE_VERSION`, `STORAGE_KEY_MISMATCH`, `STORE_LOCKED`
 * @throws UsageError `STORE_UNPROTECTED`
 */
export async function indexedDbStorage<O extends IndexedDbStorageOptions>(
  name: string,
  options: O,
): Promise<ProtectedStorage<O>> {
  checkProtection(options);
  const locks = options.locks ?? (globalThis.navigator as Navigator | undefined)?.locks;
  const unlock = await lock(name, locks, options);
  let storage: IndexedDbStorage;
  try {
    const factory = options.factory ?? globalThis.indexedDB;
    const isShared = locks !== undefined && options.exclusive !== true;
    const turns = isShared ? new WriteTurns(locks, `mlskit-turn ${name}`) : undefined;
    storage = new IndexedDbStorage(await openDatabase(factory, name), unlock, turns);
  } catch (error) {
    unlock();
    throw failed("the database cannot be opened", error);
  }
  return await protect(storage, options);
}

/** Removes the database; harmless if there is none. Fails while a tab has it open. */
export async function deleteIndexedDbStorage(name: string, factory?: IDBFactory): Promise<void> {
  try {
    await new Promise<void>((resolve, reject) => {
      const request = (factory ?? globalThis.indexedDB).deleteDatabase(name);
      request.onsuccess = () => resolve();
      request.onerror = () => reject(request.error);
      request.onblocked = () => {
        reject(new StorageError("STORE_LOCKED", "the database is open in another tab"));
      };
    });
  } catch (error) {
    throw failed("the database cannot be deleted", error);
  }
}

/** Those who share a store hold its lock as well, so that an owner waits for them. */
async function lock(
  name: string,
  locks: LockManager | undefined,
  options: IndexedDbEnvironment,
): Promise<() => void> {
  const { exclusive = false } = options;
  if (locks !== undefined) {
    return takeWebLock(locks, lockName(name), {
      mode: exclusive ? "exclusive" : "shared",
      timeout: lockTimeout(options),
    });
  }
  if (!exclusive) return () => undefined;
  throw new UnsupportedError("WEB_LOCKS_MISSING", "a store for one tab alone needs Web Locks");
}

const lockName = (name: string): string => `mlskit ${name}`;

const STORE = "records";
const FORMAT = 1;

function openDatabase(factory: IDBFactory, name: string): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = factory.open(name, FORMAT);
    request.onupgradeneeded = () => {
      request.result.createObjectStore(STORE, { keyPath: "key" });
    };
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => {
      const isNewer = request.error?.name === "VersionError";
      const code = isNewer ? "STORAGE_VERSION" : "STORAGE_FAILED";
      const cause = request.error;
      reject(new StorageError(code, "the database cannot be opened", { cause }));
    };
  });
}

class IndexedDbStorage implements Storage {
  readonly #database: IDBDatabase;
  readonly #unlock: () => void;
  readonly #turns: WriteTurns | undefined;
  #isOpen = true;

  constructor(database: IDBDatabase, unlock: () => void, turns: WriteTurns | undefined) {
    this.#database = database;
    this.#unlock = unlock;
    this.#turns = turns;
    // Another tab wants to delete or upgrade the database; holding on would block it.
    database.onversionchange = () => this.close();
    database.onclose = () => this.close();
  }

  async get(key: string): Promise<StoredRecord | undefined> {
    return await this.#read((store) => store.get(key) as IDBRequest<StoredRecord | undefined>);
  }

  async list(prefix: string): Promise<readonly StoredRecord[]> {
    // No key contains a character above "~".
    const range = IDBKeyRange.bound(prefix, `${prefix}\u007f`, false, true);
    return await this.#read((store) => store.getAll(range) as IDBRequest<StoredRecord[]>);
  }

  async write(batch: WriteBatch): Promise<void> {
    this.#checkOpen();
    checkBatch(batch);
    const copy = copyBatch(batch);
    const write = (): Promise<void> => this.#write(copy);
    if (this.#turns === undefined) return write();
    const keys = copy.expect.map(({ key }) => key);
    await this.#turns.run(keys, write);
  }

  async #write({ puts, deletes, expect }: WriteBatch): Promise<void> {
    this.#checkOpen();
    const transaction = this.#begin("readwrite");
    const store = transaction.objectStore(STORE);
    const done = completed(transaction);
    let refusal: unknown;
    // Everything happens in callbacks: a transaction commits itself when nothing is requested.
    readVersions(store, [...puts, ...expect], (versionOf) => {
      try {
        checkVersions({ puts, deletes, expect }, versionOf);
        for (const { key, value } of puts) {
          store.put({ key, value, version: versionOf(key) + 1 });
        }
        for (const key of deletes) store.delete(key);
      } catch (error) {
        refusal = error;
        transaction.abort();
      }
    });
    try {
      await done;
    } catch (error) {
      throw failed("the database cannot be written", refusal ?? error);
    }
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#database.close();
    this.#turns?.close();
    this.#unlock();
  }

  /** The answer is a structured clone: nobody else has its arrays. */
  async #read<T>(request: (store: IDBObjectStore) => IDBRequest<T>): Promise<T> {
    this.#checkOpen();
    const transaction = this.#begin("readonly");
    const done = completed(transaction);
    const answer = request(transaction.objectStore(STORE));
    try {
      await done;
    } catch (error) {
      throw failed("the database cannot be read", error);
    }
    return answer.result;
  }

  #begin(mode: IDBTransactionMode): IDBTransaction {
    try {
      return this.#database.transaction(STORE, mode, { durability: "strict" });
    } catch (error) {
      throw failed("the database cannot be used", error);
    }
  }

  #checkOpen(): void {
    if (!this.#isOpen) throw closed();
  }
}

/** Calls `next` when the versions of all these keys are known; 0 for absent ones. */
function readVersions(
  store: IDBObjectStore,
  records: readonly { readonly key: string }[],
  next: (versionOf: (key: string) => number) => void,
): void {
  const versions = new Map<string, number>();
  const keys = new Set(records.map(({ key }) => key));
  let missing = keys.size;
  const finish = (): void => next((key) => versions.get(key) ?? 0);
  if (missing === 0) finish();
  for (const key of keys) {
    const request = store.get(key) as IDBRequest<StoredRecord | undefined>;
    request.onsuccess = () => {
      versions.set(key, request.result?.version ?? 0);
      if (--missing === 0) finish();
    };
  }
}

/** Resolves when the transaction is durable, rejects when nothing of it happened. */
function completed(transaction: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () =>
      reject(transaction.error ?? new Error("the transaction was aborted"));
  });
}
