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
/** Up to here everybody is to be measured; beyond, who ends in time. */
export const LARGEST_FOR_ALL = 1000;
/** Of suites that are for mlskit, and for who has no choice. */
const OWN_SIZES = SIZES.filter((size) => size <= LARGEST_FOR_ALL);

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
  // A quick run is to see that all of it works: what is fast comes first.
  return places.sort((a, b) => (quick ? a.size - b.size : rank(a) - rank(b)));
}

/**
 * If time is short, what comes late is left out. Growth to 10,000 members is measured on warm trees; the
 * cold ones take longest.
 */
export function rank({ suite, size, tree }: Place): number {
  if (size > LARGEST_FOR_ALL && tree === "cold") return LATE + 1;
  if (suite > 2 && [50, 500].includes(size)) return LATE + 4;
  if (suite > 3) return LATE + 3;
  if (suite === 3) return 3;
  const found = [100, 10, 2, undefined, 1000, 10_000, 50, 500].indexOf(size);
  return found < 0 ? LATE - 1 : found;
}

/** Of what says something about large groups or other libraries, and nothing about what is aimed at. */
export const LATE = 9;

/** The groups of operations that belong to a place, of those named. */
export function groupsAt(
  { suite, tree }: Place,
  names: readonly string[] = GROUPS.map(({ name }) => name),
): readonly OperationGroup[] {
  return GROUPS.filter(({ name, trees, suites }) => {
    return names.includes(name) && trees.includes(tree) && (suites?.includes(suite) ?? true);
  });
}

/**
 * Whether a library's samples are to be enough, however long they take: where mlskit aims at being
 * compared with it.
 */
export function isAimedAt(library: string, group: string): boolean {
  return AIMS.get(library)?.includes(group) ?? false;
}

const AIMS: ReadonlyMap<string, readonly string[]> = new Map([
  // With its limit, which storing has not.
  ["mlskit", GROUPS.map(({ name }) => name).filter((name) => name !== "storage")],
  ["ts-mls", ["add", "join", "commit", "message"]],
  ["OpenMLS-WASM", ["join", "message", "bareAdd"]],
  ["mls-go", ["join", "commit", "message"]],
  ["OpenMLS RustCrypto", ["join", "commit"]],
  ["OpenMLS libcrux", ["join", "commit"]],
]);

/** About how many seconds of a complete run a place takes. */
export function weightOf(place: Place, groups: number): number {
  const [upTo = []] = WEIGHTS.filter(([size = 0]) => place.size <= size);
  const [, cold = 200, warm = 200] = upTo;
  const share = groups / groupsAt(place).length;
  return share * (place.tree === "cold" ? cold : warm) * (place.suite > 2 ? 0.4 : 1);
}

/** Size, cold, warm. */
const WEIGHTS: readonly (readonly number[])[] = [
  [2, 5, 7],
  [10, 7, 9],
  [50, 15, 15],
  [100, 20, 20],
  [500, 58, 45],
  [1000, 92, 70],
  [10_000, 120, 75],
];

export function nameOf({ suite, size, tree }: Place): string {
  return `suite ${suite}, N = ${size}, ${tree}`;
}
