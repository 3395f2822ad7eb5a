/** What is said to be reached, from results that are made up. */
import { expect, test } from "vitest";
import { PEER_NAMES } from "../src/peers.ts";
import { COLOURS } from "../src/plot.ts";
import { type Reached, reachOf } from "../src/reach.ts";
import { missingList, reachTable } from "../src/reach-table.ts";
import { documentOf, readmePart } from "../src/report.ts";
import { LIMIT, limitOf, OVER, type Results, type Row } from "../src/results.ts";
import { markdownOf, tablesOf } from "../src/tables.ts";

const row = (library: string, size: number, median: number, changes: Partial<Row> = {}): Row => ({
  suite: 1,
  size,
  tree: "warm",
  operation: "send",
  library,
  median,
  p95: median,
  minimum: median,
  runs: 9,
  rounds: [median],
  ...changes,
});

const reached = (
  rows: readonly Row[],
  against: string,
  what: string,
  large: readonly unknown[] = [],
): Reached => {
  const results = { rows, storage: [], large, bundles: [] } as unknown as Results;
  const found = reachOf(results).find((each) => each.against === against && each.what === what);
  if (found === undefined) throw new Error(`no line for ${against}, ${what}`);
  return found;
};

test("places that a complete run has are missed, and medians of few samples are marked", () => {
  const rows = [row("mlskit", 2, 1), row("ts-mls", 2, 20), row("mlskit", 10, 3)];
  const line = reached([...rows, row("ts-mls", 10, 20, { runs: 2 })], "ts-mls", "send");
  // Two suites, six sizes up to 1,000, of which two in one suite are there.
  expect(line.missing).toHaveLength(10);
  expect(line.missing).toContain("send, warm, suite 2, N = 1000");
  expect(line.missing).not.toContain("send, warm, suite 1, N = 10000");
  const table = reachTable([line]);
  expect(table).toContain("| 0.15 | 0.10 | 2 | send, warm, suite 1, N = 10 |");
  expect(table).toContain("| 1 of 12; 10 not measured; 1 by fewer than 9 samples |");
  expect(missingList([line])).toContain("send, warm, suite 1, N = 50; ");
});

test("places that cryptography alone makes miss the target are counted", () => {
  const place = (size: number, own: number, limit: number): Row[] => [
    row("mlskit", size, own),
    row(LIMIT, size, limit),
    row("ts-mls", size, 8),
  ];
  // Met with less than the limit, as noise may have it; missed for two reasons.
  const rows = [...place(2, 0.5, 1), ...place(10, 2, 1.5), ...place(50, 2, 0.5)];
  const line = reached(rows, "ts-mls", "send");
  expect(line.measured.map(({ least }) => least)).toEqual([0.125, 0.1875, 0.0625]);
  expect(reachTable([line])).toContain("| 1 of 12; 1 missed by the limit alone; 9 not measured |");
  const [own] = reached(rows, LIMIT, "every operation, N ≥ 10").measured;
  expect(own?.least).toBeUndefined();
});

test("for itself, 10,000 members are part of a complete run", () => {
  const { missing } = reached([], LIMIT, "every operation, N ≥ 10");
  expect(missing).toContain("send, warm, suite 2, N = 10000");
  expect(missing).not.toContain("send, warm, suite 1, N = 2");
  expect(missing.some((where) => /store|load/.test(where))).toBe(false);
  const growth = reached([], "itself", "warm commit, N = 10000 against 100");
  expect(growth.missing).toEqual(["suite 1", "suite 2"]);
  expect(missingList([growth])).toBe("- itself, warm commit, N = 10000 against 100: everything");
});

test("memory counts from the empty process on, the library included", () => {
  const what = "MB above the empty process, 10,000 members, joined and idle";
  const group = { live: 20, resident: 30 };
  const joined = (join: object): Reached => reached([], "memory", what, [{ size: 10_000, join }]);
  const { measured } = joined({ ...group, client: { live: 5, resident: 15 } });
  expect(measured.map(({ value, target }) => [value, target])).toEqual([
    [25, 40],
    [45, 40],
  ]);
  expect(joined(group).missing).toHaveLength(2);
});

test("a median of few samples is marked wherever it is shown", () => {
  const rows = [row("mlskit", 100, 1), row("ts-mls", 100, 2, { runs: 8 })];
  const libraries = ["mlskit", "ts-mls"].map((name) => ({ name, version: "1", runtime: "" }));
  const results = { machine: {}, rows, libraries } as unknown as Results;
  const [table] = tablesOf(results);
  if (table === undefined) throw new Error("there is no table");
  expect(markdownOf(table)).toContain("| 1.00 µs (1.00 µs; 9) | – | – | 2.00 µs (2.00 µs; 8) † |");
  const part = readmePart(results);
  expect(part).toContain("| send 1 KiB | 1.00 µs | 2.00 µs † |");
  expect(part).toContain("† median of fewer than 9 samples.");
});

test("primitives are compared over all sizes where the calls are the same, else size by size", () => {
  const ratios = [2, 3, 10];
  const rowsOf = (calls: (size: number) => Row["calls"]): Row[] =>
    [2, 10, 50].flatMap((size, i) => [
      row("mlskit", size, 30),
      row("mls-go", size, 10),
      row(LIMIT, size, (ratios[i] ?? 0) * 5, { calls: calls(size) }),
      row(limitOf("mls-go"), size, 5),
    ]);
  const targets = (rows: readonly Row[]): number[] =>
    reached(rows, "mls-go", "send").measured.map(({ target }) => Math.round(target * 10) / 10);
  expect(targets(rowsOf(() => ({ sign: 1 })))).toEqual([3.3, 3.3, 3.3]);
  expect(targets(rowsOf((size) => ({ sign: size })))).toEqual([2.2, 3.3, 11]);
});

test("each Node has a section, and plots are made from the most complete run", () => {
  const results = (node: string, sizes: readonly number[], why: string): Results => {
    const machine = { node, openssl: "3", cpu: "cpu", cores: 2, memoryGiB: 1, system: "linux" };
    const rows = sizes.map((size) => row("mlskit", size, size));
    const libraries = [{ name: "mlskit", version: "1", runtime: node }];
    const rest = { skipped: [{ what: "a place", why }], scenarios: [], storage: [], large: [] };
    return { machine, rows, libraries, ...rest, bundles: [] } as unknown as Results;
  };
  const document = documentOf([
    results("26.1.0", [2, 10], OVER),
    results("20.1.0", [2, 10, 50], ""),
  ]);
  const [, newest = "", older = ""] = document.split("## Node ");
  expect([newest.slice(0, 6), older.slice(0, 6)]).toEqual(["26.1.0", "20.1.0"]);
  expect(newest).toContain("**Incomplete**");
  expect(older).not.toContain("**Incomplete**");
  expect(newest).not.toContain("![send");
  expect(older).toContain("![send");
});

test("every line of a plot has a colour of its own", () => {
  expect(new Set(COLOURS).size).toBe(COLOURS.length);
  // mlskit, its limit and that of mls-go.
  expect(COLOURS.length).toBeGreaterThanOrEqual(PEER_NAMES.length + 3);
});
