/** What mlskit needs from a store: read, list, and one atomic, versioned write. */
import type { MaybePromise } from "../crypto/index.ts";
import type { RollbackState } from "./rollback-guard.ts";

export interface StoredRecord {
  readonly key: string;
  /** Opaque bytes; the caller owns them. */
  readonly value: Uint8Array;
  /** Raised by every put of this key; 1 after the first. */
  readonly version: number;
}

export interface WriteBatch {
  readonly puts: readonly { readonly key: string; readonly value: Uint8Array }[];
  /** Deleting a key that is absent is harmless. */
  readonly deletes: readonly string[];
  /**
   * The batch is applied only if each of these keys has this version now (0: absent). Otherwise
   * nothing is written and the store throws StorageError `STORAGE_CONFLICT`.
   */
  readonly expect: readonly { readonly key: string; readonly version: number }[];
}

/**
 * Keys are printable ASCII, at most 512 characters. "Not found" is `undefined`, never an error.
 * Failures of the medium throw StorageError `STORAGE_FAILED` with the cause; the store then holds
 * what it held before the call. A method may answer synchronously where that is cheap.
 */
export interface Storage {
  get(key: string): MaybePromise<StoredRecord | undefined>;
  /** All records whose key starts with `prefix`, in ascending order of keys. */
  list(prefix: string): MaybePromise<readonly StoredRecord[]>;
  /**
   * All of the batch or nothing, durable when it returns. Two batches never interleave, across
   * processes too. Deleted and replaced values are not recoverable through the medium's files, unless
   * the medium gives nobody that power, as IndexedDB does not.
   */
  write(batch: WriteBatch): MaybePromise<void>;
  /** Whether the store seems to have been set back or exchanged; absent where nobody can tell. P-MP-05. */
  readonly rollback?: RollbackState;
  /** What a suspected rollback asks for has been done, durably. */
  acceptRollback?(): MaybePromise<void>;
  /** Releases files and locks. Later calls throw StorageError `STORAGE_FAILED`. */
  close(): MaybePromise<void>;
}
