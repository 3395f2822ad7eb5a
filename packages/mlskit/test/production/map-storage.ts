/** A store in memory whose contents can be looked at, counted and copied. */
import { checkBatch, checkVersions, keysWithPrefix } from "../../src/storage/batch.ts";
import type { Storage, StoredRecord, WriteBatch } from "../../src/storage/storage.ts";

export interface WriteSize {
  readonly bytes: number;
  readonly records: number;
}

/** Closing keeps the contents, as a disk would. */
export class MapStorage implements Storage {
  readonly records: Map<string, StoredRecord>;
  /** Of each batch: bytes of the keys and values put, and of the keys deleted. */
  readonly writes: WriteSize[] = [];

  constructor(records: Iterable<readonly [string, StoredRecord]> = []) {
    this.records = new Map(records);
  }

  copy(): MapStorage {
    return new MapStorage(this.records);
  }

  get(key: string): StoredRecord | undefined {
    const found = this.records.get(key);
    return found === undefined ? undefined : { ...found, value: found.value.slice() };
  }

  list(prefix: string): readonly StoredRecord[] {
    return keysWithPrefix(this.records.keys(), prefix).map((key) => this.get(key) as StoredRecord);
  }

  write(batch: WriteBatch): void {
    checkBatch(batch);
    checkVersions(batch, (key) => this.records.get(key)?.version ?? 0);
    let bytes = 0;
    for (const { key, value } of batch.puts) {
      const version = (this.records.get(key)?.version ?? 0) + 1;
      this.records.set(key, { key, value: value.slice(), version });
      bytes += key.length + value.length;
    }
    for (const key of batch.deletes) {
      this.records.delete(key);
      bytes += key.length;
    }
    this.writes.push({ bytes, records: batch.puts.length + batch.deletes.length });
  }

  close(): void {
    // The contents stay.
  }
}

/** All records, in a form that can be compared. */
export async function contentsOf(storage: Storage): Promise<string> {
  const records = await storage.list("");
  return records.map(({ key, value }) => `${key} ${Buffer.from(value).toString("hex")}`).join("\n");
}
