/** docs/interop.md, made from the results of the last matrices. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { PEER_LIMITS } from "./peer-limits.ts";
import { checksOf, describeLimits, matrixTable } from "./report.ts";
import {
  type Count,
  type JudgedConfig,
  type Judgement,
  KINDS,
  limitedRuns,
  type MatrixResult,
  noRuns,
  runsOf,
  type ScriptResult,
  total,
} from "./results.ts";

const packageFolder = fileURLToPath(new URL("../../", import.meta.url));

export const RESULTS_FOLDER: string = join(packageFolder, "results");
export const DOCUMENT: string = join(packageFolder, "../../docs/interop.md");

export interface ResultFile {
  readonly date: string;
  readonly seed: string;
  readonly results: readonly MatrixResult[];
  /** What the working group's own runner said. */
  readonly judge?: Judgement;
}

/** One line per script, and nothing that is zero. */
export function resultText(file: ResultFile): string {
  const text = JSON.stringify(file, (_key, value: unknown) => (value === 0 ? undefined : value));
  return `${text.replaceAll('{"config"', '\n{"config"')}\n`;
}

/** Results as they were before zeros were left out. */
function readResults(text: string): ResultFile {
  const file = JSON.parse(text) as ResultFile;
  const results = file.results.map((matrix) => ({
    ...matrix,
    scripts: matrix.scripts.map((script) => ({
      ...script,
      mixed: { ...noRuns(), ...script.mixed },
      ours: { ...noRuns(), ...script.ours },
      peers: { ...noRuns(), ...script.peers },
      suites: Object.fromEntries(
        Object.entries(script.suites).map(([key, count]) => [key, { ...noRuns(), ...count }]),
      ),
    })),
  }));
  return { ...file, results };
}

export function writeDocs(): void {
  writeFileSync(DOCUMENT, documentOf(recordedResults()));
}

/** The results that the document tells of, in its order. */
export function recordedResults(): ResultFile[] {
  const found = existsSync(RESULTS_FOLDER) ? readdirSync(RESULTS_FOLDER).sort() : [];
  const rest = found.filter((file) => file.endsWith(".json") && !ORDER.includes(file));
  const names = [...ORDER.filter((file) => found.includes(file)), ...rest];
  return names.map((file) => readResults(readFileSync(join(RESULTS_FOLDER, file), "utf8")));
}

export function documentOf(files: readonly ResultFile[]): string {
  const matrices = files.flatMap(({ results }) => results);
  const sections = files.flatMap(sectionsOf);
  return `${[...INTRODUCTION, ...COMMANDS, ...overview(matrices), ...sections, ...limits()].join("\n")}\n`;
}

/** Others follow by their names. */
const ORDER: readonly string[] = ["self.json", "mls-go.json", "mls-rs.json", "mlspp.json"];

const INTRODUCTION: readonly string[] = [
  "# Interoperability",
  "",
  "<!-- Written by `npm run interop -- --docs` from packages/interop/results. -->",
  "",
  "Groups of several implementations, driven by the scripts of the MLS working group's harness and by",
  "our own ([configs](../packages/interop/configs)), with `npm run interop`. In every epoch the driver",
  "compares epoch authenticators and exported secrets, lets everybody write to everybody (in groups of",
  "more than twelve: each to the next, and one to all), and hands members of mlskit tampered, replayed",
  "and untimely input, which they must refuse (peers only with `--provoke-peers`, and what they accept is",
  "noted). It checks that paths, trees and wire formats are those that were asked for, and that the number",
  "of runs is the number of scripts × suites × handshake forms × casts.",
  "",
  "Only mixed runs, in which several implementations are in one group, show that they work together.",
  "Runs of one implementation with itself are counted apart. A run in which a peer left out what was",
  "asked for (a path, a PSK, a tree beside the Welcome, extensions) is vacuous, and not counted as passed.",
  "",
];

/** How to get such results. */
const COMMANDS: readonly string[] = [
  "| command | plays |",
  "| --- | --- |",
  "| `npm run interop` | mlskit alone, then with mls-go, which Go builds through its module proxy, then both before the second judge |",
  "| `npm run interop -- --short` | one cast per script, suites and forms in turn |",
  "| `npm run interop -- --self` | mlskit alone |",
  '| `npm run interop -- --run "PROGRAM --port {port}=VERSION"` | with a server that is built already (repeat); `--client HOST:PORT=VERSION`: with one that runs |',
  "| `npm run interop -- --judge PROGRAM=VERSION` | the working group's runner instead of the driver |",
  "",
  "`--spread` plays every cast once, each in another suite and form; `npm run interop -- --help` lists all options. What",
  "is absent (the official scripts, Go, a module) is named in the last line and counted as skipped. A peer that was",
  "asked for and does not start is a failure.",
  "",
];

/** One line per peer. */
function overview(matrices: readonly MatrixResult[]): string[] {
  return [
    "| servers | suites | runs | passed | vacuous | limited | failed |",
    "| --- | --- | --- | --- | --- | --- | --- |",
    ...matrices.map((matrix) => {
      const mixed = total(matrix, ["mixed"]);
      const isMixed = mixed.runs > 0;
      const { runs, passed, vacuous, limited, failed } = isMixed ? mixed : total(matrix);
      const counts = [`${runs}${isMixed ? " mixed" : ""}`, passed, vacuous, limited, failed];
      const cells = [matrix.servers.join(" × "), matrix.suites.join(", "), ...counts];
      return `| ${cells.join(" | ")} |`;
    }),
    "",
  ];
}

function sectionsOf({ date, seed, results, judge }: ResultFile): string[] {
  if (judge !== undefined) return judgement(date, judge);
  return results.flatMap((matrix) => {
    const { servers, suites, processes } = matrix;
    const counts = KINDS.flatMap((kind) => {
      const count = total(matrix, [kind]);
      return count.runs === 0 ? [] : [`${kind} ${describe(count)}`];
    });
    const notes = notesOf(matrix);
    return [
      `## ${servers.join(" × ")}`,
      "",
      `${date}, suites ${suites.join(", ")}, ${processes} processes, start value \`${seed}\`.`,
      ...castsOf(matrix),
      `Runs: ${counts.join("; ")}. Checks: ${checksOf(matrix)}.`,
      "",
      ...matrixTable(matrix),
      "",
      ...(notes.length === 0 ? [] : [NOTES, ""]),
      ...notes.map((note) => `- ${note}`),
      ...(notes.length === 0 ? [] : [""]),
    ];
  });
}

const NOTES = "Noted without failing:";

/** How many of the casts that there could be were played. */
function castsOf({ scripts, suites, processes }: MatrixResult): string[] {
  const hasMixed = scripts.some(({ mixed }) => mixed.runs > 0);
  if (!hasMixed) return [];
  const groups = new Map<string, string[]>();
  const places = suites.length * FORMS;
  for (const script of scripts) {
    const [casts, runs] = [processes ** script.actors, runsOf(script)];
    const extent =
      runs === casts * places
        ? "Every cast in every suite and form"
        : runs >= casts
          ? "Every cast at least once, suites and forms in turn"
          : "Some casts, suites and forms in turn";
    groups.set(extent, [...(groups.get(extent) ?? []), placeOf(script)]);
  }
  return [...groups].map(([extent, where]) => `${extent}: ${inShort(where, scripts)}.`);
}

const FORMS = 2;

/** What peers did otherwise than asked, and in which scripts. */
function notesOf({ scripts }: MatrixResult): string[] {
  const places = new Map<string, string[]>();
  for (const script of scripts) {
    for (const note of script.observations) {
      places.set(note, [...(places.get(note) ?? []), placeOf(script)]);
    }
  }
  return [...places].map(([note, where]) => `${note}: ${inShort(where, scripts)}`);
}

function placeOf({ config, script }: ScriptResult): string {
  return `${config}/${script}`;
}

/** Configurations of which all scripts are meant by their names alone, long lists by their length. */
function inShort(where: readonly string[], scripts: readonly ScriptResult[]): string {
  const configs = new Set(scripts.map(({ config }) => config));
  const parts = [...configs].flatMap((config) => {
    const all = scripts.filter((script) => script.config === config).map(placeOf);
    const meant = all.filter((place) => where.includes(place));
    if (meant.length === all.length) return [config];
    return meant.length > LIST_LENGTH ? [`${config} (${meant.length} of ${all.length})`] : meant;
  });
  return parts.join(", ");
}

const LIST_LENGTH = 4;

function judgement(date: string, { runner, suites, rows }: Judgement): string[] {
  const configs = [...new Set(rows.map(({ config }) => config))];
  const groups = new Map<string, JudgedConfig[]>();
  for (const row of rows) {
    const group = `${row.clients.join(" × ")} | ${(row.suites ?? suites).join(", ")}`;
    groups.set(group, [...(groups.get(group) ?? []), row]);
  }
  const limited = rows.filter((row) => limitedRuns(row) > 0);
  return [
    "## The second judge",
    "",
    `${date}, both handshake forms: the working group's runner (${runner}).`,
    "With several clients each script is played once per suite and form, and the runner draws who plays whom.",
    "It does not see what a peer leaves out: runs that the driver would call vacuous are among those that passed.",
    "",
    `| clients | suites | ${configs.join(" | ")} | mixed |`,
    `| --- | --- | ${configs.map(() => "--- | ").join("")}--- |`,
    ...[...groups].map(([group, played]) => {
      const cells = configs.map((config) => {
        const row = played.find((other) => other.config === config);
        return row === undefined ? "–" : `${row.passed}/${row.runs}`;
      });
      const mixed = played.reduce((sum, row) => sum + (row.mixed ?? 0), 0);
      return `| ${group} | ${cells.join(" | ")} | ${mixed} |`;
    }),
    "",
    ...limited.map((row) => {
      return `- ${row.clients.slice(1).join(" × ")}, ${row.config}: ${describeLimits(row)}`;
    }),
    "",
  ];
}

function describe({ runs, passed, vacuous, limited, failed }: Count): string {
  return `${passed} of ${runs} passed, ${vacuous} vacuous, ${limited} limited, ${failed} failed`;
}

function limits(): string[] {
  return [
    "## Known limits of peers",
    "",
    "A run that fails as listed here counts as limited. A limit that never shows where it always should",
    "counts as a failure, so that the list stays true.",
    "",
    "| id | seen at | whose | what |",
    "| --- | --- | --- | --- |",
    ...PEER_LIMITS.map(
      ({ id, version, whose, reason }) => `| ${id} | ${version} | ${whose} | ${reason} |`,
    ),
    "",
    "mls-go v1.6.0 does not read padded handshakes (RFC 9420 §6.3.1: “A receiver identifies the padding",
    "field in a plaintext decoded from PrivateMessage.ciphertext by first decoding the content and the auth",
    "field; then the padding field comprises any remaining octets of plaintext”), so mlskit's server runs",
    "with `--no-padding` beside it.",
  ];
}
