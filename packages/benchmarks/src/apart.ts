/** Work that has a process to itself: it prints JSON. */
import { spawnSync } from "node:child_process";
import type { Results } from "./results.ts";
import { sectionWorkerFile } from "./folders.ts";

/** @throws Error with the first line that looks like one */
export function runApart(node: string, parameters: readonly string[]): unknown {
  const { status, stdout, stderr, error } = spawnSync(node, parameters, {
    encoding: "utf8",
    maxBuffer: 2 ** 28,
    timeout: PATIENCE * 1000,
  });
  if (status === 0) return JSON.parse(stdout) as unknown;
  const line = stderr.split("\n").find((each) => /Error/.test(each));
  throw new Error(line ?? error?.message ?? `ended with ${status}`);
}

/** Seconds. */
const PATIENCE = 900;

/** What a section found, or why it found nothing. */
export async function runSection(
  node: string,
  section: "storage" | "scenarios",
  sizes: readonly number[],
  suites: readonly number[],
): Promise<Partial<Results>> {
  try {
    return runApart(node, [
      "--expose-gc",
      sectionWorkerFile,
      section,
      sizes.join(","),
      suites.join(","),
    ]) as Partial<Results>;
  } catch (error) {
    return { skipped: [{ what: section, why: String(error), isFault: true }] };
  }
}
