/**
 * Runs vitest the way every command of this repository wants it: the locally installed one, with a
 * machine-readable result beside the readable output. One place knows how vitest words its report.
 */
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { isAbsolute, join, relative, sep } from "node:path";
import { root } from "./sources.js";

/**
 * @param {string[]} args  files, filters and options for `vitest run`
 * @param {{ quiet?: boolean, cwd?: string, env?: Record<string, string> }} [options]
 * @returns {Promise<{ exitCode: number, tests: Test[], passed: number, failed: number, skipped: number, output: string }>}
 *
 * @typedef {{ title: string, file: string, status: "passed" | "failed" | "skipped", message: string }} Test
 */
export async function runVitest(args, { quiet = false, cwd = root, env = {} } = {}) {
  if (cwd === root) build();
  const folder = mkdtempSync(join(tmpdir(), "mlskit-vitest-"));
  const resultFile = join(folder, "result.json");
  const vitest = join(root, "node_modules/vitest/vitest.mjs");
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${resultFile}`];
  try {
    const { exitCode, output } = await run([vitest, "run", ...reporters, ...args], {
      cwd,
      quiet,
      env,
    });
    const report = existsSync(resultFile) ? JSON.parse(readFileSync(resultFile, "utf8")) : {};
    return { exitCode, output, ...summarise(report, exitCode, cwd) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Tests of other packages use the library as it is built. What is wrong in it shows in the tests. */
function build() {
  const tsc = join(root, "node_modules/typescript/bin/tsc");
  spawnSync(process.execPath, [tsc, "-b", "packages/mlskit"], { cwd: root, stdio: "ignore" });
}

/** A file that does not load, or an error outside of every test, counts as one failed test. */
function summarise(report, exitCode, cwd) {
  const tests = [];
  for (const suite of report.testResults ?? []) {
    const file = isAbsolute(suite.name)
      ? relative(cwd, suite.name).split(sep).join("/")
      : suite.name;
    for (const result of suite.assertionResults) {
      tests.push({
        title: result.fullName,
        file,
        status:
          result.status === "passed" || result.status === "failed" ? result.status : "skipped",
        message: (result.failureMessages ?? []).join("\n"),
      });
    }
    const explained = suite.assertionResults.some((result) => result.status === "failed");
    if (suite.status === "failed" && !explained) {
      tests.push({ title: `${file} loads`, file, status: "failed", message: suite.message ?? "" });
    }
  }
  const count = (status) => tests.filter((test) => test.status === status).length;
  if (exitCode !== 0 && count("failed") === 0) {
    tests.push({ title: "vitest succeeds", file: "", status: "failed", message: "" });
  }
  return {
    tests,
    passed: count("passed"),
    failed: count("failed"),
    skipped: count("skipped"),
  };
}

function run(command, { cwd, quiet, env }) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, command, {
      cwd,
      env: { ...process.env, ...env },
      stdio: ["ignore", quiet ? "pipe" : "inherit", quiet ? "pipe" : "inherit"],
    });
    let output = "";
    child.stdout?.on("data", (chunk) => (output += chunk));
    child.stderr?.on("data", (chunk) => (output += chunk));
    child.on("error", reject);
    child.on("close", (code) => resolve({ exitCode: code ?? 1, output }));
  });
}
