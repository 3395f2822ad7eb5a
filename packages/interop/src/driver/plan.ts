/** Which runs there are: scripts × suites × handshake forms × casts. */
import { createHash } from "node:crypto";
import type { Config, Script } from "./script.ts";

export interface PlanOptions {
  readonly configs: readonly Config[];
  /** Common to all servers. */
  readonly suites: readonly number[];
  readonly forms: readonly boolean[];
  /** How many servers there are to choose from. */
  readonly servers: number;
  /** All casts of two servers and more, or one that mixes them. */
  readonly casts: "all" | "one";
  /** One suite and one form per script, in turn. */
  readonly rotates: boolean;
  readonly seed: string;
}

/** All runs of one script, for which the same servers are used. */
export interface PlannedScript {
  readonly config: string;
  readonly script: Script;
  readonly runs: readonly PlannedRun[];
}

export interface PlannedRun {
  readonly suite: number;
  readonly encrypt: boolean;
  /** The server of each actor, by number. */
  readonly cast: readonly number[];
  readonly seed: string;
}

/** A script with more actors is played with a few casts instead of all. */
const MAXIMUM_ACTORS = 8;
const SAMPLES = 2;

export function plan(options: PlanOptions): PlannedScript[] {
  const planned: PlannedScript[] = [];
  for (const { name, scripts } of options.configs) {
    for (const script of scripts) {
      const turn = planned.length;
      const suites = options.rotates ? rotate(options.suites, turn) : options.suites;
      const forms = options.rotates ? rotate(options.forms, turn) : options.forms;
      const runs = suites.flatMap((suite) =>
        forms.flatMap((encrypt) =>
          castsOf(script, options, turn).map((cast, i) => {
            const seed = `${options.seed} ${name}/${script.name} ${suite} ${encrypt} ${i}`;
            return { suite, encrypt, cast, seed };
          }),
        ),
      );
      planned.push({ config: name, script, runs });
    }
  }
  return planned;
}

/** The number of runs as a formula, against which the runs are counted. */
export function expectedRuns(options: PlanOptions): number {
  let casts = 0;
  for (const { scripts } of options.configs) {
    for (const { actors } of scripts) {
      const isSampled = actors.length > MAXIMUM_ACTORS;
      const all = isSampled ? SAMPLES : options.servers ** actors.length;
      casts += options.casts === "one" ? 1 : all;
    }
  }
  return options.rotates ? casts : casts * options.suites.length * options.forms.length;
}

function rotate<T>(list: readonly T[], turn: number): readonly T[] {
  const at = turn % list.length;
  return list.slice(at, at + 1);
}

function castsOf(script: Script, { servers, casts, seed }: PlanOptions, turn: number): number[][] {
  const { length } = script.actors;
  // Who begins differs from script to script.
  if (casts === "one") return [script.actors.map((_, i) => (i + turn) % servers)];
  if (length > MAXIMUM_ACTORS) {
    return Array.from({ length: SAMPLES }, (_, sample) =>
      script.actors.map((actor) => choice(`${seed} ${sample} ${actor}`, servers)),
    );
  }
  // Counting in base `servers` meets every cast once.
  return Array.from({ length: servers ** length }, (_, number) =>
    script.actors.map((_actor, i) => Math.floor(number / servers ** i) % servers),
  );
}

function choice(seed: string, count: number): number {
  return (createHash("sha256").update(seed).digest()[0] ?? 0) % count;
}
