/**
 * Moving a client to another store as one sealed blob. P-MP-07, M-STO-14.
 *
 * ```
 * sealed    format u8 | id[16] | nonce[12] | AES-256-GCM(key, records), AAD: format and id
 * records   vector of { opaque key<V>; opaque value<V>; }
 * ```
 *
 * The source is retired in the write that seals: its records are replaced by the blob, so that two
 * copies never run, and a crash loses nothing.
 */
import { concat } from "../../codec/bytes.ts";
import {
  type Codec,
  decode,
  encode,
  fromUtf8,
  mapped,
  opaque,
  struct,
  utf8,
  vector,
} from "../../codec/index.ts";
import type { MaybePromise } from "../../crypto/index.ts";
import { StateError, StorageError, UsageError } from "../../errors.ts";
import {
  type Bytes,
  importStoreKey,
  NONCE_SIZE,
  randomBytes,
} from "../../storage/encrypted-keys.ts";
import type { Storage } from "../../storage/storage.ts";
import { META_KEY, MOVED_KEY, TARGET_KEY } from "../records/record-keys.ts";
import { clientMoved } from "./not-moved.ts";

export interface ImportRequest {
  /** As {@link exportClient} returned it. */
  readonly sealed: Uint8Array;
  readonly key: Uint8Array | CryptoKey;
  /** Where the client goes; empty. */
  readonly storage: Storage;
  /**
   * Guard against importing twice: asks a place that all devices share whether this move, named by
   * its id, goes to another target already, and notes that it goes to this one. False: it does. An
   * import that was interrupted claims again for the same target, and is to get the same answer.
   *
   * Without it, a store whose rollback guard remembers another one stays suspected: the client may
   * have been there before.
   */
  readonly claim?: ((id: Uint8Array, target: Uint8Array) => MaybePromise<boolean>) | undefined;
}

interface MovedRecord {
  readonly key: string;
  readonly value: Uint8Array;
}

const FORMAT = 1;
const ID_SIZE = 16;
const PREFIX_SIZE = 1 + ID_SIZE;

const movedRecords: Codec<readonly MovedRecord[]> = vector(
  struct<MovedRecord>({ key: mapped(opaque, fromUtf8, utf8), value: opaque }),
);

/**
 * Seals everything the store holds and retires the store in the same write: no client opens it any
 * more, and one that has it open fails with its next operation. Called again, it returns the same
 * blob, so that nothing is lost between this and the import; delete the store afterwards.
 * `key`: 32 bytes, or a CryptoKey for AES-GCM.
 * @throws StateError `SIGNER_NOT_FOUND` if there is no client
 * @throws StorageError `STORAGE_CONFLICT`, `STORAGE_KEY_MISMATCH`
 */
export async function exportClient(
  storage: Storage,
  key: Uint8Array | CryptoKey,
): Promise<Uint8Array> {
  for (;;) {
    const records = (await storage.list("")).filter((record) => record.key !== MOVED_KEY);
    const moved = await storage.get(MOVED_KEY);
    if (moved !== undefined && records.length === 0) return moved.value;
    if (moved === undefined && !records.some((record) => record.key === META_KEY)) {
      throw new StateError("SIGNER_NOT_FOUND", "the store holds no client");
    }
    // What was written while the client was being sealed, a new key package perhaps, moves as well.
    const sealed = moved === undefined ? [] : await unseal(moved.value, key);
    const prefix = moved?.value.slice(0, PREFIX_SIZE) ?? newPrefix();
    // What an earlier build wrote again after it was sealed belongs to no client any more.
    const all = new Map([...records, ...sealed].map((record) => [record.key, record]));
    const value = await seal([...all.values()], key, prefix);
    await storage.write({
      puts: [{ key: MOVED_KEY, value }],
      deletes: records.map((record) => record.key),
      expect: [...records, { key: MOVED_KEY, version: moved?.version ?? 0 }],
    });
    for (const record of [...sealed, ...records]) record.value.fill(0);
  }
}

const newPrefix = (): Uint8Array => concat(Uint8Array.of(FORMAT), randomBytes(ID_SIZE));

async function seal(
  records: readonly MovedRecord[],
  key: Uint8Array | CryptoKey,
  prefix: Uint8Array,
): Promise<Uint8Array> {
  const plaintext = encode(movedRecords, records);
  const iv = randomBytes(NONCE_SIZE);
  const algorithm = { name: "AES-GCM", iv, additionalData: prefix as Bytes };
  const storeKey = await importStoreKey(key);
  const sealed = await crypto.subtle.encrypt(algorithm, storeKey, plaintext as Bytes);
  plaintext.fill(0);
  return concat(prefix, iv, new Uint8Array(sealed));
}

/**
 * Puts a client that was exported into an empty store, where `Client.open` finds it.
 * @throws StateError `CLIENT_MOVED`, UsageError `STORE_NOT_EMPTY`
 * @throws StorageError `STORAGE_KEY_MISMATCH` for a wrong key or a changed blob, `STORAGE_VERSION`
 */
export async function importClient({ sealed, key, storage, claim }: ImportRequest): Promise<void> {
  if ((await storage.list("")).some((record) => record.key !== TARGET_KEY)) {
    throw new UsageError("STORE_NOT_EMPTY", "the target holds records already");
  }
  const records = await unseal(sealed, key);
  if (claim !== undefined) {
    const target = await targetOf(storage);
    if (!(await claim(sealed.slice(1, PREFIX_SIZE), target))) throw clientMoved();
    // Before the client is there: an interruption between the two would freeze it.
    await storage.acceptRollback?.();
  }
  const expect = records.map((record) => ({ key: record.key, version: 0 }));
  await storage.write({ puts: records, deletes: [TARGET_KEY], expect });
  for (const { value } of records) value.fill(0);
}

/** Durable before anything is claimed, so that a claim is never spent on a target that is lost. */
async function targetOf(storage: Storage): Promise<Uint8Array> {
  const found = await storage.get(TARGET_KEY);
  if (found !== undefined) return found.value;
  const value = randomBytes(ID_SIZE);
  const expect = [{ key: TARGET_KEY, version: 0 }];
  await storage.write({ puts: [{ key: TARGET_KEY, value }], deletes: [], expect });
  return value;
}

async function unseal(
  sealed: Uint8Array,
  key: Uint8Array | CryptoKey,
): Promise<readonly MovedRecord[]> {
  if (sealed[0] !== FORMAT) {
    throw new StorageError("STORAGE_VERSION", "the client was exported by a later release", {
      details: { format: sealed[0] },
    });
  }
  const storeKey = await importStoreKey(key);
  const bytes = Uint8Array.from(sealed);
  const iv = bytes.subarray(PREFIX_SIZE, PREFIX_SIZE + NONCE_SIZE);
  const algorithm = { name: "AES-GCM", iv, additionalData: bytes.subarray(0, PREFIX_SIZE) };
  let plaintext: Uint8Array;
  try {
    const ciphertext = bytes.subarray(PREFIX_SIZE + NONCE_SIZE);
    plaintext = new Uint8Array(await crypto.subtle.decrypt(algorithm, storeKey, ciphertext));
  } catch (cause) {
    throw new StorageError("STORAGE_KEY_MISMATCH", "this is not the key of the export", { cause });
  }
  const records = decode(movedRecords, plaintext, "export");
  plaintext.fill(0);
  return records;
}
