/** A durable store in one directory, for Node. M-STO-03. */
import fs from "node:fs";
import path from "node:path";
import {
  checkBatch,
  checkVersions,
  closed,
  copyBatch,
  failed,
  keysWithPrefix,
  lockTimeout,
} from "./batch.ts";
import { FileCore } from "./file-core.ts";
import { openNodeFile, preparePrivateDirectory, type StoreFile } from "./file-device.ts";
import { FileLock, LOCK_FILES } from "./file-lock.ts";
import {
  checkProtection,
  protect,
  type ProtectedStorage,
  type StoreProtection,
} from "./protection.ts";
import type { Storage, StoredRecord, WriteBatch } from "./storage.ts";

export type FileStorageOptions = FileSettings & StoreProtection;

export interface FileSettings {
  /**
   * `fsync` (default): a batch has reached the disk when `write` returns. `none`: it survives the
   * death of the process, but not of the machine; after a power cut the store may refuse to open.
   */
  readonly durability?: "fsync" | "none";
  /** Nobody else may have the store open at the same time. P-MP-01. */
  readonly exclusive?: boolean;
  /** How long to wait for another process before `STORE_LOCKED`; 10,000 ms by default. */
  readonly lockTimeout?: number;
  /** Told after every batch how many bytes went to the file, overwriting of old values included. */
  readonly onWrite?: (bytes: number) => void;
  /** Stands between the store and the disk; for tests. */
  readonly openFile?: (path: string) => StoreFile;
}

/**
 * Opens or creates the store in `directory`, which becomes private to its owner.
 *
 * Several processes may open the same directory: each sees what the others wrote, and batches never
 * interleave. With `exclusive` one of them owns it until it closes the store or dies; an owner in
 * another container counts as dead when it has not shown itself for a minute. The directory must be
 * on a local file system. Replaced and deleted values are overwritten in the file before `write`
 * returns; what the device keeps of overwritten sectors (flash, copy-on-write file systems) is out of
 * reach: one more reason for a key.
 * @throws StorageError `STORAGE_FAILED`, `STORAGE_VERSION`, `STORAGE_KEY_MISMATCH`, `STORE_LOCKED`
 * @throws UsageError `STORE_UNPROTECTED`
 */
export async function fileStorage<O extends FileStorageOptions>(
  directory: string,
  options: O,
): Promise<ProtectedStorage<O>> {
  checkProtection(options);
  return await protect(await openStore(directory, options), options);
}

async function openStore(directory: string, options: FileSettings): Promise<FileStorage> {
  let file: StoreFile | undefined;
  let lock: FileLock | undefined;
  try {
    preparePrivateDirectory(directory, STORE_FILE);
    file = (options.openFile ?? openNodeFile)(path.join(directory, STORE_FILE));
    const { exclusive = false } = options;
    lock = new FileLock(directory, { timeout: lockTimeout(options), exclusive });
    const core = new FileCore(file, options.durability !== "none", options.onWrite);
    await lock.open((isInherited) => core.open(directory, isInherited));
    return new FileStorage(core, lock);
  } catch (error) {
    lock?.close();
    file?.close();
    throw failed("the store cannot be opened", error);
  }
}

/** Removes a store and everything in its directory that belongs to it; harmless if there is none. */
export function deleteFileStorage(directory: string): void {
  try {
    const file = path.join(directory, STORE_FILE);
    if (fs.existsSync(file)) {
      const size = fs.statSync(file).size;
      const fd = fs.openSync(file, "r+");
      for (let at = 0; at < size; at += ZEROS.length) {
        fs.writeSync(fd, ZEROS, 0, Math.min(ZEROS.length, size - at), at);
      }
      fs.fsyncSync(fd);
      fs.closeSync(fd);
      fs.rmSync(file);
    }
    for (const name of fs.existsSync(directory) ? fs.readdirSync(directory) : []) {
      if (LOCK_FILES.test(name)) {
        fs.rmSync(path.join(directory, name), { force: true });
      }
    }
  } catch (error) {
    throw failed("the store cannot be deleted", error);
  }
}

const STORE_FILE = "records";
const ZEROS: Uint8Array = /* @__PURE__ */ new Uint8Array(65_536);

interface Job {
  /** Undefined: `run` is a read that needs the file to stand still. */
  readonly batch: WriteBatch | undefined;
  readonly run: (() => unknown) | undefined;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

class FileStorage implements Storage {
  readonly #core: FileCore;
  readonly #lock: FileLock;
  #queue: Job[] = [];
  #draining: Promise<void> | undefined;
  #isDraining = false;
  #isOpen = true;

  constructor(core: FileCore, lock: FileLock) {
    this.#core = core;
    this.#lock = lock;
  }

  get(key: string): StoredRecord | undefined | Promise<StoredRecord | undefined> {
    return this.#read(
      () => this.#core.tryGet(key),
      () => this.#core.getLocked(key),
    );
  }

  list(prefix: string): readonly StoredRecord[] | Promise<readonly StoredRecord[]> {
    const keys = (all: Iterable<string>): string[] => keysWithPrefix(all, prefix);
    return this.#read(
      () => this.#core.tryList(keys),
      () => this.#core.listLocked(keys),
    );
  }

  async write(batch: WriteBatch): Promise<void> {
    this.#checkOpen();
    checkBatch(batch);
    await this.#enqueue(copyBatch(batch), undefined);
  }

  async close(): Promise<void> {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    await this.#draining;
    this.#lock.close();
    await this.#core.close();
  }

  /** Without the lock if the file stands still for a moment, otherwise behind the writers. */
  #read<T>(attempt: () => { value: T } | undefined, locked: () => T): T | Promise<T> {
    this.#checkOpen();
    try {
      const found = attempt();
      if (found !== undefined) return found.value;
    } catch (error) {
      throw failed("the store cannot be read", error);
    }
    return this.#enqueue(undefined, locked) as Promise<T>;
  }

  #enqueue(batch: WriteBatch | undefined, run: (() => unknown) | undefined): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ batch, run, resolve, reject });
      if (this.#queue.length === 1 && !this.#isDraining) this.#draining = this.#drain();
    });
  }

  /** Whatever has queued up while the disk was busy shares the next flush. */
  async #drain(): Promise<void> {
    this.#isDraining = true;
    while (this.#queue.length > 0) {
      const jobs = this.#queue;
      this.#queue = [];
      try {
        await this.#withLock(() => this.#serve(jobs));
      } catch (error) {
        const reason = failed("the store cannot be written", error);
        for (const job of jobs) job.reject(reason);
      }
      for (const { batch } of jobs) for (const put of batch?.puts ?? []) put.value.fill(0);
    }
    this.#isDraining = false;
  }

  async #withLock(work: () => Promise<void>): Promise<void> {
    this.#core.checkUsable();
    const mustRecover = await this.#lock.acquire();
    try {
      await this.#core.prepare(mustRecover);
      await work();
    } finally {
      if (this.#core.isBroken) this.#lock.abandon();
      else this.#lock.release();
    }
  }

  async #serve(jobs: readonly Job[]): Promise<void> {
    const staged = this.#core.stage();
    const accepted: Job[] = [];
    for (const job of jobs) {
      try {
        if (job.batch === undefined) {
          job.resolve(job.run?.());
          continue;
        }
        checkVersions(job.batch, (key) => staged.versionOf(key));
        staged.add(job.batch);
        accepted.push(job);
      } catch (error) {
        job.reject(failed("the store cannot be read", error));
      }
    }
    await this.#core.commit(staged);
    for (const job of accepted) job.resolve(undefined);
  }

  #checkOpen(): void {
    if (!this.#isOpen) throw closed();
    this.#core.checkUsable();
  }
}
