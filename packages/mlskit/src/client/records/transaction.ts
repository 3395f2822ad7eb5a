/** All changes of one operation, written at once. Rules P-TX-01 to P-TX-07. */
import { StorageError, UsageError } from "../../errors.ts";
import type { Storage, WriteBatch } from "../../storage/storage.ts";
import type { ClientEvent } from "../state/events.ts";
import type { RecordSink } from "./record-sink.ts";

/** Collects writes in memory; {@link commit} writes them in one atomic batch, or nothing. */
export class Transaction implements RecordSink {
  readonly #storage: Storage;
  readonly #writes = new Map<string, Uint8Array | undefined>();
  #expected: WriteBatch["expect"] = [];
  readonly #read = new Map<string, number>();
  readonly #onCommit: (() => void)[] = [];
  readonly #onAbort: (() => void)[] = [];
  /** Of what concerns no group; those of groups are with their sessions. */
  readonly events: ClientEvent[] = [];
  /** Handles of groups that are changed behind the backs of those who have them in memory. */
  readonly overtaken: Set<number> = new Set();
  /** Handles of states of groups that are deleted. */
  readonly deleted: Set<number> = new Set();
  #isOpen = true;
  #isSealed = false;

  constructor(storage: Storage) {
    this.#storage = storage;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** The bytes are the transaction's own from here on: at its end they are overwritten. */
  put(key: string, value: Uint8Array): void {
    this.checkOpen();
    this.#set(key, value);
  }

  delete(key: string): void {
    this.checkOpen();
    this.#set(key, undefined);
  }

  #set(key: string, value: Uint8Array | undefined): void {
    this.#writes.get(key)?.fill(0);
    this.#writes.set(key, value);
  }

  /** Takes back what was put under a prefix; what the store holds there is deleted as well. */
  deleteWritten(prefix: string): void {
    for (const key of this.#writes.keys()) {
      if (key.startsWith(prefix)) this.#set(key, undefined);
    }
  }

  /** The write fails unless the record has this version then (0: absent). */
  expect(key: string, version: number): void {
    this.checkOpen();
    this.#expect(key, version);
  }

  #expect(key: string, version: number): void {
    if (this.#expected.some((known) => known.key === key)) return;
    this.#expected = [...this.#expected, { key, version }];
  }

  /** The same with the version that it has now. Whether there is such a record. */
  async expectCurrent(key: string): Promise<boolean> {
    const record = await this.#storage.get(key);
    this.expect(key, record?.version ?? 0);
    record?.value.fill(0);
    return record !== undefined;
  }

  /** Reads through the transaction's own writes. What is returned is the caller's. */
  async get(key: string): Promise<Uint8Array | undefined> {
    this.checkOpen();
    if (this.#writes.has(key)) return this.#writes.get(key)?.slice();
    const record = await this.#storage.get(key);
    return record?.value;
  }

  /** The same; if anything is written, nobody may have changed it until then. */
  async read(key: string): Promise<Uint8Array | undefined> {
    this.checkOpen();
    if (this.#writes.has(key)) return this.#writes.get(key)?.slice();
    const record = await this.#storage.get(key);
    if (!this.#read.has(key)) this.#read.set(key, record?.version ?? 0);
    return record?.value;
  }

  /** Keys and values under a prefix, own writes included. */
  async list(prefix: string): Promise<ReadonlyMap<string, Uint8Array>> {
    this.checkOpen();
    const found = new Map<string, Uint8Array>();
    for (const { key, value } of await this.#storage.list(prefix)) found.set(key, value);
    for (const [key, value] of this.#writes) {
      if (!key.startsWith(prefix)) continue;
      if (value === undefined) found.delete(key);
      else found.set(key, value.slice());
    }
    return found;
  }

  /** From here on only what this returns adds to the write: what came later would be half of something. */
  seal(): RecordSink & Pick<Transaction, "expect"> {
    this.checkOpen();
    this.#isSealed = true;
    return {
      put: (key, value) => this.#writes.set(key, value),
      delete: (key) => this.#writes.set(key, undefined),
      expect: (key, version) => {
        this.#expect(key, version);
      },
    };
  }

  /** Runs after the write; must not throw. */
  onCommit(action: () => void): void {
    this.#onCommit.push(action);
  }

  /** Runs if nothing was written, the last one first; must not throw. */
  onAbort(action: () => void): void {
    this.#onAbort.push(action);
  }

  /** Whether anything is to be written so far. */
  get isWriting(): boolean {
    return this.#writes.size > 0;
  }

  /**
   * `show` tells others of the new state, before anything of the former one is overwritten.
   * @throws StorageError; nothing was written then
   */
  async commit(show?: () => void): Promise<void> {
    if (!this.#isOpen) throw transactionClosed();
    this.#isOpen = false;
    if (this.#writes.size > 0) for (const [key, version] of this.#read) this.#expect(key, version);
    try {
      // Expectations alone are checked as well.
      if (this.#writes.size + this.#expected.length > 0) await this.#storage.write(this.#batch());
    } catch (error) {
      this.#undo();
      if (error instanceof StorageError || error instanceof UsageError) throw error;
      throw new StorageError("STORAGE_FAILED", "the store could not write", { cause: error });
    } finally {
      this.#erase();
    }
    show?.();
    for (const action of this.#onCommit) action();
  }

  abort(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#undo();
    this.#erase();
  }

  #undo(): void {
    for (const action of this.#onAbort.reverse()) action();
  }

  /** Stores keep copies of their own; most records hold secrets. */
  #erase(): void {
    for (const value of this.#writes.values()) value?.fill(0);
    this.#writes.clear();
  }

  #batch(): WriteBatch {
    const puts: WriteBatch["puts"][number][] = [];
    const deletes: string[] = [];
    for (const [key, value] of this.#writes) {
      if (value === undefined) deletes.push(key);
      else puts.push({ key, value });
    }
    return { puts, deletes, expect: this.#expected };
  }

  /** @throws UsageError `TRANSACTION_CLOSED` */
  checkOpen(): void {
    if (!this.#isOpen || this.#isSealed) throw transactionClosed();
  }
}

export function transactionClosed(): UsageError {
  return new UsageError("TRANSACTION_CLOSED", "the transaction has ended");
}
