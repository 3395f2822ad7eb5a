/** The file store on a disk that dies at every single operation. P-CR-03, sto-1. */
import { expect, test, vi } from "vitest";
import type { StoreFile } from "../../../src/storage/file-device.ts";
import { SimulatedDisk, type DiskFault } from "../../../src/storage/fault-file.ts";
import { fileStorage } from "../../../src/storage/file.ts";
import type { Storage, WriteBatch } from "../../../src/storage/storage.ts";
import { temporaryDirectories } from "./directories.ts";

const newDirectory = temporaryDirectories();

// Exhaustive or made of processes: slow where cores are shared.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

type Model = ReadonlyMap<string, string>;

/** Batches of all shapes: growing, shrinking, deleting, larger than a sector and than a step. */
function script(seed: number): { batch: WriteBatch; after: Model }[] {
  const random = generator(seed);
  const model = new Map<string, string>();
  const steps: { batch: WriteBatch; after: Model }[] = [];
  for (let step = 0; step < 9; step++) {
    const puts = new Map<string, string>();
    for (let n = random(4); n >= 0; n--) {
      const length = random(6) === 0 ? random(9000) : random(200);
      puts.set(`key/${random(7)}`, `<${step}.${n}>`.padEnd(length, "."));
    }
    const deletes = [...model.keys()].filter((key) => !puts.has(key) && random(4) === 0);
    if (step === 4) puts.clear();
    for (const [key, value] of puts) model.set(key, value);
    for (const key of deletes) model.delete(key);
    const bytes = [...puts].map(([key, value]) => ({ key, value: Buffer.from(value) }));
    steps.push({ batch: { puts: bytes, deletes, expect: [] }, after: new Map(model) });
  }
  return steps;
}

function generator(seed: number): (limit: number) => number {
  let state = seed * 2654435761 + 1;
  return (limit) => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9) | 0;
    return ((state ^ (state >>> 13)) >>> 0) % limit;
  };
}

function putting(key: string, value: string): WriteBatch {
  return { puts: [{ key, value: Buffer.from(value) }], deletes: [], expect: [] };
}

/** Once more if it fails. */
async function writeAgain(storage: Storage, batch: WriteBatch): Promise<void> {
  try {
    await storage.write(batch);
  } catch {
    await storage.write(batch);
  }
}

async function contents(storage: Storage): Promise<Model> {
  const records = await storage.list("");
  return new Map(records.map(({ key, value }) => [key, Buffer.from(value).toString()]));
}

/** Runs the script until it is through or the disk fails; returns the number of acknowledged steps. */
async function run(disk: SimulatedDisk, directory: string, seed: number): Promise<number> {
  let acknowledged = 0;
  let storage: Storage | undefined;
  try {
    storage = await fileStorage(directory, {
      dangerouslyUnencrypted: true,
      openFile: () => disk.open(),
    });
    for (const { batch } of script(seed)) {
      await storage.write(batch);
      // The caller learns the answer only if its process still lives.
      if (disk.hasDied) break;
      acknowledged++;
    }
  } catch (error) {
    if (!disk.hasDied) throw error;
  }
  await storage?.close();
  return acknowledged;
}

/** The reopened store is in the state before or after the step that was cut, and holds nothing else. */
async function verify(
  disk: SimulatedDisk,
  directory: string,
  seed: number,
  acknowledged: number,
): Promise<void> {
  const steps = script(seed);
  const storage = await fileStorage(directory, {
    dangerouslyUnencrypted: true,
    openFile: () => disk.open(),
  });
  const found = await contents(storage);
  const before = acknowledged === 0 ? new Map() : steps[acknowledged - 1]!.after;
  const after = steps[acknowledged]?.after ?? before;
  const same = (model: Model) =>
    JSON.stringify([...found]) === JSON.stringify([...model].sort(([a], [b]) => (a < b ? -1 : 1)));
  expect(same(before) || same(after), `after ${acknowledged} batches`).toBe(true);

  const text = Buffer.from(disk.bytes).toString("latin1");
  for (const value of text.match(/<\d\.\d>/g) ?? []) {
    expect(
      [...found.values()].some((live) => live.startsWith(value)),
      value,
    ).toBe(true);
  }
  // It goes on working.
  await storage.write({
    puts: [{ key: "more", value: Buffer.from("more") }],
    deletes: [],
    expect: [],
  });
  expect(await contents(storage)).toEqual(new Map([...found, ["more", "more"]]));
  await storage.close();
}

async function countOperations(seed: number): Promise<number> {
  const disk = new SimulatedDisk();
  await run(disk, newDirectory(), seed);
  return disk.operations;
}

const seeds = [1, 2];

for (const kind of ["before", "torn", "after"] as const) {
  test(`M-STO-09: killed at every operation (${kind}), the store is before or after the batch`, async () => {
    for (const seed of seeds) {
      const operations = await countOperations(seed);
      expect(operations).toBeGreaterThan(30);
      for (let operation = 1; operation <= operations; operation++) {
        const disk = new SimulatedDisk();
        disk.fault = { operation, kind };
        const directory = newDirectory();
        const acknowledged = await run(disk, directory, seed);
        expect(disk.hasDied).toBe(true);
        await verify(disk, directory, seed, acknowledged);
      }
    }
  });
}

test("M-STO-03: power cuts at every operation lose no acknowledged batch and tear none", async () => {
  for (const seed of seeds) {
    const operations = await countOperations(seed);
    for (let operation = 1; operation <= operations; operation++) {
      for (const variant of [0, 1, 2]) {
        const random = generator(seed * 1000 + operation * 3 + variant);
        const disk = new SimulatedDisk();
        disk.fault = { operation, kind: variant % 2 === 0 ? "after" : "before" };
        const directory = newDirectory();
        const acknowledged = await run(disk, directory, seed);
        disk.powerCut(() => random(2) === 0);
        await verify(disk, directory, seed, acknowledged);
      }
    }
  }
});

for (const cause of ["a power cut", "the death of a process"]) {
  test(`M-STO-03: power cuts during recovery from ${cause} are recovered from as well`, async () => {
    const seed = 2;
    const operations = await countOperations(seed);
    for (let operation = 5; operation <= operations; operation += 3) {
      for (let second = 1; second <= 8; second++) {
        const random = generator(operation * 10 + second);
        const disk = new SimulatedDisk();
        disk.fault = { operation, kind: "torn" };
        const directory = newDirectory();
        const acknowledged = await run(disk, directory, seed);
        if (cause === "a power cut") disk.powerCut(() => random(2) === 0);
        disk.fault = { operation: disk.operations + second, kind: "torn" };
        await fileStorage(directory, {
          dangerouslyUnencrypted: true,
          openFile: () => disk.open(),
        }).then(
          (storage) => storage.close(),
          () => undefined,
        );
        disk.powerCut(() => random(2) === 0);
        await verify(disk, directory, seed, acknowledged);
      }
    }
  });
}

test("sto-6: an operation that fails is a StorageError with its cause, and nothing changed", async () => {
  const fault: Pick<DiskFault, "kind"> = { kind: "fail" };
  const operations = await countOperations(1);
  let failures = 0;
  for (let operation = 3; operation <= operations; operation++) {
    const disk = new SimulatedDisk();
    disk.fault = { operation, ...fault };
    const storage = await fileStorage(newDirectory(), {
      dangerouslyUnencrypted: true,
      openFile: () => disk.open(),
    });
    for (const { batch, after } of script(1)) {
      const before = await contents(storage);
      try {
        await storage.write(batch);
      } catch (error) {
        failures++;
        expect(error).toMatchObject({ code: "STORAGE_FAILED", cause: { code: "EIO" } });
        expect(await contents(storage)).toEqual(before);
        await storage.write(batch);
      }
      expect(await contents(storage)).toEqual(after);
    }
    await storage.close();
  }
  expect(failures).toBeGreaterThan(10);
});

test("M-STO-03 sto-6: an operation that failed and a power cut after it lose and bring back nothing", async () => {
  for (const seed of seeds) {
    const operations = await countOperations(seed);
    for (let operation = 3; operation <= operations; operation++) {
      for (const more of [0, 1, 2]) {
        const random = generator(seed * 1000 + operation * 3 + more);
        const disk = new SimulatedDisk();
        disk.fault = { operation, kind: "fail" };
        const directory = newDirectory();
        const storage = await fileStorage(directory, {
          dangerouslyUnencrypted: true,
          openFile: () => disk.open(),
        });
        let [acknowledged, after] = [0, 0];
        for (const { batch } of script(seed)) {
          await writeAgain(storage, batch);
          acknowledged++;
          if (disk.operations >= operation && after++ === more) break;
        }
        disk.powerCut(() => random(2) === 0);
        await storage.close();
        await verify(disk, directory, seed, acknowledged);
      }
    }
  }
});

test("M-STO-03: a deleted record does not come back after a failed flush and a power cut", async () => {
  const disk = new SimulatedDisk();
  const directory = newDirectory();
  const open = () =>
    fileStorage(directory, { dangerouslyUnencrypted: true, openFile: () => disk.open() });
  const storage = await open();
  for (const key of ["first", "gone", "kept"]) await storage.write(putting(key, "1"));
  await storage.write({ puts: [], deletes: ["first", "gone"], expect: [] });
  // The record, in the place of "first"; then the flush, which was to flush the zeros over "gone", too.
  disk.fault = { operation: disk.operations + 2, kind: "fail" };
  const failed = { code: "STORAGE_FAILED", cause: { code: "EIO" } };
  await expect(storage.write(putting("kept", "2"))).rejects.toMatchObject(failed);
  disk.evict();
  expect(await contents(storage)).toEqual(new Map([["kept", "1"]]));
  await storage.write(putting("kept", "2"));
  disk.powerCut(() => true);
  await storage.close();
  const again = await open();
  expect(await contents(again)).toEqual(new Map([["kept", "2"]]));
  await again.close();
});

/** Two handles on one disk, of which both know the same state, and what the first is to write. */
async function twoHandles() {
  const disk = new SimulatedDisk();
  const directory = newDirectory();
  let isFailing = (): boolean => false;
  const failing = (file: StoreFile): StoreFile => ({
    ...file,
    write: (bytes, position) => {
      if (isFailing()) throw Object.assign(new Error("i/o error"), { code: "EIO" });
      file.write(bytes, position);
    },
  });
  const open = () =>
    fileStorage(directory, { dangerouslyUnencrypted: true, openFile: () => failing(disk.open()) });
  const [first, second] = [await open(), await open()];
  for (const key of ["a", "b", "gone"]) await first.write(putting(key, "1"));
  await second.list("");
  const batch = { ...putting("a", "2"), deletes: ["gone"] };
  const failWrites = (condition: () => boolean): void => {
    isFailing = condition;
  };
  return { disk, open, first, second, batch, failWrites };
}

test("M-STO-09 P-MP-01: what fails once a batch is committed is mended before others write", async () => {
  const whole = await twoHandles();
  const before = whole.disk.operations;
  await whole.first.write(whole.batch);
  const count = whole.disk.operations - before;
  expect(count).toBeGreaterThan(5);
  for (let operation = 1; operation <= count; operation++) {
    for (const closes of [false, true]) {
      const { disk, open, first, second, batch } = await twoHandles();
      disk.fault = { operation: disk.operations + operation, kind: "fail" };
      await writeAgain(first, batch);
      if (closes) await first.close();
      for (const value of ["2", "3"]) await second.write(putting("b", value));
      const expected = new Map(Object.entries({ a: "2", b: "3" }));
      expect(await contents(second)).toEqual(expected);
      if (!closes) expect(await contents(first)).toEqual(expected);
      const third = await open();
      expect(await contents(third)).toEqual(expected);
      expect(await third.get("a")).toMatchObject({ version: 2 });
      for (const storage of [first, second, third]) await storage.close();
    }
  }
});

test("M-STO-09 P-MP-01: a batch whose end fails for good is acknowledged, and others complete it", async () => {
  const { disk, open, first, second, batch, failWrites } = await twoHandles();
  // The two records and the flush pass.
  const flushed = disk.operations + 3;
  failWrites(() => disk.operations >= flushed);
  await first.write(batch);
  await expect(async () => first.get("a")).rejects.toMatchObject({ code: "STORAGE_FAILED" });
  await expect(first.write(batch)).rejects.toMatchObject({ code: "STORAGE_FAILED" });
  // Who fails to complete it does not pass the lock on as if all were well.
  await expect(open()).rejects.toMatchObject({ code: "STORAGE_FAILED", cause: { code: "EIO" } });
  failWrites(() => false);
  for (const value of ["2", "3"]) await second.write(putting("b", value));
  const expected = new Map(Object.entries({ a: "2", b: "3" }));
  expect(await contents(second)).toEqual(expected);
  for (const storage of [first, second]) await storage.close();
  const again = await open();
  expect(await contents(again)).toEqual(expected);
  await again.close();
});

test("M-STO-03 P-MP-01: what a failed flush left in memory alone reaches the disk by who inherits the lock", async () => {
  for (const isNew of [false, true]) {
    const { disk, open, first, second, batch, failWrites } = await twoHandles();
    const flush = disk.operations + 3;
    disk.fault = { operation: flush, kind: "fail" };
    failWrites(() => disk.operations >= flush);
    const failed = { code: "STORAGE_FAILED", cause: { code: "EIO" } };
    await expect(first.write(batch)).rejects.toMatchObject(failed);
    failWrites(() => false);
    const heir = isNew ? await open() : second;
    for (const value of ["2", "3"]) await heir.write(putting("b", value));
    const expected = await contents(heir);
    expect(expected.get("b")).toBe("3");
    disk.powerCut(() => true);
    for (const storage of new Set([first, second, heir])) await storage.close();
    const again = await open();
    expect(await contents(again)).toEqual(expected);
    await again.close();
  }
});

test("M-STO-09 P-MP-01: who cannot complete the batch of another process leaves it to the next", async () => {
  const { disk, open, first, second, batch, failWrites } = await twoHandles();
  const third = await open();
  const flushed = disk.operations + 3;
  failWrites(() => disk.operations >= flushed);
  await first.write(batch);
  const failed = { code: "STORAGE_FAILED", cause: { code: "EIO" } };
  await expect(second.write(putting("b", "2"))).rejects.toMatchObject(failed);
  failWrites(() => false);
  await third.write(putting("b", "3"));
  expect(await contents(third)).toEqual(new Map(Object.entries({ a: "2", b: "3" })));
  for (const storage of [first, second, third]) await storage.close();
});
