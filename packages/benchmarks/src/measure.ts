/** Runs the operations of one place on all libraries, interleaved: A B C A B C, never A A A B B B. */
import { type ForgedGroup, forgeGroup } from "./forged-group.ts";
import { GROUPS, type OperationGroup } from "./groups.ts";
import { providers } from "./internals.ts";
import { LibraryProcess } from "./library-process.ts";
import { inScope, MLSKIT, type ScopedProgram } from "./peers.ts";
import type { Measured, TreeState } from "./protocol.ts";
import {
  callsOf,
  LIMIT,
  limitOf,
  type MeasuredLibrary,
  type Results,
  type Row,
  type Skipped,
} from "./results.ts";
import { median, summarizeSamples, type Summary } from "./statistics.ts";

/** Where measurements take place: everything that tables are made by. */
export interface Place {
  readonly suite: number;
  readonly size: number;
  readonly tree: TreeState;
}

/** Rounds, if there is time for them. */
const ROUNDS = 9;
/** Of a group's time: the code gets warm in the first part, the rounds fill the second. */
const WARM_UP = 0.25;
const MEASURING = 0.65;
/** Milliseconds. */
const LONGEST_WARM_UP = 600;
const LONGEST_ROUND = 150;

type Library = LibraryProcess<ScopedProgram>;

/** Samples per round at most; more say nothing new. */
const MOST_SAMPLES = 100;
const MOST_LIMITS = 20;

/** The groups of operations that belong to a place, of those named. */
export function groupsAt({ tree }: Place, names: readonly string[]): readonly OperationGroup[] {
  return GROUPS.filter(({ name, trees }) => names.includes(name) && trees.includes(tree));
}

export interface MeasurementOptions {
  /** Seconds that a library may take for one answer. */
  readonly patience: number;
  readonly groups: readonly string[];
  readonly quick: boolean;
  /** Each operation a single time. */
  readonly once: boolean;
}

export class Measurement {
  #rows: Row[] = [];
  #skipped: Skipped[] = [];
  readonly #libraries = new Map<string, MeasuredLibrary>();
  readonly #patience: number;
  readonly #groups: readonly string[];
  readonly #quick: boolean;
  readonly #once: boolean;
  /** By name. They go on from place to place, because in a process that has just begun code is slow. */
  readonly #running = new Map<string, Library>();
  /** By library and kind of place: sizes at which it took too long, larger ones included. */
  readonly #hopeless = new Map<string, number>();

  constructor({ patience, groups, quick, once }: MeasurementOptions) {
    this.#patience = patience;
    this.#groups = groups;
    this.#quick = quick;
    this.#once = once;
  }

  /**
   * All operations of a place, in about so many seconds: with less time there are fewer rounds, but
   * always one.
   */
  async run(
    programs: readonly ScopedProgram[],
    place: Place,
    seconds: number,
  ): Promise<Pick<Results, "rows" | "skipped" | "libraries">> {
    this.#rows = [];
    this.#skipped = [];
    const end = performance.now() + seconds * 1000;
    const forged = new ForgedGroups(place);
    const ready: Library[] = [];
    for (const program of programs) {
      if (!inScope(program, place)) continue;
      const library = await this.#prepare(program, place, forged);
      if (library !== undefined) ready.push(library);
    }
    const groups = groupsAt(place, this.#groups);
    for (const [i, { name }] of groups.entries()) {
      const able = ready.filter(({ isAlive, hello, program }) => {
        return isAlive && hello.groups.includes(name) && inScope(program, place, name);
      });
      const share = (end - performance.now()) / (groups.length - i);
      await this.#runGroup(able, name, place, share);
    }
    const libraries = [...this.#libraries.values()];
    return { rows: this.#rows, skipped: this.#skipped, libraries };
  }

  /** Nothing can be measured afterwards. */
  end(): void {
    for (const library of this.#running.values()) library.stop();
  }

  async #prepare(
    program: ScopedProgram,
    place: Place,
    forged: ForgedGroups,
  ): Promise<Library | undefined> {
    const kind = `${program.name} ${place.suite} ${place.tree}`;
    if (place.size >= (this.#hopeless.get(kind) ?? Number.POSITIVE_INFINITY)) {
      const why = "a smaller group took too long already";
      this.#skipped.push({ what: `${program.name}: ${nameOf(place)}`, why });
      return undefined;
    }
    const known = this.#running.get(program.name);
    const library = known?.isAlive === true ? known : new LibraryProcess(program);
    this.#running.set(program.name, library);
    const isReady = await this.#attempt(library, nameOf(place), async () => {
      const hello = await library.greet();
      this.#libraries.set(program.name, { name: program.name, ...versionOf(hello) });
      if (!hello.suites.includes(place.suite)) return false;
      // Without mlskit there would be nothing to compare with.
      const patience = this.#patience * (program.name === MLSKIT ? 5 : 1);
      await prepare(library, place, forged, patience);
      return true;
    });
    if (isReady === true) return library;
    if (isReady === false) return undefined;
    if (!library.isAlive) this.#hopeless.set(kind, place.size);
    library.stop();
    return undefined;
  }

  async #runGroup(
    able: readonly Library[],
    group: string,
    place: Place,
    milliseconds: number,
  ): Promise<void> {
    // mlskit's limit takes as long as mlskit; so do those of others.
    const shares = 1 + able.length + able.filter(({ hello }) => hello.primitives === true).length;
    const warmUp = Math.min(LONGEST_WARM_UP, (milliseconds * WARM_UP) / able.length);
    const share = (milliseconds * MEASURING) / shares;
    const perRound = Math.min(LONGEST_ROUND, share / ROUNDS);
    const found = new Map<string, Found>();
    const turns = new Map<Library, Turn>();
    const what = `${group}, ${nameOf(place)}`;
    for (const library of able) {
      const perRun = await this.#attempt(library, what, () => this.#warmUp(library, group, warmUp));
      if (perRun === undefined) continue;
      const count = Math.max(1, Math.min(MOST_SAMPLES, Math.floor(perRound / perRun)));
      turns.set(library, { count: this.#once ? 1 : count, perRun, spent: 0 });
    }
    for (let round = 0; round < (this.#once ? 1 : ROUNDS); round++) {
      for (const [library, turn] of rotate([...turns], round)) {
        const least = this.#quick ? 1 : leastRounds(turn);
        if (round >= least && turn.spent > share) continue;
        const measured = await this.#attempt(library, what, () =>
          library.measure({ do: "run", group, count: turn.count }, this.#patience),
        );
        turn.spent += turn.count * turn.perRun;
        if (measured === undefined) turns.delete(library);
        else collect(found, library.name, measured);
        if (library.name === MLSKIT && measured !== undefined) {
          await this.#measureLimits(found, able, group, place, turn.count);
        }
      }
    }
    for (const { library, operation, samples, rounds: medians, ...more } of found.values()) {
      const summary = rounded(summarizeSamples(samples));
      this.#rows.push({
        ...place,
        operation,
        library,
        ...summary,
        rounds: medians.map(tenths),
        ...more,
      });
    }
  }

  /** What the operations need of mlskit's provider, and the same of other libraries' primitives. */
  async #measureLimits(
    found: Map<string, Found>,
    able: readonly Library[],
    group: string,
    { suite }: Place,
    runs: number,
  ): Promise<void> {
    const patience = this.#patience;
    const count = Math.min(runs, MOST_LIMITS);
    const mlskit = able.find(({ name }) => name === MLSKIT);
    const limit = await this.#attempt(mlskit, group, () => mlskit?.limit(group, count, patience));
    if (limit === undefined) return;
    const { steps } = limit;
    collect(found, LIMIT, limit);
    for (const [operation, list] of Object.entries(steps)) {
      const entry = found.get(`${LIMIT} ${operation}`);
      if (entry !== undefined) entry.calls = callsOf(list);
    }
    for (const library of able) {
      if (library.hello.primitives !== true || Object.keys(steps).length === 0) continue;
      const measured = await this.#attempt(library, group, () =>
        library.measure({ do: "primitives", suite, steps, count }, patience),
      );
      if (measured !== undefined) collect(found, limitOf(library.name), measured);
    }
  }

  /** Milliseconds per run, found out while the code gets warm. */
  async #warmUp(library: Library, group: string, milliseconds: number): Promise<number> {
    const start = performance.now();
    let done = 0;
    let count = 1;
    let perRun = 0;
    if (this.#once) return Number.POSITIVE_INFINITY;
    do {
      const before = performance.now();
      await library.measure({ do: "run", group, count }, this.#patience);
      done += count;
      perRun = (performance.now() - before) / count;
      count = Math.max(1, Math.min(2 * count, Math.floor(milliseconds / 2 / perRun)));
    } while (performance.now() - start < milliseconds && done < 1000);
    return perRun;
  }

  /** Undefined if the library fails, which is noted. */
  async #attempt<T>(
    library: Library | undefined,
    what: string,
    work: () => Promise<T> | undefined,
  ): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      const why = error instanceof Error ? (error.message.split("\n")[0] ?? "") : String(error);
      this.#skipped.push({ what: `${library?.name ?? "?"}: ${what}`, why });
      return undefined;
    }
  }
}

export function nameOf({ suite, size, tree }: Place): string {
  return `suite ${suite}, N = ${size}, ${tree}`;
}

/** What one library does in a round. */
interface Turn {
  readonly count: number;
  /** Milliseconds. */
  readonly perRun: number;
  spent: number;
}

/** So many even if the time is over. */
function leastRounds({ perRun }: Turn): number {
  return perRun < 500 ? 5 : perRun < 2000 ? 2 : 1;
}

interface Found {
  readonly library: string;
  readonly operation: string;
  readonly samples: number[];
  readonly rounds: number[];
  bytes?: number | undefined;
  calls?: Readonly<Record<string, number>> | undefined;
}

/** The warm group of a place, made when the first library needs it. */
class ForgedGroups {
  readonly #place: Place;
  #group: Promise<ForgedGroup> | undefined;

  constructor(place: Place) {
    this.#place = place;
  }

  group(): Promise<ForgedGroup> {
    const { suite, size } = this.#place;
    return (this.#group ??= forgeGroup(providers.nodeProvider(), suite, size - 2));
  }
}

async function prepare(
  library: Library,
  { suite, size, tree }: Place,
  forged: ForgedGroups,
  patience: number,
): Promise<void> {
  // With two members, one commit makes the tree warm.
  if (tree === "cold" || size < 3) {
    await library.ask({ do: "cold", suite, size }, patience);
    return;
  }
  const guests = await library.ask({ do: "guests", suite, size }, patience);
  if (!("keyPackages" in guests)) throw new Error("no key packages");
  const keyPackages = guests.keyPackages.map((text) => new Uint8Array(Buffer.from(text, "base64")));
  const { welcome, tree: nodes } = await (await forged.group()).invite(keyPackages);
  const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64");
  await library.ask({ do: "warm", welcome: text(welcome), tree: text(nodes) }, patience);
}

function versionOf({ version, runtime }: { version: string; runtime: string }): {
  version: string;
  runtime: string;
} {
  return { version, runtime };
}

function collect(found: Map<string, Found>, library: string, measured: Measured): void {
  for (const [operation, samples] of Object.entries(measured.samples)) {
    const key = `${library} ${operation}`;
    const entry = found.get(key) ?? { library, operation, samples: [], rounds: [] };
    found.set(key, entry);
    entry.samples.push(...samples);
    entry.rounds.push(median(samples));
    entry.bytes = measured.bytes?.[operation];
  }
}

function rotate<T>(list: readonly T[], by: number): T[] {
  const start = list.length === 0 ? 0 : by % list.length;
  return [...list.slice(start), ...list.slice(0, start)];
}

function rounded({ median: middle, p95, minimum, runs }: Summary): Summary {
  return { median: tenths(middle), p95: tenths(p95), minimum: tenths(minimum), runs };
}

function tenths(value: number): number {
  return Math.round(value * 10) / 10;
}
