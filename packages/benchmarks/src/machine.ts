/** The machine and the commit that numbers belong to. */
import { execFileSync } from "node:child_process";
import { arch, cpus, platform, release, totalmem } from "node:os";
import { rootFolder } from "./folders.ts";

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly system: string;
  readonly node: string;
  readonly openssl: string;
}

/** This machine, with the Node at `path`. */
export function thisMachine(path: string): Machine {
  const print = "JSON.stringify(process.versions)";
  const versions = JSON.parse(
    execFileSync(path, ["-p", print], { encoding: "utf8" }),
  ) as NodeJS.ProcessVersions;
  return {
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    system: `${platform()} ${release().split("-")[0] ?? ""} ${arch()}`,
    node: versions.node,
    openssl: versions.openssl,
  };
}

/** What numbers depend on: what is measured, and what measures. */
const MEASURED = ["packages/mlskit/src", "packages/benchmarks/src", "packages/benchmarks/peers"];

/** With a "+" if files have changed since. */
export function currentCommit(): string {
  const git = (...parameters: readonly string[]): string =>
    execFileSync("git", parameters, { cwd: rootFolder, encoding: "utf8" }).trim();
  try {
    const hash = git("rev-parse", "--short=10", "HEAD");
    return git("status", "--porcelain", "--", ...MEASURED) === "" ? hash : `${hash}+`;
  } catch {
    return "unknown";
  }
}
