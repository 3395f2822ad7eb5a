/**
 * `npm run check`: everything about the code that is not a test, cheapest first, one line per step.
 * A failing step does not hide the ones after it; its output follows its line, and the last line and
 * the exit code tell how it went. `npm run check -- layers types` runs only the steps named.
 */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { root } from "./lib/sources.js";

const bin = (name) => join(root, "node_modules/.bin", name);
const tool = (name) => [process.execPath, join(root, "tools", name)];

const steps = [
  ["format", bin("biome"), "format", "--colors=off", "."],
  ["layers", ...tool("check-layers.js")],
  ["sources", ...tool("check-sources.js")],
  ["lock file", ...tool("check-lockfile.js")],
  ["types", bin("tsc"), "-b"],
  // After the types: it knows mlskit in other packages by the declarations that they leave behind.
  ["lint", bin("oxlint"), "--type-aware", "--deny-warnings"],
  ["docs", ...tool("gen-docs.js")],
  ["mutants", ...tool("rules.js"), "--check-mutants"],
  ["packaging", ...tool("check-packaging.js")],
];

/** Lines shown of a failing step; run the step alone with its own command for all of them. */
const maxOutput = 120;

const wanted = process.argv.slice(2);
const failures = [];
let count = 0;
for (const [name, command, ...args] of steps) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  count++;
  const start = performance.now();
  const result = spawnSync(command, args, {
    cwd: root,
    encoding: "utf8",
    env: { ...process.env, NO_COLOR: "1" },
    maxBuffer: 64 * 1024 * 1024,
  });
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  const ok = result.status === 0;
  console.log(`${ok ? "ok  " : "FAIL"} ${name.padEnd(10)} ${seconds.padStart(5)} s`);
  if (!ok) {
    failures.push(name);
    const output = `${result.stdout ?? ""}${result.stderr ?? ""}${result.error?.message ?? ""}`;
    const lines = output.trimEnd().split("\n");
    for (const line of lines.slice(0, maxOutput)) console.log(`     ${line}`.trimEnd());
    if (lines.length > maxOutput) console.log(`     … and ${lines.length - maxOutput} more lines`);
  }
}
const summary = failures.length === 0 ? "all passed" : `${failures.join(", ")} failed`;
console.log(`check: ${count - failures.length} of ${count} steps, ${summary}`);
process.exitCode = failures.length === 0 ? 0 : 1;
