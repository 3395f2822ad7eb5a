/** A run that was interrupted goes on where it stopped, if nothing has changed since. */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { resultsFolder } from "./folders.ts";

interface State<T> {
  /** What was measured, where and how. */
  readonly key: string;
  readonly done: readonly string[];
  readonly found: T;
}

export class Journal<T> {
  readonly #path: string;
  readonly #key: string;
  readonly #done = new Set<string>();
  /** Of the interrupted run. */
  readonly found: T | undefined;

  constructor(name: string, key: string) {
    this.#path = join(resultsFolder, `.${name}.partial`);
    this.#key = key;
    if (!existsSync(this.#path)) return;
    const state = JSON.parse(readFileSync(this.#path, "utf8")) as State<T>;
    if (state.key !== key) return;
    this.found = state.found;
    for (const name of state.done) this.#done.add(name);
  }

  isDone(task: string): boolean {
    return this.#done.has(task);
  }

  record(task: string, found: T): void {
    this.#done.add(task);
    const state: State<T> = { key: this.#key, done: [...this.#done], found };
    mkdirSync(resultsFolder, { recursive: true });
    writeFileSync(this.#path, JSON.stringify(state));
  }

  /** The run is complete. */
  close(): void {
    rmSync(this.#path, { force: true });
  }
}
