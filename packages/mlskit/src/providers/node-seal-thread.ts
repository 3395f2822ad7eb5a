/** One worker thread of node-seal-pool.ts, seen from outside. */
import type { Worker } from "node:worker_threads";
import { copyBytes, decodeInPlace, encode } from "../codec/index.ts";
import type { SealedMessage, SealJob } from "../crypto/crypto-provider.ts";
import {
  READY,
  SealedMessages,
  SealJobs,
  type SealAnswer,
  type SealRequest,
} from "./node-seal-messages.ts";

export interface SealThreadEvents {
  /** It can be used from now on. */
  readonly ready: (thread: SealThread) => void;
  /** It could not be started, or it has ended. */
  readonly gone: (thread: SealThread) => void;
}

type Settle = (answer: SealAnswer | undefined) => void;

/** Keeps the process alive only while it has something to do. */
export class SealThread {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Settle>();
  #next = 0;
  #isGone = false;

  constructor(worker: Worker, { ready, gone }: SealThreadEvents) {
    this.#worker = worker;
    worker.unref();
    worker.on("message", (message: SealAnswer | typeof READY) => {
      if (message === READY) ready(this);
      else this.#settle(message.id, message);
    });
    // An error is followed by the exit.
    worker.on("error", () => undefined);
    worker.on("exit", () => {
      this.#isGone = true;
      gone(this);
      for (const id of this.#waiting.keys()) this.#settle(id, undefined);
    });
  }

  /** Undefined if the thread could not do it. */
  async seal(
    suite: number,
    info: Uint8Array,
    jobs: readonly SealJob[],
  ): Promise<readonly SealedMessage[] | undefined> {
    // A message to a thread that has ended is never answered.
    if (this.#isGone) return undefined;
    const id = this.#next++;
    // Transferred as it is: no other copy of the secrets stays here.
    const encoded = encode(SealJobs, jobs);
    const request: SealRequest = { id, suite, info: copyBytes(info), jobs: encoded };
    const answer = new Promise<SealAnswer | undefined>((resolve) => this.#waiting.set(id, resolve));
    this.#worker.ref();
    this.#worker.postMessage(request, [
      encoded.buffer as ArrayBuffer,
      request.info.buffer as ArrayBuffer,
    ]);
    const sealed = (await answer)?.sealed;
    return sealed === undefined ? undefined : decodeInPlace(SealedMessages, sealed);
  }

  async end(): Promise<void> {
    await this.#worker.terminate();
  }

  #settle(id: number, answer: SealAnswer | undefined): void {
    this.#waiting.get(id)?.(answer);
    this.#waiting.delete(id);
    if (this.#waiting.size === 0) this.#worker.unref();
  }
}
