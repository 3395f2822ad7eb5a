/** A store that lives as long as the process: for tests and short-lived programs. M-STO-02. */
import { copyBytes } from "../codec/index.ts";
import { checkBatch, checkVersions, closed, keysWithPrefix } from "./batch.ts";
import type { Storage, StoredRecord, WriteBatch } from "./storage.ts";

/** Answers synchronously. Values are copied in and out; replaced ones are overwritten. */
export function memoryStorage(): Storage {
  return new MemoryStorage();
}

class MemoryStorage implements Storage {
  readonly #records: Map<string, StoredRecord> = new Map();
  #isOpen = true;

  get(key: string): StoredRecord | undefined {
    this.#checkOpen();
    const record = this.#records.get(key);
    return record === undefined ? undefined : copy(record);
  }

  list(prefix: string): readonly StoredRecord[] {
    this.#checkOpen();
    const found: StoredRecord[] = [];
    for (const key of keysWithPrefix(this.#records.keys(), prefix)) {
      const record = this.#records.get(key);
      if (record !== undefined) found.push(copy(record));
    }
    return found;
  }

  write(batch: WriteBatch): void {
    this.#checkOpen();
    checkBatch(batch);
    checkVersions(batch, (key) => this.#records.get(key)?.version ?? 0);
    for (const { key, value } of batch.puts) {
      const before = this.#records.get(key);
      const version = (before?.version ?? 0) + 1;
      this.#records.set(key, { key, value: copyBytes(value), version });
      before?.value.fill(0);
    }
    for (const key of batch.deletes) {
      this.#records.get(key)?.value.fill(0);
      this.#records.delete(key);
    }
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    for (const record of this.#records.values()) record.value.fill(0);
    this.#records.clear();
  }

  #checkOpen(): void {
    if (!this.#isOpen) throw closed();
  }
}

function copy(record: StoredRecord): StoredRecord {
  return { key: record.key, value: copyBytes(record.value), version: record.version };
}
