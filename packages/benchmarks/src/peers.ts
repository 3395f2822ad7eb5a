/** Which libraries can be measured here: each is a program of ours around a published package. */
import { join } from "node:path";
import { type Build, buildFolder, GO, NPM, provide, RUST, sharedTarget } from "./builds.ts";
import { workerFile } from "./folders.ts";
import type { Program } from "./library-process.ts";
import type { Place } from "./plan.ts";
import type { Skipped } from "./results.ts";

/** A program with what it is measured on; everything if nothing is said. */
export interface ScopedProgram extends Program {
  readonly scope?: Scope | undefined;
  /** Held to one thread: measured after the others, without mlskit beside it. */
  readonly isApart?: boolean;
}

interface Scope {
  readonly suites?: readonly number[];
  readonly sizes?: readonly number[];
  readonly groups?: readonly string[];
}

interface Peer {
  readonly name: string;
  readonly build: Build;
  /** In the build's folder, or "node" for the Node that measures. */
  readonly command: string;
  readonly parameters: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly scope: Scope;
}

/** The suites that are compared; the others are for mlskit, and for who has no choice. */
const COMPARED: Scope = { suites: [1, 2] };
/** What threads make a difference to. */
const PARALLEL: Scope = { suites: [1, 2], sizes: [100, 1000], groups: ["add", "join", "commit"] };

const go = (
  name: string,
  modfile: string,
  binary: string,
  scope: Scope,
  threads?: number,
): Peer => ({
  name,
  build: {
    toolchain: GO,
    command: ["go", "build", "-mod=mod", `-modfile=${modfile}`, "-o", binary, "."],
    result: binary,
  },
  command: binary,
  parameters: [],
  environment: threads === undefined ? {} : { GOMAXPROCS: `${threads}` },
  scope,
});

const INSTALL = ["cargo", "install", "--path", ".", "--locked", "--quiet", "--root", "."];

const rust = (name: string, provider: string, scope: Scope, threads?: number): Peer => ({
  name,
  build: {
    toolchain: RUST,
    command: INSTALL.concat("--target-dir", sharedTarget),
    result: "bin/openmls-peer",
  },
  command: "bin/openmls-peer",
  parameters: [provider],
  environment: threads === undefined ? {} : { RAYON_NUM_THREADS: `${threads}` },
  scope,
});

const npm = (name: string, file: string, scope: Scope): Peer => ({
  name,
  build: NPM_BUILD,
  command: "node",
  parameters: [file],
  scope,
});

const NPM_BUILD: Build = {
  toolchain: NPM,
  command: ["npm", "ci", "--no-audit", "--no-fund"],
  result: "node_modules/.package-lock.json",
};

const PEERS: readonly Peer[] = [
  npm("ts-mls", "ts-mls.js", COMPARED),
  npm("OpenMLS-WASM", "mls-ts.js", { suites: [3] }),
  go("mls-go", "go.mod", "mls-go", COMPARED),
  go("mls-go 1 thread", "go.mod", "mls-go", PARALLEL, 1),
  go("mls-go 1.3.0", "v1.3.0.mod", "mls-go-1.3.0", { ...COMPARED, groups: ["join"] }),
  rust("OpenMLS RustCrypto", "rustcrypto", COMPARED),
  rust("OpenMLS RustCrypto 1 thread", "rustcrypto", PARALLEL, 1),
  rust("OpenMLS libcrux", "libcrux", COMPARED),
  rust("OpenMLS libcrux 1 thread", "libcrux", PARALLEL, 1),
];

export const PEER_NAMES: readonly string[] = PEERS.map(({ name }) => name);

/** mlskit uses all cores: beside a library that may not, it is not compared. */
export function isOneThread(name: string): boolean {
  return name.endsWith(" 1 thread");
}

export const MLSKIT = "mlskit";

/** mlskit itself, by this Node. With `clock` "cpu" it counts the processor's time. */
export function mlskit(node: string, clock: "wall" | "cpu"): ScopedProgram {
  return { name: MLSKIT, command: node, parameters: [workerFile, clock] };
}

export interface PeerOptions {
  /** Undefined for all. A name that ends in `*` stands for all that begin so. */
  readonly wanted: readonly string[] | undefined;
  /** A quick run takes what was built before. */
  readonly mayBuild: boolean;
  readonly node: string;
}

/** Programs of the peers that are wanted and can be started; the rest with the reason. */
export function findPeers({ wanted, mayBuild, node }: PeerOptions): {
  readonly programs: readonly ScopedProgram[];
  readonly skipped: readonly Skipped[];
} {
  const programs: ScopedProgram[] = [];
  const skipped: Skipped[] = [];
  for (const { name, build, command, parameters, environment, scope } of PEERS) {
    if (wanted !== undefined && !matches(name, wanted)) continue;
    const why = provide(build, mayBuild);
    if (why !== undefined) {
      skipped.push({ what: name, why });
      continue;
    }
    const folder = buildFolder(build.toolchain);
    const isScript = command === "node";
    programs.push({
      name,
      command: isScript ? node : join(folder, command),
      parameters: isScript ? parameters.map((file) => join(folder, file)) : parameters,
      environment,
      scope,
      isApart: isOneThread(name),
    });
  }
  return { programs, skipped };
}

/** Whether a program is to be measured there, and with which group of operations. */
export function inScope({ scope = {} }: ScopedProgram, place: Place, group?: string): boolean {
  const { suites, sizes, groups } = scope;
  return (
    (suites?.includes(place.suite) ?? true) &&
    (sizes?.includes(place.size) ?? true) &&
    (group === undefined || (groups?.includes(group) ?? true))
  );
}

function matches(name: string, wanted: readonly string[]): boolean {
  return wanted.some((each) => {
    return each.endsWith("*") ? name.startsWith(each.slice(0, -1)) : name === each;
  });
}
