/** Programs of others that the Go module proxy hands out: a peer, and a second judge. */
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Peer } from "./processes.ts";

export type Found = { readonly program: Peer } | { readonly missing: string };

interface GoProgram {
  /** What people call it. */
  readonly name: string;
  /** The folder in `peers` with the module that requires it. */
  readonly folder: string;
  readonly path: string;
  readonly version: string;
}

const MLS_GO: GoProgram = {
  name: "mls-go",
  folder: "mls-go",
  path: "github.com/thomas-vilte/mls-go/interop/server",
  version: "v1.6.0 (9d524c5b1de7)",
};

/** mls-go's port of the working group's runner: that one is in no module that can be required. */
const JUDGE: GoProgram = {
  name: "the second judge",
  folder: "judge",
  path: "github.com/thomas-vilte/mls-go/interop/testrunner",
  version: "mls-go's port of test-runner, 9d524c5b1de7",
};

const PEERS = fileURLToPath(new URL("../../peers", import.meta.url));
const MINUTE = 60_000;

export function findMlsGo(given: Peer | undefined): Found {
  return given === undefined ? build(MLS_GO) : { program: given };
}

export function findJudge(given: Peer | undefined): Found {
  return given === undefined ? build(JUDGE) : { program: given };
}

/** Builds it, or says why it cannot be had. */
function build({ name, folder, path, version }: GoProgram): Found {
  const module = join(PEERS, folder);
  const go = run(["version"], module);
  if (go.status !== 0) return { missing: `${name}: there is no Go toolchain` };
  const [compiler = "go"] = /\bgo\d[.\w]*/.exec(go.stdout) ?? [];
  const copy = mkdtempSync(join(tmpdir(), `interop-${folder}-`));
  process.once("exit", () => rmSync(copy, { recursive: true, force: true }));
  cpSync(module, copy, { recursive: true });
  const at = join(copy, "program");
  // A copy, for building adds checksums to go.sum.
  const { status, stderr, error } = run(["build", "-mod=mod", "-o", at, path], copy);
  if (status === 0) return { program: { at, version: `${version}, ${compiler}` } };
  return { missing: `${name}: Go cannot build it: ${error?.message ?? complaintOf(stderr)}` };
}

/** What went wrong, such as a proxy that does not hand a module out, without what went well. */
function complaintOf(said: string): string {
  const lines = said.split("\n").map((line) => line.trim());
  return lines.filter((line) => line !== "" && !line.startsWith("go: downloading ")).join(" ");
}

function run(args: readonly string[], cwd: string) {
  return spawnSync("go", args, { cwd, encoding: "utf8", timeout: 10 * MINUTE });
}
