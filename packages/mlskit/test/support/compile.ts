/** Programs that tests start: Node 20 runs no TypeScript, and tests must not need an earlier build. */
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";

const packageRoot = fileURLToPath(new URL("../../", import.meta.url));

/** Compiles `source` (from the package's root) with all it imports into `out`; the program's path. */
export function compile(source: string, out: string): string {
  const program = source.replace(/\.ts$/, ".js");
  // Part of a program that is compiled itself, and the other one with it.
  if (import.meta.url.endsWith(".js")) return path.join(packageRoot, program);
  const require = createRequire(import.meta.url);
  const tsc = path.join(path.dirname(require.resolve("typescript/package.json")), "bin/tsc");
  const options = ["--noCheck", "--ignoreConfig", "--skipLibCheck", "--types", "node"];
  options.push("--target", "es2022", "--module", "nodenext", "--rewriteRelativeImportExtensions");
  options.push("--rootDir", packageRoot, "--outDir", out, source);
  execFileSync(process.execPath, [tsc, ...options], { cwd: packageRoot });
  fs.writeFileSync(path.join(out, "package.json"), '{"type":"module"}');
  fs.symlinkSync(modulesFolder(), path.join(out, "node_modules"));
  return path.join(out, program);
}

/** The folder that the library's dependencies are installed in. */
export function modulesFolder(): string {
  const file = createRequire(import.meta.url).resolve("@noble/hashes/sha2.js");
  return path.resolve(path.dirname(file), "../..");
}
