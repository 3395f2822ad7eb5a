/** What a run measures, in the order in which it does: first what mlskit aims at, then all else. */
import { GROUPS, type OperationGroup } from "./groups.ts";
import type { TreeState } from "./protocol.ts";

/** Where measurements take place: everything that tables are made by. */
export interface Place {
  readonly suite: number;
  readonly size: number;
  readonly tree: TreeState;
}

const SIZES = [2, 10, 50, 100, 500, 1000, 10_000];
/** Of suites that are not compared on all sizes. */
const OWN_SIZES = [2, 10, 100, 1000];
/** Up to here everybody is to be measured; beyond, who ends in time. */
export const LARGEST_FOR_ALL = 1000;

export interface PlanOptions {
  readonly suites?: readonly number[] | undefined;
  readonly sizes?: readonly number[] | undefined;
  readonly quick?: boolean;
}

export function placesOf({ suites, sizes, quick = false }: PlanOptions = {}): Place[] {
  const places: Place[] = [];
  for (const suite of suites ?? (quick ? [1, 2] : [1, 2, 3, 7])) {
    const isOwn = suites === undefined && suite > 2;
    for (const size of sizes ?? (quick ? [2, 10, 100] : isOwn ? OWN_SIZES : SIZES)) {
      for (const tree of ["cold", "warm"] as const) places.push({ suite, size, tree });
    }
  }
  return places.sort((a, b) => rank(a) - rank(b));
}

/** If time is short, what comes late is left out. */
function rank({ suite, size, tree }: Place): number {
  const isLarge = size > LARGEST_FOR_ALL;
  // A cold group of 10,000 takes longest, and no growth is measured by it.
  if (isLarge && tree === "cold") return 9;
  if (suite > 3) return 10;
  if (suite === 3) return 8;
  const order = [100, 1000, 10_000, 500, 10, 50, 2];
  const found = order.indexOf(size);
  return found < 0 ? order.length : found;
}

/** The groups of operations that belong to a place, of those named. */
export function groupsAt(
  { suite, tree }: Place,
  names: readonly string[] = GROUPS.map(({ name }) => name),
): readonly OperationGroup[] {
  return GROUPS.filter(({ name, trees, suites }) => {
    return names.includes(name) && trees.includes(tree) && (suites?.includes(suite) ?? true);
  });
}

/** About how long a place takes, compared with others. */
export function weightOf({ suite, size, tree }: Place, groups: number): number {
  const bySize = WEIGHTS.find(([upTo]) => size <= upTo)?.[1] ?? 10;
  return groups * bySize * (tree === "cold" ? 2.5 : 1) * (suite > 2 ? 0.5 : 1);
}

const WEIGHTS: readonly (readonly [upTo: number, weight: number])[] = [
  [10, 1],
  [50, 1.5],
  [100, 2],
  [500, 4],
  [1000, 7],
  [10_000, 6],
];

export function nameOf({ suite, size, tree }: Place): string {
  return `suite ${suite}, N = ${size}, ${tree}`;
}
