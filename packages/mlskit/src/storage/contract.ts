/**
 * What every store must do, as checks without a test framework. sto-8.
 *
 * ```ts
 * for (const { name, run } of storageContract) test(name, () => run({ open, reopen }));
 * ```
 */
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
import { faultChecks } from "./contract-faults.ts";
import { writerChecks } from "./contract-writers.ts";
import type { Storage } from "./storage.ts";

export type {
  LimitedStorage,
  StorageCheck,
  StorageHarness,
  StorageWork,
} from "./contract-support.ts";

const readChecks: readonly StorageCheck[] = [
  check("a key that was never written is undefined", async (storage) => {
    assertEqual(await storage.get("absent"), undefined, "get");
    assertEqual((await storage.list("")).length, 0, "records in an empty store");
  }),

  check("a written value is read back with version 1", async (storage) => {
    await put(storage, "a", "first");
    assertRecord(await storage.get("a"), "a", "first", 1);
  }),

  check("every put raises the version of its key alone", async (storage) => {
    await put(storage, "a", "1");
    await put(storage, "b", "1");
    await put(storage, "a", "2");
    await put(storage, "a", "3");
    assertRecord(await storage.get("a"), "a", "3", 3);
    assertRecord(await storage.get("b"), "b", "1", 1);
  }),

  check(
    "list answers with all records under a prefix, in ascending order of keys",
    async (storage) => {
      const keys = [
        "b/2",
        "a/10",
        "b/1",
        "b",
        "c",
        "a/1",
        "a/1/x",
        "A/1",
        "b0",
        "b.",
        "a/1~",
        "a/1 ",
      ];
      await storage.write(batch({ puts: keys.map((key) => ({ key, value: toBytes(`v${key}`) })) }));
      for (const prefix of [
        "",
        "a",
        "a/",
        "a/1",
        "a/1/",
        "b",
        "b/",
        "c",
        "c/",
        "nothing",
        "A/",
        " ",
      ]) {
        const expected = keys.filter((key) => key.startsWith(prefix)).sort();
        const found = await storage.list(prefix);
        const name = `list(${JSON.stringify(prefix)})`;
        assertEqual(found.map(({ key }) => key).join(), expected.join(), name);
        for (const record of found) assertRecord(record, record.key, `v${record.key}`, 1);
      }
    },
  ),

  check("values are copied on the way in and on the way out", async (storage) => {
    const value = toBytes("value");
    const written = storage.write(batch({ puts: [{ key: "a", value }] }));
    value.fill(0);
    await written;
    assertRecord(await storage.get("a"), "a", "value", 1);
    (await storage.get("a"))?.value.fill(0);
    for (const record of await storage.list("")) record.value.fill(0);
    assertRecord(await storage.get("a"), "a", "value", 1);
    assertRecord((await storage.list("a"))[0], "a", "value", 1);
  }),

  check("empty values, all 256 byte values and a megabyte survive", async (storage) => {
    const all = Uint8Array.from({ length: 256 }, (_, i) => i);
    const large = Uint8Array.from({ length: 1 << 20 }, (_, i) => (i * 31 + (i >> 8)) & 0xff);
    await put(storage, "empty", new Uint8Array(0));
    await put(storage, "all", all);
    await put(storage, "large", large);
    assertRecord(await storage.get("empty"), "empty", new Uint8Array(0), 1);
    assertRecord(await storage.get("all"), "all", all, 1);
    assertRecord(await storage.get("large"), "large", large, 1);
    await put(storage, "large", new Uint8Array(0));
    assertRecord(await storage.get("large"), "large", new Uint8Array(0), 2);
    await put(storage, "empty", large);
    assertRecord(await storage.get("empty"), "empty", large, 2);
    assertEqual((await storage.list("")).length, 3, "records");
  }),

  check("keys hold every printable ASCII character, up to 512 of them", async (storage) => {
    const printable = String.fromCharCode(...Array.from({ length: 95 }, (_, i) => 0x20 + i));
    const long = printable.repeat(6).slice(0, 512);
    const deep = "a/".repeat(255) + "bc";
    const keys = [
      printable,
      long,
      long.slice(0, 511),
      deep,
      "a",
      "A",
      "/",
      "//",
      "a//b",
      " a",
      "a ",
    ];
    await storage.write(batch({ puts: keys.map((key) => ({ key, value: toBytes(key) })) }));
    for (const key of keys) assertRecord(await storage.get(key), key, key, 1);
    const found = (await storage.list("")).map(({ key }) => key);
    assertEqual(found.join("\n"), [...keys].sort().join("\n"), "list");
    assertEqual((await storage.list("a/".repeat(200))).length, 1, "records under a deep prefix");
  }),

  check("keys that are empty, too long or not printable ASCII are refused", async (storage) => {
    for (const key of ["", "x".repeat(513), "ü", "a\n", "a\u007f", "\u0000"]) {
      await assertFails("INVALID_BATCH", () => put(storage, key, "v"), JSON.stringify(key));
      const deletes = [key];
      const remove = () => storage.write(batch({ deletes }));
      await assertFails("INVALID_BATCH", remove, `delete ${JSON.stringify(key)}`);
    }
    assertEqual((await storage.list("")).length, 0, "records");
  }),
];

const writeChecks: readonly StorageCheck[] = [
  check("a batch writes and deletes together", async (storage) => {
    await put(storage, "old", "1");
    await put(storage, "kept", "1");
    const puts = [
      { key: "new", value: toBytes("1") },
      { key: "kept", value: toBytes("2") },
    ];
    await storage.write(batch({ puts, deletes: ["old"] }));
    assertEqual(await storage.get("old"), undefined, "a deleted record");
    assertRecord(await storage.get("new"), "new", "1", 1);
    assertRecord(await storage.get("kept"), "kept", "2", 2);
  }),

  check("an empty batch changes nothing", async (storage) => {
    await put(storage, "a", "1");
    await storage.write(batch({}));
    assertRecord(await storage.get("a"), "a", "1", 1);
  }),

  check("deleting is idempotent, and a key written again starts at version 1", async (storage) => {
    await put(storage, "a", "1");
    await put(storage, "a", "2");
    await storage.write(batch({ deletes: ["a", "never"] }));
    await storage.write(batch({ deletes: ["a"] }));
    assertEqual(await storage.get("a"), undefined, "a deleted record");
    assertEqual((await storage.list("")).length, 0, "records");
    await put(storage, "a", "3", 0);
    assertRecord(await storage.get("a"), "a", "3", 1);
  }),

  check("a batch that writes one key twice is refused", async (storage) => {
    const value = toBytes("1");
    const twice = batch({
      puts: [
        { key: "a", value },
        { key: "a", value },
      ],
    });
    const both = batch({ puts: [{ key: "a", value }], deletes: ["a"] });
    const deletes = batch({ deletes: ["a", "a"] });
    for (const wrong of [twice, both, deletes]) {
      await assertFails("INVALID_BATCH", () => storage.write(wrong), "a batch with a key twice");
    }
    assertEqual(await storage.get("a"), undefined, "after refused batches");
  }),

  check("P-MP-02: a batch that expects another version is refused as a whole", async (storage) => {
    await put(storage, "a", "1");
    await put(storage, "a", "2");
    await put(storage, "b", "1");
    const attempts = [
      [{ key: "a", version: 1 }],
      [{ key: "a", version: 3 }],
      [{ key: "a", version: 0 }],
      [{ key: "absent", version: 1 }],
      [
        { key: "a", version: 2 },
        { key: "b", version: 2 },
      ],
    ];
    for (const expect of attempts) {
      const puts = [
        { key: "a", value: toBytes("x") },
        { key: "new", value: toBytes("x") },
      ];
      const stale = batch({ puts, deletes: ["b"], expect });
      await assertFails("STORAGE_CONFLICT", () => storage.write(stale), JSON.stringify(expect));
    }
    assertRecord(await storage.get("a"), "a", "2", 2);
    assertRecord(await storage.get("b"), "b", "1", 1);
    assertEqual(await storage.get("new"), undefined, "a record of a refused batch");
  }),

  check("a batch whose expectations hold is applied", async (storage) => {
    await put(storage, "a", "1", 0);
    await put(storage, "a", "2", 1);
    const expect = [
      { key: "a", version: 2 },
      { key: "absent", version: 0 },
    ];
    await storage.write(batch({ puts: [{ key: "b", value: toBytes("1") }], expect }));
    await storage.write(batch({ deletes: ["a"], expect: [{ key: "a", version: 2 }] }));
    assertEqual((await storage.list("")).map(({ key }) => key).join(), "b", "keys");
    const alone = batch({ expect: [{ key: "a", version: 2 }] });
    await assertFails("STORAGE_CONFLICT", () => storage.write(alone), "an expectation alone");
  }),

  check("a thousand records in one batch, replaced and deleted", async (storage) => {
    const keys = Array.from({ length: 1000 }, (_, i) => `n/${String(i).padStart(4, "0")}`);
    const puts = (text: string) => keys.map((key) => ({ key, value: toBytes(text + key) }));
    await storage.write(batch({ puts: puts("first ") }));
    await storage.write(batch({ puts: puts("second, and longer ") }));
    const deletes = keys.filter((_, i) => i % 3 === 0);
    await storage.write(batch({ deletes }));
    const left = keys.filter((_, i) => i % 3 !== 0);
    const found = await storage.list("n/");
    assertEqual(found.map(({ key }) => key).join(), left.join(), "keys");
    for (const { key, ...rest } of found) {
      assertRecord({ key, ...rest }, key, `second, and longer ${key}`, 2);
    }
  }),
];

const lifetimeChecks: readonly StorageCheck[] = [
  check("a closed store fails with STORAGE_FAILED, and closes twice", async (storage) => {
    await put(storage, "a", "1");
    await storage.close();
    await storage.close();
    await assertFails("STORAGE_FAILED", () => storage.get("a"), "get");
    await assertFails("STORAGE_FAILED", () => storage.list(""), "list");
    await assertFails("STORAGE_FAILED", () => storage.write(batch({})), "write");
  }),

  checkTwice("everything is there after closing and opening again", async (storage, reopen) => {
    await put(storage, "a", "1");
    await put(storage, "a", "2");
    await put(storage, "gone", "1");
    await storage.write(batch({ deletes: ["gone"] }));
    await storage.close();
    let again: Storage = await reopen();
    assertRecord(await again.get("a"), "a", "2", 2);
    assertEqual(await again.get("gone"), undefined, "a deleted record");
    await put(again, "a", "3", 2);
    await again.close();
    again = await reopen();
    assertRecord(await again.get("a"), "a", "3", 3);
    assert((await again.list("")).length === 1, "the store holds one record");
  }),
];

/** Run all of them on every adapter. */
export const storageContract: readonly StorageCheck[] = /* @__PURE__ */ [
  ...readChecks,
  ...writeChecks,
  ...writerChecks,
  ...lifetimeChecks,
  ...faultChecks,
];
