/**
 * Builds the programs around other libraries, outside of the repository: everything that is fetched or
 * built lies in a cache folder, under a name that changes with the program's sources.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { peersFolder } from "./folders.ts";

const cacheFolder: string =
  process.env["MLSKIT_BENCH_CACHE"] ??
  join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "mlskit-bench");

export interface Toolchain {
  readonly name: "go" | "rust" | "npm";
  /** Succeeds where the toolchain is installed. */
  readonly probe: readonly string[];
}

export const GO: Toolchain = { name: "go", probe: ["go", "version"] };
export const RUST: Toolchain = { name: "rust", probe: ["cargo", "--version"] };
export const NPM: Toolchain = { name: "npm", probe: ["npm", "--version"] };

export interface Build {
  readonly toolchain: Toolchain;
  /** Run in a copy of the program's folder. */
  readonly command: readonly string[];
  /** A file in the copy that exists once the build is through. */
  readonly result: string;
}

/** Seconds; compiling OpenMLS with link-time optimisation takes some minutes. */
const PATIENCE = 900;

/** Where other builds share what they can. */
export const sharedTarget: string = join(cacheFolder, "rust-target");

/** The copy of a program's folder in which it is built. */
export function buildFolder({ name }: Toolchain): string {
  const source = join(peersFolder, name);
  const digest = createHash("sha256");
  for (const file of filesIn(source)) digest.update(file).update(readFileSync(join(source, file)));
  return join(cacheFolder, `${name}-${digest.digest("hex").slice(0, 12)}`);
}

/** Undefined if the build is there, otherwise why it is not. Builds nothing if not allowed. */
export function provide(
  { toolchain, command, result }: Build,
  mayBuild: boolean,
): string | undefined {
  const folder = buildFolder(toolchain);
  if (existsSync(join(folder, result))) return undefined;
  if (!mayBuild) return "not built yet; a run without --quick builds it";
  const [tool = "", ...probe] = toolchain.probe;
  if (spawnSync(tool, probe).status !== 0) return `${tool} is not installed`;
  mkdirSync(folder, { recursive: true });
  const source = join(peersFolder, toolchain.name);
  for (const file of filesIn(source)) cpSync(join(source, file), join(folder, file));
  process.stderr.write(`building: ${command.join(" ")}\n`);
  const [name = "", ...parameters] = command;
  const built = spawnSync(name, parameters, {
    cwd: folder,
    encoding: "utf8",
    timeout: PATIENCE * 1000,
  });
  if (built.status === 0 && existsSync(join(folder, result))) return undefined;
  const reason = `${built.stderr}`.trim().split("\n").at(-1)?.trim() ?? "";
  return `building failed: ${built.error?.message ?? reason}`;
}

/** Sources in a fixed order; what tools leave behind does not count. */
function filesIn(folder: string, below = ""): string[] {
  const files: string[] = [];
  for (const name of readdirSync(join(folder, below)).sort()) {
    const path = join(below, name);
    if (name === "node_modules" || name === "target") continue;
    if (statSync(join(folder, path)).isDirectory()) files.push(...filesIn(folder, path));
    else files.push(path);
  }
  return files;
}

/** A Node of this version from npm, or the path itself if it is one. */
export function nodeBinary(wanted: string): { readonly path: string } | { readonly why: string } {
  if (existsSync(wanted)) return { path: wanted };
  const version = wanted === "newest" ? "latest" : wanted;
  const folder = join(cacheFolder, `node-${version}`);
  const path = join(folder, "node_modules/node/bin/node");
  // "newest" is asked for anew each time: it is a moving target.
  if (!existsSync(path) || version === "latest") {
    mkdirSync(folder, { recursive: true });
    const parameters = [
      "install",
      "--prefix",
      folder,
      "--no-audit",
      "--no-fund",
      `node@${version}`,
    ];
    const installed = spawnSync("npm", parameters, { encoding: "utf8", timeout: PATIENCE * 1000 });
    if (installed.status !== 0 && !existsSync(path)) {
      return { why: `npm cannot install node@${version}` };
    }
  }
  return existsSync(path) ? { path } : { why: `node@${version} has no binary for this machine` };
}
