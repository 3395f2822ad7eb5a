/** The part of the storage contract about several writers. sto-4. */
import { MlsError } from "../errors.ts";
import {
  assert,
  assertEqual,
  assertFails,
  assertRecord,
  batch,
  check,
  checkTwice,
  put,
  type StorageCheck,
  toBytes,
} from "./contract-support.ts";
import type { Storage } from "./storage.ts";

export const writerChecks: readonly StorageCheck[] = [
  check("of writers that expect the same version exactly one succeeds", async (storage) => {
    await put(storage, "a", "0");
    const attempts = Array.from({ length: 20 }, (_, i) => tryPut(storage, "a", `${i}`, 1));
    const succeeded = (await Promise.all(attempts)).filter(Boolean).length;
    assertEqual(succeeded, 1, "successful writers");
    assertEqual((await storage.get("a"))?.version, 2, "version");
  }),

  check("concurrent batches of one handle are applied one after the other", async (storage) => {
    await Promise.all(Array.from({ length: 50 }, (_, i) => writePair(storage, i)));
    await assertPair(storage, 50);
  }),

  check("increments with version checks lose nothing", async (storage) => {
    await Promise.all(Array.from({ length: 10 }, () => increment([storage], 10)));
    assertRecord(await storage.get("counter"), "counter", "100", 100);
  }),

  checkTwice("each of two handles sees what the other one wrote", async (storage, reopen) => {
    const other = await reopen();
    await put(storage, "a", "1");
    assertRecord(await other.get("a"), "a", "1", 1);
    await put(other, "a", "2", 1);
    assertRecord(await storage.get("a"), "a", "2", 2);
    assertRecord((await storage.list(""))[0], "a", "2", 2);
    await assertFails("STORAGE_CONFLICT", () => put(storage, "a", "x", 1), "a stale writer");
    await other.write(batch({ deletes: ["a"] }));
    assertEqual(await storage.get("a"), undefined, "a record the other handle deleted");
    assertEqual((await storage.list("")).length, 0, "records");
    await put(storage, "a", "3", 0);
    assertRecord(await other.get("a"), "a", "3", 1);
  }),

  checkTwice("batches of two handles never interleave", async (storage, reopen) => {
    const handles = [storage, await reopen()];
    const write = (i: number) => writePair(handles[i % 2] as Storage, i);
    await Promise.all(Array.from({ length: 40 }, (_, i) => write(i)));
    for (const handle of handles) await assertPair(handle, 40);
  }),

  checkTwice("increments through two handles lose nothing", async (storage, reopen) => {
    const handles = [storage, await reopen()];
    await Promise.all(
      Array.from({ length: 4 }, (_, i) => increment([handles[i % 2] as Storage], 10)),
    );
    assertRecord(await storage.get("counter"), "counter", "40", 40);
  }),
];

async function tryPut(
  storage: Storage,
  key: string,
  value: string,
  version: number,
): Promise<boolean> {
  try {
    await put(storage, key, value, version);
    return true;
  } catch (error) {
    if (MlsError.is(error, "STORAGE_CONFLICT")) return false;
    throw error;
  }
}

/** Two records that always have equal values. */
async function writePair(storage: Storage, i: number): Promise<void> {
  const value = toBytes(`batch ${i}`);
  const puts = ["pair/a", "pair/b"].map((key) => ({ key, value }));
  await storage.write(batch({ puts }));
}

async function assertPair(storage: Storage, version: number): Promise<void> {
  const [a, b, ...more] = await storage.list("pair/");
  assert(a !== undefined && b !== undefined && more.length === 0, "there are two records");
  assertRecord(b, "pair/b", a.value, version);
  assertRecord(a, "pair/a", a.value, version);
}

/** Read, add one, write if unchanged; again if not. */
async function increment(storages: readonly Storage[], times: number): Promise<void> {
  for (const storage of storages) {
    for (let done = 0; done < times; ) {
      const record = await storage.get("counter");
      const value = record === undefined ? 0 : Number(new TextDecoder().decode(record.value));
      if (await tryPut(storage, "counter", String(value + 1), record?.version ?? 0)) done++;
    }
  }
}
