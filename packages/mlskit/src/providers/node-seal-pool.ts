/**
 * HPKE on several cores. A Commit in a group whose tree is still empty is encrypted to every member,
 * at a tenth of a millisecond each; from a few dozen on, worker threads take a share.
 *
 * Workers do nothing that the calling thread could not: what they fail at is sealed here. The first
 * large batch starts them and does not wait. They keep no process alive, and end when idle.
 */
import type { SealedMessage, SealJob, SuiteCrypto } from "../crypto/crypto-provider.ts";
import { SealThread } from "./node-seal-thread.ts";

/** Undefined if sharing is not worth it or not possible yet. `local` seals on this thread. */
export function sealOnThreads(
  local: SuiteCrypto,
  info: Uint8Array,
  jobs: readonly SealJob[],
): Promise<readonly SealedMessage[]> | undefined {
  return pool.seal(local, info, jobs);
}

export class SealPool {
  readonly #workerFile: URL | undefined;
  #threads: readonly SealThread[] = [];
  #isStarted = false;
  #retirement: ReturnType<typeof setTimeout> | undefined;

  /** `workerFile` is the code of the threads, if not the file beside this one. */
  constructor(workerFile?: URL) {
    this.#workerFile = workerFile;
  }

  /** How many threads are at work or waiting for it. */
  get size(): number {
    return this.#threads.length;
  }

  seal(
    local: SuiteCrypto,
    info: Uint8Array,
    jobs: readonly SealJob[],
  ): Promise<readonly SealedMessage[]> | undefined {
    if (jobs.length < WORTH_SHARING) return undefined;
    if (this.#threads.length > 0) return this.#share(local, info, jobs);
    if (jobs.length < WORTH_STARTING || this.#isStarted) return undefined;
    try {
      this.#start();
    } catch {
      // Bundled without the file or its address, or a runtime without threads: it works without.
    }
    return undefined;
  }

  async #share(
    local: SuiteCrypto,
    info: Uint8Array,
    jobs: readonly SealJob[],
  ): Promise<readonly SealedMessage[]> {
    clearTimeout(this.#retirement);
    const threads = this.#threads;
    const fair = jobs.length / ((threads.length + 1) * PORTIONS_PER_THREAD);
    const portions = cut(jobs, Math.max(SMALLEST_PORTION, fair, info.length / INFO_BYTES_PER_JOB));
    const sealed: (readonly SealedMessage[])[] = [];
    let next = 0;
    const sealPortions = async (seal: (portion: readonly SealJob[]) => Sealing): Promise<void> => {
      for (let i = next++; i < portions.length; i = next++) {
        const portion = portions[i] ?? [];
        sealed[i] = (await seal(portion)) ?? (await local.sealMany(info, portion));
      }
    };
    const here = sealPortions(async (portion) => {
      const done = await local.sealMany(info, portion);
      await new Promise((resolve) => setImmediate(resolve));
      return done;
    });
    const elsewhere = threads.flatMap((thread) => {
      const there = (portion: readonly SealJob[]): Sealing =>
        thread.seal(local.suite.id, info, portion);
      // Two portions for each, so that no thread waits for this one to hand it the next.
      return [sealPortions(there), sealPortions(there)];
    });
    const outcomes = await Promise.allSettled([...elsewhere, here]);
    this.#retireLater();
    for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
    return sealed.flat();
  }

  #start(): void {
    this.#isStarted = true;
    const { Worker } = process.getBuiltinModule("node:worker_threads");
    const { availableParallelism } = process.getBuiltinModule("node:os");
    const file = this.#workerFile ?? new URL("./node-seal-worker.js", import.meta.url);
    for (let i = 0; i < Math.min(availableParallelism() - 1, MOST_THREADS); i++) {
      new SealThread(new Worker(file, { execArgv: [] }), {
        ready: (thread) => {
          this.#threads = [...this.#threads, thread];
          this.#retireLater();
        },
        gone: (thread) => {
          this.#threads = this.#threads.filter((each) => each !== thread);
        },
      });
    }
  }

  #retireLater(): void {
    clearTimeout(this.#retirement);
    this.#retirement = setTimeout(() => void this.end(), IDLE_MILLISECONDS);
    this.#retirement.unref();
  }

  /** Ends all threads; the next large batch starts them again. */
  async end(): Promise<void> {
    clearTimeout(this.#retirement);
    const threads = this.#threads;
    this.#threads = [];
    this.#isStarted = false;
    await Promise.all(threads.map((thread) => thread.end()));
  }
}

type Sealing = Promise<readonly SealedMessage[] | undefined>;

function cut(jobs: readonly SealJob[], size: number): (readonly SealJob[])[] {
  const portions: (readonly SealJob[])[] = [];
  const step = Math.ceil(size);
  for (let at = 0; at < jobs.length; at += step) portions.push(jobs.slice(at, at + step));
  return portions;
}

/** A thread takes 100 ms of another core to start. */
const WORTH_STARTING = 32;
const WORTH_SHARING = 12;
/** Passing a message on costs about a third of a seal. */
const SMALLEST_PORTION = 4;
/** So many that the last ones end at about the same time. */
const PORTIONS_PER_THREAD = 8;
/** Every portion carries and hashes `info`, which should cost little beside the seals. */
const INFO_BYTES_PER_JOB = 8192;
const MOST_THREADS = 7;
const IDLE_MILLISECONDS = 30_000;

/** One for the process, whatever providers there are: cores are not theirs either. */
const pool: SealPool = /* @__PURE__ */ new SealPool();
