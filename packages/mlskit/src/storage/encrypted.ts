/** Encryption at rest for every store. M-STO-04, P-ENC-01 to P-ENC-05. */
import { MlsError, StorageError } from "../errors.ts";
import { EncryptedStorage, HEADER_NAME } from "./encrypted-storage.ts";
import { createHeader, importStoreKey, openHeader } from "./encrypted-keys.ts";
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
}

/**
 * Opens or creates an encrypted store inside `inner`, which it then owns. Values are encrypted with
 * AES-256-GCM and bound to the store, the record's key and its version; record keys are replaced by
 * HMACs. What `inner` can still see: how many records there are, their sizes, versions and which of
 * them share a path.
 *
 * What whoever writes to `inner` can still do: leave out a record, or put back an old one together with
 * its old version. A rollback guard notices that of the store as a whole, not of one record alone.
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
  const header = await headerOf(inner, storeKey, options.dangerouslyReadableKeys === true);
  const keys = await openHeader(header.value, storeKey);
  const storage = new EncryptedStorage(inner, storeKey, header, keys, options.rollbackGuard);
  await storage.checkRollback();
  return storage;
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
