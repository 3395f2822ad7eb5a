/** Runs all that is planned for some servers, and says of each run what it shows. */
import { CallError, type Connection } from "./connection.ts";
import { limitsOf, verdictOn } from "./peer-limits.ts";
import {
  expectedRuns,
  plan,
  type PlanOptions,
  type PlannedRun,
  type PlannedScript,
} from "./plan.ts";
import type { Launcher } from "./processes.ts";
import {
  type Count,
  countIn,
  countName,
  type FailedRun,
  type MatrixResult,
  noRuns,
  type Origin,
  type RunKind,
  type ScriptResult,
} from "./results.ts";
import { type RunOutcome, runScript } from "./run-script.ts";
import { ServerPool } from "./server-pool.ts";
import { chooseSuites } from "./suites.ts";

export type Players = Pick<MatrixResult, "servers" | "processes">;

export interface MatrixOptions extends Omit<PlanOptions, "suites" | "servers"> {
  readonly launchers: readonly Launcher[];
  /** Only these, as far as all servers carry them. */
  readonly onlySuites: readonly number[] | undefined;
  readonly provokesPeers: boolean;
  /** How much is played at the same time, each time with servers of its own. Default: 1. */
  readonly jobs?: number | undefined;
  readonly origin: Origin;
  /** Told what cannot be played, and why. */
  skip(reason: string): void;
  /** Told after every script in every suite, with the servers that played it. */
  progress(result: ScriptResult, players: Players): void;
}

export async function runMatrix(options: MatrixOptions): Promise<MatrixResult> {
  const pools = Array.from({ length: options.jobs ?? 1 }, () => {
    return new ServerPool(options.launchers);
  });
  try {
    return await runAll(options, pools);
  } finally {
    for (const pool of pools) pool.close();
  }
}

async function runAll(options: MatrixOptions, pools: readonly ServerPool[]): Promise<MatrixResult> {
  const [first] = pools;
  if (first === undefined) throw new Error("there must be a job");
  const servers = (await first.servers()).map(({ description }) => description);
  const names = servers.map(({ family }, i) => withVersion(family, options.launchers[i]?.version));
  const players = { servers: [...new Set(names)], processes: servers.length };
  const { suites, skipped } = chooseSuites(servers, options.onlySuites);
  for (const reason of skipped) options.skip(reason);
  const planOptions = { ...options, suites, servers: servers.length };
  const portions = plan(planOptions).flatMap((script) => portionsOf(script, options));
  const scripts = [...new Set(portions.map(({ result }) => result))];
  const work = async (pool: ServerPool): Promise<void> => {
    let failed: PlannedScript | undefined;
    for (let portion = portions.shift(); portion !== undefined; portion = portions.shift()) {
      const { script, result } = portion;
      // No other script shall suffer from what a failure left behind.
      if (failed !== undefined && failed !== script) {
        pool.stop();
        failed = undefined;
      }
      const isClean = await runPlanned(options, pool, portion);
      if (!isClean) failed = script;
      if (countIn(result).runs === result.expectedRuns) options.progress(result, players);
    }
  };
  await Promise.all(pools.map(work));
  return { ...players, expectedRuns: expectedRuns(planOptions), scripts };
}

export function withVersion(family: string, version: string | undefined): string {
  return version === undefined ? family : `${family} ${version}`;
}

/** The runs of a script in one suite and form: what is played with the same servers. */
interface Portion {
  readonly script: PlannedScript;
  readonly runs: readonly PlannedRun[];
  /** Of both forms. */
  readonly result: ScriptResult;
}

function portionsOf(script: PlannedScript, options: MatrixOptions): Portion[] {
  return groups(script.runs, ({ suite }) => suite).flatMap(([suite, inSuite]) => {
    const result = emptyResult(script, suite, inSuite.length, options);
    return groups(inSuite, ({ encrypt }) => encrypt).map(([, runs]) => ({ script, runs, result }));
  });
}

function groups<Item, Key>(items: readonly Item[], keyOf: (item: Item) => Key): [Key, Item[]][] {
  const found = new Map<Key, Item[]>();
  for (const item of items) found.set(keyOf(item), [...(found.get(keyOf(item)) ?? []), item]);
  return [...found];
}

/** Whether no run failed. */
async function runPlanned(
  { provokesPeers }: MatrixOptions,
  pool: ServerPool,
  { script, runs, result }: Portion,
): Promise<boolean> {
  let isClean = true;
  for (const run of runs) {
    const { suite, encrypt, seed } = run;
    const cast = castOf(script, run, await pool.servers());
    const setting = { suite, encrypt, seed, provokesPeers, cast };
    const outcome = await runScript(script.script, setting);
    const error = outcome.failure?.error;
    if (error instanceof CallError && error.isUnanswered) await pool.settle();
    pool.survey();
    isClean &&= outcome.failure === undefined;
    count(result, script, run, cast, outcome);
  }
  return isClean;
}

function emptyResult(
  { config, script }: PlannedScript,
  suite: number,
  planned: number,
  { casts, seed, origin }: MatrixOptions,
): ScriptResult {
  return {
    config,
    script: script.name,
    suite,
    ...origin,
    actors: script.actors.length,
    casts,
    seed,
    expectedRuns: planned,
    counts: {},
    checks: { epochs: 0, authenticators: 0, exports: 0, messages: 0, flags: 0, refusals: 0 },
    observations: [],
    limits: [],
    failures: [],
  };
}

function castOf(
  { script }: PlannedScript,
  run: PlannedRun,
  servers: readonly Connection[],
): Map<string, Connection> {
  const cast = new Map<string, Connection>();
  for (const [i, actor] of script.actors.entries()) {
    const server = servers[run.cast[i] ?? 0];
    if (server !== undefined) cast.set(actor, server);
  }
  return cast;
}

/** Only runs of ours with others are evidence that these work together. */
function kindOf(cast: ReadonlyMap<string, Connection>): RunKind {
  const families = new Set<string>();
  let hasOurs = false;
  for (const { description } of cast.values()) {
    families.add(description.family);
    hasOurs ||= description.isOurs;
  }
  if (!hasOurs) return "peers";
  return families.size > 1 ? "mixed" : "ours";
}

function count(
  result: ScriptResult,
  planned: PlannedScript,
  run: PlannedRun,
  cast: ReadonlyMap<string, Connection>,
  outcome: RunOutcome,
): void {
  const { config, script } = planned;
  const descriptions = new Map([...cast].map(([actor, { description }]) => [actor, description]));
  const { suite, encrypt } = run;
  const possible = limitsOf({ config, script: script.name, suite, encrypt }, descriptions);
  for (const { id, isOccasional } of possible) {
    if (isOccasional !== true && !result.limits.includes(id)) result.limits.push(id);
  }
  const tally = tallyOf(result, countName(encrypt, kindOf(cast)));
  tally.runs += 1;
  for (const key of Object.keys(outcome.tally) as (keyof typeof outcome.tally)[]) {
    result.checks[key] += outcome.tally[key];
  }
  for (const observation of outcome.observations) {
    if (!result.observations.includes(observation)) result.observations.push(observation);
  }
  const { failure } = outcome;
  if (failure === undefined) {
    tally[outcome.isVacuous ? "vacuous" : "passed"] += 1;
    return;
  }
  const limit = possible.find(({ error }) => error.test(failure.error.message))?.id;
  tally[limit === undefined ? "failed" : verdictOn(limit)] += 1;
  const failed = describeFailure(run, cast, failure);
  // More of the same would not say more.
  const alike = result.failures.filter((other) => limit !== undefined && other.limit === limit);
  if (alike.length === 0 && result.failures.length < MAXIMUM_FAILURES) {
    result.failures.push({ ...failed, limit });
  }
}

const MAXIMUM_FAILURES = 20;

function tallyOf({ counts }: ScriptResult, name: string): Count {
  const tally = counts[name] ?? noRuns();
  counts[name] = tally;
  return tally;
}

function describeFailure(
  { suite, encrypt, seed }: PlannedRun,
  cast: ReadonlyMap<string, Connection>,
  { step, action, error }: NonNullable<RunOutcome["failure"]>,
): FailedRun {
  const isMissing = error instanceof CallError && error.code === UNIMPLEMENTED;
  return {
    suite,
    encrypt,
    seed,
    cast: Object.fromEntries(
      [...cast].slice(0, 12).map(([actor, { description }]) => [actor, description.name]),
    ),
    step,
    action,
    error: error.message,
    kind: isMissing ? "unimplemented" : "failure",
  };
}

const UNIMPLEMENTED = 12;
