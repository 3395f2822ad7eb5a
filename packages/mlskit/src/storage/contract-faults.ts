/** The part of the storage contract about media that fail: torn writes and full disks. sto-1, sto-8. */
import {
  assert,
  assertEqual,
  assertFails,
  assertRecord,
  batch,
  put,
  type StorageCheck,
  toBytes,
} from "./contract-support.ts";
import type { Storage } from "./storage.ts";

const BIG = "x".repeat(20_000);

/** Replaces, adds and deletes; small and large. */
async function write(storage: Storage): Promise<void> {
  const puts = [
    { key: "a", value: toBytes("second") },
    { key: "b", value: toBytes(BIG) },
    { key: "new", value: toBytes("1") },
  ];
  await storage.write(batch({ puts, deletes: ["gone"] }));
}

async function prepare(storage: Storage): Promise<void> {
  for (const key of ["a", "b", "gone", "kept"]) await put(storage, key, "first");
}

/** Which of the two states this is; fails for any other. */
async function stateOf(storage: Storage): Promise<"before" | "after"> {
  const records = await storage.list("");
  const keys = records.map(({ key }) => key).join();
  const isAfter = keys === "a,b,kept,new";
  assert(isAfter || keys === "a,b,gone,kept", `after a torn write there are ${keys}`);
  assertRecord(await storage.get("kept"), "kept", "first", 1);
  assertRecord(await storage.get("a"), "a", isAfter ? "second" : "first", isAfter ? 2 : 1);
  assertRecord(await storage.get("b"), "b", isAfter ? BIG : "first", isAfter ? 2 : 1);
  return isAfter ? "after" : "before";
}

export const faultChecks: readonly StorageCheck[] = [
  {
    name: "a batch that is cut off at any moment is there as a whole or not at all",
    needs: ["torn"],
    async run(harness) {
      if (harness.torn === undefined) return;
      const states = { before: 0, after: 0 };
      for await (const storage of harness.torn(prepare, write)) {
        states[await stateOf(storage)]++;
        // It works on from either.
        await put(storage, "a", "third");
        assert((await storage.get("a")) !== undefined, "the store takes no more writes");
        await storage.close();
      }
      assert(states.before > 0, "no cut came before the batch was there");
      assert(states.before + states.after > 1, "there was one cut alone");
    },
  },
  {
    name: "a batch for which there is no room fails, changes nothing, and fits when there is room",
    needs: ["limited"],
    async run(harness) {
      const limited = await harness.limited?.();
      if (limited === undefined) return;
      const { storage, fill, free } = limited;
      try {
        await prepare(storage);
        await fill();
        const puts = ["a", "b", "new"].map((key) => ({ key, value: toBytes(BIG.repeat(60)) }));
        const big = batch({ puts, deletes: ["gone"] });
        for (let attempt = 0; attempt < 3; attempt++) {
          await assertFails("STORAGE_FAILED", () => storage.write(big), "a batch without room");
          assertEqual(await stateOf(storage), "before", "state after a full disk");
        }
        // The way out of a full disk.
        await storage.write(batch({ deletes: ["kept"] }));
        assertEqual(await storage.get("kept"), undefined, "a record deleted on a full disk");
        await put(storage, "kept", "first", 0);
        await free();
        await write(storage);
        assertEqual(await stateOf(storage), "after", "state when there is room");
      } finally {
        await free();
        await storage.close();
      }
    },
  },
];
