/** How stores above other stores are cut off, and how what is below them fills up. */
import { StorageError } from "../../../src/errors.ts";
import type { LimitedStorage, StorageWork } from "../../../src/storage/contract.ts";
import type { FaultPlan } from "../../../src/storage/fault.ts";
import { faultStorage } from "../../../src/storage/fault.ts";
import type { Storage } from "../../../src/storage/storage.ts";

type Wrap = (inner: Storage) => Promise<Storage>;

/** Before and after every batch of the inner store, which itself is whole or not there. */
export async function* tornBatches(
  newInner: () => Storage,
  wrap: Wrap,
  prepare: StorageWork,
  write: StorageWork,
): AsyncGenerator<Storage> {
  for (let number = 1; ; number++) {
    for (const kind of ["crashBeforeWrite", "crashAfterWrite"] as const) {
      const disk = faultStorage(newInner());
      const storage = await wrap(disk);
      await prepare(storage);
      const plan: FaultPlan = { [kind]: disk.writes + number };
      Object.assign(disk.plan, plan);
      await write(storage).catch((error: unknown) => {
        if (!disk.hasCrashed) throw error;
      });
      if (!disk.hasCrashed) return;
      yield await wrap(disk.reopen());
    }
  }
}

/** What is larger than this finds no room. */
export const LITTLE = 4096;

/** An inner store that takes no large values while it is full. */
export async function limitedBatches(inner: Storage, wrap: Wrap): Promise<LimitedStorage> {
  let isFull = false;
  const storage = await wrap({
    get: (key) => inner.get(key),
    list: (prefix) => inner.list(prefix),
    write: (batch) => {
      if (isFull && batch.puts.some(({ value }) => value.length > LITTLE)) {
        throw new StorageError("STORAGE_FAILED", "there is no room");
      }
      return inner.write(batch);
    },
    close: () => inner.close(),
  });
  return {
    storage,
    fill: () => void (isFull = true),
    free: () => void (isFull = false),
  };
}
