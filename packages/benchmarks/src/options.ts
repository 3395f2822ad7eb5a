/** The command line of `npm run bench -- …`. */
import { parseArgs } from "node:util";
import { GROUPS } from "./groups.ts";

export interface Options {
  readonly quick: boolean;
  readonly suites: readonly number[];
  readonly sizes: readonly number[];
  /** Operations, by the groups that contain them. */
  readonly groups: readonly string[];
  /** Names of peers; undefined for all that can be started. */
  readonly peers: readonly string[] | undefined;
  readonly output: string | undefined;
  readonly action: "measure" | "report" | "bundle" | "storage" | "scenarios" | "help";
}

export const USAGE: string = `npm run bench -- [options]

  --quick              small and short: ends in a minute on any machine
  --operation <names>  ${GROUPS.flatMap(({ operations }) => operations).join(", ")}
  --suite <numbers>    cipher suites (1, 2)
  --sizes <numbers>    members (2, 10, 50, 100, 500, 1000; with --large also 10000)
  --large              10,000 members too
  --peers <names>      which other libraries (all that can be started); "none" for none
  --output <name>      file in results/ (node-<major> for a complete run, otherwise .last)
  --scenarios          groups as they are used, instead of single operations
  --storage            what is written per operation
  --bundle             minified and compressed size of the entries
  --report             write docs/benchmarks.md and the plots from results/, measure nothing`;

export function readOptions(parameters: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...parameters],
    options: {
      quick: { type: "boolean", default: false },
      large: { type: "boolean", default: false },
      operation: { type: "string" },
      suite: { type: "string" },
      sizes: { type: "string" },
      peers: { type: "string" },
      output: { type: "string" },
      scenarios: { type: "boolean", default: false },
      storage: { type: "boolean", default: false },
      bundle: { type: "boolean", default: false },
      report: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  const { quick, large } = values;
  const usual = quick ? [2, 10, 100] : [2, 10, 50, 100, 500, 1000];
  const wanted = list(values.operation);
  const isFiltered = [values.operation, values.suite, values.sizes, values.peers].some(
    (value) => value !== undefined,
  );
  const major = process.versions.node.split(".")[0] ?? "0";
  return {
    quick,
    suites: numbers(values.suite) ?? [1, 2],
    sizes: numbers(values.sizes) ?? (large ? [...usual, 10_000] : usual),
    groups: GROUPS.filter(({ name, operations }) => {
      return wanted === undefined || [name, ...operations].some((each) => wanted.includes(each));
    }).map(({ name }) => name),
    peers: values.peers === "none" ? [] : list(values.peers),
    output: values.output ?? (quick || isFiltered ? ".last" : `node-${major}`),
    action: actionOf(values),
  };
}

function actionOf(values: Readonly<Record<string, unknown>>): Options["action"] {
  for (const action of ["help", "report", "bundle", "storage", "scenarios"] as const) {
    if (values[action] === true) return action;
  }
  return "measure";
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
