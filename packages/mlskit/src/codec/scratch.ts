/**
 * Memory for encoding that is used again and again: an encoding gets memory of its own only when its
 * length is known, and never if nobody keeps it. Overwritten after each use, because some of it is
 * secret.
 */
import { Writer } from "./writer.ts";

const CAPACITY = 4096;
/** Holds the tree of thousands; what grew beyond is left to the garbage collector. */
const KEPT_CAPACITY = 2 ** 20;

/** Taken while in use: an encoding within an encoding makes a writer of its own. */
let spare: Writer | undefined;

/** Encodes one value. */
export function encode<T>(codec: { write(writer: Writer, value: T): void }, value: T): Uint8Array {
  const writer = take();
  try {
    codec.write(writer, value);
    return writer.copy();
  } finally {
    giveBack(writer);
  }
}

/** Lends what `write` writes to `use`, which must be done with it when it returns. */
export function lendEncoding<R>(write: (writer: Writer) => void, use: (bytes: Uint8Array) => R): R {
  const writer = take();
  try {
    write(writer);
    return use(writer.written());
  } finally {
    giveBack(writer);
  }
}

function take(): Writer {
  const writer = spare ?? new Writer(CAPACITY);
  spare = undefined;
  return writer;
}

function giveBack(writer: Writer): void {
  writer.clear();
  if (writer.capacity <= KEPT_CAPACITY) spare = writer;
}
