import { fileStorage } from "../../../src/storage/file.ts";
import type { Storage } from "../../../src/storage/storage.ts";
import { describeContract } from "./describe-contract.ts";
import { temporaryDirectories } from "./directories.ts";

const newDirectory = temporaryDirectories();
const directories = new WeakMap<Storage, string>();

async function open(directory: string, durability: "fsync" | "none"): Promise<Storage> {
  const storage = await fileStorage(directory, { durability });
  directories.set(storage, directory);
  return storage;
}

for (const durability of ["fsync", "none"] as const) {
  describeContract(`M-STO-03: file store (${durability}), sto-8 contract`, {
    open: () => open(newDirectory(), durability),
    reopen: (storage) => open(directories.get(storage) as string, durability),
  });
}
