import { describe, expect, test } from "vitest";
import {
  deleteIndexedDbStorage,
  type IndexedDbStorageOptions,
  indexedDbStorage,
} from "../../../src/storage/indexeddb.ts";
import type { Storage } from "../../../src/storage/storage.ts";
import { describeContract } from "./describe-contract.ts";
import { optionalModule } from "./optional-modules.ts";

const fake = optionalModule("fake-indexeddb");
const Factory = fake?.["IDBFactory"] as (new () => IDBFactory) | undefined;
const names = new WeakMap<Storage, string>();
const key = new Uint8Array(32).fill(7);
let count = 0;

if (Factory === undefined) {
  describe.skip("M-STO-05: IndexedDB store (fake-indexeddb is not installed)", () => {
    test("contract", () => undefined);
  });
} else {
  const factory = new Factory();
  Object.assign(globalThis, { IDBKeyRange: fake?.["IDBKeyRange"] });

  const contractOf = (title: string, options: IndexedDbStorageOptions): void => {
    const open = async (name: string): Promise<Storage> => {
      const storage = await indexedDbStorage(name, options);
      names.set(storage, name);
      return storage;
    };
    describeContract(title, {
      open: () => open(`store-${++count}`),
      reopen: (storage) => open(names.get(storage) as string),
    });
  };
  contractOf("M-STO-05: IndexedDB store (encrypted), sto-8 contract", { factory, key });
  contractOf("M-STO-05: IndexedDB store (P-ENC-05: unencrypted), sto-8 contract", {
    factory,
    dangerouslyUnencrypted: true,
  });

  test("M-STO-05: with a key, neither values nor keys reach the database in the clear", async () => {
    const storage = await indexedDbStorage("hidden", { factory, key });
    const value = new TextEncoder().encode("a secret value");
    await storage.write({ puts: [{ key: "group/secret-name", value }], deletes: [], expect: [] });
    await storage.close();
    const raw = await indexedDbStorage("hidden", { factory, dangerouslyUnencrypted: true });
    const records = await raw.list("");
    expect(records).toHaveLength(2);
    for (const record of records) {
      const text = record.key + Buffer.from(record.value).toString("latin1");
      expect(text).not.toContain("secret");
    }
    await raw.close();
  });

  test("STORAGE_KEY_MISMATCH: another key does not open the database", async () => {
    await (await indexedDbStorage("mine", { factory, key })).close();
    const other = new Uint8Array(32).fill(8);
    await expect(indexedDbStorage("mine", { factory, key: other })).rejects.toMatchObject({
      code: "STORAGE_KEY_MISMATCH",
    });
    await deleteIndexedDbStorage("mine", factory);
    await (await indexedDbStorage("mine", { factory, key: other })).close();
  });

  test("a database that another tab deletes or upgrades lets go and fails from then on", async () => {
    const storage = await indexedDbStorage("shared", { factory, dangerouslyUnencrypted: true });
    await deleteIndexedDbStorage("shared", factory);
    await expect(async () => storage.get("a")).rejects.toMatchObject({ code: "STORAGE_FAILED" });
  });

  test("M-STO-10: a database of a later format is refused with STORAGE_VERSION", async () => {
    await new Promise((resolve) => {
      const request = factory.open("newer", 9);
      request.onsuccess = () => resolve(request.result.close());
    });
    const attempt = indexedDbStorage("newer", { factory, dangerouslyUnencrypted: true });
    await expect(attempt).rejects.toMatchObject({ code: "STORAGE_VERSION" });
  });
}
