/** Runs the operations on all libraries, interleaved: A B C A B C, never A A A B B B. */
import { providers } from "./internals.ts";
import { GROUPS, type OperationGroup } from "./groups.ts";
import type { LibraryProcess } from "./library-process.ts";
import type { Options } from "./options.ts";
import type { Measured, TreeState } from "./protocol.ts";
import { LIMIT, type Row, type Skipped } from "./results.ts";
import { median, summarizeSamples, type Summary } from "./statistics.ts";
import { type WarmGroup, warmGroup } from "./warm-tree.ts";

interface Effort {
  readonly rounds: number;
  /** Milliseconds per library, group and round. */
  readonly roundTime: number;
  readonly warmUpTime: number;
  /** Seconds that a library may take for one answer. */
  readonly patience: number;
  /** Nothing new is begun after so many seconds. */
  readonly total: number;
}

const FULL: Effort = {
  rounds: 7,
  roundTime: 300,
  warmUpTime: 400,
  patience: 600,
  total: Number.POSITIVE_INFINITY,
};
const QUICK: Effort = { rounds: 3, roundTime: 20, warmUpTime: 40, patience: 10, total: 35 };

/** Samples per round at most; more say nothing new. */
const MOST_SAMPLES = 60;
const MOST_LIMITS = 20;

export class Measurement {
  readonly rows: Row[] = [];
  readonly skipped: Skipped[] = [];
  readonly #options: Options;
  readonly #effort: Effort;
  readonly #start: number = performance.now();

  constructor(options: Options) {
    this.#options = options;
    this.#effort = options.quick ? QUICK : FULL;
  }

  /** The first library is mlskit, whose limit is measured along. */
  async run(libraries: readonly LibraryProcess[]): Promise<void> {
    const left = new Set(libraries);
    for (const suite of this.#options.suites) {
      for (const size of this.#options.sizes) {
        for (const tree of ["cold", "warm"] as const) {
          const groups = GROUPS.filter(({ name, trees }) => {
            return this.#options.groups.includes(name) && trees.includes(tree);
          });
          if (groups.length > 0) await this.#runTree(left, groups, { suite, size, tree });
        }
      }
    }
  }

  async #runTree(
    libraries: Set<LibraryProcess>,
    groups: readonly OperationGroup[],
    place: Place,
  ): Promise<void> {
    if (performance.now() - this.#start > this.#effort.total * 1000) {
      this.skipped.push({ what: nameOf(place), why: "the time of a quick run was over" });
      return;
    }
    process.stderr.write(`suite ${place.suite}, N = ${place.size}, ${place.tree}\n`);
    const ready: LibraryProcess[] = [];
    const warm = new WarmGroups(place);
    for (const library of Array.from(libraries)) {
      if (!library.hello.suites.includes(place.suite)) continue;
      const isPrepared = await this.#attempt(libraries, library, nameOf(place), () =>
        prepare(library, place, warm, this.#effort.patience),
      );
      if (isPrepared !== undefined) ready.push(library);
    }
    for (const { name } of groups) {
      const able = ready.filter(
        (library) => libraries.has(library) && library.hello.groups.includes(name),
      );
      await this.#runGroup(libraries, able, name, place);
    }
  }

  async #runGroup(
    libraries: Set<LibraryProcess>,
    able: readonly LibraryProcess[],
    group: string,
    place: Place,
  ): Promise<void> {
    const { rounds, patience } = this.#effort;
    const found = new Map<string, Found>();
    const counts = new Map<LibraryProcess, number>();
    const what = `${group}, ${nameOf(place)}`;
    for (const library of able) {
      const count = await this.#attempt(libraries, library, what, () =>
        this.#warmUp(library, group),
      );
      if (count !== undefined) counts.set(library, count);
    }
    for (let round = 0; round < rounds; round++) {
      for (const [library, count] of rotate([...counts], round)) {
        const measured = await this.#attempt(libraries, library, what, () =>
          library.measure({ do: "run", group, count }, patience),
        );
        if (measured === undefined) counts.delete(library);
        else collect(found, library.name, measured);
        if (library !== able[0] || measured === undefined) continue;
        const limit = await this.#attempt(libraries, library, what, () =>
          library.measure({ do: "limit", group, count: Math.min(count, MOST_LIMITS) }, patience),
        );
        if (limit !== undefined) collect(found, LIMIT, limit);
      }
    }
    for (const { library, operation, samples, rounds: medians, ...more } of found.values()) {
      this.rows.push({
        ...place,
        operation,
        library,
        ...rounded(summarizeSamples(samples)),
        rounds: medians.map(tenths),
        ...more,
      });
    }
  }

  /** How many runs fill a round, found out while the code gets warm. */
  async #warmUp(library: LibraryProcess, group: string): Promise<number> {
    const { warmUpTime, roundTime, patience } = this.#effort;
    const start = performance.now();
    let done = 0;
    let count = 1;
    let perRun = 0;
    do {
      const before = performance.now();
      await library.measure({ do: "run", group, count }, patience);
      done += count;
      perRun = (performance.now() - before) / count;
      count = Math.max(1, Math.min(2 * count, Math.floor(warmUpTime / perRun)));
    } while (performance.now() - start < warmUpTime && done < 500);
    return Math.max(1, Math.min(MOST_SAMPLES, Math.floor(roundTime / perRun)));
  }

  /** Undefined if the library fails, which is noted; one that has died is left out from now on. */
  async #attempt<T>(
    libraries: Set<LibraryProcess>,
    library: LibraryProcess,
    what: string,
    work: () => Promise<T>,
  ): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      const why = error instanceof Error ? (error.message.split("\n")[0] ?? "") : String(error);
      this.skipped.push({ what: `${library.name}: ${what}`, why });
      if (!library.isAlive) libraries.delete(library);
      return undefined;
    }
  }
}

interface Place {
  readonly suite: number;
  readonly size: number;
  readonly tree: TreeState;
}

interface Found {
  readonly library: string;
  readonly operation: string;
  readonly samples: number[];
  readonly rounds: number[];
  bytes?: number | undefined;
  counts?: Readonly<Record<string, number>> | undefined;
}

function nameOf({ suite, size, tree }: Place): string {
  return `suite ${suite}, N = ${size}, ${tree}`;
}

/** The warm group of a place, made when the first library needs it. */
class WarmGroups {
  readonly #place: Place;
  #group: Promise<WarmGroup> | undefined;

  constructor(place: Place) {
    this.#place = place;
  }

  group(): Promise<WarmGroup> {
    const { suite, size } = this.#place;
    return (this.#group ??= warmGroup(providers.nodeProvider(), suite, size - 2));
  }
}

async function prepare(
  library: LibraryProcess,
  { suite, size, tree }: Place,
  warm: WarmGroups,
  patience: number,
): Promise<true> {
  // With two members, one commit makes the tree warm.
  if (tree === "cold" || size < 3) {
    await library.ask({ do: "cold", suite, size }, patience);
    return true;
  }
  if (library.hello.ownWarm === true) {
    await library.ask({ do: "ownWarm", suite, size }, patience);
    return true;
  }
  const guests = await library.ask({ do: "guests", suite, size }, patience);
  if (!("keyPackages" in guests)) throw new Error("no key packages");
  const keyPackages = guests.keyPackages.map((text) => new Uint8Array(Buffer.from(text, "base64")));
  const { welcome, tree: nodes } = await (await warm.group()).invite(keyPackages);
  const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64");
  await library.ask({ do: "warm", welcome: text(welcome), tree: text(nodes) }, patience);
  return true;
}

function collect(found: Map<string, Found>, library: string, measured: Measured): void {
  for (const [operation, samples] of Object.entries(measured.samples)) {
    const key = `${library} ${operation}`;
    const entry = found.get(key) ?? { library, operation, samples: [], rounds: [] };
    found.set(key, entry);
    entry.samples.push(...samples);
    entry.rounds.push(median(samples));
    entry.bytes = measured.bytes?.[operation];
    entry.counts = measured.counts?.[operation];
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
