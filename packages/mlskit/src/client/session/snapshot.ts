/** A client as it was at one moment, for processes that only read. P-MP-08. */
import { UsageError } from "../../errors.ts";
import { memoryStorage } from "../../storage/memory.ts";
import type { Storage } from "../../storage/storage.ts";

/**
 * What `storage` holds now, in memory. What a reader changes there, such as keys it has used, stays
 * there: the owner of the store finds everything as it was.
 */
export async function snapshotOf(storage: Storage): Promise<Storage> {
  const copy = memoryStorage();
  const records = await storage.list("");
  await copy.write({ puts: records, deletes: [], expect: [] });
  for (const { value } of records) value.fill(0);
  return copy;
}

export function readOnly(): UsageError {
  return new UsageError("READ_ONLY", "a snapshot changes nothing");
}
