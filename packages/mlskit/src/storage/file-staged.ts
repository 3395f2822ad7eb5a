/** Batches on their way into the file store, seen on top of what it holds. */
import type { WriteBatch } from "./storage.ts";

export interface Change {
  readonly key: string;
  readonly version: number;
  /** Undefined: the key is deleted. */
  readonly value: Uint8Array | undefined;
}

/** Merges batches that are committed together; each was checked against the ones before it. */
export class StagedBatch {
  readonly #stored: ReadonlyMap<string, { readonly version: number }>;
  readonly #changes: Map<string, Change> = new Map();

  constructor(stored: ReadonlyMap<string, { readonly version: number }>) {
    this.#stored = stored;
  }

  /** 0: absent. */
  versionOf(key: string): number {
    const change = this.#changes.get(key);
    if (change === undefined) return this.#stored.get(key)?.version ?? 0;
    return change.value === undefined ? 0 : change.version;
  }

  add(batch: WriteBatch): void {
    for (const { key, value } of batch.puts) {
      this.#changes.set(key, { key, version: this.versionOf(key) + 1, value });
    }
    for (const key of batch.deletes) {
      this.#changes.set(key, { key, version: 0, value: undefined });
    }
  }

  /** What has to be written; deletions of absent keys are nothing. */
  changes(): readonly Change[] {
    return [...this.#changes.values()].filter(
      ({ key, value }) => value !== undefined || this.#stored.has(key),
    );
  }

  /** How many keys there are afterwards. */
  liveAfter(): number {
    let live = this.#stored.size;
    for (const { key, value } of this.#changes.values()) {
      if (value !== undefined && !this.#stored.has(key)) live++;
      if (value === undefined && this.#stored.has(key)) live--;
    }
    return live;
  }
}
