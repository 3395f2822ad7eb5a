/** What a run leaves behind: one JSON file, from which tables and plots are made. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { BundleSize } from "./bundle.ts";
import { resultsFolder } from "./folders.ts";
import type { LargeGroup } from "./large.ts";
import type { Step } from "./limits.ts";
import type { Machine } from "./machine.ts";
import type { TreeState } from "./protocol.ts";
import type { ScenarioResult } from "./scenarios.ts";
import type { Summary } from "./statistics.ts";
import type { StorageSizes } from "mlskit/testing";

export interface Results {
  readonly format: 2;
  readonly date: string;
  readonly machine: Machine;
  /** Abbreviated hash of the commit that was measured, with a "+" if files had changed. */
  readonly commit: string;
  readonly quick: boolean;
  /** Milliseconds that a turn begins with and that do not count; where it is not said: 10, and turns were a rotation. */
  readonly settling?: number;
  /** What was measured anew at another commit, as the document is to say it. */
  readonly anew?: { readonly what: string; readonly commit: string };
  readonly libraries: readonly MeasuredLibrary[];
  readonly skipped: readonly Skipped[];
  readonly rows: readonly Row[];
  readonly scenarios: readonly (ScenarioResult & { readonly suite: number })[];
  readonly storage: readonly StorageSizes[];
  readonly large: readonly LargeGroup[];
  readonly bundles: readonly BundleSize[];
}

export interface MeasuredLibrary {
  readonly name: string;
  readonly version: string;
  readonly runtime: string;
}

export interface Skipped {
  readonly what: string;
  readonly why: string;
  /** mlskit itself failed, not a peer and not for want of time: the run ends with an error. */
  readonly isFault?: true | undefined;
}

/** Why a part is missing that a longer run would have. */
export const OVER = "the time of the run was over";

/** One operation of one library. Times in microseconds. */
export interface Row extends Summary {
  readonly suite: number;
  readonly size: number;
  readonly tree: TreeState;
  readonly operation: string;
  readonly library: string;
  /** Medians of the rounds, in the order in which they were run. */
  readonly rounds: readonly number[];
  /** On the wire; of `store`, of the whole state. */
  readonly bytes?: number | undefined;
  /** How often each primitive is needed; of mlskit's limit only. */
  readonly calls?: Readonly<Record<string, number>> | undefined;
}

/** The name of mlskit's limit among the libraries. */
export const LIMIT = "limit";

/** The same calls, made by another library's primitives. */
export function limitOf(library: string): string {
  return `${library} ${LIMIT}`;
}

export function isLimit(library: string): boolean {
  return library === LIMIT || library.endsWith(` ${LIMIT}`);
}

export function callsOf(steps: readonly Step[]): Record<string, number> {
  const calls: Record<string, number> = {};
  for (const { call, count } of steps) {
    if (count > 0) calls[call] = (calls[call] ?? 0) + count;
  }
  return calls;
}

/** Writes one row a line, so that a diff shows what changed. */
export function writeResults(results: Results, name: string): string {
  mkdirSync(resultsFolder, { recursive: true });
  const path = join(resultsFolder, `${name}.json`);
  const { rows, ...head } = results;
  const body = rows.map((row) => JSON.stringify(row)).join(",\n");
  const top = JSON.stringify(head, null, 1).slice(0, -2);
  writeFileSync(path, `${top},\n "rows": [\n${body}\n]}\n`);
  return path;
}

/** The committed results, newest Node first. */
export function readResults(): Results[] {
  mkdirSync(resultsFolder, { recursive: true });
  const names = readdirSync(resultsFolder).filter((name) => /^node-\d+\.json$/.test(name));
  names.sort((a, b) => Number.parseInt(b.slice(5), 10) - Number.parseInt(a.slice(5), 10));
  return names.map((name) => readOne(name));
}

export function readOne(name: string): Results {
  return JSON.parse(readFileSync(join(resultsFolder, name), "utf8")) as Results;
}
