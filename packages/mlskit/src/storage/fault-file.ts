/** A disk in memory for the file store, which tears writes, loses what was not flushed, and fills up. */
import type { StoreFile } from "./file-device.ts";

/** At which changing operation (write, truncate or flush; from 1) what happens. */
export interface DiskFault {
  readonly operation: number;
  /**
   * `before`: the process dies before the operation; `torn`: after half of it; `after`: before it
   * answers. `fail`: the operation fails and has no effect; the process lives. What a flush fails to
   * write counts as written from then on, as on Linux: only a write of the same bytes flushes it.
   */
  readonly kind: "before" | "torn" | "after" | "fail";
}

interface Pending {
  readonly at: number;
  /** Undefined: the file was cut off at `at`. */
  readonly bytes: Uint8Array | undefined;
}

/** What a disk writes whole or not at all. */
const SECTOR = 512;

export class SimulatedDisk {
  fault: DiskFault | undefined;
  /** Bytes the file may have; writing beyond fails with ENOSPC after filling what is left. */
  capacity: number = Number.POSITIVE_INFINITY;
  #operations = 0;
  #generation = 0;
  #hasDied = false;
  /** What processes see. */
  #cached: Uint8Array = new Uint8Array(0);
  /** What is certainly on the disk. */
  #durable: Uint8Array = new Uint8Array(0);
  #pending: Pending[] = [];

  get operations(): number {
    return this.#operations;
  }

  /** Whether the planned death has happened. */
  get hasDied(): boolean {
    return this.#hasDied;
  }

  get bytes(): Uint8Array {
    return this.#cached;
  }

  /** For {@link FileStorageOptions.openFile}. */
  open(): StoreFile {
    const generation = this.#generation;
    const check = (): void => {
      if (generation !== this.#generation) throw new Error("the process is dead");
    };
    return {
      size: () => (check(), this.#cached.length),
      read: (target, position) => {
        check();
        const found = this.#cached.subarray(position, position + target.length);
        target.set(found);
        return found.length;
      },
      write: (bytes, position) => {
        check();
        this.#operate((part) => {
          const room = Math.max(0, this.capacity - position);
          this.#write(bytes.subarray(0, Math.min(part(bytes.length), room)), position);
          if (room < bytes.length) throw noSpace();
        });
      },
      truncate: (size) => {
        check();
        this.#operate((part) => {
          if (part(2) === 2) this.#truncate(size);
        });
      },
      sync: async () => {
        check();
        this.#operate(
          (part) => this.#flush(part(this.#pending.length)),
          () => {
            // The length of a file is not part of its pages.
            this.#pending = this.#pending.filter(({ bytes }) => bytes === undefined);
          },
        );
        await Promise.resolve();
        check();
      },
      close: () => undefined,
    };
  }

  /** The process dies: its handles fail from now on; the page cache stays. */
  kill(): void {
    this.#generation++;
    this.#hasDied = true;
    this.fault = undefined;
  }

  /** Memory is short: what counts as written is read from the disk again. */
  evict(): void {
    this.#flush(this.#pending.length);
    this.#cached = this.#durable.slice();
  }

  /** The machine dies: of every unflushed write only the sectors that `keeps` picks remain. */
  powerCut(keeps: () => boolean): void {
    this.kill();
    let disk = this.#durable;
    for (const { at, bytes } of this.#pending) {
      if (bytes === undefined) {
        if (keeps()) disk = disk.slice(0, at);
        continue;
      }
      for (let start = at; start < at + bytes.length; ) {
        const end = Math.min(at + bytes.length, start - (start % SECTOR) + SECTOR);
        if (keeps()) disk = overlay(disk, bytes.subarray(start - at, end - at), start);
        start = end;
      }
    }
    this.#durable = disk;
    this.#cached = disk.slice();
    this.#pending = [];
  }

  /** Counts, and does all, half or nothing of the operation as planned. */
  #operate(perform: (part: (length: number) => number) => void, fail?: () => void): void {
    const fault = ++this.#operations === this.fault?.operation ? this.fault : undefined;
    if (fault?.kind === "fail") {
      fail?.();
      throw Object.assign(new Error("i/o error"), { code: "EIO" });
    }
    if (fault?.kind === "torn") perform((length) => length >> 1);
    if (fault === undefined || fault.kind === "after") perform((length) => length);
    if (fault === undefined) return;
    this.kill();
    throw new Error("the process is dead");
  }

  #write(bytes: Uint8Array, position: number): void {
    this.#cached = overlay(this.#cached, bytes, position);
    this.#pending.push({ at: position, bytes: bytes.slice() });
  }

  #truncate(size: number): void {
    this.#cached = this.#cached.slice(0, size);
    this.#pending.push({ at: size, bytes: undefined });
  }

  #flush(count: number): void {
    for (const { at, bytes } of this.#pending.splice(0, count)) {
      this.#durable =
        bytes === undefined ? this.#durable.slice(0, at) : overlay(this.#durable, bytes, at);
    }
  }
}

function overlay(base: Uint8Array, bytes: Uint8Array, at: number): Uint8Array {
  if (bytes.length === 0) return base;
  let target = base;
  if (at + bytes.length > base.length) {
    target = new Uint8Array(at + bytes.length);
    target.set(base);
  }
  target.set(bytes, at);
  return target;
}

function noSpace(): Error {
  return Object.assign(new Error("no space left on device"), { code: "ENOSPC" });
}
