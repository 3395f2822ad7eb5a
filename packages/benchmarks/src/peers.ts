/** Which libraries can be measured here: each is a program of ours around a published package. */
import { spawnSync } from "node:child_process";
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { peersFolder, workerFile } from "./folders.ts";
import type { Program } from "./library-process.ts";
import type { Skipped } from "./results.ts";

interface Peer {
  readonly name: string;
  /** Started only when asked for by name. */
  readonly isOptional?: boolean;
  /** Its toolchain: answers `version` arguments. */
  readonly tool: readonly string[];
  readonly folder: string;
  /** Run in the folder; the result exists afterwards. */
  readonly build: readonly string[];
  readonly built: string;
  /** Newer than `built` if that is out of date. */
  readonly sources: readonly string[];
  readonly program: Omit<Program, "name">;
}

export const MLSKIT: Program = {
  name: "mlskit",
  command: process.execPath,
  parameters: [workerFile],
};

const go = (name: string, modfile: string, binary: string, threads?: number): Peer => ({
  name,
  tool: ["go", "version"],
  folder: join(peersFolder, "go"),
  build: ["go", "build", "-mod=mod", `-modfile=${modfile}`, "-o", `../.built/${binary}`, "."],
  built: join(peersFolder, ".built", binary),
  sources: ["main.go", "member.go", modfile],
  program: {
    command: join(peersFolder, ".built", binary),
    parameters: [],
    environment: threads === undefined ? {} : { GOMAXPROCS: `${threads}` },
  },
});

const rust = (name: string, provider: string, threads?: number): Peer => ({
  name,
  tool: ["cargo", "--version"],
  folder: join(peersFolder, "rust"),
  build: ["cargo", "build", "--release", "--locked", "--quiet"],
  built: join(peersFolder, "rust/target/release/openmls-peer"),
  sources: ["src/main.rs", "src/member.rs", "Cargo.toml", "Cargo.lock"],
  program: {
    command: join(peersFolder, "rust/target/release/openmls-peer"),
    parameters: [provider],
    environment: threads === undefined ? {} : { RAYON_NUM_THREADS: `${threads}` },
  },
});

const npm = (name: string, file: string): Peer => ({
  name,
  tool: ["npm", "--version"],
  folder: join(peersFolder, "npm"),
  build: ["npm", "ci", "--no-audit", "--no-fund"],
  built: join(peersFolder, "npm/node_modules/.package-lock.json"),
  sources: ["package-lock.json"],
  program: { command: process.execPath, parameters: [join(peersFolder, "npm", file)] },
});

const PEERS: readonly Peer[] = [
  npm("ts-mls", "ts-mls.js"),
  npm("OpenMLS-WASM", "mls-ts.js"),
  go("mls-go", "go.mod", "mls-go"),
  { ...go("mls-go (1 thread)", "go.mod", "mls-go", 1), isOptional: true },
  { ...go("mls-go 1.3.0", "v1.3.0.mod", "mls-go-1.3.0"), isOptional: true },
  rust("OpenMLS RustCrypto", "rustcrypto"),
  rust("OpenMLS libcrux", "libcrux"),
  { ...rust("OpenMLS RustCrypto (1 thread)", "rustcrypto", 1), isOptional: true },
  { ...rust("OpenMLS libcrux (1 thread)", "libcrux", 1), isOptional: true },
];

export const PEER_NAMES: readonly string[] = PEERS.map(({ name }) => name);

/**
 * Programs of the peers that are wanted and can be started; the rest with the reason. A quick run
 * takes what was built before and builds nothing.
 */
export function findPeers(
  wanted: readonly string[] | undefined,
  quick: boolean,
): { readonly programs: readonly Program[]; readonly skipped: readonly Skipped[] } {
  const programs: Program[] = [];
  const skipped: Skipped[] = [];
  for (const peer of PEERS) {
    const { name } = peer;
    const isWanted = wanted === undefined ? peer.isOptional !== true : matches(name, wanted);
    if (!isWanted) continue;
    const why = existsSync(peer.folder) ? provide(peer, quick) : "its program is missing";
    if (why === undefined) programs.push({ name, ...peer.program });
    else skipped.push({ what: name, why });
  }
  return { programs, skipped };
}

/** `mls-go` means that one; `mls-go*` means all whose names begin so. */
function matches(name: string, wanted: readonly string[]): boolean {
  return wanted.some((each) => {
    return each.endsWith("*") ? name.startsWith(each.slice(0, -1)) : name === each;
  });
}

/** Undefined if the program is there, otherwise why it is not. */
function provide(
  { tool, folder, build, built, sources }: Peer,
  quick: boolean,
): string | undefined {
  if (
    isCurrent(
      built,
      sources.map((source) => join(folder, source)),
    )
  )
    return undefined;
  if (quick) return "not built yet; a run without --quick builds it";
  const [name = "", ...rest] = tool;
  if (spawnSync(name, rest).status !== 0) return `${name} is not installed`;
  process.stderr.write(`building: ${build.join(" ")}\n`);
  const [command = "", ...parameters] = build;
  const result = spawnSync(command, parameters, { cwd: folder, encoding: "utf8" });
  if (result.status === 0) return undefined;
  const [reason = "no reason given"] = `${result.stderr}`.trim().split("\n");
  return `building failed: ${result.error?.message ?? reason}`;
}

function isCurrent(built: string, sources: readonly string[]): boolean {
  if (!existsSync(built)) return false;
  const { mtimeMs } = statSync(built);
  return sources.every((path) => !existsSync(path) || statSync(path).mtimeMs <= mtimeMs);
}
