/**
 * Names and values of an encrypted store. P-ENC-02, P-ENC-03.
 *
 * ```
 * name    "r/" then one token per path segment: HMAC(name key, path up to the segment)[0..12]
 * value   format u8 | generation u8 | nonce[12] | AES-256-GCM(data key, plaintext)
 * plain   key length u16 | key | value                       (readable keys: value alone)
 * aad     store id[16] | version of the record u64 | name
 * ```
 *
 * A token covers the whole path before it, so equal segments in different places look different,
 * while `list` at a segment boundary still is a list of the inner store. Deep paths end in one token
 * for all the rest, which keeps names below the limit for keys.
 */
import { concat, fromUtf8, utf8 } from "../codec/bytes.ts";
import { DecodeError, StorageError } from "../errors.ts";
import { type Bytes, NONCE_SIZE, randomBytes, type StoreKeys, TAG_SIZE } from "./encrypted-keys.ts";
import type { StoredRecord } from "./storage.ts";

const FORMAT = 1;
const HIDDEN = "r/";
const READABLE = "p/";
const TOKEN_SIZE = 12;
/** 20 tokens of 16 characters with separators: 342 characters. */
const MAX_TOKENS = 20;
const MAX_CACHED_TOKENS = 20_000;

/** Turns record keys into names of the inner store. */
export class RecordNames {
  readonly #key: CryptoKey | undefined;
  readonly #tokens: Map<string, string> = new Map();

  constructor(keys: StoreKeys) {
    this.#key = keys.hasReadableKeys ? undefined : keys.nameKey;
  }

  async nameOf(key: string): Promise<string> {
    if (this.#key === undefined) return READABLE + key;
    const tokens: string[] = [];
    for (const path of pathsOf(key)) tokens.push(await this.#token(this.#key, path));
    return HIDDEN + tokens.join("/");
  }

  /** A prefix of the names of all keys that start with `prefix`, and of some others. */
  async prefixOf(prefix: string): Promise<string> {
    if (this.#key === undefined) return READABLE + prefix;
    // The last segment may go on; it, and only it, may stand for the rest of a deep path.
    const complete = pathsOf(prefix).slice(0, -1);
    let name = HIDDEN;
    for (const path of complete) name += `${await this.#token(this.#key, path)}/`;
    return name;
  }

  async #token(key: CryptoKey, path: string): Promise<string> {
    const cached = this.#tokens.get(path);
    if (cached !== undefined) return cached;
    const mac = await crypto.subtle.sign("HMAC", key, utf8(path) as Bytes);
    const token = base64Url(new Uint8Array(mac, 0, TOKEN_SIZE));
    if (this.#tokens.size >= MAX_CACHED_TOKENS) this.#tokens.clear();
    this.#tokens.set(path, token);
    return token;
  }
}

/** "a/b/c" gives "a", "a/b", "a/b/c"; from the 20th on the whole rest is one. */
function pathsOf(key: string): string[] {
  const paths: string[] = [];
  for (let at = key.indexOf("/"); at !== -1; at = key.indexOf("/", at + 1)) {
    if (paths.length === MAX_TOKENS - 1) break;
    paths.push(key.slice(0, at));
  }
  paths.push(key);
  return paths;
}

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

function base64Url(bytes: Uint8Array): string {
  let text = "";
  for (let i = 0; i < bytes.length; i += 3) {
    const bits = ((bytes[i] ?? 0) << 16) | ((bytes[i + 1] ?? 0) << 8) | (bytes[i + 2] ?? 0);
    for (const shift of [18, 12, 6, 0]) text += ALPHABET.charAt((bits >> shift) & 63);
  }
  return text;
}

/** Encrypts a value for the version that its record is going to have. */
export async function sealValue(
  keys: StoreKeys,
  name: string,
  version: number,
  plaintext: Uint8Array,
): Promise<Uint8Array> {
  const dataKey = keys.dataKeys.get(keys.current) as CryptoKey;
  const iv = randomBytes(NONCE_SIZE);
  const algorithm = { name: "AES-GCM", iv, additionalData: bindingOf(keys, name, version) };
  const sealed = await crypto.subtle.encrypt(algorithm, dataKey, plaintext as Bytes);
  return concat(Uint8Array.of(FORMAT, keys.current), iv, new Uint8Array(sealed));
}

/** Generation of the key a value is encrypted under. */
export function generationOf(record: StoredRecord): number {
  if (record.value[0] !== FORMAT) {
    throw new StorageError("STORAGE_VERSION", "the record was written by a later release", {
      details: { format: record.value[0] },
    });
  }
  return record.value[1] ?? 0;
}

/**
 * @throws StorageError `STORAGE_FAILED` if the record was changed, exchanged with another one, or
 * has an older value than its version says
 */
export async function openValue(keys: StoreKeys, record: StoredRecord): Promise<Bytes> {
  const dataKey = keys.dataKeys.get(generationOf(record));
  if (dataKey === undefined || record.value.length < 2 + NONCE_SIZE + TAG_SIZE) throw altered();
  const bytes = record.value as Bytes;
  const iv = bytes.subarray(2, 2 + NONCE_SIZE);
  try {
    const additionalData = bindingOf(keys, record.key, record.version);
    const algorithm = { name: "AES-GCM", iv, additionalData };
    return new Uint8Array(
      await crypto.subtle.decrypt(algorithm, dataKey, bytes.subarray(2 + NONCE_SIZE)),
    );
  } catch (cause) {
    throw altered(cause);
  }
}

/** sto-5: where a value belongs. */
function bindingOf(keys: StoreKeys, name: string, version: number): Bytes {
  const number = new DataView(new ArrayBuffer(8));
  number.setBigUint64(0, BigInt(version));
  return concat(keys.storeId, new Uint8Array(number.buffer), utf8(name)) as Bytes;
}

/** What is encrypted: with hidden keys the key as well, since a name cannot be turned back. */
export function packRecord(keys: StoreKeys, key: string, value: Uint8Array): Uint8Array {
  if (keys.hasReadableKeys) return Uint8Array.from(value);
  return concat(Uint8Array.of(key.length >> 8, key.length & 0xff), utf8(key), value);
}

export function unpackRecord(
  keys: StoreKeys,
  name: string,
  plaintext: Bytes,
): { readonly key: string; readonly value: Uint8Array } {
  if (keys.hasReadableKeys) return { key: name.slice(READABLE.length), value: plaintext };
  const length = ((plaintext[0] ?? 0) << 8) | (plaintext[1] ?? 0);
  const key = fromUtf8(plaintext.subarray(2, 2 + length));
  const value = plaintext.slice(2 + length);
  plaintext.fill(0);
  return { key, value };
}

/** The cause tells that it is the record, and not the medium, that is to blame. */
function altered(cause?: unknown): StorageError {
  const message = "a stored record is not the one that was written";
  return new StorageError("STORAGE_FAILED", message, {
    cause: new DecodeError(message, { cause }),
  });
}
