/** The files in which results are recorded, and what is played again after them. */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  type JudgedConfig,
  type Judgement,
  type MatrixResult,
  noRuns,
  type Origin,
  type ScriptResult,
} from "./results.ts";

export interface ResultFile {
  readonly results: readonly MatrixResult[];
  /** What the working group's own runner said. */
  readonly judgements: readonly Judgement[];
}

export function readResults(path: string): ResultFile {
  const file = JSON.parse(readFileSync(path, "utf8")) as ResultFile;
  return {
    results: file.results.map((matrix) => ({
      ...matrix,
      scripts: matrix.scripts.map((script) => ({
        ...script,
        counts: Object.fromEntries(
          Object.entries(script.counts).map(([name, count]) => [name, { ...noRuns(), ...count }]),
        ),
      })),
    })),
    judgements: file.judgements.map((judgement) => ({
      ...judgement,
      rows: judgement.rows.map((row) => ({ ...ZERO, ...row })),
    })),
  };
}

/** What is left out of rows where it is zero. */
const ZERO = { passed: 0, mixed: 0 };

/** One line per script and suite, and no counts that are zero. */
export function resultText(file: ResultFile): string {
  const names = new Set([...Object.keys(noRuns()), ...Object.keys(ZERO)]);
  const text = JSON.stringify(file, (key, value: unknown) => {
    return value === 0 && names.has(key) ? undefined : value;
  });
  return `${text.replaceAll(/\{"(config|clients)"/g, '\n{"$1"')}\n`;
}

/** What was played takes the place of its like: of the same servers, script and suite. */
export function record(path: string, played: ResultFile): void {
  const known = existsSync(path) ? readResults(path) : { results: [], judgements: [] };
  mkdirSync(dirname(path), { recursive: true });
  // Whoever is killed meanwhile must not leave half of what took hours.
  const draft = `${path}.${process.pid}`;
  writeFileSync(draft, resultText(withPlayed(known, played)));
  renameSync(draft, path);
}

export function withPlayed(known: ResultFile, played: ResultFile): ResultFile {
  return {
    results: replace(known.results, played.results, serversOf, (old, matrix) => {
      const scripts = replace(old.scripts, matrix.scripts, scriptOf).sort(byName(scriptOf));
      const expectedRuns = scripts.reduce((sum, script) => sum + script.expectedRuns, 0);
      return { ...matrix, scripts, expectedRuns };
    }),
    judgements: replace(known.judgements, played.judgements, runnerOf, (old, judgement) => {
      return { ...judgement, rows: replace(old.rows, judgement.rows, rowOf) };
    }),
  };
}

function replace<Item>(
  known: readonly Item[],
  played: readonly Item[],
  nameOf: (item: Item) => string,
  join: (old: Item, item: Item) => Item = (_old, item) => item,
): Item[] {
  const items = new Map(known.map((item) => [nameOf(item), item]));
  for (const item of played) {
    const old = items.get(nameOf(item));
    items.set(nameOf(item), old === undefined ? item : join(old, item));
  }
  return [...items.values()];
}

const serversOf = ({ servers, processes }: MatrixResult): string =>
  `${servers.join()} ${processes}`;
const scriptOf = ({ config, script, suite }: ScriptResult): string =>
  `${config}/${script} ${suite}`;
const runnerOf = ({ runner }: Judgement): string => runner;
const rowOf = ({ clients, config, suite }: JudgedConfig): string => {
  return `${clients.join()} ${config} ${suite}`;
};

function byName<Item>(nameOf: (item: Item) => string): (a: Item, b: Item) => number {
  return (a, b) => (nameOf(a) < nameOf(b) ? -1 : 1);
}

const rootFolder = fileURLToPath(new URL("../../../../", import.meta.url));
/** What results depend on. */
const PLAYED = ["mlskit/src", "interop/src", "interop/configs"];

/** Today, and the commit that is checked out: with a "+" if files have changed since. */
export function presentOrigin(): Origin {
  return { date: new Date().toISOString().slice(0, 10), commit: presentCommit() };
}

function presentCommit(): string {
  const git = (...parameters: readonly string[]): string =>
    execFileSync("git", parameters, { cwd: rootFolder, encoding: "utf8", stdio: "pipe" }).trim();
  try {
    const hash = git("rev-parse", "--short=10", "HEAD");
    const folders = PLAYED.map((folder) => join("packages", folder));
    return git("status", "--porcelain", "--", ...folders) === "" ? hash : `${hash}+`;
  } catch {
    return "unknown";
  }
}
