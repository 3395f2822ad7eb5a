/** Runs the operations of one place after the other on all libraries. */
import { type ForgedGroup, forgeGroup } from "./forged-group.ts";
import { providers } from "./internals.ts";
import { LibraryProcess } from "./library-process.ts";
import { inScope, MLSKIT, type ScopedProgram } from "./peers.ts";
import { groupsAt, nameOf, type Place } from "./plan.ts";
import { Preparations } from "./preparations.ts";
import { type MeasuredLibrary, OVER, type Results, type Row, type Skipped } from "./results.ts";
import { FIRST_WARM_UP, runRounds } from "./rounds.ts";

type Library = LibraryProcess<ScopedProgram>;

export interface MeasurementOptions {
  /** Seconds that a library may take for one answer. */
  readonly patience: number;
  readonly groups: readonly string[];
  readonly quick: boolean;
  /** Each operation a single time. */
  readonly once: boolean;
}

export class Measurement {
  readonly #options: MeasurementOptions;
  #rows: Row[] = [];
  #skipped: Skipped[] = [];
  readonly #libraries = new Map<string, MeasuredLibrary>();
  /** By name. They go on from place to place, because in a process that has just begun code is slow. */
  readonly #running = new Map<string, Library>();
  readonly #preparations = new Preparations();
  /** Groups of operations that the process of a library has run, by its name. */
  readonly #warm = new Map<string, Set<string>>();
  #hasEnded = false;

  constructor(options: MeasurementOptions) {
    this.#options = options;
  }

  /**
   * All operations of a place, in about so many seconds: with less time turns are shorter. Nothing new
   * is begun after `end`, in milliseconds of `performance.now()`.
   */
  async run(
    programs: readonly ScopedProgram[],
    place: Place,
    seconds: number,
    end: number,
  ): Promise<Pick<Results, "rows" | "skipped" | "libraries">> {
    this.#rows = [];
    this.#skipped = [];
    let planned = performance.now() + seconds * 1000;
    const forged = new ForgedGroups(place);
    const ready: Library[] = [];
    for (const program of programs) {
      if (!inScope(program, place)) continue;
      if (this.#isOver(end, `${program.name}: ${nameOf(place)}`)) continue;
      const library = await this.#prepare(program, place, forged);
      if (library !== undefined) ready.push(library);
    }
    const groups = groupsAt(place, this.#options.groups);
    for (const [i, { name }] of groups.entries()) {
      if (this.#isOver(end, `${name}: ${nameOf(place)}`)) continue;
      const able = ready.filter(({ isAlive, hello, program }) => {
        return isAlive && hello.groups.includes(name) && inScope(program, place, name);
      });
      const share = (planned - performance.now()) / (groups.length - i);
      // Warming up for the first time is no part of what the place is given.
      const fresh = able.filter((library) => this.#isNew(library.name, name));
      if (!this.#options.quick) planned += FIRST_WARM_UP * fresh.length;
      await this.#runGroup(able, name, place, Math.max(0, share));
    }
    const libraries = [...this.#libraries.values()];
    return { rows: this.#rows, skipped: this.#skipped, libraries };
  }

  /** Nothing can be measured afterwards; who is about to answer is cut short. */
  end(): void {
    this.#hasEnded = true;
    for (const library of this.#running.values()) library.stop();
  }

  #isOver(end: number, what: string): boolean {
    if (performance.now() < end && !this.#hasEnded) return false;
    this.#skipped.push({ what, why: OVER });
    return true;
  }

  async #prepare(
    program: ScopedProgram,
    place: Place,
    forged: ForgedGroups,
  ): Promise<Library | undefined> {
    const kind = `${program.name} ${place.suite} ${place.tree}`;
    const isOwn = program.name === MLSKIT;
    // Without mlskit there would be nothing to compare with.
    const patience = this.#options.patience * (isOwn ? 5 : 1);
    const why = this.#preparations.whyNot(kind, place.size, patience * 1000);
    if (why !== undefined && !isOwn) {
      this.#skipped.push({ what: `${program.name}: ${nameOf(place)}`, why });
      return undefined;
    }
    const known = this.#running.get(program.name);
    const library = known?.isAlive === true ? known : new LibraryProcess(program);
    if (library !== known) this.#warm.set(program.name, new Set());
    this.#running.set(program.name, library);
    const start = performance.now();
    const isReady = await this.#attempt(program.name, nameOf(place), async () => {
      const hello = await library.greet();
      const { version, runtime } = hello;
      this.#libraries.set(program.name, { name: program.name, version, runtime });
      if (!hello.suites.includes(place.suite)) {
        if (isOwn) throw new Error("the suite is missing");
        return false;
      }
      await prepare(library, place, forged, patience);
      return true;
    });
    if (isReady === true) {
      this.#preparations.add(kind, place.size, performance.now() - start);
      return library;
    }
    if (isReady === false) return undefined;
    if (!library.isAlive) this.#preparations.fail(kind, place.size);
    library.stop();
    return undefined;
  }

  async #runGroup(
    able: readonly Library[],
    group: string,
    place: Place,
    milliseconds: number,
  ): Promise<void> {
    const { patience, quick, once } = this.#options;
    const what = `${group}, ${nameOf(place)}`;
    const found = await runRounds(able, {
      group,
      suite: place.suite,
      milliseconds,
      patience,
      quick,
      once,
      isNew: (library) => this.#isNew(library, group),
      attempt: (library, work) => this.#attempt(library, what, work),
    });
    for (const { name } of able) this.#warm.get(name)?.add(group);
    for (const row of found) this.#rows.push({ ...place, ...row });
  }

  #isNew(library: string, group: string): boolean {
    return this.#warm.get(library)?.has(group) !== true;
  }

  /** Undefined if the library fails or is cut short, which is noted. */
  async #attempt<T>(library: string, what: string, work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      const [reason = ""] = (error instanceof Error ? error.message : String(error)).split("\n");
      const why = this.#hasEnded ? OVER : reason;
      const isFault = library === MLSKIT && !this.#hasEnded ? true : undefined;
      this.#skipped.push({ what: `${library}: ${what}`, why, isFault });
      return undefined;
    }
  }
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
  const group = await forged.group();
  // Nobody is to read a tree twice.
  const ratchetTree = library.hello.treeBeside !== true;
  const { welcome, tree: nodes } = await group.invite(keyPackages, ratchetTree);
  const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64");
  await library.ask({ do: "warm", welcome: text(welcome), tree: text(nodes) }, patience);
}
