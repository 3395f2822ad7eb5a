/** The command line of `npm run bench -- …`. */
import { parseArgs } from "node:util";
import { GROUPS } from "./groups.ts";
import { type Place, placesOf } from "./plan.ts";

/** Parts of a run that have tables of their own. */
export const SECTIONS = ["operations", "storage", "scenarios", "large", "bundle"] as const;
export type Section = (typeof SECTIONS)[number];

export interface Options {
  readonly action: "measure" | "report" | "help";
  readonly sections: readonly Section[];
  readonly quick: boolean;
  readonly places: readonly Place[];
  /** What was asked for. */
  readonly sizes: readonly number[] | undefined;
  readonly suites: readonly number[] | undefined;
  /** Groups of operations, by what they contain. */
  readonly groups: readonly string[];
  /** Names of peers; undefined for all that can be started. */
  readonly peers: readonly string[] | undefined;
  /** Path or version of the Node that is measured; undefined for this one. */
  readonly node: string | undefined;
  /** Each operation a single time, to see that it works. */
  readonly once: boolean;
  readonly clock: "wall" | "cpu";
  /** After so many minutes nothing new is begun. */
  readonly minutes: number;
  /** Undefined for node-<version> of a complete run, and .last of others. */
  readonly output: string | undefined;
}

export const USAGE: string = `npm run bench -- [options]

Measures everything beside all libraries that can be built here, in an hour, building them
aside; what mlskit aims at comes first. Says what the time did not suffice for, and goes on where an
earlier run was interrupted.

  --quick            small and short, with what is built already: ends in a minute
  --minutes <n>      begin nothing new after so many (60; with --quick less than half a minute); with
                     fewer, turns are shorter and what comes last is left out: 14 are enough for most
                     of what mlskit aims at
  --node <which>     a path, a version, or "newest", which npm installs in a cache (this one)
  --only <names>     ${GROUPS.flatMap(({ operations }) => operations).join(", ")}
  --suites <numbers> cipher suites (1, 2, 3, 7; 3 and 7 to 1000 members)
  --sizes <numbers>  members (2, 10, 50, 100, 500, 1000, 10000)
  --peers <names>    which other libraries, "OpenMLS*" for some, "none" for none
  --cpu              mlskit and its limit in processor time, for machines that are not quiet
  --once             each operation a single time, to see that it works
  --output <name>    file in results/
  --report           write docs/benchmarks.md, the plots and README's table, measure nothing

Parts of it alone:

  --operations       the tables over the number of members
  --storage          bytes written per message and per commit, time to open
  --scenarios        groups as they are used
  --large            groups of 10,000 and 50,000: time, memory
  --bundle           what an application's bundle grows by`;

export function readOptions(parameters: readonly string[]): Options {
  const flag = { type: "boolean", default: false } as const;
  const { values } = parseArgs({
    args: [...parameters],
    options: {
      quick: flag,
      cpu: flag,
      once: flag,
      report: flag,
      help: flag,
      operations: flag,
      storage: flag,
      scenarios: flag,
      large: flag,
      bundle: flag,
      only: { type: "string" },
      suites: { type: "string" },
      sizes: { type: "string" },
      peers: { type: "string" },
      node: { type: "string" },
      minutes: { type: "string" },
      output: { type: "string" },
    },
  });
  const { quick } = values;
  const only = list(values.only);
  const suites = numbers(values.suites);
  const sizes = numbers(values.sizes);
  const filters = [only, suites, values.peers];
  const isFiltered = filters.some((value) => value !== undefined);
  const named = SECTIONS.filter((section) => values[section]);
  const sections = named.length > 0 ? named : isFiltered ? (["operations"] as const) : SECTIONS;
  const isComplete =
    !quick &&
    !isFiltered &&
    sizes === undefined &&
    named.length === 0 &&
    !values.cpu &&
    !values.once;
  return {
    action: values.help ? "help" : values.report ? "report" : "measure",
    sections: quick && named.length === 0 ? ["operations"] : sections,
    quick,
    places: placesOf({ suites, sizes, quick }),
    sizes,
    suites,
    groups: GROUPS.filter(({ name, operations }) => {
      return only === undefined || [name, ...operations].some((each) => only.includes(each));
    }).map(({ name }) => name),
    peers: values.peers === "none" ? [] : list(values.peers),
    node: values.node,
    once: values.once,
    clock: values.cpu ? "cpu" : "wall",
    minutes: values.minutes === undefined ? (quick ? 0.4 : 60) : Number(values.minutes),
    output: values.output ?? (isComplete ? undefined : ".last"),
  };
}

function list(value: string | undefined): string[] | undefined {
  return value?.split(",").map((entry) => entry.trim());
}

function numbers(value: string | undefined): number[] | undefined {
  return list(value)?.map((entry) => {
    const number = Number(entry);
    if (!Number.isInteger(number)) throw new Error(`${entry} is not a number`);
    return number;
  });
}
