/** Ratios of medians in one run, and the places where they should be and are not. */
import type { TreeState } from "./protocol.ts";
import { groupsAt, LARGEST_FOR_ALL, type Place, placesOf } from "./plan.ts";
import { LIMIT, limitOf, type Row } from "./results.ts";
import { median } from "./statistics.ts";

export interface Ratio {
  readonly where: string;
  readonly value: number;
  readonly target: number;
  /** What `value` would be if mlskit took no longer than its limit; undefined if it has none. */
  readonly least?: number | undefined;
  /** Of the median with fewer of them; undefined for what is no time. */
  readonly samples?: number | undefined;
}

export interface Ratios<R extends Ratio = Ratio> {
  readonly measured: readonly R[];
  /** What a complete run would have measured. */
  readonly missing: readonly string[];
}

export interface Selection {
  readonly against: string;
  /** All with a limit, if undefined. */
  readonly operation?: string;
  readonly trees?: readonly TreeState[];
  readonly suites?: readonly number[];
  /** Least number of members. */
  readonly from?: number;
  readonly target: number;
}

export interface PrimitiveRatio extends Ratio {
  /** Of the limits of both, where both are known. */
  readonly primitives: number | undefined;
}

export const BOTH: readonly TreeState[] = ["cold", "warm"];
export const SUITES: readonly number[] = [1, 2];

type Key = Place & Pick<Row, "operation" | "library">;

export class Rows {
  readonly #rows: readonly Row[];
  readonly #index = new Map<string, Row>();

  constructor(rows: readonly Row[]) {
    this.#rows = rows;
    for (const row of rows) this.#index.set(keyOf(row), row);
  }

  /** mlskit over another, wherever both were measured. */
  over(selection: Selection): Ratios<PrimitiveRatio> {
    const { against, target } = selection;
    const measured: PrimitiveRatio[] = [];
    for (const row of this.#rows) {
      if (row.library !== "mlskit" || !isSelected(row, selection)) continue;
      const other = { ...row, library: against };
      const where = whereOf(row);
      const ratio = this.#ratio(row, other, where, target);
      if (ratio === undefined) continue;
      const limit = { ...row, library: LIMIT };
      const least = against === LIMIT ? undefined : this.#ratio(limit, other, where, target)?.value;
      measured.push({ ...ratio, least, primitives: this.#primitives(row, against) });
    }
    const found = new Set(measured.map(({ where }) => where));
    const missing = expected(selection).filter((where) => !found.has(where));
    return { measured, missing };
  }

  /** mlskit on a large group over mlskit on a small one. */
  growth(operation: string, tree: TreeState, sizes: readonly number[], target: number): Ratios {
    const [small = 0, large = 0] = sizes;
    const measured: Ratio[] = [];
    const missing: string[] = [];
    for (const suite of SUITES) {
      const place = { suite, tree, operation, library: "mlskit" };
      const where = `suite ${suite}`;
      const [above, below] = [large, small].map((size) => ({ ...place, size })) as [Key, Key];
      const ratio = this.#ratio(above, below, where, target);
      if (ratio === undefined) missing.push(where);
      else measured.push(ratio);
    }
    return { measured, missing };
  }

  /**
   * What the platforms' primitives make of a comparison. Where the calls are the same for groups of
   * any size, so is their ratio, and all sizes together tell it better than one.
   */
  #primitives({ suite, operation, ...at }: Row, library: string): number | undefined {
    const own = this.#index.get(keyOf({ ...at, suite, operation, library: LIMIT }));
    const calls = JSON.stringify(own?.calls);
    if (own === undefined || calls === undefined) return undefined;
    const ratios: number[] = [];
    for (const row of this.#rows) {
      if (row.library !== LIMIT || row.suite !== suite || row.operation !== operation) continue;
      const other = this.#index.get(keyOf({ ...row, library: limitOf(library) }));
      if (other === undefined || JSON.stringify(row.calls) !== calls) continue;
      ratios.push(row.median / other.median);
    }
    return ratios.length === 0 ? undefined : median(ratios);
  }

  #ratio(one: Key, other: Key, where: string, target: number): Ratio | undefined {
    const above = this.#index.get(keyOf(one));
    const below = this.#index.get(keyOf(other));
    if (above === undefined || below === undefined) return undefined;
    const samples = Math.min(above.runs, below.runs);
    return { where, value: above.median / below.median, target, samples };
  }
}

function isSelected(
  { suite, size, tree, operation }: Omit<Key, "library">,
  { operation: wanted, trees = BOTH, suites, from = 2 }: Selection,
): boolean {
  return (
    size >= from &&
    trees.includes(tree) &&
    (suites?.includes(suite) ?? true) &&
    (wanted === undefined || operation === wanted)
  );
}

/** Others are to be measured up to 1,000 members, and beyond if they end in time. */
function expected(selection: Selection): string[] {
  const isOwn = selection.against === LIMIT;
  const wanted = isOwn ? selection : { suites: SUITES, ...selection };
  const found: string[] = [];
  for (const place of placesOf()) {
    if (place.size > LARGEST_FOR_ALL && !isOwn) continue;
    for (const operation of groupsAt(place).flatMap((group) => group.operations)) {
      if (WITHOUT_LIMIT.has(operation) && selection.operation === undefined) continue;
      const key = { ...place, operation };
      if (isSelected(key, wanted)) found.push(whereOf(key));
    }
  }
  return found;
}

const WITHOUT_LIMIT: ReadonlySet<string> = new Set(["store", "load"]);

function keyOf({ suite, size, tree, operation, library }: Key): string {
  return `${suite} ${size} ${tree} ${operation} ${library}`;
}

function whereOf({ suite, size, tree, operation }: Omit<Key, "library">): string {
  return `${operation}, ${tree}, suite ${suite}, N = ${size}`;
}
