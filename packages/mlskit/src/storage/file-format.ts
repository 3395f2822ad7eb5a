/**
 * Bytes of the file store: one file of a header and records.
 *
 * ```
 * header   0 "mlskit" 00 01 | 8 salt[16] | 24 checksum[16] | 40 committed sequence u64 | 48 unused
 * record   0 checksum[16] | 16 "MR" | 18 format u8 | 19 kind u8 | 20 key length u16 | 22 unused u16
 *          24 value length u32 | 28 records in the batch u32 | 32 live records after it u32
 *          36 batch nonce u32 | 40 sequence u64 | 48 version u64 | 56 key, value, zeros
 * ```
 *
 * Records start at multiples of {@link GRANULE} and never overlap; everything else is zeros. A
 * record is never changed in place: the next version is written into free space, and the old one is
 * overwritten with zeros once the new one is committed. The checksum covers the salt, which is
 * random and secret, so that nobody can smuggle a record into the body of another one.
 */
import * as crypto from "node:crypto";
import { StorageError } from "../errors.ts";

export const GRANULE = 32;
export const FILE_HEADER_SIZE = 64;
export const SEQUENCE_OFFSET = 40;
export const RECORD_HEADER_SIZE = 56;
export const SALT_SIZE = 16;

const CHECKSUM_SIZE = 16;
const FILE_MAGIC = "mlskit\0";
const FILE_FORMAT = 1;
const RECORD_MAGIC = 0x4d52;
const RECORD_FORMAT = 1;

export const KIND_PUT = 0;
/** Says that a key is gone. Kept until the next batch is committed. */
export const KIND_TOMBSTONE = 1;

/** Who wrote a record: all records of one batch carry the same four values. */
export interface BatchMark {
  readonly sequence: number;
  readonly nonce: number;
  readonly records: number;
  /** Keys present after the batch, to notice records that the disk lost. */
  readonly live: number;
}

/** Where a record lies and what its header says. */
export interface Extent {
  readonly at: number;
  /** Length in the file, a multiple of {@link GRANULE}. */
  readonly length: number;
  readonly kind: number;
  readonly key: string;
  readonly valueLength: number;
  readonly version: number;
  readonly mark: BatchMark;
}

export function recordLength(keyLength: number, valueLength: number): number {
  const used = RECORD_HEADER_SIZE + keyLength + valueLength;
  return Math.ceil(used / GRANULE) * GRANULE;
}

/** Writes a record to the start of `target`, which is as long as the record. */
export function encodeRecord(
  target: Uint8Array,
  record: Pick<Extent, "kind" | "key" | "version" | "mark">,
  value: Uint8Array,
  salt: Uint8Array,
): void {
  const view = viewOf(target);
  const keyLength = record.key.length;
  view.setUint16(16, RECORD_MAGIC);
  view.setUint8(18, RECORD_FORMAT);
  view.setUint8(19, record.kind);
  view.setUint16(20, keyLength);
  view.setUint16(22, 0);
  view.setUint32(24, value.length);
  view.setUint32(28, record.mark.records);
  view.setUint32(32, record.mark.live);
  view.setUint32(36, record.mark.nonce);
  view.setBigUint64(40, BigInt(record.mark.sequence));
  view.setBigUint64(48, BigInt(record.version));
  for (let i = 0; i < keyLength; i++) {
    target[RECORD_HEADER_SIZE + i] = record.key.charCodeAt(i);
  }
  target.set(value, RECORD_HEADER_SIZE + keyLength);
  const used = RECORD_HEADER_SIZE + keyLength + value.length;
  target.fill(0, used);
  target.set(salt, 0);
  const checksum = digest(target.subarray(0, used));
  target.set(checksum, 0);
}

/** Whether a record may start here; cheap, for skipping over zeros. */
export function looksLikeRecord(bytes: Uint8Array, offset: number): boolean {
  return bytes[offset + 16] === RECORD_MAGIC >> 8 && bytes[offset + 17] === (RECORD_MAGIC & 0xff);
}

/**
 * The record at `offset` of `bytes`, which were read from `fileOffset`; undefined if there is no
 * whole and undamaged one. Leaves `bytes` as they were.
 * @throws StorageError `STORAGE_VERSION` for an intact record of a later format
 */
export function decodeRecord(
  bytes: Uint8Array,
  offset: number,
  fileOffset: number,
  salt: Uint8Array,
): Extent | undefined {
  if (offset + RECORD_HEADER_SIZE > bytes.length || !looksLikeRecord(bytes, offset)) {
    return undefined;
  }
  const view = viewOf(bytes);
  const keyLength = view.getUint16(offset + 20);
  const valueLength = view.getUint32(offset + 24);
  const used = RECORD_HEADER_SIZE + keyLength + valueLength;
  if (offset + used > bytes.length) return undefined;
  if (!hasChecksum(bytes.subarray(offset, offset + used), salt)) return undefined;
  const format = view.getUint8(offset + 18);
  if (format !== RECORD_FORMAT) throw unknownFormat(format);
  const keyStart = offset + RECORD_HEADER_SIZE;
  return {
    at: fileOffset + offset,
    length: recordLength(keyLength, valueLength),
    kind: view.getUint8(offset + 19),
    key: String.fromCharCode(...bytes.subarray(keyStart, keyStart + keyLength)),
    valueLength,
    version: Number(view.getBigUint64(offset + 48)),
    mark: {
      sequence: Number(view.getBigUint64(offset + 40)),
      nonce: view.getUint32(offset + 36),
      records: view.getUint32(offset + 28),
      live: view.getUint32(offset + 32),
    },
  };
}

/** Whether the record that lay here still does. */
export function isUnchanged(bytes: Uint8Array, extent: Extent): boolean {
  if (extent.at + extent.length > bytes.length) return false;
  const view = new DataView(bytes.buffer, bytes.byteOffset + extent.at, RECORD_HEADER_SIZE);
  return (
    view.getUint32(36) === extent.mark.nonce &&
    view.getBigUint64(40) === BigInt(extent.mark.sequence) &&
    view.getUint32(24) === extent.valueLength
  );
}

function hasChecksum(record: Uint8Array, salt: Uint8Array): boolean {
  const stored = record.slice(0, CHECKSUM_SIZE);
  record.set(salt, 0);
  const actual = digest(record);
  record.set(stored, 0);
  return stored.every((byte, i) => byte === actual[i]);
}

export function encodeFileHeader(salt: Uint8Array): Uint8Array {
  const header = new Uint8Array(FILE_HEADER_SIZE);
  for (let i = 0; i < FILE_MAGIC.length; i++) header[i] = FILE_MAGIC.charCodeAt(i);
  header[7] = FILE_FORMAT;
  header.set(salt, 8);
  header.set(digest(header.subarray(0, 24)), 24);
  return header;
}

/**
 * The salt of a file.
 * @throws StorageError `STORAGE_FAILED`, `STORAGE_VERSION`
 */
export function decodeFileHeader(header: Uint8Array): Uint8Array {
  for (let i = 0; i < FILE_MAGIC.length; i++) {
    if (header[i] !== FILE_MAGIC.charCodeAt(i)) {
      throw new StorageError("STORAGE_FAILED", "the file is not a store of mlskit");
    }
  }
  if (header[7] !== FILE_FORMAT) throw unknownFormat(header[7] ?? 0);
  const checksum = digest(header.subarray(0, 24));
  if (!checksum.every((byte, i) => byte === header[24 + i])) {
    throw new StorageError("STORAGE_FAILED", "the header of the store is damaged");
  }
  return header.slice(8, 8 + SALT_SIZE);
}

/** The last committed batch, as the header knows it. */
export function readSequence(bytes: Uint8Array): number {
  return Number(viewOf(bytes).getBigUint64(0));
}

export function encodeSequence(sequence: number): Uint8Array {
  const bytes = new Uint8Array(8);
  viewOf(bytes).setBigUint64(0, BigInt(sequence));
  return bytes;
}

function unknownFormat(format: number): StorageError {
  return new StorageError("STORAGE_VERSION", "the store was written by a later release", {
    details: { format },
  });
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function digest(bytes: Uint8Array): Uint8Array {
  return oneShot(bytes).subarray(0, CHECKSUM_SIZE);
}

// crypto.hash costs half of a Hash object for short input, and is missing in Node-like runtimes.
const oneShot: (bytes: Uint8Array) => Uint8Array =
  typeof crypto.hash === "function"
    ? (bytes) => crypto.hash("sha256", bytes, "buffer")
    : (bytes) => crypto.createHash("sha256").update(bytes).digest();
