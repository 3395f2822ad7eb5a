/** How the file store is cut off, and how its disk fills up. */
import fs from "node:fs";
import { SimulatedDisk } from "../../../src/storage/fault-file.ts";
import { fileStorage } from "../../../src/storage/file.ts";
import type { LimitedStorage, StorageWork } from "../../../src/storage/contract.ts";
import type { Storage } from "../../../src/storage/storage.ts";

type Wrap = (inner: Storage) => Promise<Storage>;
const asItIs: Wrap = async (inner) => inner;

interface TornFileOptions {
  readonly newDirectory: () => string;
  readonly durability?: "fsync" | "none";
  readonly wrap?: Wrap;
}

/** At every operation of the disk, by the death of the process and, if it matters, of the machine. */
export async function* tornFile(
  { newDirectory, durability = "fsync", wrap = asItIs }: TornFileOptions,
  prepare: StorageWork,
  write: StorageWork,
): AsyncGenerator<Storage> {
  const open = async (disk: SimulatedDisk, directory: string): Promise<Storage> =>
    wrap(
      await fileStorage(directory, {
        dangerouslyUnencrypted: true,
        openFile: () => disk.open(),
        durability,
      }),
    );
  const start = async () => {
    const [disk, directory] = [new SimulatedDisk(), newDirectory()];
    const storage = await open(disk, directory);
    await prepare(storage);
    return { disk, directory, storage };
  };
  const whole = await start();
  const first = whole.disk.operations;
  await write(whole.storage);
  const count = whole.disk.operations - first;
  for (let operation = 1; operation <= count; operation++) {
    for (const kind of ["before", "torn", "after"] as const) {
      for (const isPowerCut of durability === "fsync" ? [false, true] : [false]) {
        const { disk, directory, storage } = await start();
        disk.fault = { operation: disk.operations + operation, kind };
        await write(storage).catch((error: unknown) => {
          if (!disk.hasDied) throw error;
        });
        let sector = 0;
        if (isPowerCut) disk.powerCut(() => sector++ % 2 === 0);
        await storage.close();
        yield await open(disk, directory);
        fs.rmSync(directory, { recursive: true, force: true });
      }
    }
  }
}

export async function limitedFile(directory: string, wrap: Wrap = asItIs): Promise<LimitedStorage> {
  const disk = new SimulatedDisk();
  return {
    storage: await wrap(
      await fileStorage(directory, { dangerouslyUnencrypted: true, openFile: () => disk.open() }),
    ),
    fill: () => {
      disk.capacity = disk.bytes.length;
    },
    free: () => {
      disk.capacity = Number.POSITIVE_INFINITY;
    },
  };
}
