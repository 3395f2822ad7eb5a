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

export function thisMachine(): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    system: `${platform()} ${release().split("-")[0] ?? ""} ${arch()}`,
    node: process.versions.node,
    openssl: process.versions.openssl,
  };
}

export function currentCommit(): string {
  const git = (...parameters: readonly string[]): string =>
    execFileSync("git", parameters, { cwd: rootFolder, encoding: "utf8" }).trim();
  try {
    const hash = git("rev-parse", "--short=10", "HEAD");
    return git("status", "--porcelain", "--", "packages/mlskit/src") === "" ? hash : `${hash}+`;
  } catch {
    return "unknown";
  }
}
