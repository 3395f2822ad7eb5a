/** What a case has proved so far: every comparison is counted, and the first wrong one ends it. */
import { equalBytes, toHex } from "../../src/codec/index.ts";

/** The file says one thing and mlskit another. */
export class CheckFailed extends Error {
  /** Which kind of comparison it was, as in the totals. */
  readonly kind: string;

  constructor(kind: string, message: string) {
    super(`${kind}: ${message}`);
    this.kind = kind;
  }
}

/** Sub-checks by kind. */
export class Checks {
  readonly #totals = new Map<string, number>();

  get totals(): ReadonlyMap<string, number> {
    return this.#totals;
  }

  get count(): number {
    let count = 0;
    for (const total of this.#totals.values()) count += total;
    return count;
  }

  bytes(kind: string, actual: Uint8Array, expected: Uint8Array): void {
    this.that(kind, equalBytes(actual, expected), () => {
      return `expected ${excerpt(expected)}, found ${excerpt(actual)}`;
    });
  }

  same(kind: string, actual: number | undefined, expected: number | undefined): void {
    this.that(kind, actual === expected, () => {
      return `expected ${String(expected)}, found ${String(actual)}`;
    });
  }

  that(kind: string, holds: boolean, message: string | (() => string)): void {
    if (!holds) throw new CheckFailed(kind, typeof message === "string" ? message : message());
    this.#totals.set(kind, (this.#totals.get(kind) ?? 0) + 1);
  }
}

/** Adds one table of totals to another. */
export function addTotals(sum: Map<string, number>, totals: ReadonlyMap<string, number>): void {
  for (const [kind, count] of totals) sum.set(kind, (sum.get(kind) ?? 0) + count);
}

function excerpt(bytes: Uint8Array): string {
  const hex = toHex(bytes.subarray(0, 12));
  return bytes.length > 12 ? `${hex}… (${bytes.length} bytes)` : `${hex} (${bytes.length} bytes)`;
}
