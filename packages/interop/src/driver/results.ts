/** What a matrix came to. Plain data, as it is written to JSON. */
import type { Tally } from "./world.ts";

/** Several stacks together, ours alone, a peer alone. */
export type RunKind = "mixed" | "ours" | "peers";

export interface Count {
  runs: number;
  passed: number;
  /** Went through, but a peer left out what was asked for: shows nothing. */
  vacuous: number;
  /** Failed as the list of known limits of peers says. */
  limited: number;
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

export interface ScriptResult extends Readonly<Record<RunKind, Count>> {
  readonly config: string;
  readonly script: string;
  readonly actors: number;
  /** By suite, handshake form and kind. */
  readonly suites: Record<string, Count>;
  readonly checks: Tally;
  readonly observations: string[];
  readonly failures: FailedRun[];
}

export interface MatrixResult {
  /** Names and versions as the servers give them. */
  readonly servers: readonly string[];
  readonly processes: number;
  readonly suites: readonly number[];
  readonly expectedRuns: number;
  readonly scripts: readonly ScriptResult[];
  /** Limits of peers that are listed and did not show. */
  readonly vanishedLimits: readonly string[];
}

/** What the working group's own runner said. */
export interface Judgement {
  readonly runner: string;
  readonly suites: readonly number[];
  readonly rows: readonly JudgedConfig[];
}

export interface JudgedConfig {
  readonly clients: readonly string[];
  /** Other than those of the whole. */
  readonly suites?: readonly number[];
  readonly config: string;
  /** How many there must be. */
  readonly runs: number;
  passed: number;
  /** Of the runs, those with several implementations in one group; unknown where nobody counted. */
  mixed?: number;
  /** Failed as the list of known limits of peers says, by their ids. */
  limited?: Readonly<Record<string, number>>;
  /** All others, in the runner's words. */
  readonly failures?: string[];
}

export function limitedRuns({ limited = {} }: JudgedConfig): number {
  return Object.values(limited).reduce((sum, count) => sum + count, 0);
}

/** Every run was made, and passed or has its reason. */
export function isRight(row: JudgedConfig): boolean {
  return row.runs > 0 && row.passed + limitedRuns(row) === row.runs;
}

export const KINDS: readonly RunKind[] = ["mixed", "ours", "peers"];

export function runsOf(script: ScriptResult): number {
  return KINDS.reduce((sum, kind) => sum + script[kind].runs, 0);
}

export function total(matrix: MatrixResult, kinds: readonly RunKind[] = KINDS): Count {
  const sum = noRuns();
  for (const script of matrix.scripts) for (const kind of kinds) add(sum, script[kind]);
  return sum;
}

export function noRuns(): Count {
  return { runs: 0, passed: 0, vacuous: 0, limited: 0, failed: 0 };
}

export function add(sum: Count, more: Count): void {
  sum.runs += more.runs;
  sum.passed += more.passed;
  sum.vacuous += more.vacuous;
  sum.limited += more.limited;
  sum.failed += more.failed;
}

/** Nothing failed, nothing is missing, and the list of limits is true. */
export function isGood(matrix: MatrixResult): boolean {
  const { runs, failed } = total(matrix);
  return (
    runs > 0 && runs === matrix.expectedRuns && failed === 0 && matrix.vanishedLimits.length === 0
  );
}
