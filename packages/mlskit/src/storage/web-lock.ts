/** Exclusion between tabs and workers by the Web Locks of the browser. P-MP-01. */
import { StorageError } from "../errors.ts";
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

function locked(cause?: unknown): StorageError {
  return new StorageError("STORE_LOCKED", "another tab or worker has the store open", { cause });
}
