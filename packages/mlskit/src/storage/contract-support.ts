/** Assertions and shorthands of the storage contract. */
import type { MaybePromise } from "../crypto/index.ts";
import { MlsError } from "../errors.ts";
import type { Storage, StoredRecord, WriteBatch } from "./storage.ts";

/** How the checks come by stores. */
export interface StorageHarness {
  /** A new, empty store. */
  open(): MaybePromise<Storage>;
  /**
   * One more handle on the data of `storage`, which may still be open. Left out for stores that
   * live in one object; the checks that need it are then skipped.
   */
  reopen?(storage: Storage): MaybePromise<Storage>;
  /**
   * Runs `write` on a store after `prepare`, and is cut off in it as by the death of the process or the
   * machine: at one moment after the other, each time from the beginning. Yields the store as it is
   * found then, opened again. Left out where there is no medium, or none that can be cut off.
   */
  torn?(prepare: StorageWork, write: StorageWork): AsyncIterable<Storage>;
  /** A new store on a medium that can run out of room. Left out where that cannot be arranged. */
  limited?(): MaybePromise<LimitedStorage>;
}

export type StorageWork = (storage: Storage) => Promise<void>;

export interface LimitedStorage {
  readonly storage: Storage;
  /** From now on the medium takes no more than it holds, or little more. */
  fill(): MaybePromise<void>;
  /** There is room again. */
  free(): MaybePromise<void>;
}

export interface StorageCheck {
  /** A sentence that is true of a correct store. */
  readonly name: string;
  /** Without these parts of the harness `run` does nothing. */
  readonly needs: readonly (keyof StorageHarness)[];
  /** Throws an Error that says what was wrong. Leaves every store it opened closed. */
  run(harness: StorageHarness): Promise<void>;
}

/** Handles that are closed when the check ends, whatever its result. */
export type Body = (storage: Storage, reopen: () => Promise<Storage>) => Promise<void>;

export function check(name: string, body: (storage: Storage) => Promise<void>): StorageCheck {
  return define(name, [], body);
}

/** A check that needs a second handle on the same data. */
export function checkTwice(name: string, body: Body): StorageCheck {
  return define(name, ["reopen"], body);
}

function define(name: string, needs: StorageCheck["needs"], body: Body): StorageCheck {
  return {
    name,
    needs,
    async run(harness) {
      if (needs.some((part) => harness[part] === undefined)) return;
      const opened = [await harness.open()];
      try {
        await body(opened[0] as Storage, async () => {
          const again = await harness.reopen?.(opened[0] as Storage);
          if (again === undefined) throw new Error("the harness did not reopen the store");
          opened.push(again);
          return again;
        });
      } finally {
        for (const storage of opened) await storage.close();
      }
    },
  };
}

export function batch(parts: Partial<WriteBatch>): WriteBatch {
  return { puts: [], deletes: [], expect: [], ...parts };
}

/** Writes one value. */
export async function put(
  storage: Storage,
  key: string,
  value: Uint8Array | string,
  expected?: number,
): Promise<void> {
  const expect = expected === undefined ? [] : [{ key, version: expected }];
  await storage.write(batch({ puts: [{ key, value: toBytes(value) }], expect }));
}

export function toBytes(value: Uint8Array | string): Uint8Array {
  return typeof value === "string" ? new TextEncoder().encode(value) : value;
}

export function assert(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Error(what);
}

export function assertEqual(actual: unknown, expected: unknown, what: string): void {
  assert(actual === expected, `${what}: ${String(actual)} instead of ${String(expected)}`);
}

/** The record is there, with this value and version. */
export function assertRecord(
  record: StoredRecord | undefined,
  key: string,
  value: Uint8Array | string,
  version: number,
): void {
  assert(record !== undefined, `${key.slice(0, 40)} is missing`);
  assertEqual(record.key, key, "key");
  assertEqual(record.version, version, `version of ${key.slice(0, 40)}`);
  assert(record.value instanceof Uint8Array, "a value is not a Uint8Array");
  const expected = toBytes(value);
  assertEqual(record.value.length, expected.length, `length of ${key.slice(0, 40)}`);
  const differs = expected.some((byte, i) => record.value[i] !== byte);
  assert(!differs, `the value of ${key.slice(0, 40)} is not what was written`);
}

/** The call fails with this code, at once or later. */
export async function assertFails(
  code: string,
  call: () => MaybePromise<unknown>,
  what: string,
): Promise<void> {
  try {
    await call();
  } catch (error) {
    assert(MlsError.is(error, code), `${what}: ${String(error)} instead of ${code}`);
    return;
  }
  throw new Error(`${what}: no error instead of ${code}`);
}
