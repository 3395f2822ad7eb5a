/** mls-go as a peer: its own interoperability server, built through the Go module proxy. */
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Launcher, type Peer, program } from "./processes.ts";

const MODULE = fileURLToPath(new URL("../../peers/mls-go", import.meta.url));
const SERVER = "github.com/thomas-vilte/mls-go/interop/server";
const MINUTE = 60_000;

export type Found = { readonly launcher: Launcher } | { readonly missing: string };

/** Builds the server, or says why it cannot be had. `given` is one that was built elsewhere. */
export function findMlsGo(given: Peer | undefined): Found {
  if (given !== undefined) return { launcher: launcherOf(given) };
  if (run(["version"], MODULE).status !== 0) return { missing: "mls-go: there is no Go toolchain" };
  const folder = mkdtempSync(join(tmpdir(), "interop-mls-go-"));
  cpSync(MODULE, folder, { recursive: true });
  const built = join(folder, "mls-go-server");
  // A copy, for building adds checksums to go.sum.
  const { status, stderr } = run(["build", "-mod=mod", "-o", built, SERVER], folder);
  if (status !== 0) {
    const reason = stderr.trim().split("\n").at(-1) ?? "unknown";
    return { missing: `mls-go: the module proxy does not hand out its server: ${reason}` };
  }
  return { launcher: launcherOf({ at: built, version: "v1.6.0" }) };
}

function launcherOf({ at, version }: Peer): Launcher {
  return program(at, version, (port) => ["-port", String(port)]);
}

function run(args: readonly string[], cwd: string) {
  return spawnSync("go", args, { cwd, encoding: "utf8", timeout: 10 * MINUTE });
}
