/**
 * What notices that a single record was left out or put back: the sum of all records. M-STO-04.
 *
 * ```
 * sum       XOR over all records of HMAC(sum key, 28 bytes | name)[0..16], the bytes being the nonce
 *           and the tag of the record's value
 * sum key   HMAC(name key, 0xff | "sum"); no path of a record key has such a byte
 * ```
 *
 * It changes by the records that a write changes, so that a write costs as much in a store of any size.
 * Nobody else can compute its terms, nor learn it, for it is stored encrypted: to keep it right, all
 * records have to be put back together. The whole store is what the rollback guard watches.
 */
import { hmac } from "@noble/hashes/hmac.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { concat, utf8 } from "../codec/bytes.ts";
import { StorageError } from "../errors.ts";
import { NONCE_SIZE, type StoreKeys, TAG_SIZE } from "./encrypted-keys.ts";
import type { StoredRecord } from "./storage.ts";

export const HEADER_NAME = "header";
/** Holds the sum; its version counts the writes. */
export const COUNTER_NAME = "counter";
export const SUM_SIZE = 16;
const NONCE_OFFSET = 2;

export type Sum = Uint8Array;

/** What a record adds to the sum. */
export function termOf(keys: StoreKeys, { key, value }: Omit<StoredRecord, "version">): Sum {
  const nonce = value.subarray(NONCE_OFFSET, NONCE_OFFSET + NONCE_SIZE);
  const tag = value.subarray(Math.max(value.length - TAG_SIZE, 0));
  return hmac(sha256, keys.sumKey, concat(nonce, tag, utf8(key))).subarray(0, SUM_SIZE);
}

/** Adding a term once more takes it away. */
export function addTerm(sum: Sum, term: Sum): void {
  for (let i = 0; i < SUM_SIZE; i++) sum[i] = (sum[i] ?? 0) ^ (term[i] ?? 0);
}

export function sumOf(keys: StoreKeys, records: readonly StoredRecord[]): Sum {
  const sum = new Uint8Array(SUM_SIZE);
  for (const record of records) if (hasTerm(record.key)) addTerm(sum, termOf(keys, record));
  return sum;
}

const hasTerm = (name: string): boolean => name !== HEADER_NAME && name !== COUNTER_NAME;

export function incomplete(): StorageError {
  return new StorageError("STORAGE_FAILED", "records of the store were left out or put back");
}
