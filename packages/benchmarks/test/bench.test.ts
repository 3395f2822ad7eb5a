/** The benchmark as a program: what it measures and writes down, never how fast it is. */
import { spawnSync } from "node:child_process";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { resultsFolder, rootFolder } from "../src/folders.ts";
import { readOptions } from "../src/options.ts";
import { reachOf } from "../src/reach.ts";
import { reachTable } from "../src/reach-table.ts";
import { documentOf, readmePart } from "../src/report.ts";
import type { Results, Row } from "../src/results.ts";
import { plotOf } from "../src/plot.ts";
import { tablesOf } from "../src/tables.ts";

/** One run of the command; the time is only spent where there is something left to measure. */
function bench(name: string, ...parameters: readonly string[]): Results {
  const command = ["tools/run.js", "bench", ...parameters, "--peers", "none", "--output", name];
  const { status, stderr } = spawnSync(process.execPath, command, {
    cwd: rootFolder,
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(stderr);
  const path = join(resultsFolder, `${name}.json`);
  const results = JSON.parse(readFileSync(path, "utf8")) as Results;
  rmSync(path);
  return results;
}

const rowsOf = (results: Results, ...operations: readonly string[]): Row[] =>
  results.rows.filter((row) => row.library === "mlskit" && operations.includes(row.operation));

describe("groups of 2 to 500 members", () => {
  const SIZES = [2, 10, 50, 100, 500];
  let results: Results;

  beforeAll(() => {
    const sizes = ["--suites", "1", "--sizes", SIZES.join(",")];
    const only = ["--only", "join,commit,message,membership,storage"];
    results = bench(".test-sizes", "--once", ...sizes, ...only);
  });

  test("M-BEN-01 one command times commit, join, send and receive, and names machine and versions", () => {
    for (const operation of ["commit", "join"]) {
      for (const tree of ["cold", "warm"]) {
        const rows = rowsOf(results, operation).filter((row) => row.tree === tree);
        expect(rows.map(({ size }) => size)).toEqual(SIZES);
      }
    }
    for (const operation of ["send", "receive"]) {
      expect(rowsOf(results, operation).map(({ size }) => size)).toEqual(SIZES);
    }
    for (const { median, p95, minimum, runs, rounds } of results.rows) {
      expect(minimum).toBeGreaterThan(0);
      expect(median).toBeGreaterThanOrEqual(minimum);
      expect(p95).toBeGreaterThanOrEqual(median);
      expect(runs).toBeGreaterThanOrEqual(rounds.length);
    }
    const sent = rowsOf(results, "send").map(({ bytes }) => bytes ?? 0);
    expect(Math.min(...sent)).toBeGreaterThan(1024);
    expect(results.machine).toMatchObject({ node: process.versions.node });
    expect(results.machine.cores).toBeGreaterThan(0);
    expect(results.commit).not.toBe("");
    expect(results.libraries).toMatchObject([{ name: "mlskit" }]);
  });

  test("M-BEN-02 both trees are measured for sender and receiver, with sizes of messages and state", () => {
    for (const tree of ["cold", "warm"] as const) {
      for (const operation of ["commit", "process"]) {
        const rows = rowsOf(results, operation).filter((row) => row.tree === tree);
        expect(rows.map(({ size }) => size)).toEqual(SIZES);
      }
    }
    const bytes = (operation: string, tree: string, size: number): number =>
      rowsOf(results, operation).find((row) => row.tree === tree && row.size === size)?.bytes ?? 0;
    // One encryption per member against one per level.
    expect(bytes("commit", "cold", 500)).toBeGreaterThan(500 * 48);
    expect(bytes("commit", "warm", 500)).toBeLessThan(9 * 250);
    // A Welcome holds the tree, with its parents where there are any, and a secret per new member.
    expect(bytes("join", "warm", 500)).toBeGreaterThan(500 * 200);
    expect(bytes("load", "warm", 500)).toBeGreaterThan(500 * 200);
  });

  test("every operation that needs cryptography is measured beside its limit", () => {
    const keys = (library: string): string[] =>
      results.rows
        .filter((row) => row.library === library && !/store|load/.test(row.operation))
        .map(({ operation, tree, size }) => `${operation} ${tree} ${size}`)
        .sort();
    expect(keys("limit")).toEqual(keys("mlskit"));
  });

  test("the report has a table and a plot for each operation, and says what is reached", () => {
    const document = documentOf([results]);
    for (const table of tablesOf(results)) {
      expect(table.sizes).toEqual(SIZES);
      expect(plotOf(table)).toContain("<polyline");
    }
    expect(document).toContain("### Commit with path, warm tree, suite 1");
    expect(document).toContain("](../packages/benchmarks/results/plots/commit-warm-1.svg)");
    expect(document).toContain("| limit | every operation, N ≥ 10 | ≤ 1.3 |");
    expect(readmePart(results)).toContain("| join | ");
    expect(reachTable(reachOf(results))).toContain("not measured");
  });
});

test("M-BEN-03 the scenarios are measured, and adding and removing one by one and in batches", () => {
  const { scenarios } = bench(
    ".test-scenarios",
    "--once",
    "--scenarios",
    "--sizes",
    "8",
    "--suites",
    "1",
  );
  const byName = new Map(scenarios.map((scenario) => [scenario.name, scenario]));
  const count = (scenario: string, event: string): number =>
    byName.get(scenario)?.events[event]?.count ?? 0;
  expect([...byName.keys()]).toEqual([
    "stable",
    "somewhat stable",
    "high fluctuation",
    "every second leaf blank",
    "long-time offline device",
  ]);
  expect(count("stable", "update")).toBe(10);
  expect(count("somewhat stable", "add")).toBe(4);
  expect(count("high fluctuation", "remove")).toBe(30);
  expect(count("every second leaf blank", "remove half")).toBe(1);
  expect(count("long-time offline device", "receive")).toBe(1000);
  expect(count("long-time offline device", "follow")).toBe(100);
  const one = bench(
    ".test-one",
    "--once",
    "--only",
    "add,membership",
    "--sizes",
    "4",
    "--suites",
    "1",
  );
  const operations = new Set(rowsOf(one, "add", "addOne", "removeOne").map((row) => row.operation));
  expect([...operations].sort()).toEqual(["add", "addOne", "removeOne"]);
});

test("M-BEN-04 bytes written per message and per commit are measured, and the size of bundles", () => {
  const results = bench(".test-storage", "--quick", "--storage", "--bundle", "--sizes", "2,20");
  expect(results.storage.map(({ members }) => members)).toEqual([2, 20]);
  for (const { openMilliseconds, openBytes, ...sizes } of results.storage) {
    const { sent, received, ownCommit, receivedCommit } = sizes;
    for (const { median, max } of [sent, received, ownCommit, receivedCommit]) {
      expect(median).toBeGreaterThan(0);
      expect(max).toBeGreaterThanOrEqual(median);
    }
    expect(openMilliseconds).toBeGreaterThan(0);
    expect(openBytes).toBeGreaterThan(0);
  }
  const names = results.bundles.map(({ name }) => name);
  for (const suite of [1, 2, 3, 4, 5, 6, 7]) {
    expect(names).toContain(`a client for suite ${suite}, webcrypto`);
    expect(names).toContain(`a client for suite ${suite}, noble`);
  }
  for (const { minified, compressed } of results.bundles) {
    expect(compressed).toBeGreaterThan(0);
    expect(compressed).toBeLessThan(minified);
  }
});

test("M-BEN-04 memory of a large group is told from that of the library, and of an empty process", () => {
  const [group] = bench(".test-large", "--quick", "--large", "--sizes", "10").large;
  expect(group?.size).toBe(10);
  // The library is more than such a group.
  expect(group?.join.client?.live).toBeGreaterThan(Math.abs(group?.join.live ?? Infinity));
  expect(group?.join.client?.resident).toBeGreaterThan(0);
});

describe("options", () => {
  test("a complete run is named after its Node, any other is not kept", () => {
    expect(readOptions([]).output).toBeUndefined();
    for (const options of [["--quick"], ["--only", "send"], ["--peers", "none"], ["--storage"]]) {
      expect(readOptions(options).output).toBe(".last");
    }
  });

  test("operations are found by their name and by that of their group", () => {
    expect(readOptions(["--only", "receive"]).groups).toEqual(["message"]);
    expect(readOptions(["--only", "commit,externalJoin"]).groups).toEqual([
      "commit",
      "externalJoin",
    ]);
    expect(readOptions(["--only", "commit"]).sections).toEqual(["operations"]);
  });
});

afterAll(() => {
  for (const name of [
    ".test-sizes",
    ".test-scenarios",
    ".test-one",
    ".test-storage",
    ".test-large",
  ]) {
    rmSync(join(resultsFolder, `${name}.json`), { force: true });
  }
});
