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
  readonly casts: Casts;
  /** One suite and one form per script, in turn. */
  readonly rotates: boolean;
  readonly seed: string;
}

/**
 * All casts in every suite and form; or one cast, which mixes the servers; or spread: every cast in
 * some suite, and every suite and form with a cast that mixes ours with others.
 */
export type Casts = "all" | "one" | "spread";

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

/** Scripts with more actors than that are played with a few casts instead of all. */
const SAMPLING: Readonly<Record<Casts, { readonly actors: number; readonly casts: number }>> = {
  all: { actors: 8, casts: 2 },
  one: { actors: 0, casts: 1 },
  spread: { actors: 6, casts: 16 },
};

export function plan(options: PlanOptions): PlannedScript[] {
  const planned: PlannedScript[] = [];
  for (const { name, scripts } of options.configs) {
    for (const script of scripts) {
      const turn = planned.length;
      const suites = options.rotates ? rotate(options.suites, turn) : options.suites;
      const forms = options.rotates ? rotate(options.forms, turn) : options.forms;
      const places = suites.flatMap((suite) => forms.map((encrypt) => ({ suite, encrypt })));
      const casts = castsOf(script, options, turn);
      const pairs = options.casts === "spread" ? spread(places, casts, turn) : all(places, casts);
      const runs = pairs.map(([{ suite, encrypt }, cast]) => {
        const seed = `${options.seed} ${name}/${script.name} ${suite} ${encrypt} ${cast.join("")}`;
        return { suite, encrypt, cast, seed };
      });
      planned.push({ config: name, script, runs });
    }
  }
  return planned;
}

type Cast = readonly number[];

function all<Place>(places: readonly Place[], casts: readonly Cast[]): [Place, Cast][] {
  return places.flatMap((place) => casts.map((cast): [Place, Cast] => [place, cast]));
}

/** What shows that stacks work together meets every place; the others are played once. */
function spread<Place>(
  places: readonly Place[],
  casts: readonly Cast[],
  turn: number,
): [Place, Cast][] {
  const mixed = casts.filter(isMixed);
  const main = mixed.length > 0 ? mixed : casts;
  const others = casts.filter((cast) => !main.includes(cast));
  const start = turn % places.length;
  return [
    ...paired(places, main, Math.max(places.length, main.length)),
    ...paired([...places.slice(start), ...places.slice(0, start)], others, others.length),
  ];
}

function paired<Place>(
  places: readonly Place[],
  casts: readonly Cast[],
  count: number,
): [Place, Cast][] {
  // One step further after each round, or equal divisors would keep meeting the same.
  const at = (i: number, length: number): number => (i + Math.floor(i / length)) % length;
  const pairs: [Place, Cast][] = [];
  for (let i = 0; i < count; i++) {
    const [place, cast] = [places[at(i, places.length)], casts[at(i, casts.length)]];
    if (place !== undefined && cast !== undefined) pairs.push([place, cast]);
  }
  return pairs;
}

/** The first of the servers is ours. */
const OURS = 0;

function isMixed(cast: Cast): boolean {
  return cast.includes(OURS) && cast.some((server) => server !== OURS);
}

/** The number of runs as a formula, against which the runs are counted. */
export function expectedRuns(options: PlanOptions): number {
  const { suites, forms, rotates } = options;
  const places = rotates ? 1 : suites.length * forms.length;
  let runs = 0;
  for (const { scripts } of options.configs) {
    for (const { actors } of scripts) {
      const sampling = SAMPLING[options.casts];
      const isSampled = actors.length > sampling.actors;
      const casts = isSampled ? sampling.casts : options.servers ** actors.length;
      // Ours alone, and whatever is without ours; samples are none of these.
      const unmixed = isSampled ? 0 : 1 + (options.servers - 1) ** actors.length;
      const others = unmixed < casts ? unmixed : 0;
      const isSpread = options.casts === "spread";
      runs += isSpread ? Math.max(places, casts - others) + others : places * casts;
    }
  }
  return runs;
}

/** The one of the list whose turn it is. */
export function rotate<T>(list: readonly T[], turn: number): readonly T[] {
  const at = turn % list.length;
  return list.slice(at, at + 1);
}

function castsOf(script: Script, { servers, casts, seed }: PlanOptions, turn: number): number[][] {
  const { length } = script.actors;
  // Who begins differs from script to script.
  if (casts === "one") return [script.actors.map((_, i) => (i + turn) % servers)];
  const sampling = SAMPLING[casts];
  if (length > sampling.actors) {
    const drawn: number[][] = [];
    for (let sample = 0; drawn.length < sampling.casts; sample++) {
      const cast = script.actors.map((actor) => choice(`${seed} ${sample} ${actor}`, servers));
      if (servers === 1 || isMixed(cast)) drawn.push(cast);
    }
    return drawn;
  }
  // Counting in base `servers` meets every cast once.
  return Array.from({ length: servers ** length }, (_, number) =>
    script.actors.map((_actor, i) => Math.floor(number / servers ** i) % servers),
  );
}

function choice(seed: string, count: number): number {
  return (createHash("sha256").update(seed).digest()[0] ?? 0) % count;
}
