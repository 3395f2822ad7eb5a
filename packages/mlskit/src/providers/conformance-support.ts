/** Assertions of the conformance checks. */
import { toHex } from "../codec/bytes.ts";
import { MlsError } from "../errors.ts";

export interface Check {
  readonly name: string;
  run(): Promise<void>;
}

export function expect(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Error(`does not hold: ${what}`);
}

export function expectBytes(actual: Uint8Array, expected: Uint8Array | string, what: string): void {
  const hex = typeof expected === "string" ? expected : toHex(expected);
  if (toHex(actual) !== hex) throw new Error(`${what}: ${hex} expected, ${toHex(actual)} returned`);
}

/** Expects an mlskit error with this code, thrown or as a rejection. */
export async function expectError(code: string, work: () => unknown): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (MlsError.is(error, code)) return;
    throw new Error(`an MlsError ${code} was expected, not this`, { cause: error });
  }
  throw new Error(`an MlsError ${code} was expected, but the call succeeded`);
}

/** A copy with one bit changed; negative positions count from the end. */
export function flip(bytes: Uint8Array, at: number): Uint8Array {
  const copy = bytes.slice();
  const index = at < 0 ? copy.length + at : at;
  copy[index] = (copy[index] ?? 0) ^ 1;
  return copy;
}

/** Bytes 0, 1, 2, …: recognisable and different for each length. */
export function sequence(length: number, start = 0): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (start + i) & 0xff);
}

export const NOTHING: Uint8Array = /* @__PURE__ */ new Uint8Array(0);
