/**
 * Keys of an encrypted store and the header record that keeps them.
 *
 * ```
 * header    format u8 | flags u8 | store id[16] | current generation u8 | wrapped keys...
 * wrapped   generation u8 | nonce[12] | AES-256-GCM(application key, name key[32] data key[32])
 * ```
 *
 * Records are encrypted under random data keys that never leave this process in the clear. The
 * application's key wraps them, and is needed for nothing else: it can be a CryptoKey that nobody can
 * export, and a header that does not open tells a wrong key from damaged records. P-ENC-01.
 */
import { StorageError, UsageError } from "../errors.ts";
import { concat } from "../codec/bytes.ts";
import { failed } from "./batch.ts";

/** WebCrypto takes no views of shared memory. */
export type Bytes = Uint8Array<ArrayBuffer>;

export interface StoreKeys {
  readonly storeId: Bytes;
  readonly hasReadableKeys: boolean;
  readonly nameKey: CryptoKey;
  /** Of the sum of all records; a store of the first format has none yet. */
  readonly sumKey: Uint8Array;
  readonly hasSum: boolean;
  /** Generation under which new values are written. */
  readonly current: number;
  /** One key, or two while records are being rewritten under the current one. */
  readonly dataKeys: ReadonlyMap<number, CryptoKey>;
}

/** The first format had no sum of all records. */
const FORMATS: readonly number[] = [1, 2];
const FORMAT = 2;
const SUM_LABEL: Bytes = /* @__PURE__ */ Uint8Array.of(0xff, 0x73, 0x75, 0x6d);
const FLAG_READABLE_KEYS = 1;
const STORE_ID_SIZE = 16;
export const NONCE_SIZE = 12;
export const TAG_SIZE = 16;
const KEY_SIZE = 32;
const PREFIX_SIZE = 2 + STORE_ID_SIZE;
const WRAPPED_SIZE = 1 + NONCE_SIZE + 2 * KEY_SIZE + TAG_SIZE;

/**
 * The application's key, ready for use.
 * @throws UsageError `INVALID_LENGTH`
 */
export async function importStoreKey(key: Uint8Array | CryptoKey): Promise<CryptoKey> {
  if (key instanceof Uint8Array) {
    if (key.length !== KEY_SIZE) throw unusableKey();
    return importAesKey(Uint8Array.from(key));
  }
  const { name, length } = key.algorithm as AesKeyAlgorithm;
  const isUsable = key.usages.includes("encrypt") && key.usages.includes("decrypt");
  if (name !== "AES-GCM" || length !== 8 * KEY_SIZE || !isUsable) throw unusableKey();
  return key;
}

function unusableKey(): UsageError {
  return new UsageError(
    "INVALID_LENGTH",
    "the key of a store is 32 bytes, or a CryptoKey for encryption with AES-GCM and 256 bits",
  );
}

export function randomBytes(length: number): Bytes {
  return crypto.getRandomValues(new Uint8Array(length));
}

interface Header {
  /** Format, flags and store id: what the wrapping authenticates. */
  readonly prefix: Bytes;
  readonly current: number;
  /** Nonce and ciphertext by generation. */
  readonly wrapped: ReadonlyMap<number, Bytes>;
}

function parseHeader(bytes: Uint8Array): Header {
  if (bytes.length > 0 && !FORMATS.includes(bytes[0] ?? 0)) {
    throw new StorageError("STORAGE_VERSION", "the store was written by a later release", {
      details: { format: bytes[0] },
    });
  }
  const header = Uint8Array.from(bytes);
  const count = (header.length - PREFIX_SIZE - 1) / WRAPPED_SIZE;
  if (count !== 1 && count !== 2) throw damaged();
  const wrapped = new Map<number, Bytes>();
  for (let at = PREFIX_SIZE + 1; at < header.length; at += WRAPPED_SIZE) {
    wrapped.set(header[at] ?? 0, header.slice(at + 1, at + WRAPPED_SIZE));
  }
  const current = header[PREFIX_SIZE] ?? 0;
  if (!wrapped.has(current)) throw damaged();
  return { prefix: header.slice(0, PREFIX_SIZE), current, wrapped };
}

function formatHeader(prefix: Bytes, current: number, wrapped: ReadonlyMap<number, Bytes>): Bytes {
  const parts: Uint8Array[] = [prefix, Uint8Array.of(current)];
  for (const [generation, bytes] of wrapped) parts.push(Uint8Array.of(generation), bytes);
  return concat(...parts) as Bytes;
}

/** Header of a new store. */
export async function createHeader(key: CryptoKey, hasReadableKeys: boolean): Promise<Bytes> {
  const flags = hasReadableKeys ? FLAG_READABLE_KEYS : 0;
  const prefix = concat(Uint8Array.of(FORMAT, flags), randomBytes(STORE_ID_SIZE)) as Bytes;
  const secrets = randomBytes(2 * KEY_SIZE);
  const wrapped = await wrap(key, prefix, 0, secrets);
  secrets.fill(0);
  return formatHeader(prefix, 0, new Map([[0, wrapped]]));
}

/** Header with one more data key, which becomes the current one; all are wrapped under `newKey`. */
export async function addDataKey(
  header: Uint8Array,
  key: CryptoKey,
  newKey: CryptoKey,
): Promise<Bytes> {
  const { prefix, current, wrapped } = parseHeader(header);
  const next = (current + 1) & 0xff;
  const secrets = await unwrap(key, prefix, current, wrapped);
  const old = await wrap(newKey, prefix, current, secrets);
  secrets.set(randomBytes(KEY_SIZE), KEY_SIZE);
  const added = await wrap(newKey, prefix, next, secrets);
  secrets.fill(0);
  return formatHeader(
    prefix,
    next,
    new Map([
      [current, old],
      [next, added],
    ]),
  );
}

/** The same in the present format. */
export async function upgradeHeader(header: Uint8Array, key: CryptoKey): Promise<Bytes> {
  const { prefix: before, current, wrapped } = parseHeader(header);
  const prefix = Uint8Array.of(FORMAT, ...before.subarray(1));
  const again = new Map<number, Bytes>();
  for (const generation of wrapped.keys()) {
    const secrets = await unwrap(key, before, generation, wrapped);
    again.set(generation, await wrap(key, prefix, generation, secrets));
    secrets.fill(0);
  }
  return formatHeader(prefix, current, again);
}

/** Header with the current data key alone. */
export function dropOldDataKeys(header: Uint8Array): Bytes {
  const { prefix, current, wrapped } = parseHeader(header);
  const kept = [...wrapped].filter(([generation]) => generation === current);
  return formatHeader(prefix, current, new Map(kept));
}

/**
 * The keys in a header.
 * @throws StorageError `STORAGE_KEY_MISMATCH`, `STORAGE_VERSION`, `STORAGE_FAILED`
 */
export async function openHeader(header: Uint8Array, key: CryptoKey): Promise<StoreKeys> {
  const { prefix, current, wrapped } = parseHeader(header);
  const dataKeys = new Map<number, CryptoKey>();
  let nameKey: CryptoKey | undefined;
  for (const generation of wrapped.keys()) {
    const secrets = await unwrap(key, prefix, generation, wrapped);
    nameKey ??= await importNameKey(secrets.slice(0, KEY_SIZE));
    dataKeys.set(generation, await importAesKey(secrets.slice(KEY_SIZE)));
    secrets.fill(0);
  }
  if (nameKey === undefined) throw damaged();
  const hasReadableKeys = ((prefix[1] ?? 0) & FLAG_READABLE_KEYS) !== 0;
  const sumKey = new Uint8Array(await crypto.subtle.sign("HMAC", nameKey, SUM_LABEL));
  const hasSum = prefix[0] === FORMAT;
  return { storeId: prefix.slice(2), hasReadableKeys, nameKey, sumKey, hasSum, current, dataKeys };
}

async function wrap(
  key: CryptoKey,
  prefix: Bytes,
  generation: number,
  secrets: Bytes,
): Promise<Bytes> {
  const iv = randomBytes(NONCE_SIZE);
  const additionalData = concat(prefix, Uint8Array.of(generation)) as Bytes;
  try {
    const algorithm = { name: "AES-GCM", iv, additionalData };
    const sealed = await crypto.subtle.encrypt(algorithm, key, secrets);
    return concat(iv, new Uint8Array(sealed)) as Bytes;
  } catch (error) {
    throw failed("the keys of the store cannot be wrapped", error);
  }
}

async function unwrap(
  key: CryptoKey,
  prefix: Bytes,
  generation: number,
  wrapped: ReadonlyMap<number, Bytes>,
): Promise<Bytes> {
  const bytes = wrapped.get(generation) ?? new Uint8Array(0);
  const iv = bytes.subarray(0, NONCE_SIZE);
  const additionalData = concat(prefix, Uint8Array.of(generation)) as Bytes;
  try {
    const algorithm = { name: "AES-GCM", iv, additionalData };
    return new Uint8Array(await crypto.subtle.decrypt(algorithm, key, bytes.subarray(NONCE_SIZE)));
  } catch (cause) {
    throw new StorageError("STORAGE_KEY_MISMATCH", "this is not the key of the store", { cause });
  }
}

/** Takes over the bytes and wipes them. */
async function importAesKey(bytes: Bytes): Promise<CryptoKey> {
  try {
    return await crypto.subtle.importKey("raw", bytes, "AES-GCM", false, ["encrypt", "decrypt"]);
  } finally {
    bytes.fill(0);
  }
}

/** Takes over the bytes and wipes them. */
async function importNameKey(bytes: Bytes): Promise<CryptoKey> {
  try {
    const algorithm = { name: "HMAC", hash: "SHA-256" };
    return await crypto.subtle.importKey("raw", bytes, algorithm, false, ["sign"]);
  } finally {
    bytes.fill(0);
  }
}

function damaged(): StorageError {
  return new StorageError("STORAGE_FAILED", "the header of the encrypted store is damaged");
}
