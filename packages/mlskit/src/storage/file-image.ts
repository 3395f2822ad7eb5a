/**
 * What a store file says: which records count, which stretches are free. Nothing here writes.
 *
 * A batch is committed when all its records are on the disk; there is no separate commit record.
 * That is decidable because the records of the latest batch stay untouched until the next one is
 * complete, so at most the newest batch can be incomplete, and only after a crash.
 */
import { StorageError } from "../errors.ts";
import {
  decodeRecord,
  type Extent,
  FILE_HEADER_SIZE,
  GRANULE,
  isUnchanged,
  KIND_PUT,
  KIND_TOMBSTONE,
  looksLikeRecord,
} from "./file-format.ts";
import { FreeSpace } from "./file-space.ts";

export interface Image {
  /** The last committed batch; 0 before the first. */
  sequence: number;
  readonly entries: Map<string, Extent>;
  /** Of the last batch; they go when the next one is committed. */
  tombstones: readonly Extent[];
  readonly space: FreeSpace;
}

/**
 * All intact records of `bytes`, the whole file. Records of `known` that still lie where they did are
 * not checked again: a record never changes in place.
 */
export function scanRecords(bytes: Uint8Array, salt: Uint8Array, known?: Image): Extent[] {
  const knownAt = new Map<number, Extent>();
  if (known !== undefined) {
    for (const extent of known.entries.values()) knownAt.set(extent.at, extent);
  }
  const found: Extent[] = [];
  for (let at = FILE_HEADER_SIZE; at + GRANULE <= bytes.length; ) {
    if (!looksLikeRecord(bytes, at)) {
      at += GRANULE;
      continue;
    }
    const before = knownAt.get(at);
    const record =
      before !== undefined && isUnchanged(bytes, before)
        ? before
        : decodeRecord(bytes, at, 0, salt);
    if (record !== undefined) found.push(record);
    at += record?.length ?? GRANULE;
  }
  return found;
}

/**
 * Interprets the records of a file whose header names `published` as the last committed batch.
 *
 * Batches after it are in flight in another process and are not looked at, unless `isRecovering`:
 * then their writer is dead, and the newest one counts exactly if it is complete.
 * @throws StorageError `STORAGE_FAILED` if committed records are missing
 */
export function interpret(
  records: readonly Extent[],
  published: number,
  fileSize: number,
  isRecovering: boolean,
): Image {
  const groups = new Map<string, Extent[]>();
  for (const record of records) {
    const id = `${record.mark.sequence}/${record.mark.nonce}`;
    const group = groups.get(id);
    if (group === undefined) groups.set(id, [record]);
    else group.push(record);
  }
  let latest: readonly Extent[] = [];
  let sequence = 0;
  for (const group of groups.values()) {
    const mark = group[0]?.mark;
    if (mark === undefined || mark.records !== group.length) continue;
    if (mark.sequence > published && !isRecovering) continue;
    if (mark.sequence <= sequence) continue;
    sequence = mark.sequence;
    latest = group;
  }
  if (sequence < published) throw damaged();
  const nonce = latest[0]?.mark.nonce;

  const newest = new Map<string, Extent>();
  for (const record of records) {
    const { mark } = record;
    if (mark.sequence > sequence || (mark.sequence === sequence && mark.nonce !== nonce)) continue;
    const other = newest.get(record.key);
    if (other === undefined || other.mark.sequence < mark.sequence) newest.set(record.key, record);
  }
  const entries = new Map<string, Extent>();
  for (const [key, record] of newest) if (record.kind === KIND_PUT) entries.set(key, record);
  if (entries.size !== (latest[0]?.mark.live ?? 0)) throw damaged();

  const tombstones = latest.filter((record) => record.kind === KIND_TOMBSTONE);
  const space = new FreeSpace(FILE_HEADER_SIZE, fileSize, [...entries.values(), ...tombstones]);
  return { sequence, entries, tombstones, space };
}

/** Parts of free stretches that are not zero: what a crash left of old and unfinished records. */
export function findLitter(
  bytes: Uint8Array,
  space: FreeSpace,
): readonly { readonly at: number; readonly length: number }[] {
  const litter: { at: number; length: number }[] = [];
  // Gaps start and end at multiples of the granule.
  const words = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length >> 2);
  for (const gap of space.gaps()) {
    const end = Math.min(gap.at + gap.length, bytes.length);
    for (let at = gap.at; at < end; at += LITTER_STEP) {
      const length = Math.min(LITTER_STEP, end - at);
      const last = litter.at(-1);
      if (isZero(words, at >> 2, Math.ceil((at + length) / 4))) continue;
      if (last !== undefined && last.at + last.length === at) last.length += length;
      else litter.push({ at, length });
    }
  }
  return litter;
}

const LITTER_STEP = 4096;

function isZero(words: Int32Array, start: number, end: number): boolean {
  for (let i = start; i < end; i++) if (words[i] !== 0) return false;
  return true;
}

function damaged(): StorageError {
  return new StorageError(
    "STORAGE_FAILED",
    "committed records of the store are missing or damaged",
  );
}
