/**
 * One group of operations on all libraries of a place, in turns: A B D C, B C A D, C D B A. A turn
 * begins with runs that do not count, because after the turns of others caches are cold; and what is
 * compared within a library, mlskit and its limit, takes turns in who comes first.
 */
import { MLSKIT } from "./peers.ts";
import { isAimedAt } from "./plan.ts";
import type { Hello, Limited, Measured, Request } from "./protocol.ts";
import { callsOf, LIMIT, limitOf, type Row } from "./results.ts";
import { ENOUGH, median, summarizeSamples } from "./statistics.ts";

/** A library that has been prepared. */
export interface Runner {
  readonly name: string;
  readonly hello: Pick<Hello, "primitives">;
  measure(request: Request, seconds: number): Promise<Measured>;
  limit(group: string, count: number, seconds: number): Promise<Limited>;
}

export interface RoundsOptions {
  readonly group: string;
  readonly suite: number;
  /** Of all libraries together. With less time turns are shorter; they are fewer only where nothing is aimed at. */
  readonly milliseconds: number;
  /** Seconds for one answer. */
  readonly patience: number;
  readonly quick: boolean;
  /** Each operation a single time. */
  readonly once: boolean;
  /** Whether a library has not run this group yet, so that its code is to be compiled first. */
  readonly isNew: (library: string) => boolean;
  /** Undefined if `work` fails, which is noted. */
  readonly attempt: <T>(library: string, work: () => Promise<T>) => Promise<T | undefined>;
}

/** What was found, but for the place. */
export type Sampled = Omit<Row, "suite" | "size" | "tree">;

const ROUNDS = 9;
/** Of a group's time: the code gets warm in the first part, the rounds fill the second. */
const WARM_UP = 0.25;
const MEASURING = 0.65;
/** Milliseconds. Engines compile what was run thousands of times: in a new process that takes seconds. */
const LONGEST_WARM_UP = 600;
export const FIRST_WARM_UP = 3000;
const SHORTEST_WARM_UP = 60;
const MOST_WARM_UP_RUNS = 20_000;
const LONGEST_ROUND = 150;
const SHORTEST_ROUND = 10;
/**
 * What a turn begins with, uncounted: what takes a millisecond is half as long again in the first
 * run, and still longer than usual after ten. Runs that take longer do not notice.
 */
export const SETTLING = 30;
const NOTICEABLE = 200;
/** Runs that take longer are not repeated as often, and the first one counts. */
const SLOW = 1000;
const VERY_SLOW = 3000;
/** Samples per round at most; more say nothing new. */
const MOST_SAMPLES = 100;
const MOST_LIMITS = 20;

interface Turn {
  readonly library: Runner;
  /** Runs that count, and those before them. */
  readonly count: number;
  readonly settling: number;
  readonly least: number;
  rounds: number;
  spent: number;
}

interface Found {
  readonly library: string;
  readonly operation: string;
  readonly samples: number[];
  readonly rounds: number[];
  bytes?: number | undefined;
  calls?: Row["calls"];
}

export async function runRounds(
  libraries: readonly Runner[],
  options: RoundsOptions,
): Promise<Sampled[]> {
  const rounds = new Rounds(libraries.length, options);
  for (const library of libraries) await rounds.begin(library);
  for (let round = 0; round < (options.once ? 1 : ROUNDS); round++) await rounds.round(round);
  return rounds.found();
}

class Rounds {
  readonly #options: RoundsOptions;
  readonly #warmUp: number;
  /** Milliseconds of a library in all rounds, and in one. */
  readonly #share: number;
  readonly #perRound: number;
  readonly #found = new Map<string, Found>();
  readonly #turns: Turn[] = [];
  /** What other libraries' primitives are to do; known after mlskit's limit was measured. */
  #steps: Limited["steps"] | undefined;

  constructor(libraries: number, options: RoundsOptions) {
    this.#options = options;
    const { milliseconds, quick } = options;
    this.#warmUp = Math.min(LONGEST_WARM_UP, (milliseconds * WARM_UP) / libraries);
    // mlskit's limit takes as long as mlskit; so do those of others.
    this.#share = (milliseconds * MEASURING) / (libraries + 2);
    const shortest = quick ? 0 : SHORTEST_ROUND;
    this.#perRound = Math.max(shortest, Math.min(LONGEST_ROUND, this.#share / ROUNDS));
  }

  /** Finds out how long it takes, while the code gets warm. */
  async begin(library: Runner): Promise<void> {
    const { once, quick, group } = this.#options;
    if (once) {
      this.#turns.push({ library, count: 1, settling: 0, least: 1, rounds: 0, spent: 0 });
      return;
    }
    const warmed = await this.#options.attempt(library.name, () => this.#getWarm(library));
    if (warmed === undefined) return;
    const { perRun, last } = warmed;
    const count = Math.max(1, Math.min(MOST_SAMPLES, Math.floor(this.#perRound / perRun)));
    const settling = perRun > NOTICEABLE ? 0 : Math.ceil((quick ? 1 : SETTLING) / perRun);
    const rounds = perRun > SLOW ? 1 : 0;
    if (rounds === 1) this.#collect(library.name, last);
    const needed = quick ? 1 : leastRounds(perRun, last, isAimedAt(library.name, group));
    // Beside mlskit its limit is measured, in a round of its own if need be.
    const least = library.name === MLSKIT ? Math.max(needed, rounds + 1) : needed;
    this.#turns.push({ library, count, settling, least, rounds, spent: rounds * perRun });
  }

  async round(number: number): Promise<void> {
    for (const turn of inTurns(this.#turns, number)) {
      if (turn.rounds >= ROUNDS) continue;
      if (turn.rounds >= turn.least && turn.spent > this.#share) continue;
      const start = performance.now();
      const works = this.#worksOf(turn);
      turn.rounds++;
      for (const work of number % 2 === 0 ? works : works.reverse()) {
        const done = await this.#options.attempt(turn.library.name, async () => {
          await work();
          return true;
        });
        // What failed is not tried again.
        if (done !== true) turn.rounds = ROUNDS;
      }
      turn.spent += (performance.now() - start) / works.length;
    }
  }

  found(): Sampled[] {
    return [...this.#found.values()].map(({ samples, rounds, ...row }) => {
      const { median: middle, p95, minimum, runs } = summarizeSamples(samples);
      return {
        ...row,
        median: tenths(middle),
        p95: tenths(p95),
        minimum: tenths(minimum),
        runs,
        rounds: rounds.map(tenths),
      };
    });
  }

  /** The operations of a library, and the cryptography it is compared with in the same process. */
  #worksOf({ library, count, settling }: Turn): (() => Promise<void>)[] {
    const { group, suite, patience } = this.#options;
    const { name } = library;
    const limits = Math.min(count, MOST_LIMITS);
    const counted = settling + limits;
    const works = [
      async () => {
        const request = { do: "run", group, count: settling + count } as const;
        this.#collect(name, await library.measure(request, patience), settling);
      },
    ];
    if (name === MLSKIT) {
      works.push(async () => {
        const limited = await library.limit(group, counted, patience);
        this.#steps = limited.steps;
        this.#collect(LIMIT, limited, settling);
        for (const [operation, list] of Object.entries(limited.steps)) {
          const entry = this.#found.get(`${LIMIT} ${operation}`);
          if (entry !== undefined) entry.calls = callsOf(list);
        }
      });
    }
    const steps = this.#steps;
    if (library.hello.primitives === true && steps !== undefined && isAimedAt(name, group)) {
      works.push(async () => {
        const request = { do: "primitives", suite, steps, count: counted } as const;
        this.#collect(limitOf(name), await library.measure(request, patience), settling);
      });
    }
    return works;
  }

  async #getWarm(library: Runner): Promise<{ readonly perRun: number; readonly last: Measured }> {
    const { group, patience, quick, isNew } = this.#options;
    const least = quick ? 0 : isNew(library.name) ? FIRST_WARM_UP : SHORTEST_WARM_UP;
    const milliseconds = Math.max(least, this.#warmUp);
    const start = performance.now();
    for (let done = 0, count = 1; ; ) {
      const before = performance.now();
      const last = await library.measure({ do: "run", group, count }, patience);
      const now = performance.now();
      const perRun = (now - before) / count;
      done += count;
      if (now - start >= milliseconds || done >= MOST_WARM_UP_RUNS) return { perRun, last };
      count = Math.max(1, Math.min(2 * count, Math.floor(milliseconds / 2 / perRun)));
    }
  }

  #collect(library: string, { samples, bytes }: Measured, settling = 0): void {
    for (const [operation, all] of Object.entries(samples)) {
      const key = `${library} ${operation}`;
      const entry = this.#found.get(key) ?? { library, operation, samples: [], rounds: [] };
      this.#found.set(key, entry);
      const counted = all.slice(settling);
      entry.samples.push(...counted);
      entry.rounds.push(median(counted));
      entry.bytes = bytes?.[operation];
    }
  }
}

/** So many even if the time is over: enough wherever an operation that matters takes less than a second. */
function leastRounds(perRun: number, { samples }: Measured, matters: boolean): number {
  if (perRun > VERY_SLOW) return 1;
  const fastest = Math.min(...Object.values(samples).map((times) => median(times) / 1000));
  if (fastest > SLOW) return 2;
  return matters ? ENOUGH : 3;
}

/** A Williams design: in as many rounds as there are libraries (twice as many if that is odd) each follows each other one as often. */
export function inTurns<T>(list: readonly T[], round: number): T[] {
  const { length } = list;
  const order = list.flatMap((_, i) => {
    const index = ((i % 2 === 0 ? length - i / 2 : (i + 1) / 2) + round) % length;
    return list.slice(index, index + 1);
  });
  return Math.floor(round / length) % 2 === 0 ? order : order.reverse();
}

function tenths(value: number): number {
  return Math.round(value * 10) / 10;
}
