/**
 * Starts the repository's programs (vectors, fuzz, bench, …). The programs are TypeScript and Node 20
 * does not run it, so they are built first. Every command exists from the start: while its program is
 * missing it says so and fails, and it begins to work when the source file below appears.
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { root } from "./lib/sources.js";

const programs = {
  vectors: {
    source: "packages/mlskit/test/vectors/run.ts",
    built: "packages/mlskit/build/test/vectors/run.js",
    purpose: "checks the official test vectors, or mlskit's own ones",
  },
  fuzz: {
    source: "packages/mlskit/test/fuzz/run.ts",
    built: "packages/mlskit/build/test/fuzz/run.js",
    purpose: "mutates bytes and structures against a live group",
  },
  simulate: {
    source: "packages/mlskit/test/simulate/run.ts",
    built: "packages/mlskit/build/test/simulate/run.js",
    purpose: "runs many clients over a network that loses, repeats and reorders",
  },
  bench: {
    source: "packages/benchmarks/src/main.ts",
    built: "packages/benchmarks/build/main.js",
    purpose: "measures time, message sizes and state sizes",
  },
  interop: {
    source: "packages/interop/src/main.ts",
    built: "packages/interop/build/main.js",
    purpose: "runs the MLS working group's interoperability scripts",
  },
  "interop:server": {
    source: "packages/interop/src/server.ts",
    built: "packages/interop/build/server.js",
    purpose: "serves one mlskit client to an interoperability runner",
  },
};

const [name, ...args] = process.argv.slice(2);
const program = programs[name];
if (program === undefined) {
  console.error(`usage: node tools/run.js <${Object.keys(programs).join(" | ")}> [arguments]`);
  process.exitCode = 2;
} else if (!existsSync(join(root, program.source))) {
  console.error(
    `npm run ${name} (${program.purpose}) is not built yet: ${program.source} is missing.`,
  );
  process.exitCode = 1;
} else {
  const tsc = join(root, "node_modules/typescript/bin/tsc");
  // Only what the program needs: a mistake in another program is no reason not to start this one.
  const project = join(root, program.built.slice(0, program.built.indexOf("/build/")));
  const source = program.source.includes("/test/") ? join(project, "test") : project;
  const build = spawnSync(process.execPath, [tsc, "-b", source], { cwd: root, stdio: "inherit" });
  process.exitCode =
    build.status === 0
      ? (spawnSync(process.execPath, [join(root, program.built), ...args], { stdio: "inherit" })
          .status ?? 1)
      : 1;
}
