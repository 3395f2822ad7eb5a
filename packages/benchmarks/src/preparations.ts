/** How long libraries take to prepare a group: whoever would take too long for a larger one is not asked. */
import { digits } from "./format.ts";

interface Prepared {
  readonly size: number;
  readonly milliseconds: number;
}

export class Preparations {
  readonly #prepared = new Map<string, Prepared[]>();
  /** Sizes at which it did not end in time. */
  readonly #failed = new Map<string, number>();

  add(kind: string, size: number, milliseconds: number): void {
    const known = this.#prepared.get(kind) ?? [];
    known.push({ size, milliseconds });
    this.#prepared.set(kind, known);
  }

  fail(kind: string, size: number): void {
    this.#failed.set(kind, Math.min(size, this.#failed.get(kind) ?? size));
  }

  /** Undefined if it is worth trying. */
  whyNot(kind: string, size: number, patience: number): string | undefined {
    const failed = this.#failed.get(kind);
    if (failed !== undefined && size >= failed) return "a smaller group took too long already";
    const smaller = (this.#prepared.get(kind) ?? []).filter((each) => each.size < size);
    const [large, small] = smaller.sort((a, b) => b.size - a.size);
    if (large === undefined || large.milliseconds < NOISE) return undefined;
    const growth = small === undefined ? 1 : Math.max(1, exponent(small, large));
    const expected = large.milliseconds * (size / large.size) ** growth;
    if (expected <= patience) return undefined;
    const seconds = (milliseconds: number): string => digits(milliseconds / 1000);
    return (
      `preparing a group of ${large.size} took ${seconds(large.milliseconds)} s, ` +
      `and would take about ${seconds(expected)} s here`
    );
  }
}

/** Times below say nothing about larger groups. */
const NOISE = 500;

/** Time grows by this power of the size. */
function exponent(small: Prepared, large: Prepared): number {
  return Math.log(large.milliseconds / small.milliseconds) / Math.log(large.size / small.size);
}
