/** Looking after the stock of key packages while the application runs. Rule P-KP-01. */
import type { Client } from "../client/client.ts";
import { timeoutOf } from "../client/state/settings.ts";
import type { KeyPackageDirectory } from "./key-package-directory.ts";
import {
  maintainKeyPackages,
  type StockOptions,
  type StockReport,
  suspectKeyPackage,
} from "./key-package-stock.ts";

export interface KeepOptions extends StockOptions {
  /** Seconds between checks. Default: a day. */
  readonly interval?: number | undefined;
  /** Calls `run` at this interval until the function that it returns is called. Default: a timer. */
  readonly every?: ((seconds: number, run: () => void) => () => void) | undefined;
  /** Told what became of each check. */
  readonly onReport?: ((report: StockReport) => void) | undefined;
  /** Told what failed; the next check makes up for it. */
  readonly onError?: ((error: unknown) => void) | undefined;
}

const DAY = 86_400;

/**
 * Checks the stock now, daily, after each package that is used, and after each Welcome that failed, whose
 * package is replaced. Stops when the function that it returns is called, which waits for a check that
 * is under way.
 */
export function keepKeyPackages(
  client: Client,
  directory: KeyPackageDirectory,
  options: KeepOptions = {},
): () => Promise<void> {
  const { interval = DAY, every = timer } = options;
  let isStopped = false;
  let running: Promise<void> = Promise.resolve();
  let isWaiting = false;
  // Whatever throws, even `onError`, must not keep later work from being done.
  const enqueue = (work: () => Promise<void>): void => {
    const report = (error: unknown): void => options.onError?.(error);
    running = running
      .then(work)
      .catch(report)
      .catch(() => undefined);
  };
  const check = (): void => {
    if (isStopped || isWaiting) return;
    isWaiting = true;
    enqueue(async () => {
      isWaiting = false;
      const report = await maintainKeyPackages(client, directory, options);
      options.onReport?.(report);
    });
  };
  const stopTimer = every(interval, check);
  const stopListening = client.on((event) => {
    if (event.type === "keyPackageUsed") check();
    if (event.type !== "welcomeFailed") return;
    const { reference } = event;
    if (reference === undefined) return;
    enqueue(() => suspectKeyPackage(client, reference));
    check();
  });
  check();
  return async () => {
    isStopped = true;
    stopListening();
    stopTimer();
    await running;
  };
}

function timer(seconds: number, run: () => void): () => void {
  const id: unknown = setInterval(run, timeoutOf("interval", seconds * 1000));
  // On Node it must not keep the process alive.
  if (typeof id === "object" && id !== null && "unref" in id && typeof id.unref === "function") {
    id.unref();
  }
  return () => clearInterval(id as ReturnType<typeof setInterval>);
}
