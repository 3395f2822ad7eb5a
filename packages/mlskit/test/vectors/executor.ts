/** Who does the jobs: this thread, or several others. */
import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import type { CryptoProvider } from "../../src/crypto/index.ts";
import { type Job, type JobResult, runJob } from "./job.ts";

export interface Executor {
  /** Into how many parts the work on one file is worth splitting. */
  readonly parts: number;
  run(job: Job): Promise<JobResult>;
  close(): Promise<void>;
}

/** One job after the other, here. */
export function inlineExecutor(provider: CryptoProvider): Executor {
  let last: Promise<unknown> = Promise.resolve();
  return {
    parts: 1,
    run(job) {
      const result = last.then(() => runJob(job, provider));
      last = result.catch(() => undefined);
      return result;
    },
    close: () => Promise.resolve(),
  };
}

/** From a worker. */
export type Reply = { readonly result: JobResult } | { readonly failure: string };

interface Waiting {
  readonly job: Job;
  resolve(result: JobResult): void;
  reject(error: Error): void;
}

/** Worker threads, each of which makes a provider of its own by this name. */
export class WorkerExecutor implements Executor {
  readonly parts: number;
  readonly #workers: readonly Worker[];
  readonly #idle: Worker[];
  readonly #busy = new Map<Worker, Waiting>();
  readonly #queue: Waiting[] = [];

  constructor(providerName: string, count: number) {
    this.parts = 3 * count;
    const url = new URL("./worker.js", import.meta.url);
    this.#workers = [...new Array<undefined>(count).keys()].map(() => {
      const worker = new Worker(url, { workerData: providerName });
      worker.on("message", (reply: Reply) => this.#finish(worker, reply));
      worker.on("error", (error) => this.#finish(worker, { failure: String(error) }));
      return worker;
    });
    this.#idle = [...this.#workers];
  }

  run(job: Job): Promise<JobResult> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ job, resolve, reject });
      this.#next();
    });
  }

  async close(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }

  #next(): void {
    const [worker, waiting] = [this.#idle.at(-1), this.#queue[0]];
    if (worker === undefined || waiting === undefined) return;
    this.#idle.pop();
    this.#queue.shift();
    this.#busy.set(worker, waiting);
    worker.postMessage(waiting.job);
  }

  #finish(worker: Worker, reply: Reply): void {
    const waiting = this.#busy.get(worker);
    this.#busy.delete(worker);
    if ("result" in reply) waiting?.resolve(reply.result);
    else waiting?.reject(new Error(reply.failure));
    this.#idle.push(worker);
    this.#next();
  }
}

/** As many as there are processors, within reason. */
export function defaultJobs(): number {
  return Math.min(8, availableParallelism());
}
