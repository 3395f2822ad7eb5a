/** Reading and committing on one store file. The caller holds the lock where it says so. */
import * as crypto from "node:crypto";
import { StorageError } from "../errors.ts";
import { failed } from "./batch.ts";
import { type StoreFile, syncDirectory } from "./file-device.ts";
import {
  decodeFileHeader,
  decodeRecord,
  encodeFileHeader,
  encodeRecord,
  encodeSequence,
  type Extent,
  FILE_HEADER_SIZE,
  KIND_PUT,
  KIND_TOMBSTONE,
  readSequence,
  RECORD_HEADER_SIZE,
  recordLength,
  SALT_SIZE,
  SEQUENCE_OFFSET,
} from "./file-format.ts";
import { findLitter, type Image, interpret, scanRecords } from "./file-image.ts";
import { StagedBatch } from "./file-staged.ts";
import type { StoredRecord } from "./storage.ts";

/** The file grows in steps, so that most writes change no metadata and cannot run out of space. */
const GROWTH = 65_536;
/** Left free by batches that make the store larger; and for each record, what deleting it takes. */
const RESERVE = 4096;
/** A deletion takes so much until the next batch; 96 bytes for a record of a group, encrypted. */
const TOMBSTONE = 128;
const READ_ATTEMPTS = 4;

export class FileCore {
  readonly #file: StoreFile;
  readonly #isDurable: boolean;
  readonly #onWrite: ((bytes: number) => void) | undefined;
  readonly #counter: Uint8Array = new Uint8Array(8);
  #salt: Uint8Array = new Uint8Array(0);
  #image: Image | undefined;
  #isCommitting = false;
  #broken: Error | undefined;
  #written = 0;

  constructor(file: StoreFile, isDurable: boolean, onWrite?: (bytes: number) => void) {
    this.#file = file;
    this.#isDurable = isDurable;
    this.#onWrite = onWrite;
  }

  get isBroken(): boolean {
    return this.#broken !== undefined;
  }

  checkUsable(): void {
    if (this.#broken !== undefined) throw this.#broken;
  }

  /** Creates or recovers the file. Needs the lock. */
  async open(directory: string, isInherited: boolean): Promise<void> {
    const header = new Uint8Array(FILE_HEADER_SIZE);
    const length = this.#file.read(header, 0);
    // A file without records whose header never became durable is a creation that was cut short.
    if (this.#file.size() <= FILE_HEADER_SIZE && (length < FILE_HEADER_SIZE || header[0] === 0)) {
      this.#salt = crypto.randomBytes(SALT_SIZE);
      this.#file.write(encodeFileHeader(this.#salt), 0);
      await this.#file.sync();
      syncDirectory(directory);
    } else {
      this.#salt = decodeFileHeader(header);
    }
    await this.#recover(isInherited);
  }

  async close(): Promise<void> {
    this.#image = undefined;
    try {
      // Old values were overwritten after the last flush; let that reach the disk as well.
      if (this.#isDurable && !this.isBroken) await this.#file.sync();
    } catch {
      // Everything acknowledged is durable without it.
    } finally {
      this.#file.close();
    }
  }

  /** The record, or nothing at all if the file changed during the attempts. Needs no lock. */
  tryGet(key: string): { value: StoredRecord | undefined } | undefined {
    return this.#attempt((image) => {
      const extent = image.entries.get(key);
      if (extent === undefined) return { value: undefined };
      const value = this.#read(extent);
      return value === undefined ? undefined : { value };
    });
  }

  /** One consistent state of all chosen records. Needs no lock. */
  tryList(
    choose: (keys: Iterable<string>) => readonly string[],
  ): { value: readonly StoredRecord[] } | undefined {
    return this.#attempt((image) => {
      const value: StoredRecord[] = [];
      for (const key of choose(image.entries.keys())) {
        const extent = image.entries.get(key);
        const record = extent === undefined ? undefined : this.#read(extent);
        if (record === undefined) return undefined;
        value.push(record);
      }
      return { value };
    });
  }

  getLocked(key: string): StoredRecord | undefined {
    return settled(this.tryGet(key)).value;
  }

  listLocked(choose: (keys: Iterable<string>) => readonly string[]): readonly StoredRecord[] {
    return settled(this.tryList(choose)).value;
  }

  /** Brings the image up to date before reads and writes under the lock. */
  async prepare(mustRecover: boolean): Promise<void> {
    if (mustRecover) await this.#mend();
    else if (this.#image === undefined || this.#image.sequence !== this.#published()) this.#load();
  }

  stage(): StagedBatch {
    return new StagedBatch(this.#current().entries);
  }

  /**
   * Writes all of `staged` or nothing. Needs the lock.
   *
   * The new records go into free space; when the flush returns they are committed. Only then are
   * the old ones overwritten. A failure before that point leaves the store as it was; a failure
   * after it is none, since the work is completed before the lock is released, or by who inherits it.
   */
  async commit(staged: StagedBatch): Promise<void> {
    const image = this.#current();
    const changes = staged.changes();
    if (changes.length === 0) return;
    this.#written = 0;
    this.#isCommitting = true;
    const sequence = image.sequence + 1;
    const mark = {
      sequence,
      nonce: crypto.randomBytes(4).readUInt32BE(),
      records: changes.length,
      live: staged.liveAfter(),
    };
    const added: Extent[] = [];
    const size = this.#file.size();
    try {
      for (const { key, version, value } of changes) {
        const valueLength = value?.length ?? 0;
        const length = recordLength(key.length, valueLength);
        const kind = value === undefined ? KIND_TOMBSTONE : KIND_PUT;
        const at = image.space.allocate(length);
        added.push({ at, length, kind, key, valueLength, version, mark });
      }
      this.#grow(image, size, added);
      for (const [i, extent] of added.entries()) {
        const bytes = new Uint8Array(extent.length);
        encodeRecord(bytes, extent, changes[i]?.value ?? NO_BYTES, this.#salt);
        this.#write(bytes, extent.at);
        bytes.fill(0);
      }
      if (this.#isDurable) await this.#file.sync();
    } catch (error) {
      await this.#undo(image, added, size, error);
      this.#isCommitting = false;
      throw error;
    }
    await this.#publish(image, sequence, added);
    this.#isCommitting = false;
    this.#onWrite?.(this.#written);
  }

  async #publish(image: Image, sequence: number, added: readonly Extent[]): Promise<void> {
    const obsolete: Extent[] = [...image.tombstones];
    for (const extent of added) {
      const before = image.entries.get(extent.key);
      if (before !== undefined) obsolete.push(before);
      if (extent.kind === KIND_PUT) image.entries.set(extent.key, extent);
      else image.entries.delete(extent.key);
    }
    image.tombstones = added.filter((extent) => extent.kind === KIND_TOMBSTONE);
    image.sequence = sequence;
    try {
      this.#write(encodeSequence(sequence), SEQUENCE_OFFSET);
      for (const { at, length } of obsolete) {
        this.#erase(at, length);
        image.space.release(at, length);
      }
      this.#shrink(image);
    } catch {
      // Committed all the same.
      await this.#mend().catch(() => undefined);
    }
  }

  /**
   * Makes a failed batch as if it had never been tried, or this store unusable. What a failed flush
   * did not write, no other one does: the zeros and the sequence of the batch before are written again.
   */
  async #undo(image: Image, added: readonly Extent[], size: number, cause: unknown): Promise<void> {
    this.#image = undefined;
    try {
      if (this.#file.size() > size) this.#file.truncate(size);
      for (const { at, length } of [...added, ...image.space.gaps()]) {
        this.#erase(at, Math.min(length, size - at));
      }
      this.#write(encodeSequence(image.sequence), SEQUENCE_OFFSET);
      if (this.#isDurable) await this.#file.sync();
    } catch {
      this.#broken = new StorageError(
        "STORAGE_FAILED",
        "a failed write could not be undone; open the store again",
        { cause },
      );
    }
  }

  /** Makes the file as long as what is allocated, by a large step if the disk allows it. */
  #grow(image: Image, size: number, added: readonly Extent[]): void {
    const { space, entries } = image;
    let [growth, live] = [0, 0];
    for (const { key, kind, length, mark } of added) {
      growth += (kind === KIND_PUT ? length : 0) - (entries.get(key)?.length ?? 0);
      live = mark.live;
    }
    // All others must go through on a full disk: they are the way out, and need room themselves.
    const missing = growth > 0 ? space.missing(reserveFor(live), RESERVE) : 0;
    if (missing > 0) space.extend(Math.max(space.end, size) + Math.max(missing, RESERVE));
    if (space.end <= size) return;
    const end = Math.ceil(Math.max(space.end, size + size / 8) / GROWTH) * GROWTH;
    try {
      this.#erase(size, end - size);
      space.extend(end);
    } catch (error) {
      if (end - space.end < RESERVE) throw error;
      this.#erase(size, space.end - size);
    }
  }

  /** Reads the file while nobody writes or a writer is between two published states. */
  #load(): void {
    const published = this.#published();
    const bytes = this.#readAll();
    const records = scanRecords(bytes, this.#salt, this.#image);
    const image = interpret(records, published, bytes.length, false);
    bytes.fill(0);
    this.#image = image;
  }

  /**
   * Recovers, or makes this store unusable, with which its lock is abandoned: released, it would tell
   * others that they can build on what is there.
   */
  async #mend(): Promise<void> {
    this.#image = undefined;
    try {
      await this.#recover(true);
    } catch (error) {
      this.#broken = failed("a batch could not be completed; open the store again", error);
      throw this.#broken;
    }
  }

  /**
   * Completes or removes what a dead writer left. Needs the lock. `isDoubtful`: the flush of the last
   * batch may have failed, after which memory shows what no other flush brings to the disk.
   */
  async #recover(isDoubtful: boolean): Promise<void> {
    const published = this.#published();
    const bytes = this.#readAll();
    const records = scanRecords(bytes, this.#salt);
    const image = interpret(records, published, bytes.length, true);
    const litter = isDoubtful ? image.space.gaps() : findLitter(bytes, image.space);
    for (const { at, length, mark } of isDoubtful ? records : []) {
      if (mark.sequence === image.sequence) this.#write(bytes.subarray(at, at + length), at);
    }
    bytes.fill(0);
    // What the last batch replaced may be all that the disk has, until the batch is there.
    if (isDoubtful && this.#isDurable) await this.#file.sync();
    for (const { at, length } of litter) this.#erase(at, length);
    if (litter.length > 0 && this.#isDurable) await this.#file.sync();
    if (isDoubtful || image.sequence !== published) {
      this.#write(encodeSequence(image.sequence), SEQUENCE_OFFSET);
    }
    this.#shrink(image);
    this.#image = image;
  }

  /** Gives back a tail that is free and large, for example after big groups were deleted. */
  #shrink(image: Image): void {
    const tail = image.space.gaps().at(-1);
    if (tail === undefined || tail.at + tail.length !== image.space.end) return;
    const end = Math.ceil((tail.at + reserveFor(image.entries.size)) / GROWTH + 1) * GROWTH;
    if (image.space.end - end < Math.max(16 * GROWTH, end)) return;
    this.#file.truncate(end);
    image.space.truncate(end);
  }

  #attempt<T>(read: (image: Image) => T | undefined): T | undefined {
    for (let attempt = 0; attempt < READ_ATTEMPTS; attempt++) {
      const published = this.#published();
      if (this.#image?.sequence !== published) {
        if (this.#isCommitting || !this.#tryLoad()) return undefined;
        if (this.#published() !== published) continue;
      }
      const found = read(this.#current());
      if (found !== undefined) return found;
      if (this.#isCommitting) return undefined;
      this.#image = undefined;
    }
    return undefined;
  }

  /** A writer may move records while the file is read; then it does not add up. */
  #tryLoad(): boolean {
    try {
      this.#load();
      return true;
    } catch (error) {
      if (error instanceof StorageError) return false;
      throw error;
    }
  }

  /** Undefined if another process has replaced the record since the image was made. */
  #read(extent: Extent): StoredRecord | undefined {
    const bytes = new Uint8Array(extent.length);
    if (this.#file.read(bytes, extent.at) < extent.length) return undefined;
    const found = decodeRecord(bytes, 0, extent.at, this.#salt);
    if (found?.key !== extent.key || found.mark.sequence !== extent.mark.sequence) {
      return undefined;
    }
    const start = RECORD_HEADER_SIZE + extent.key.length;
    const value = bytes.slice(start, start + extent.valueLength);
    bytes.fill(0);
    return { key: extent.key, value, version: extent.version };
  }

  #published(): number {
    this.#file.read(this.#counter, SEQUENCE_OFFSET);
    return readSequence(this.#counter);
  }

  #readAll(): Uint8Array {
    // Not a Buffer, whose slice() shares memory; not cleared, since it is about to be filled.
    const bytes = new Uint8Array(Buffer.allocUnsafeSlow(this.#file.size()).buffer);
    const length = this.#file.read(bytes, 0);
    return length === bytes.length ? bytes : bytes.subarray(0, length);
  }

  #erase(at: number, length: number): void {
    for (let done = 0; done < length; done += ZEROS.length) {
      this.#write(ZEROS.subarray(0, Math.min(ZEROS.length, length - done)), at + done);
    }
  }

  #write(bytes: Uint8Array, at: number): void {
    this.#file.write(bytes, at);
    this.#written += bytes.length;
  }

  #current(): Image {
    if (this.#image === undefined) throw new StorageError("STORAGE_FAILED", "the store is closed");
    return this.#image;
  }
}

const reserveFor = (records: number): number => RESERVE + records * TOMBSTONE;

const NO_BYTES: Uint8Array = /* @__PURE__ */ new Uint8Array(0);
const ZEROS: Uint8Array = /* @__PURE__ */ new Uint8Array(GROWTH);

/** Under the lock the file stands still, so an attempt that fails there means damage. */
function settled<T>(found: T | undefined): T {
  if (found !== undefined) return found;
  throw new StorageError("STORAGE_FAILED", "a record of the store is damaged");
}
