/** What a matrix came to. Plain data, as it is written to JSON. */
import { verdictOn } from "./peer-limits.ts";
import type { Casts } from "./plan.ts";
import type { Tally } from "./world.ts";

/** Ours together with others, ours alone, and all without ours. */
export type RunKind = "mixed" | "ours" | "peers";

export interface Count {
  runs: number;
  passed: number;
  /** Went through, but a peer left out what was asked for: shows nothing. */
  vacuous: number;
  /** Failed as the list of known limits of peers says, with the sentence of the RFC for it. */
  limited: number;
  /** Failed as that list says, but no sentence of the RFC decides whose fault it is. */
  unsettled: number;
  failed: number;
}

export interface FailedRun {
  readonly suite: number;
  readonly encrypt: boolean;
  /** With which the run can be repeated. */
  readonly seed: string;
  readonly cast: Readonly<Record<string, string>>;
  readonly step: number;
  readonly action: string;
  readonly error: string;
  readonly kind: "failure" | "unimplemented";
  readonly limit?: string | undefined;
}

/** When something was played, and with which build of ours. */
export interface Origin {
  readonly date: string;
  readonly commit: string;
}

/** What one script came to in one suite: what is replaced when it is played again. */
export interface ScriptResult extends Origin {
  readonly config: string;
  readonly script: string;
  readonly suite: number;
  readonly actors: number;
  /** How casts were chosen, and from which start value. */
  readonly casts: Casts;
  readonly seed: string;
  readonly expectedRuns: number;
  /** By handshake form and kind, as `countName` says. */
  readonly counts: Record<string, Count>;
  readonly checks: Tally;
  readonly observations: string[];
  /** Limits of peers that should show here or in another script. */
  readonly limits: string[];
  readonly failures: FailedRun[];
}

export interface MatrixResult {
  /** Names and versions as the servers give them. */
  readonly servers: readonly string[];
  readonly processes: number;
  readonly expectedRuns: number;
  readonly scripts: readonly ScriptResult[];
}

/** What the working group's own runner said. */
export interface Judgement {
  readonly runner: string;
  readonly rows: readonly JudgedConfig[];
}

/** A configuration in one suite. */
export interface JudgedConfig extends Origin {
  readonly clients: readonly string[];
  readonly config: string;
  readonly suite: number;
  /** How many there must be. */
  readonly runs: number;
  passed: number;
  /** Of the runs, those with ours and others in one group. */
  mixed: number;
  /** Failed as the list of known limits of peers says, by their ids. */
  readonly listed: Record<string, number>;
  /** All others, in the runner's words. */
  readonly failures: string[];
}

export function countOf(row: JudgedConfig): Count {
  const count = { ...noRuns(), runs: row.runs, passed: row.passed };
  for (const [id, runs] of Object.entries(row.listed)) count[verdictOn(id)] += runs;
  count.failed = row.runs - count.passed - count.limited - count.unsettled;
  return count;
}

/** Every run was made, and passed or has its reason. */
export function isRight(row: JudgedConfig): boolean {
  return row.runs > 0 && countOf(row).failed === 0;
}

export const KINDS: readonly RunKind[] = ["mixed", "ours", "peers"];

export function countName(encrypt: boolean, kind: RunKind): string {
  return `${encrypt ? "private" : "public"} ${kind}`;
}

/** Of both handshake forms, unless one is named. */
export function countIn(
  { counts }: ScriptResult,
  kinds: readonly RunKind[] = KINDS,
  forms: readonly boolean[] = FORMS,
): Count {
  const sum = noRuns();
  for (const kind of kinds) {
    for (const encrypt of forms) add(sum, counts[countName(encrypt, kind)] ?? noRuns());
  }
  return sum;
}

export const FORMS: readonly boolean[] = [false, true];

export function total(matrix: MatrixResult, kinds: readonly RunKind[] = KINDS): Count {
  const sum = noRuns();
  for (const script of matrix.scripts) add(sum, countIn(script, kinds));
  return sum;
}

export function suitesOf(items: readonly { readonly suite: number }[]): number[] {
  return [...new Set(items.map(({ suite }) => suite))].sort((a, b) => a - b);
}

/** Limits of peers that are listed and did not show. */
export function vanishedLimits({ scripts }: MatrixResult): string[] {
  const shown = scripts.flatMap(({ failures }) => failures.map(({ limit }) => limit));
  const expected = new Set(scripts.flatMap(({ limits }) => limits));
  return [...expected].filter((id) => !shown.includes(id));
}

export function noRuns(): Count {
  return { runs: 0, passed: 0, vacuous: 0, limited: 0, unsettled: 0, failed: 0 };
}

export function add(sum: Count, more: Count): void {
  sum.runs += more.runs;
  sum.passed += more.passed;
  sum.vacuous += more.vacuous;
  sum.limited += more.limited;
  sum.unsettled += more.unsettled;
  sum.failed += more.failed;
}

/** Nothing failed, nothing is missing, and the list of limits is true. */
export function isGood(matrix: MatrixResult): boolean {
  const { runs, failed } = total(matrix);
  return (
    runs > 0 && runs === matrix.expectedRuns && failed === 0 && vanishedLimits(matrix).length === 0
  );
}
