import { expect, test } from "vitest";
import { copyStorage } from "../../../src/storage/copy.ts";
import { encryptedStorage } from "../../../src/storage/encrypted.ts";
import { faultStorage } from "../../../src/storage/fault.ts";
import { memoryStorage } from "../../../src/storage/memory.ts";
import type { Storage } from "../../../src/storage/storage.ts";

function put(storage: Storage, key: string, value: string) {
  return storage.write({ puts: [{ key, value: Buffer.from(value) }], deletes: [], expect: [] });
}

test("M-STO-07: a copy has all records, under a key of its own", async () => {
  const from = await encryptedStorage(memoryStorage(), new Uint8Array(32).fill(1));
  for (let i = 0; i < 600; i++) await put(from, `key/${i}`, `value ${i}`);
  const to = await encryptedStorage(memoryStorage(), new Uint8Array(32).fill(2));
  expect(await copyStorage(from, to)).toBe(600);
  const text = async (storage: Storage) =>
    (await storage.list("")).map(({ key, value }) => `${key}=${Buffer.from(value).toString()}`);
  expect(await text(to)).toEqual(await text(from));
  await expect(copyStorage(from, to)).rejects.toMatchObject({ code: "STORE_NOT_EMPTY" });
});

test("sto-1: a fault store fails or crashes at the planned call, and reopens on the same data", async () => {
  const inner = memoryStorage();
  const storage = faultStorage(inner, { failRead: 2, failWrite: 2, crashAfterWrite: 4 });
  await put(storage, "a", "1");
  expect(() => put(storage, "a", "2")).toThrow(expect.objectContaining({ code: "STORAGE_FAILED" }));
  expect(await storage.get("a")).toMatchObject({ version: 1 });
  expect(() => storage.get("a")).toThrow(expect.objectContaining({ code: "STORAGE_FAILED" }));
  await put(storage, "a", "3");
  expect(storage.hasCrashed).toBe(false);
  expect(() => put(storage, "a", "4")).toThrow(expect.objectContaining({ code: "STORAGE_FAILED" }));
  expect(storage.hasCrashed).toBe(true);
  expect(() => storage.get("a")).toThrow();
  expect(storage.writes).toBe(4);
  const again = storage.reopen({ crashBeforeWrite: 1 });
  expect(await again.get("a")).toMatchObject({ version: 3 });
  expect(() => put(again, "a", "5")).toThrow();
  expect(await inner.get("a")).toMatchObject({ version: 3 });
});
