import { describe, expect, test } from "vitest";
import {
  deleteIndexedDbStorage,
  type IndexedDbStorageOptions,
  indexedDbStorage,
} from "../../../src/storage/indexeddb.ts";
import type { Storage } from "../../../src/storage/storage.ts";
import { describeContract } from "./describe-contract.ts";
import { optionalModule } from "./optional-modules.ts";
import { limitedDatabase, tornDatabase } from "./torn-indexeddb.ts";

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
    const openIn = (own: IDBFactory, name: string): Promise<Storage> =>
      indexedDbStorage(name, { ...options, factory: own });
    describeContract(title, {
      open: () => open(`store-${++count}`),
      reopen: (storage) => open(names.get(storage) as string),
      torn: (prepare, write) => tornDatabase(() => new Factory(), openIn, prepare, write),
      limited: () => limitedDatabase(new Factory(), openIn),
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
    expect(records).toHaveLength(3);
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

  test("M-STO-18: what a browser throws where it allows no database is the cause of STORAGE_FAILED", async () => {
    const refusal = new DOMException("not here", "SecurityError");
    const refuse = (): never => {
      throw refusal;
    };
    const closed = { open: refuse, deleteDatabase: refuse } as unknown as IDBFactory;
    const locks = new Locks() as unknown as LockManager;
    const options = {
      locks,
      exclusive: true,
      lockTimeout: 0,
      dangerouslyUnencrypted: true,
    } as const;
    const refused = { code: "STORAGE_FAILED", cause: refusal };
    await expect(indexedDbStorage("none", { ...options, factory: closed })).rejects.toMatchObject(
      refused,
    );
    await expect(deleteIndexedDbStorage("none", closed)).rejects.toMatchObject(refused);
    const missing = { code: "STORAGE_FAILED", cause: expect.any(TypeError) };
    await expect(indexedDbStorage("none", options)).rejects.toMatchObject(missing);
    await expect(deleteIndexedDbStorage("none")).rejects.toMatchObject(missing);
    const noLocks = { request: () => Promise.reject(refusal) } as unknown as LockManager;
    await expect(indexedDbStorage("none", { ...options, locks: noLocks })).rejects.toMatchObject(
      refused,
    );
    // In some browsers it is the property that throws.
    Object.defineProperty(globalThis, "indexedDB", { get: refuse, configurable: true });
    try {
      await expect(indexedDbStorage("none", options)).rejects.toMatchObject(refused);
      await expect(deleteIndexedDbStorage("none")).rejects.toMatchObject(refused);
    } finally {
      Reflect.deleteProperty(globalThis, "indexedDB");
    }
    await (await indexedDbStorage("none", { ...options, factory })).close();
  });

  test("P-MP-01: lockTimeout may be longer than a timer can be", async () => {
    const locks = new Locks() as unknown as LockManager;
    const options = { factory, locks, exclusive: true, dangerouslyUnencrypted: true } as const;
    const owner = await indexedDbStorage("patient", options);
    for (const lockTimeout of [Number.POSITIVE_INFINITY, 2 ** 40]) {
      const waiting = indexedDbStorage("patient", { ...options, lockTimeout });
      const first = await Promise.race([waiting.catch(() => "refused"), pause(30)]);
      expect(first).toBe("waits");
      if (lockTimeout === 2 ** 40) await owner.close();
      else void waiting.then((storage) => storage.close());
    }
  });

  test("P-MP-01: an exclusive store has one owner, and others get STORE_LOCKED or wait", async () => {
    const locks = new Locks() as unknown as LockManager;
    const shared = { factory, locks, dangerouslyUnencrypted: true } as const;
    const alone = { ...shared, exclusive: true, lockTimeout: 0 };
    const tabs = [await indexedDbStorage("owned", shared), await indexedDbStorage("owned", shared)];
    await expect(indexedDbStorage("owned", alone)).rejects.toMatchObject({ code: "STORE_LOCKED" });
    const waiting = indexedDbStorage("owned", { ...alone, lockTimeout: 10_000 });
    for (const tab of tabs) await tab.close();
    const owner = await waiting;
    await expect(indexedDbStorage("owned", { ...shared, lockTimeout: 5 })).rejects.toMatchObject({
      code: "STORE_LOCKED",
      retryable: true,
    });
    // One that does not open gives its lock back.
    await owner.close();
    const broken = { ...alone, key: new Uint8Array(3) };
    await expect(indexedDbStorage("owned", broken)).rejects.toMatchObject({
      code: "INVALID_LENGTH",
    });
    await (await indexedDbStorage("owned", alone)).close();
  });

  test("P-MP-02: a tab that lost a race writes before those who ask after it", async () => {
    const locks = new Locks() as unknown as LockManager;
    const shared = { factory, locks, dangerouslyUnencrypted: true } as const;
    const [busy, slow] = [
      await indexedDbStorage("raced", shared),
      await indexedDbStorage("raced", shared),
    ];
    const put = (storage: Storage, name: number, version?: number): Promise<void> => {
      const expect = version === undefined ? [] : [{ key: "a", version }];
      const puts = [{ key: "a", value: new Uint8Array([name]) }];
      return Promise.resolve(storage.write({ puts, deletes: [], expect }));
    };
    const conflict = { code: "STORAGE_CONFLICT" };
    await put(busy, 1);
    await expect(put(slow, 2, 0)).rejects.toMatchObject(conflict);
    const next = put(busy, 3);
    // As slowly as it may read. What else it writes does not use the turn up.
    await slow.write({ puts: [], deletes: ["b"], expect: [{ key: "b", version: 0 }] });
    await pause(50);
    const { version } = (await slow.get("a"))!;
    await put(slow, 4, version);
    await next;
    expect(await slow.get("a")).toEqual({ key: "a", value: new Uint8Array([3]), version: 3 });
    // One that does not write again keeps the others waiting for a moment only.
    await expect(put(slow, 5, 0)).rejects.toMatchObject(conflict);
    await put(busy, 6);
    // Nor one that ends, whether it has the turn or still waits for it.
    await expect(put(slow, 7, 0)).rejects.toMatchObject(conflict);
    const start = performance.now();
    await slow.close();
    await put(busy, 8);
    expect(performance.now() - start).toBeLessThan(400);
    await busy.close();
  });

  test("P-MP-01: where there are no Web Locks nobody can own a store", async () => {
    const options = { factory, locks: undefined, exclusive: true, dangerouslyUnencrypted: true };
    const attempt = indexedDbStorage("owned", { ...options, dangerouslyUnencrypted: true });
    await expect(attempt).rejects.toMatchObject({ code: "WEB_LOCKS_MISSING" });
  });
}

function pause(milliseconds: number): Promise<string> {
  return new Promise((resolve) => {
    setTimeout(() => resolve("waits"), milliseconds);
  });
}

interface LockRequest {
  readonly mode: LockMode;
  check(): void;
}

/** As much of Web Locks as the store uses: who asks waits for those who asked before. */
class Locks {
  readonly #requests = new Map<string, LockRequest[]>();

  async request(
    name: string,
    options: LockOptions,
    hold: (lock: { name: string } | null) => Promise<void>,
  ): Promise<void> {
    const { mode = "exclusive", ifAvailable = false, signal } = options;
    const all = this.#requests.get(name) ?? [];
    this.#requests.set(name, all);
    const mine: LockRequest = { mode, check: () => undefined };
    all.push(mine);
    const mayHold = (): boolean => {
      const before = all.slice(0, all.indexOf(mine));
      return before.every((other) => mode === "shared" && other.mode === "shared");
    };
    try {
      if (!mayHold()) {
        if (ifAvailable) return await hold(null);
        await new Promise<void>((resolve, reject) => {
          mine.check = () => mayHold() && resolve();
          signal?.addEventListener("abort", () => reject(new Error("aborted")));
        });
      }
      await hold({ name });
    } finally {
      all.splice(all.indexOf(mine), 1);
      for (const { check } of all) check();
    }
  }
}
