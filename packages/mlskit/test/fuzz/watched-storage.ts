/** A store in memory that knows how often it was written, which is how a change is noticed at once. */
import { memoryStorage, type Storage } from "../../src/index.ts";

export interface WatchedStorage extends Storage {
  readonly writes: number;
}

export function watchedStorage(): WatchedStorage {
  const inner = memoryStorage();
  let writes = 0;
  return {
    get writes() {
      return writes;
    },
    get: (key) => inner.get(key),
    list: (prefix) => inner.list(prefix),
    write: (batch) => {
      writes += 1;
      return inner.write(batch);
    },
    close: () => inner.close(),
  };
}
