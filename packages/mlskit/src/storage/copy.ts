/** Copying all records from one store to another. M-STO-07. */
import { UsageError } from "../errors.ts";
import type { Storage } from "./storage.ts";

const RECORDS_PER_BATCH = 256;

/**
 * Copies what `from` holds at this moment into `to`, which must be empty; versions start again at 1.
 * For an encrypted copy under another key, give encrypted stores. Running clients on both afterwards
 * repeats keys and nonces (P-MP-07): retire one of them first.
 * @returns how many records were copied
 * @throws UsageError `STORE_NOT_EMPTY`
 */
export async function copyStorage(from: Storage, to: Storage): Promise<number> {
  if ((await to.list("")).length > 0) {
    throw new UsageError("STORE_NOT_EMPTY", "the target of a copy already holds records");
  }
  const records = await from.list("");
  for (let at = 0; at < records.length; at += RECORDS_PER_BATCH) {
    const puts = records.slice(at, at + RECORDS_PER_BATCH);
    const expect = puts.map(({ key }) => ({ key, version: 0 }));
    await to.write({ puts, deletes: [], expect });
  }
  for (const { value } of records) value.fill(0);
  return records.length;
}
