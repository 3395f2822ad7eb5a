/** What is published: the results in the repository, and the document that is made from them. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { resultsFolder, rootFolder } from "../src/folders.ts";
import { PLOTS, reportOf } from "../src/report.ts";
import { readResults, type Results } from "../src/results.ts";

const all = readResults();

test("perf-10: both shapes of tree are published, all added at once and everybody has committed", () => {
  expect(all.length).toBeGreaterThan(0);
  // A shorter run on another Node may have fewer sizes, but not fewer shapes.
  for (const results of all) expectBothShapes(results, [100, 1000]);
  const [most] = [...all].sort((a, b) => b.rows.length - a.rows.length);
  if (most !== undefined) expectBothShapes(most, [2, 10, 50, 100, 500, 1000]);
  const text = readFileSync(join(rootFolder, "docs/benchmarks.md"), "utf8");
  expect(text).toMatch(/cold tree, suite 1/);
  expect(text).toMatch(/warm tree, suite 1/);
});

test("the document, the plots and the README's part are those of the results in the repository", () => {
  const report = reportOf(all);
  for (const [path, text] of report) {
    // Not by `toBe`, whose difference of texts as long as these takes minutes.
    const isSame = readFileSync(join(rootFolder, path), "utf8") === text;
    expect(isSame, `${path}: npm run bench -- --report`).toBe(true);
  }
  const plots = readdirSync(join(resultsFolder, "plots")).map((name) => `${PLOTS}/${name}`);
  expect(plots.filter((path) => !report.has(path))).toEqual([]);
});

test("nothing of mlskit failed in the runs that are published", () => {
  const faults = all.flatMap(({ skipped }) => skipped.filter(({ isFault }) => isFault === true));
  expect(faults).toEqual([]);
});

function expectBothShapes(results: Results, expected: readonly number[]): void {
  for (const operation of ["commit", "process", "join"]) {
    for (const suite of [1, 2]) {
      for (const tree of ["cold", "warm"]) {
        const rows = results.rows.filter(
          (row) => row.operation === operation && row.suite === suite && row.tree === tree,
        );
        const sizes = new Set(rows.map(({ size }) => size));
        for (const size of expected) expect(sizes).toContain(size);
        // Beside others, not alone.
        expect(new Set(rows.map(({ library }) => library)).size).toBeGreaterThan(3);
      }
    }
  }
}
