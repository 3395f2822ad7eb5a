/** A run tells what went wrong in mlskit from what a peer or the time left out. */
import { spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { resultsFolder, rootFolder } from "../src/folders.ts";
import { Measurement } from "../src/measure.ts";
import { MLSKIT } from "../src/peers.ts";
import type { Place } from "../src/plan.ts";
import { OVER, type Skipped } from "../src/results.ts";

const PLACE: Place = { suite: 1, size: 2, tree: "warm" };
const HELLO = { version: "1", runtime: "stub", suites: [1], groups: ["message"] };

/** Joins, and then does nothing but `run`. */
const stub = (name: string, run: string) => ({
  name,
  command: process.execPath,
  parameters: [
    "-e",
    `const say = (answer) => console.log(JSON.stringify(answer));
    require("node:readline").createInterface({ input: process.stdin }).on("line", (line) => {
      const request = JSON.parse(line);
      if (request.do === "hello") say(${JSON.stringify(HELLO)});
      else if (request.do === "cold") say({ ok: true });
      else { ${run} }
    });`,
  ],
});

async function skippedOf(run: string, endAfter?: number): Promise<readonly Skipped[]> {
  const options = { patience: 20, groups: ["message"], quick: true, once: false };
  const measurement = new Measurement(options);
  if (endAfter !== undefined) setTimeout(() => measurement.end(), endAfter);
  const programs = [stub(MLSKIT, run), stub("other", run)];
  const { skipped } = await measurement.run(programs, PLACE, 1, performance.now() + 20_000);
  measurement.end();
  return skipped;
}

test("what mlskit cannot do is a fault, what another library cannot do is none", async () => {
  const why = "the members are not in the same epoch";
  const what = "message, suite 1, N = 2, warm";
  expect(await skippedOf(`say({ error: ${JSON.stringify(why)} })`)).toEqual([
    { what: `mlskit: ${what}`, why, isFault: true },
    { what: `other: ${what}`, why, isFault: undefined },
  ]);
});

test("who has not answered when a quick run has to end is cut short, which is no fault", async () => {
  const start = performance.now();
  const skipped = await skippedOf("", 3000);
  expect(performance.now() - start).toBeLessThan(15_000);
  expect(skipped.map(({ why, isFault }) => [why, isFault])).toEqual([
    [OVER, undefined],
    [OVER, undefined],
  ]);
});

test.each([
  ["operations", "--only", "message"],
  ["storage", "--storage"],
  ["scenarios", "--scenarios"],
  ["large", "--large"],
])("the command ends with an error if mlskit fails: %s", (_part, ...parameters) => {
  const folder = mkdtempSync(join(tmpdir(), "mlskit-bench-"));
  const node = join(folder, "node");
  writeFileSync(node, `#!/bin/sh\n[ "$1" = -p ] && exec "${process.execPath}" "$@"\nexit 3\n`);
  chmodSync(node, 0o755);
  const few = ["--quick", "--suites", "1", "--sizes", "2", "--peers", "none", "--node", node];
  const command = ["tools/run.js", "bench", ...parameters, ...few, "--output", ".test-faults"];
  const { status, stdout } = spawnSync(process.execPath, command, {
    cwd: rootFolder,
    encoding: "utf8",
  });
  rmSync(folder, { recursive: true });
  rmSync(join(resultsFolder, ".test-faults.json"));
  expect(stdout).toContain("failed ");
  expect(status).toBe(1);
});
