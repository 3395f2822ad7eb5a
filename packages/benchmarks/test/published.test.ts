/** What is published: the results in the repository, and the document that is made from them. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { resultsFolder, rootFolder } from "../src/folders.ts";
import type { Results } from "../src/results.ts";

const files = readdirSync(resultsFolder).filter((name) => /^node-\d+\.json$/.test(name));
const text = readFileSync(join(rootFolder, "docs/benchmarks.md"), "utf8");

test("perf-10: both shapes of tree are published, all added at once and everybody has committed", () => {
  expect(files.length).toBeGreaterThan(0);
  const all = files.map((file) => {
    return JSON.parse(readFileSync(join(resultsFolder, file), "utf8")) as Results;
  });
  // A shorter run on another Node may have fewer sizes, but not fewer shapes.
  for (const results of all) expectBothShapes(results, [100, 1000]);
  const [most] = all.sort((a, b) => b.rows.length - a.rows.length);
  if (most !== undefined) expectBothShapes(most, [2, 10, 50, 100, 500, 1000]);
  expect(text).not.toContain("There are no results yet");
  expect(text).toMatch(/cold tree, suite 1/);
  expect(text).toMatch(/warm tree, suite 1/);
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
