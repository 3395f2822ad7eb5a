/** What every store does alike: argument checks, version checks, errors. */
import { copyBytes } from "../codec/index.ts";
import { MlsError, StorageError, UsageError } from "../errors.ts";
import type { WriteBatch } from "./storage.ts";

/** Printable ASCII including the space, 1 to 512 characters. */
const KEY_PATTERN = /^[\x20-\x7e]{1,512}$/;

/** @throws UsageError `INVALID_BATCH` */
export function checkKey(key: string): void {
  if (!KEY_PATTERN.test(key)) {
    throw new UsageError("INVALID_BATCH", "a storage key is 1 to 512 printable ASCII characters");
  }
}

/**
 * Keys are well formed, and none is written twice in one batch: with two answers to "which version
 * comes next", adapters would differ.
 * @throws UsageError `INVALID_BATCH`
 */
export function checkBatch(batch: WriteBatch): void {
  const written = new Set<string>();
  for (const { key } of batch.puts) written.add(key);
  for (const key of batch.deletes) written.add(key);
  if (written.size !== batch.puts.length + batch.deletes.length) {
    throw new UsageError("INVALID_BATCH", "a batch writes the same key twice");
  }
  for (const key of written) checkKey(key);
  for (const { key, version } of batch.expect) {
    checkKey(key);
    if (!Number.isSafeInteger(version) || version < 0) {
      throw new UsageError("INVALID_BATCH", "an expected version is not a whole number");
    }
  }
}

/**
 * P-MP-02: the batch may be applied only if nobody wrote these keys since they were read.
 * @throws StorageError `STORAGE_CONFLICT`
 */
export function checkVersions(batch: WriteBatch, versionOf: (key: string) => number): void {
  batch.expect.forEach(({ key, version }, index) => {
    const actual = versionOf(key);
    if (actual !== version) throw conflict(index, version, actual);
  });
}

/** `index` counts in `expect`: a key may name a group and stays out of errors (P-ENC-06). */
export function conflict(index: number, expected: number, actual: number): StorageError {
  return new StorageError("STORAGE_CONFLICT", "a record was written by somebody else meanwhile", {
    details: { index, expected, actual },
  });
}

export function closed(): StorageError {
  return new StorageError("STORAGE_FAILED", "the store is closed");
}

/** M-STO-18: failures of the medium keep their cause; errors that are ours already pass through. */
export function failed(message: string, cause: unknown): Error {
  if (cause instanceof MlsError) return cause;
  return new StorageError("STORAGE_FAILED", message, { cause });
}

/** How many milliseconds to wait for others; no more than timers and SQLite can count. */
export function lockTimeout(options: { readonly lockTimeout?: number }): number {
  return Math.min(Math.max(0, Math.trunc(options.lockTimeout ?? 10_000)), 2 ** 31 - 1);
}

/** A batch that no longer depends on arrays the caller may change. */
export function copyBatch(batch: WriteBatch): WriteBatch {
  return {
    puts: batch.puts.map(({ key, value }) => ({ key, value: copyBytes(value) })),
    deletes: [...batch.deletes],
    expect: batch.expect.map(({ key, version }) => ({ key, version })),
  };
}

/** ASCII keys: comparison by UTF-16 code unit is comparison by byte. */
export function byKey(a: { readonly key: string }, b: { readonly key: string }): number {
  return a.key < b.key ? -1 : a.key > b.key ? 1 : 0;
}

/** Keys that start with `prefix`, ascending. */
export function keysWithPrefix(keys: Iterable<string>, prefix: string): string[] {
  const found: string[] = [];
  for (const key of keys) if (key.startsWith(prefix)) found.push(key);
  return found.sort();
}
