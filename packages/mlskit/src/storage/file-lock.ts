/**
 * Exclusion between processes by a lock file. P-MP-01.
 *
 * Every open store has an owner file that names it. Linking that file to the lock's name takes the
 * lock: the link appears whole or not at all, and only once. A lock whose process no longer runs is
 * removed by whoever waits, but never blindly: between "it is stale" and "remove it" another waiter
 * may have removed it and taken a new one. The right to remove the lock of T is itself a lock, whose
 * name contains T, so that it cannot hit anybody else's.
 */
import * as crypto from "node:crypto";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { StorageError } from "../errors.ts";

export interface LockOptions {
  /** How long to wait for another process before `STORE_LOCKED`, in milliseconds. */
  readonly timeout: number;
}

interface Owner {
  readonly token: string;
  readonly pid: number;
  readonly host: string;
  /** Boot and start time of the process, where the platform tells; unmasks a reused process id. */
  readonly started: string;
  /** When the store was opened, for platforms that do not. */
  readonly since: number;
}

/** Owners in this process that gave up without cleaning; whoever comes next has to recover. */
const abandoned: Set<string> = new Set();

export class FileLock {
  readonly #directory: string;
  readonly #path: string;
  readonly #ownerPath: string;
  readonly #owner: Owner;
  readonly #timeout: number;

  constructor(directory: string, options: LockOptions) {
    this.#directory = directory;
    this.#path = path.join(directory, "lock");
    this.#timeout = options.timeout;
    this.#owner = {
      token: crypto.randomBytes(12).toString("hex"),
      pid: process.pid,
      host: os.hostname(),
      started: processOf(process.pid).started,
      since: Date.now(),
    };
    this.#ownerPath = path.join(directory, `owner-${this.#owner.token}`);
    this.#sweep();
    this.#writeOwner();
  }

  /**
   * Takes the lock; waits while another process has it.
   * @returns whether the last holder died or gave up with the lock in its hands
   * @throws StorageError `STORE_LOCKED`
   */
  acquire(): boolean | Promise<boolean> {
    return this.#take(this.#path) ? false : this.#wait();
  }

  release(): void {
    fs.unlinkSync(this.#path);
  }

  /** Keeps the lock for good: what it protects is not in order and this store cannot mend it. */
  abandon(): void {
    abandoned.add(this.#owner.token);
  }

  close(): void {
    fs.rmSync(this.#ownerPath, { force: true });
  }

  async #wait(): Promise<boolean> {
    const deadline = Date.now() + this.#timeout;
    for (let attempt = 0; ; attempt++) {
      if (this.#inherit(this.#path)) return true;
      if (this.#take(this.#path)) return false;
      if (Date.now() > deadline) throw this.#locked();
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
    if (owner === undefined || isAlive(owner)) return false;
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

  #locked(): StorageError {
    const owner = readOwner(this.#path);
    return new StorageError("STORE_LOCKED", "another process holds the store", {
      details: { pid: owner?.pid, host: owner?.host },
    });
  }

  #writeOwner(): void {
    fs.writeFileSync(this.#ownerPath, JSON.stringify(this.#owner), { mode: 0o600 });
  }

  /** Removes what dead processes left. Their locks are other links and stay until inherited. */
  #sweep(): void {
    for (const name of fs.readdirSync(this.#directory)) {
      if (!/^(owner|take)-[0-9a-f]{24}$/.test(name)) continue;
      const file = path.join(this.#directory, name);
      const owner = readOwner(file);
      if (owner === undefined || !isAlive(owner)) fs.rmSync(file, { force: true });
    }
  }
}

function readOwner(file: string): Owner | undefined {
  try {
    const owner: unknown = JSON.parse(fs.readFileSync(file, "utf8"));
    return isOwner(owner) ? owner : undefined;
  } catch {
    return undefined;
  }
}

function isOwner(value: unknown): value is Owner {
  if (typeof value !== "object" || value === null) return false;
  const { token, pid, host, started, since } = value as Partial<Record<keyof Owner, unknown>>;
  return (
    typeof token === "string" &&
    /^[0-9a-f]{24}$/.test(token) &&
    typeof pid === "number" &&
    typeof host === "string" &&
    typeof started === "string" &&
    typeof since === "number"
  );
}

/** Unknown counts as alive: a lock is taken over only on proof. */
function isAlive(owner: Owner): boolean {
  if (abandoned.has(owner.token)) return false;
  if (owner.host !== os.hostname()) return true;
  try {
    process.kill(owner.pid, 0);
  } catch (error) {
    return codeOf(error) !== "ESRCH";
  }
  const { started, isZombie } = processOf(owner.pid);
  if (isZombie) return false;
  if (started !== "" && owner.started !== "") return started === owner.started;
  const booted = Date.now() - os.uptime() * 1000;
  return owner.since > booted - CLOCK_TOLERANCE;
}

const CLOCK_TOLERANCE = 120_000;

/** What /proc knows about a process; on other platforms `started` is empty. */
function processOf(pid: number): { readonly started: string; readonly isZombie: boolean } {
  try {
    const boot = fs.readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
    const stat = fs.readFileSync(`/proc/${pid}/stat`, "utf8");
    // The name in parentheses may contain anything; state and start time are fields 1 and 20 after.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return {
      started: `${boot}/${fields[19] ?? ""}`,
      isZombie: fields[0] === "Z" || fields[0] === "X",
    };
  } catch {
    return { started: "", isZombie: false };
  }
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}
