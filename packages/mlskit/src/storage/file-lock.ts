/**
 * Exclusion between processes by a lock file. P-MP-01.
 *
 * Every open store has an owner file that names it. Linking that file to the lock's name takes the
 * lock: the link appears whole or not at all, and only once. A lock whose process no longer runs is
 * removed by whoever waits, but never blindly: between "it is stale" and "remove it" another waiter
 * may have removed it and taken a new one. The right to remove the lock of T is itself a lock, whose
 * name contains T, so that it cannot hit anybody else's.
 *
 * A store that is shared takes the lock for each batch and is marked by one more link while it is
 * open. The exclusive owner waits until there are no such marks, and then keeps the lock. Both touch
 * their files regularly, so that processes about which nothing else can be learned are missed.
 */
import * as crypto from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { StorageError } from "../errors.ts";
import {
  abandoned,
  describeOwner,
  HEARTBEAT,
  isAlive,
  isBeating,
  type LockOwner,
  readOwner,
} from "./file-owner.ts";

export interface LockOptions {
  /** How long to wait for another process before `STORE_LOCKED`, in milliseconds. */
  readonly timeout: number;
  /** Take the lock once and keep it. */
  readonly exclusive: boolean;
}

/** What locks leave in a directory. */
export const LOCK_FILES: RegExp = /^(lock|(owner|share|take|break)-[0-9a-f]{24})$/;
const MARKS = /^(owner|share|take)-[0-9a-f]{24}$/;

export class FileLock {
  readonly #directory: string;
  readonly #path: string;
  readonly #ownerPath: string;
  readonly #sharePath: string;
  readonly #owner: LockOwner;
  readonly #timeout: number;
  #heartbeat: ReturnType<typeof setInterval> | undefined;
  #isKept = false;

  constructor(directory: string, { timeout, exclusive }: LockOptions) {
    this.#directory = directory;
    this.#path = path.join(directory, "lock");
    this.#timeout = timeout;
    this.#owner = describeOwner(crypto.randomBytes(12).toString("hex"), exclusive);
    this.#ownerPath = path.join(directory, `owner-${this.#owner.token}`);
    this.#sharePath = path.join(directory, `share-${this.#owner.token}`);
    this.#sweep();
    this.#writeOwner();
  }

  /**
   * Runs `prepare` under the lock, and marks the store as open. `isInherited`: as {@link acquire} says.
   * An exclusive owner keeps the lock, as soon as nobody else has the store open.
   * @throws StorageError `STORE_LOCKED`
   */
  async open(prepare: (isInherited: boolean) => Promise<void>): Promise<void> {
    const deadline = Date.now() + this.#timeout;
    for (let sharer = await this.#tryOpen(prepare); sharer !== undefined; ) {
      if (Date.now() > deadline) throw locked(sharer);
      await new Promise((resume) => setTimeout(resume, 20 + crypto.randomInt(80)));
      sharer = await this.#tryOpen(prepare);
    }
    this.#heartbeat = setInterval(() => this.#beat(), HEARTBEAT);
    this.#heartbeat.unref();
  }

  /** @returns who is in the way */
  async #tryOpen(prepare: (isInherited: boolean) => Promise<void>): Promise<LockOwner | undefined> {
    const isInherited = await this.acquire();
    let isSound = !isInherited;
    try {
      // Also if somebody is in the way: the lock may have been taken over from a dead writer.
      await prepare(isInherited);
      isSound = true;
      if (!this.#owner.exclusive) this.#take(this.#sharePath);
      const sharer = this.#owner.exclusive ? this.#sharer() : undefined;
      this.#isKept = this.#owner.exclusive && sharer === undefined;
      return sharer;
    } finally {
      if (isSound) this.release();
      else this.abandon();
    }
  }

  /**
   * Takes the lock; waits while another process has it. An owner only makes sure that it has it still.
   * @returns whether the last holder died or gave up with the lock in its hands
   * @throws StorageError `STORE_LOCKED`
   */
  acquire(): boolean | Promise<boolean> {
    if (!this.#isKept) return this.#take(this.#path) ? false : this.#wait();
    // P-MP-03: somebody may have taken this process for dead.
    if (readOwner(this.#path)?.token === this.#owner.token) return false;
    throw new StorageError("STORE_LOCKED", "this process does not own the store any more");
  }

  release(): void {
    if (!this.#isKept) fs.unlinkSync(this.#path);
  }

  /**
   * Leaves the lock to be inherited: what it protects is not in order and this store cannot mend it.
   * Where there are no hard links, or the disk fails here as well, other processes have to wait for
   * the end of this one.
   */
  abandon(): void {
    abandoned.add(this.#owner.token);
    try {
      // The lock is the same file. In place and, with the space, as long as before: whatever happens,
      // it is never empty or cut short, which would name nobody.
      const text = JSON.stringify({ ...this.#owner, isAbandoned: true });
      fs.writeFileSync(this.#ownerPath, `${text} `, { flag: "r+" });
    } catch {
      // The failure that led here is the one to report.
    }
  }

  close(): void {
    clearInterval(this.#heartbeat);
    const isOwner = this.#isKept && readOwner(this.#path)?.token === this.#owner.token;
    if (isOwner && !abandoned.has(this.#owner.token)) fs.rmSync(this.#path, { force: true });
    this.#isKept = false;
    fs.rmSync(this.#sharePath, { force: true });
    fs.rmSync(this.#ownerPath, { force: true });
  }

  /** Somebody who has the store open. */
  #sharer(): LockOwner | undefined {
    for (const name of fs.readdirSync(this.#directory)) {
      if (!name.startsWith("share-")) continue;
      const file = path.join(this.#directory, name);
      const owner = readOwner(file);
      if (owner !== undefined && isBeating(owner, file)) return owner;
      fs.rmSync(file, { force: true });
    }
    return undefined;
  }

  /** Where there are hard links these are names of one file. */
  #beat(): void {
    const now = new Date();
    const mark = this.#isKept ? this.#path : this.#sharePath;
    for (const file of [this.#ownerPath, mark]) {
      try {
        if (readOwner(file)?.token === this.#owner.token) fs.utimesSync(file, now, now);
      } catch {
        // Whoever removed it answers for it.
      }
    }
  }

  async #wait(): Promise<boolean> {
    const deadline = Date.now() + this.#timeout;
    for (let attempt = 0; ; attempt++) {
      if (this.#inherit(this.#path)) return true;
      if (this.#take(this.#path)) return false;
      if (Date.now() > deadline) throw locked(readOwner(this.#path));
      // Irregular pauses, so that two writers in step do not miss each other for ever.
      await new Promise((resume) => setTimeout(resume, attempt < 8 ? 0 : 1 + crypto.randomInt(4)));
    }
  }

  #take(lock: string): boolean {
    try {
      fs.linkSync(this.#ownerPath, lock);
      return true;
    } catch (error) {
      const code = codeOf(error);
      if (code === "EEXIST") return false;
      if (code === "ENOENT") {
        // Somebody tidied the directory up. Without the owner file nobody could take the lock.
        this.#writeOwner();
        return false;
      }
      if (code !== "EPERM" && code !== "ENOTSUP" && code !== "ENOSYS") throw error;
      return this.#takeWithoutLinks(lock);
    }
  }

  /** For file systems without hard links. A crash within the call leaves a lock that names nobody. */
  #takeWithoutLinks(lock: string): boolean {
    try {
      fs.writeFileSync(lock, JSON.stringify(this.#owner), { flag: "wx", mode: 0o600 });
      return true;
    } catch (error) {
      if (codeOf(error) === "EEXIST") return false;
      throw error;
    }
  }

  /** Takes a lock over whose owner is gone, without a moment in which nobody has it. */
  #inherit(lock: string): boolean {
    const owner = readOwner(lock);
    if (owner === undefined) return false;
    if (owner.exclusive ? isBeating(owner, lock) : isAlive(owner)) return false;
    const permission = path.join(this.#directory, `break-${owner.token}`);
    if (!this.#take(permission) && !this.#inherit(permission)) return false;
    try {
      if (readOwner(lock)?.token !== owner.token) return false;
      const replacement = path.join(this.#directory, `take-${this.#owner.token}`);
      if (!this.#take(replacement)) return false;
      fs.renameSync(replacement, lock);
      return true;
    } finally {
      fs.unlinkSync(permission);
    }
  }

  #writeOwner(): void {
    fs.writeFileSync(this.#ownerPath, JSON.stringify(this.#owner), { mode: 0o600 });
  }

  /** Removes what dead processes left. Their locks are other links and stay until inherited. */
  #sweep(): void {
    for (const name of fs.readdirSync(this.#directory)) {
      if (!MARKS.test(name)) continue;
      const file = path.join(this.#directory, name);
      const owner = readOwner(file);
      if (owner === undefined || !isBeating(owner, file)) fs.rmSync(file, { force: true });
    }
  }
}

function locked(owner: LockOwner | undefined): StorageError {
  return new StorageError("STORE_LOCKED", "another process holds the store", {
    details: { pid: owner?.pid, host: owner?.host },
  });
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}
