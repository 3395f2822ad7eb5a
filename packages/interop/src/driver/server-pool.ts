/** The servers in use, and what becomes of them when one ends. */
import { setTimeout as pause } from "node:timers/promises";
import type { Connection } from "./connection.ts";
import { type Launched, type Launcher, startAll } from "./processes.ts";

export class ServerPool {
  readonly #launchers: readonly Launcher[];
  #launched: readonly Launched[] | undefined;
  #isClosed = false;

  constructor(launchers: readonly Launcher[]) {
    this.#launchers = launchers;
  }

  /** Those that run, or fresh ones. */
  async servers(): Promise<readonly Connection[]> {
    this.survey();
    this.#launched ??= await startAll(this.#launchers);
    this.#checkOpen();
    return this.#launched.map(({ connection }) => connection);
  }

  /**
   * To be called after a run and before it counts. Where a peer has ended, the next run gets fresh
   * servers.
   * @throws Error where one of ours has ended, or all were stopped: such a run shows nothing
   */
  survey(): void {
    this.#checkOpen();
    const gone = this.#gone();
    if (gone.length === 0) return;
    this.stop();
    const ours = gone.find(({ description }) => description.isOurs);
    if (ours === undefined) return;
    const { name } = ours.description;
    throw new Error(`${name} has ended: what it played cannot be judged, and is not recorded`);
  }

  /** That a process has ended is known a little later than that it does not answer. */
  async settle(): Promise<void> {
    for (let waited = 0; waited < SETTLING; waited += INTERVAL) {
      if (this.#isClosed || this.#gone().length > 0) return;
      await pause(INTERVAL);
    }
  }

  stop(): void {
    for (const { stop } of this.#launched ?? []) stop();
    this.#launched = undefined;
  }

  /** For good. */
  close(): void {
    this.stop();
    this.#isClosed = true;
  }

  /** What was started meanwhile must not run on. */
  #checkOpen(): void {
    if (!this.#isClosed) return;
    this.stop();
    throw new Error("the servers were stopped");
  }

  #gone(): Connection[] {
    const gone = (this.#launched ?? []).filter(({ isGone }) => isGone());
    return gone.map(({ connection }) => connection);
  }
}

/** Milliseconds. */
const SETTLING = 1000;
const INTERVAL = 20;
