/** What mlskit is to reach, and whether it does: ratios of medians in one run. */
import type { TreeState } from "./protocol.ts";
import { BOTH, type Ratio, type Ratios, Rows } from "./reach-rows.ts";
import { LIMIT, type Results } from "./results.ts";

export interface Reached extends Ratios {
  readonly against: string;
  readonly what: string;
  readonly target: string;
}

/** One entry for each line of the table. */
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

/** Its bindings offer no Commit but one that adds what was proposed, without path and tree. */
function againstWasm(rows: Rows): Reached[] {
  const against = "OpenMLS-WASM";
  const over = (what: string, operation: string, target: number): Reached =>
    line(against, what, `≤ ${target}`, rows.over({ against, operation, target, suites: [3] }));
  return [
    over("propose to add one and commit", "addBare", 0.5),
    over("process both", "processAddBare", 0.5),
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
    const { measured, missing } = rows.over({ against, operation, trees, target: 1 });
    const allowing = measured.map((ratio) => {
      return { ...ratio, target: Math.max(1, 1.1 * (ratio.primitives ?? 0)) };
    });
    return line(against, what, allowed, { measured: allowing, missing });
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
  const providers: readonly (readonly [name: string, suites: readonly number[]])[] = [
    ["OpenMLS RustCrypto", [1, 2]],
    ["OpenMLS libcrux", [1]],
  ];
  return providers.flatMap(([against, suites]) => {
    const over = (
      what: string,
      operation: string,
      trees: readonly TreeState[],
      target: number,
    ): Reached => {
      const ratios = rows.over({ against, operation, trees, suites, target, from: 100 });
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
    sizes: readonly [small: number, large: number],
    target: number,
  ): Reached => {
    const what = `${tree} ${operation}, N = ${sizes[1]} against ${sizes[0]}`;
    return line("itself", what, `≤ ${target}`, rows.growth(operation, tree, sizes, target));
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
  const unwritten = [2, 10_000].filter((size) => storage.every(({ members }) => members !== size));
  const pair = storage.find(({ members }) => members === 2);
  const grown = storage
    .filter(({ members }) => members === 10_000 && pair !== undefined)
    .flatMap(({ sent, received }) => [
      { where: "sent", value: sent.median / (pair?.sent.median ?? 1), target: 1.2 },
      { where: "received", value: received.median / (pair?.received.median ?? 1), target: 1.2 },
    ]);
  const idle = large
    .filter(({ size }) => size === 10_000)
    .flatMap(({ join: { client, live, resident } }) => {
      if (client === undefined) return [];
      return [
        { where: "live objects", value: client.live + live, target: 40 },
        { where: "resident set", value: client.resident + resident, target: 40 },
      ];
    });
  const client = bundles
    .slice(0, 1)
    .map(({ name, compressed }) => ({ where: name, value: compressed / 1000, target: 40 }));
  return [
    line("storage", "bytes written per message", "median ≤ 300, never > 2048", {
      measured: written,
      missing: unwritten.map((size) => `N = ${size}`),
    }),
    line(
      "itself",
      "bytes written per message, N = 10000 against 2",
      "≤ 1.2",
      orMissing(grown, "sent", "received"),
    ),
    line(
      "memory",
      "MB above the empty process, 10,000 members, joined and idle",
      "≤ 40",
      orMissing(idle, "live objects", "resident set"),
    ),
    line("bundle", "kB, two-party client, suite 1", "≤ 40", orMissing(client, "suite 1")),
  ];
}

function orMissing(measured: readonly Ratio[], ...expected: readonly string[]): Ratios {
  return { measured, missing: measured.length === 0 ? expected : [] };
}

function line(against: string, what: string, target: string, ratios: Ratios): Reached {
  return { against, what, target, ...ratios };
}
