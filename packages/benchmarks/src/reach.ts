/** What mlskit is to reach, and whether it does: ratios of medians in one run. */
import { digits } from "./format.ts";
import { table } from "./markdown.ts";
import type { TreeState } from "./protocol.ts";
import { LIMIT, limitOf, type Results, type Row } from "./results.ts";

export interface Reached {
  readonly against: string;
  readonly what: string;
  readonly target: string;
  /** Every place at which it was measured. */
  readonly measured: readonly Ratio[];
}

interface Ratio {
  readonly where: string;
  readonly value: number;
  readonly target: number;
}

const BOTH = ["cold", "warm"] as const;
const SUITES = [1, 2] as const;

/** One entry for each line of the table; `measured` is empty where the run has no numbers. */
export function reachOf(results: Results): Reached[] {
  const rows = new Rows(results.rows);
  return [
    line(
      LIMIT,
      "every operation, N ≥ 10",
      "≤ 1.3",
      rows.over({ against: LIMIT, target: 1.3, from: 10 }),
    ),
    ...againstTsMls(rows),
    ...againstWasm(rows),
    ...againstMlsGo(rows),
    ...againstOpenMls(rows),
    ...againstItself(rows),
    ...sizes(results),
  ];
}

export function reachTable(reached: readonly Reached[]): string {
  const lines = reached.map(({ against, what, target, measured }) => {
    const worst = [...measured].sort((a, b) => b.value / b.target - a.value / a.target)[0];
    if (worst === undefined) return [against, what, target, "–", "–", "not measured"];
    const met = measured.filter(({ value, target: limit }) => value <= limit).length;
    const verdict = met === measured.length ? "met" : `${met} of ${measured.length} met`;
    return [against, what, target, digits(worst.value), worst.where, verdict];
  });
  return table(["against", "what", "target", "worst", "at", ""], lines, 3);
}

function againstTsMls(rows: Rows): Reached[] {
  const against = "ts-mls";
  const over = (operation: string, trees: readonly TreeState[], target: number): Reached => {
    const what = `${trees.length === 1 ? `${trees[0] ?? ""} ` : ""}${operation}`;
    return line(against, what, `≤ ${target}`, rows.over({ against, operation, trees, target }));
  };
  const join = (suite: number, target: number): Reached =>
    line(
      against,
      `join, N ≥ 50, suite ${suite}`,
      `≤ ${target}`,
      rows.over({ against, operation: "join", suites: [suite], from: 50, target }),
    );
  return [
    over("commit", ["cold"], 0.2),
    over("commit", ["warm"], 0.1),
    over("process", BOTH, 0.1),
    over("send", BOTH, 0.1),
    over("receive", BOTH, 0.3),
    over("add", BOTH, 0.25),
    join(1, 0.4),
    join(2, 0.08),
  ];
}

/** Its bindings offer no Commit but one that adds. */
function againstWasm(rows: Rows): Reached[] {
  const against = "OpenMLS-WASM";
  const over = (what: string, operation: string, target: number): Reached =>
    line(against, what, `≤ ${target}`, rows.over({ against, operation, target, suites: [3] }));
  return [
    over("commit that adds one", "addOne", 0.5),
    over("process it", "processAdd", 0.5),
    over("send", "send", 0.6),
    over("join", "join", 1),
    over("receive", "receive", 1),
  ];
}

/** No slower, or as much as Go's own primitives are faster than Node's, and a tenth. */
function againstMlsGo(rows: Rows): Reached[] {
  const against = "mls-go";
  const allowed = "≤ 1, or ≤ 1.1 × ratio of primitives";
  const byPrimitives = (operation: string, trees: readonly TreeState[]): Reached => {
    const what = `${trees.length === 1 ? "warm " : ""}${operation}`;
    const ratios = rows.over({ against, operation, trees, target: 1 }).map((ratio) => {
      return { ...ratio, target: Math.max(1, 1.1 * (ratio.primitives ?? 0)) };
    });
    return line(against, what, allowed, ratios);
  };
  const cold = (suite: number, target: number): Reached =>
    line(
      against,
      `cold commit, suite ${suite}`,
      `≤ ${target}`,
      rows.over({ against, operation: "commit", trees: ["cold"], suites: [suite], target }),
    );
  return [
    byPrimitives("join", BOTH),
    byPrimitives("process", BOTH),
    byPrimitives("commit", ["warm"]),
    byPrimitives("send", BOTH),
    byPrimitives("receive", BOTH),
    cold(1, 1),
    cold(2, 1.3),
  ];
}

function againstOpenMls(rows: Rows): Reached[] {
  return ["OpenMLS RustCrypto", "OpenMLS libcrux"].flatMap((against) => {
    const over = (
      what: string,
      operation: string,
      trees: readonly TreeState[],
      target: number,
    ): Reached => {
      const ratios = rows.over({ against, operation, trees, target, from: 100 });
      return line(against, `${what}, N ≥ 100`, `≤ ${target}`, ratios);
    };
    return [
      over("process", "process", BOTH, 1),
      over("warm commit", "commit", ["warm"], 1),
      over("join", "join", BOTH, 1.5),
    ];
  });
}

function againstItself(rows: Rows): Reached[] {
  const growth = (
    operation: string,
    tree: TreeState,
    [small, large]: readonly [number, number],
    target: number,
  ): Reached => {
    const what = `${tree} ${operation}, N = ${large} against ${small}`;
    return line("itself", what, `≤ ${target}`, rows.growth(operation, tree, small, large, target));
  };
  return [
    growth("commit", "warm", [100, 10_000], 2.5),
    growth("process", "warm", [100, 10_000], 2.5),
    growth("send", "warm", [2, 10_000], 1.2),
    growth("receive", "warm", [2, 10_000], 1.2),
    growth("add", "cold", [100, 1000], 12),
  ];
}

function sizes({ storage, large, bundles }: Results): Reached[] {
  const written = storage.flatMap(({ members, sent, received, receivedLate }) => [
    { where: `N = ${members}, sent, median`, value: sent.median, target: 300 },
    { where: `N = ${members}, received, median`, value: received.median, target: 300 },
    ...[sent, received, receivedLate].map(({ max }) => ({
      where: `N = ${members}, largest`,
      value: max,
      target: 2048,
    })),
  ]);
  const pair = storage.find(({ members }) => members === 2);
  const grown = storage
    .filter(({ members }) => members === 10_000 && pair !== undefined)
    .flatMap(({ sent, received }) => [
      { where: "sent", value: sent.median / (pair?.sent.median ?? 1), target: 1.2 },
      { where: "received", value: received.median / (pair?.received.median ?? 1), target: 1.2 },
    ]);
  const idle = large
    .filter(({ size }) => size === 10_000)
    .flatMap(({ join }) => [
      { where: "live objects", value: join.live, target: 40 },
      { where: "resident set", value: join.resident, target: 40 },
    ]);
  const client = bundles
    .slice(0, 1)
    .map(({ name, compressed }) => ({ where: name, value: compressed / 1000, target: 40 }));
  return [
    line("storage", "bytes written per message", "median ≤ 300, never > 2048", written),
    line("itself", "bytes written per message, N = 10000 against 2", "≤ 1.2", grown),
    line("memory", "MB, 10,000 members, joined and idle", "≤ 40", idle),
    line("bundle", "kB, two-party client, suite 1", "≤ 40", client),
  ];
}

interface Selection {
  readonly against: string;
  readonly operation?: string;
  readonly trees?: readonly TreeState[];
  readonly suites?: readonly number[];
  /** Least number of members. */
  readonly from?: number;
  readonly target: number;
}

interface PrimitiveRatio extends Ratio {
  /** Of the limits of both, where both are known. */
  readonly primitives: number | undefined;
}

class Rows {
  readonly #rows: readonly Row[];
  readonly #index = new Map<string, Row>();

  constructor(rows: readonly Row[]) {
    this.#rows = rows;
    for (const row of rows) this.#index.set(keyOf(row), row);
  }

  /** mlskit over another, wherever both were measured. */
  over(selection: Selection): PrimitiveRatio[] {
    const { against, operation, trees = BOTH, suites, from = 2, target } = selection;
    const found: PrimitiveRatio[] = [];
    for (const row of this.#rows) {
      if (row.library !== "mlskit" || row.size < from || !trees.includes(row.tree)) continue;
      if (operation !== undefined && row.operation !== operation) continue;
      if (suites !== undefined && !suites.includes(row.suite)) continue;
      const value = this.#ratio(row, row, against);
      if (value === undefined) continue;
      const own = { ...row, library: LIMIT };
      const primitives = this.#ratio(own, own, limitOf(against));
      found.push({ where: placeOf(row), value, target, primitives });
    }
    return found;
  }

  /** mlskit on a large group over mlskit on a small one. */
  growth(
    operation: string,
    tree: TreeState,
    small: number,
    large: number,
    target: number,
  ): Ratio[] {
    return SUITES.flatMap((suite) => {
      const place = { suite, tree, operation, library: "mlskit" };
      const value = this.#ratio({ ...place, size: large }, { ...place, size: small }, "mlskit");
      return value === undefined ? [] : [{ where: `suite ${suite}`, value, target }];
    });
  }

  #ratio(one: Key, other: Key, library: string): number | undefined {
    const [above, below] = [
      this.#index.get(keyOf(one)),
      this.#index.get(keyOf({ ...other, library })),
    ];
    return above === undefined || below === undefined ? undefined : above.median / below.median;
  }
}

type Key = Pick<Row, "suite" | "size" | "tree" | "operation" | "library">;

function keyOf({ suite, size, tree, operation, library }: Key): string {
  return `${suite} ${size} ${tree} ${operation} ${library}`;
}

function placeOf({ suite, size, tree, operation }: Key): string {
  return `${operation}, ${tree}, suite ${suite}, N = ${size}`;
}

function line(against: string, what: string, target: string, measured: readonly Ratio[]): Reached {
  return { against, what, target, measured };
}
