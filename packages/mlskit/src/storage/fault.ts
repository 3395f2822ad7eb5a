/** A store that fails when told to. For tests of what stands on a store. M-TST, P-CR-03. */
import type { MaybePromise } from "../crypto/index.ts";
import { andThen } from "../crypto/maybe-promise.ts";
import { StorageError } from "../errors.ts";
import type { Storage, StoredRecord, WriteBatch } from "./storage.ts";

/** Calls are counted from 1. Everything may be changed while the store is in use. */
export interface FaultPlan {
  /** This get or list fails; the store goes on. */
  failRead?: number | undefined;
  /** This write fails and writes nothing; the store goes on. */
  failWrite?: number | undefined;
  /** The process dies before this write reaches the store. */
  crashBeforeWrite?: number | undefined;
  /** The process dies after this write, before the caller learns of it. */
  crashAfterWrite?: number | undefined;
}

/** Stands in front of `inner`, which survives crashes as a disk would. */
export function faultStorage(inner: Storage, plan: FaultPlan = {}): FaultStorage {
  return new FaultStorage(inner, plan);
}

export class FaultStorage implements Storage {
  readonly plan: FaultPlan;
  readonly #inner: Storage;
  #reads = 0;
  #writes = 0;
  #hasCrashed = false;
  #isClosed = false;

  constructor(inner: Storage, plan: FaultPlan) {
    this.#inner = inner;
    this.plan = plan;
  }

  /** Gets and lists so far, failed ones included. */
  get reads(): number {
    return this.#reads;
  }

  get writes(): number {
    return this.#writes;
  }

  /** A loop over all cut points ends with the first run in which this stayed false. */
  get hasCrashed(): boolean {
    return this.#hasCrashed;
  }

  /** From now on every call fails, as for a process that is no longer there. */
  crash(): void {
    this.#hasCrashed = true;
  }

  /** What the restarted process sees: the same data, no faults, counters at zero. */
  reopen(plan: FaultPlan = {}): FaultStorage {
    this.#hasCrashed = true;
    return new FaultStorage(this.#inner, plan);
  }

  get(key: string): MaybePromise<StoredRecord | undefined> {
    this.#countRead();
    return this.#inner.get(key);
  }

  list(prefix: string): MaybePromise<readonly StoredRecord[]> {
    this.#countRead();
    return this.#inner.list(prefix);
  }

  write(batch: WriteBatch): MaybePromise<void> {
    this.#checkAlive();
    const number = ++this.#writes;
    if (number === this.plan.failWrite) throw fault("a write was made to fail");
    if (number === this.plan.crashBeforeWrite) this.crash();
    this.#checkAlive();
    return andThen(this.#inner.write(batch), () => {
      if (number === this.plan.crashAfterWrite) this.crash();
      this.#checkAlive();
    });
  }

  /** Leaves the inner store open, so that {@link reopen} still works. */
  close(): void {
    this.#isClosed = true;
  }

  #countRead(): void {
    this.#checkAlive();
    if (++this.#reads === this.plan.failRead) throw fault("a read was made to fail");
  }

  #checkAlive(): void {
    if (this.#hasCrashed) throw fault("the process has crashed");
    if (this.#isClosed) throw fault("the store is closed");
  }
}

function fault(message: string): StorageError {
  return new StorageError("STORAGE_FAILED", message, { cause: new Error("injected fault") });
}
