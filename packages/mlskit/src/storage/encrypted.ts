/** Encryption at rest for every store. M-STO-04, P-ENC-01 to P-ENC-05. */
import { MlsError, StorageError } from "../errors.ts";
import { EncryptedStorage } from "./encrypted-storage.ts";
import { createHeader, importStoreKey, openHeader, upgradeHeader } from "./encrypted-keys.ts";
import { openValue, sealValue } from "./encrypted-records.ts";
import { COUNTER_NAME, HEADER_NAME, incomplete, sumOf } from "./encrypted-sum.ts";
import type { RollbackGuard } from "./rollback-guard.ts";
import type { Storage, StoredRecord } from "./storage.ts";

export type { EncryptedStorage } from "./encrypted-storage.ts";
export type { RollbackGuard, RollbackState } from "./rollback-guard.ts";

export interface EncryptedStorageOptions {
  /**
   * Leaves record keys as they are, for debugging: they name groups. Decided when the store is
   * created; keys are then limited to 510 characters.
   */
  readonly dangerouslyReadableKeys?: boolean;
  /** Remembers outside of the store how far it has come. P-MP-05. */
  readonly rollbackGuard?: RollbackGuard;
  /**
   * Whether opening reads all records once, to see that none is missing or old; true by default.
   * Otherwise call {@link EncryptedStorage.verify} when there is time.
   */
  readonly verify?: boolean;
}

/**
 * Opens or creates an encrypted store inside `inner`, which it then owns. Values are encrypted with
 * AES-256-GCM and bound to the store, the record's key and its version; record keys are replaced by
 * HMACs. What `inner` can still see: how many records there are, their sizes, versions and which of
 * them share a path.
 *
 * A record that was changed or exchanged is noticed when it is read; one that was left out, or put back
 * together with its old version, when the store is opened. That the whole store was put back takes a
 * rollback guard to notice.
 *
 * `key` is 32 bytes, or a CryptoKey (AES-GCM, 256 bits, may be non-extractable). It is never stored.
 * @throws StorageError `STORAGE_KEY_MISMATCH`, `STORAGE_FAILED`, `STORAGE_VERSION`
 * @throws UsageError `INVALID_LENGTH`
 */
export async function encryptedStorage(
  inner: Storage,
  key: Uint8Array | CryptoKey,
  options: EncryptedStorageOptions = {},
): Promise<EncryptedStorage> {
  const storeKey = await importStoreKey(key);
  const first = await headerOf(inner, storeKey, options.dangerouslyReadableKeys === true);
  const header = await upgraded(inner, storeKey, first);
  const keys = await openHeader(header.value, storeKey);
  const storage = new EncryptedStorage(inner, storeKey, header, keys, options.rollbackGuard);
  if (options.verify !== false) await storage.verify();
  await storage.checkRollback();
  return storage;
}

/** A store of the first format gets the sum of its records, in one write with the new header. */
async function upgraded(
  inner: Storage,
  storeKey: CryptoKey,
  first: StoredRecord,
): Promise<StoredRecord> {
  for (let header = first; ; ) {
    const keys = await openHeader(header.value, storeKey);
    if (keys.hasSum) return header;
    const records = await inner.list("");
    const counter = records.find(({ key }) => key === COUNTER_NAME);
    // Then the store has been upgraded, or somebody put its first header back.
    const hasSum = counter !== undefined && (await openValue(keys, counter)).length > 0;
    const version = (counter?.version ?? 0) + 1;
    const sum = await sealValue(keys, COUNTER_NAME, version, sumOf(keys, records));
    const puts = [
      { key: HEADER_NAME, value: await upgradeHeader(header.value, storeKey) },
      { key: COUNTER_NAME, value: sum },
    ];
    const expect = [{ key: COUNTER_NAME, version: version - 1 }, ...records, header];
    try {
      if (!hasSum) await inner.write({ puts, deletes: [], expect });
    } catch (error) {
      if (!MlsError.is(error, "STORAGE_CONFLICT")) throw error;
    }
    const found = await inner.get(HEADER_NAME);
    if (found === undefined) throw new StorageError("STORAGE_FAILED", "the store lost its header");
    if (hasSum && found.version === header.version) throw incomplete();
    header = found;
  }
}

/** The header of the store; of processes that create a store at the same time, one succeeds. */
async function headerOf(
  inner: Storage,
  storeKey: CryptoKey,
  hasReadableKeys: boolean,
): Promise<StoredRecord> {
  const found = await inner.get(HEADER_NAME);
  if (found !== undefined) return found;
  if ((await inner.list("")).length > 0) {
    throw new StorageError("STORAGE_FAILED", "the store holds records that are not encrypted");
  }
  const value = await createHeader(storeKey, hasReadableKeys);
  try {
    await inner.write({
      puts: [{ key: HEADER_NAME, value }],
      deletes: [],
      expect: [{ key: HEADER_NAME, version: 0 }],
    });
  } catch (error) {
    if (!MlsError.is(error, "STORAGE_CONFLICT")) throw error;
  }
  const created = await inner.get(HEADER_NAME);
  if (created === undefined) throw new StorageError("STORAGE_FAILED", "the store lost its header");
  return created;
}
