/** The few file operations the file store performs, so that tests can stand between it and a disk. */
import fs from "node:fs";

/** One open file. Reads and writes go to the page cache and answer at once; `sync` waits for the disk. */
export interface StoreFile {
  size(): number;
  /** Fills `target` from `position`; returns how many bytes there were before the end. */
  read(target: Uint8Array, position: number): number;
  /** Writes all of `bytes` or throws. */
  write(bytes: Uint8Array, position: number): void;
  truncate(size: number): void;
  sync(): Promise<void>;
  close(): void;
}

/** Opens or creates a file that only its owner can read. */
export function openNodeFile(path: string): StoreFile {
  const fd = fs.openSync(path, fs.constants.O_RDWR | fs.constants.O_CREAT, 0o600);
  try {
    if ((fs.fstatSync(fd).mode & 0o077) !== 0) fs.fchmodSync(fd, 0o600);
  } catch (error) {
    fs.closeSync(fd);
    throw error;
  }
  return new NodeFile(fd);
}

class NodeFile implements StoreFile {
  readonly #fd: number;

  constructor(fd: number) {
    this.#fd = fd;
  }

  size(): number {
    return fs.fstatSync(this.#fd).size;
  }

  read(target: Uint8Array, position: number): number {
    let done = 0;
    while (done < target.length) {
      const count = fs.readSync(this.#fd, target, done, target.length - done, position + done);
      if (count === 0) break;
      done += count;
    }
    return done;
  }

  write(bytes: Uint8Array, position: number): void {
    let done = 0;
    while (done < bytes.length) {
      done += fs.writeSync(this.#fd, bytes, done, bytes.length - done, position + done);
    }
  }

  truncate(size: number): void {
    fs.ftruncateSync(this.#fd, size);
  }

  sync(): Promise<void> {
    return new Promise((resolve, reject) => {
      fs.fdatasync(this.#fd, (error) => {
        if (error === null) resolve();
        else reject(error);
      });
    });
  }

  close(): void {
    fs.closeSync(this.#fd);
  }
}

/**
 * Creates the directory for its owner alone. One that exists already is made private if it is empty
 * or holds a store; any other directory belongs to somebody else and is left as it is.
 */
export function preparePrivateDirectory(directory: string, storeFile: string): void {
  const created = fs.mkdirSync(directory, { recursive: true, mode: 0o700 });
  if (created !== undefined) return;
  if ((fs.statSync(directory).mode & 0o077) === 0) return;
  const entries = fs.readdirSync(directory);
  if (entries.length === 0 || entries.includes(storeFile)) fs.chmodSync(directory, 0o700);
}

/** Makes the names in a directory durable. Not every platform can open a directory; those need not. */
export function syncDirectory(directory: string): void {
  let fd: number;
  try {
    fd = fs.openSync(directory, "r");
  } catch {
    return;
  }
  try {
    fs.fsyncSync(fd);
  } catch {
    // Windows refuses to flush a directory and orders its metadata by itself.
  } finally {
    fs.closeSync(fd);
  }
}
