/** Exclusion between tabs and workers by the Web Locks of the browser. P-MP-01. */
import { MlsError, StorageError } from "../errors.ts";
import { failed } from "./batch.ts";

export interface WebLockRequest {
  readonly mode: LockMode;
  /** How long to wait for other tabs, in milliseconds; 0: not at all. */
  readonly timeout: number;
}

/**
 * Takes the lock; the result gives it back. The browser does so when the tab or worker dies.
 * @throws StorageError `STORE_LOCKED`
 */
export async function takeWebLock(
  locks: LockManager,
  name: string,
  { mode, timeout }: WebLockRequest,
): Promise<() => void> {
  const waiting = new AbortController();
  const timer = timeout === 0 ? undefined : setTimeout(() => waiting.abort(), timeout);
  try {
    return await new Promise<() => void>((resolve, reject) => {
      const hold = (lock: Lock | null): Promise<void> =>
        new Promise((release) => {
          if (lock === null) throw locked();
          resolve(release);
        });
      const options =
        timeout === 0 ? { mode, ifAvailable: true } : { mode, signal: waiting.signal };
      locks.request(name, options, hold).catch(reject);
    });
  } catch (cause) {
    throw waiting.signal.aborted ? locked(cause) : failed("the browser gives no lock", cause);
  } finally {
    clearTimeout(timer);
  }
}

interface Turn {
  /** Of the records that the lost write depended on. */
  readonly keys: readonly string[];
  end(): void;
}

/**
 * Turns at writing of the tabs and workers that share a store. Who has lost a race has the next one:
 * it has to read before it writes again, and would lose to one that need not for as long as that
 * one goes on. Nothing but fairness depends on a turn, so nobody waits for one for long.
 */
export class WriteTurns {
  readonly #locks: LockManager;
  readonly #name: string;
  #turn: Turn | undefined;
  /** Who has the turn did not give it back in time: the browser may have stopped that tab. */
  #isBlocked = false;
  #isClosed = false;

  constructor(locks: LockManager, name: string) {
    this.#locks = locks;
    this.#name = name;
  }

  /**
   * A write that depends on records with these keys. If it rejects with `STORAGE_CONFLICT`, nobody
   * else writes until this tab has written one of them, or has let its turn pass.
   */
  async run(keys: readonly string[], write: () => Promise<void>): Promise<void> {
    const turn = this.#turn;
    const release = turn === undefined ? await this.#wait("shared") : undefined;
    try {
      await write();
    } catch (error) {
      release?.();
      if (MlsError.is(error, "STORAGE_CONFLICT")) await this.#takeNext(keys);
      throw error;
    }
    release?.();
    if (turn?.keys.some((key) => keys.includes(key)) === true) turn.end();
  }

  close(): void {
    this.#isClosed = true;
    this.#turn?.end();
  }

  /** The browser gives locks in the order of asking, so that those who ask later wait. */
  async #takeNext(keys: readonly string[]): Promise<void> {
    if (this.#turn !== undefined) return;
    const release = await this.#wait("exclusive");
    if (release === undefined) return;
    const end = (): void => {
      clearTimeout(timer);
      if (this.#turn?.end === end) this.#turn = undefined;
      release();
    };
    const timer = setTimeout(end, TURN_MILLISECONDS);
    this.#turn = { keys, end };
    if (this.#isClosed) end();
  }

  /** Undefined: without a turn then. */
  async #wait(mode: LockMode): Promise<(() => void) | undefined> {
    const timeout = this.#isBlocked ? 0 : WAIT_MILLISECONDS;
    try {
      const release = await takeWebLock(this.#locks, this.#name, { mode, timeout });
      this.#isBlocked = false;
      return release;
    } catch {
      this.#isBlocked = true;
      return undefined;
    }
  }
}

/** For reading a group and writing it. */
const TURN_MILLISECONDS = 500;
const WAIT_MILLISECONDS = 2000;

function locked(cause?: unknown): StorageError {
  return new StorageError("STORE_LOCKED", "another tab or worker has the store open", { cause });
}
