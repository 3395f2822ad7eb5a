/** docs/interop.md, made from the results of the last matrices. */
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { EMPTY_ANSWERS, PEER_LIMITS } from "./peer-limits.ts";
import { checksOf, describeAll, describeLimits, matrixTable } from "./report.ts";
import { readResults, type ResultFile } from "./result-file.ts";
import {
  countIn,
  FORMS,
  type JudgedConfig,
  type Judgement,
  KINDS,
  type MatrixResult,
  type Origin,
  type ScriptResult,
  suitesOf,
  total,
  vanishedLimits,
} from "./results.ts";

const packageFolder = fileURLToPath(new URL("../../", import.meta.url));

export const RESULTS_FOLDER: string = join(packageFolder, "results");
export const DOCUMENT: string = join(packageFolder, "../../docs/interop.md");

export function writeDocs(): void {
  writeFileSync(DOCUMENT, documentOf(recordedResults()));
}

/** The results that the document tells of, in its order. */
export function recordedResults(): ResultFile[] {
  const found = existsSync(RESULTS_FOLDER) ? readdirSync(RESULTS_FOLDER).sort() : [];
  const rest = found.filter((file) => file.endsWith(".json") && !ORDER.includes(file));
  const names = [...ORDER.filter((file) => found.includes(file)), ...rest];
  return names.map((file) => readResults(join(RESULTS_FOLDER, file)));
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
  "asked for (a path, a PSK, a tree beside the Welcome, extensions), or in which all its handshakes were",
  "public where they were to be private, is vacuous, and not counted as passed.",
  "",
];

/** How to get such results. */
const COMMANDS: readonly string[] = [
  "| command | plays |",
  "| --- | --- |",
  "| `npm run interop` | mlskit alone, then with mls-go, which Go builds through its module proxy, then both before the second judge |",
  "| `npm run interop -- --short` | one cast per script, suites and forms in turn, without deep_random |",
  "| `npm run interop -- --self` | mlskit alone; deep_random, which is longer than all else together, only here and where it is named |",
  '| `npm run interop -- --run "PROGRAM --port {port}=VERSION"` | with a server that is built already (repeat); `--client HOST:PORT=VERSION`: with one that runs |',
  "| `npm run interop -- --judge PROGRAM=VERSION` | the working group's runner instead of the driver |",
  "",
  "`--spread` plays every cast at least once, and one that mixes implementations in every suite and form; `--json FILE`",
  "records what was played in the place of its like; `npm run interop -- --help` lists all options. What",
  "is absent (the official scripts, in a folder that `--configs` names; Go, a module, a suite of a peer) is named in the last line and",
  "counted as skipped. A peer that was asked for and does not start is a failure.",
  "",
];

/** One line per peer. */
function overview(matrices: readonly MatrixResult[]): string[] {
  return [
    "| servers | suites | runs | passed | vacuous | limited | unsettled | failed |",
    "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ...matrices.map((matrix) => {
      const mixed = total(matrix, ["mixed"]);
      const isMixed = mixed.runs > 0;
      const { runs, passed, vacuous, limited, unsettled, failed } = isMixed ? mixed : total(matrix);
      const named = `${runs}${isMixed ? " mixed" : ""}`;
      const suites = suitesOf(matrix.scripts).join(", ");
      const counts = [named, passed, vacuous, limited, unsettled, failed];
      const cells = [matrix.servers.join(" × "), suites, ...counts];
      return `| ${cells.join(" | ")} |`;
    }),
    "",
  ];
}

function sectionsOf({ results, judgements }: ResultFile): string[] {
  const matrices = results.flatMap((matrix) => {
    const { servers, scripts, processes } = matrix;
    const counts = KINDS.flatMap((kind) => {
      const count = total(matrix, [kind]);
      return count.runs === 0 ? [] : [`${kind} ${count.runs}: ${describeAll(count)}`];
    });
    const notes = notesOf(matrix);
    const seeds = [...new Set(scripts.map(({ seed }) => `\`${seed}\``))];
    return [
      `## ${servers.join(" × ")}`,
      "",
      `${originOf(scripts)}, suites ${suitesOf(scripts).join(", ")}, ${processes} processes, start value ${seeds.join(", ")}.`,
      ...castsOf(matrix),
      ...vanishedLimits(matrix).map((id) => `The limit ${id} did not show.`),
      `Runs: ${counts.join("; ")}. Checks: ${checksOf(matrix)}.`,
      "",
      ...matrixTable(matrix),
      "",
      ...(notes.length === 0 ? [] : [NOTES, ""]),
      ...notes.map((note) => `- ${note}`),
      ...(notes.length === 0 ? [] : [""]),
    ];
  });
  return [...matrices, ...judgements.flatMap(judgementSection)];
}

/** From when to when, and of which commits of mlskit. */
function originOf(items: readonly Origin[]): string {
  const dates = items.map(({ date }) => date).sort();
  const span = [...new Set([dates.at(0), dates.at(-1)])].join(" to ");
  return `${span}, mlskit at ${[...new Set(items.map(({ commit }) => commit))].join(", ")}`;
}

const NOTES = "Noted without failing:";

/** How many of the casts that there could be were played. */
function castsOf(matrix: MatrixResult): string[] {
  const { scripts } = matrix;
  if (total(matrix, ["mixed"]).runs === 0) return [];
  const groups = new Map<string, string[]>();
  for (const place of new Set(scripts.map(placeOf))) {
    const extent = extentOf(
      matrix,
      scripts.filter((script) => placeOf(script) === place),
    );
    groups.set(extent, [...(groups.get(extent) ?? []), place]);
  }
  return [...groups].map(([extent, where]) => `${extent}: ${inShort(where, scripts)}.`);
}

/** Of one script in all suites. */
function extentOf(
  { scripts: all, processes }: MatrixResult,
  scripts: readonly ScriptResult[],
): string {
  const runs = scripts.reduce((sum, script) => sum + countIn(script).runs, 0);
  const casts = processes ** (scripts[0]?.actors ?? 0);
  if (runs === casts * suitesOf(all).length * FORMS.length) {
    return "Every cast in every suite and form";
  }
  const isComplete = runs >= casts && scripts.every((script) => script.casts !== "one");
  const isEverywhere = suitesOf(all).every((suite) => {
    const script = scripts.find((other) => other.suite === suite);
    return FORMS.every((form) => {
      return script !== undefined && countIn(script, ["mixed"], [form]).runs > 0;
    });
  });
  const which = isComplete ? "Every cast at least once" : "Some casts";
  return `${which}, ${isEverywhere ? "a mixed one in every suite and form" : "suites and forms in turn"}`;
}

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
    const all = [...new Set(scripts.filter((script) => script.config === config).map(placeOf))];
    const meant = all.filter((place) => where.includes(place));
    if (meant.length === all.length) return [config];
    return meant.length > LIST_LENGTH ? [`${config} (${meant.length} of ${all.length})`] : meant;
  });
  return parts.join(", ");
}

const LIST_LENGTH = 4;

function judgementSection({ runner, rows }: Judgement): string[] {
  const configs = [...new Set(rows.map(({ config }) => config))].sort();
  const groups = new Map<string, JudgedConfig[]>();
  for (const row of rows) {
    const group = row.clients.join(" × ");
    groups.set(group, [...(groups.get(group) ?? []), row]);
  }
  const limits = [...groups].flatMap(([clients, played]) => {
    return configs.flatMap((config) => {
      const listed = describeLimits(played.filter((row) => row.config === config));
      return listed.length === 0 ? [] : [`- ${clients}, ${config}: ${listed.join(", ")}`];
    });
  });
  return [
    "## The second judge",
    "",
    `${originOf(rows)}, both handshake forms: the working group's runner (${runner}).`,
    "With several clients each script is played once per suite and form, and the runner draws who plays whom.",
    "It does not see what a peer leaves out: runs that the driver would call vacuous are among those that passed.",
    "",
    `| clients | suites | ${configs.join(" | ")} | mixed |`,
    `| --- | --- | ${configs.map(() => "--- | ").join("")}--- |`,
    ...[...groups].map(([clients, played]) => {
      const cells = configs.map((config) => {
        const inConfig = played.filter((row) => row.config === config);
        const [passed, runs] = [sum(inConfig, "passed"), sum(inConfig, "runs")];
        return inConfig.length === 0 ? "–" : `${passed}/${runs}`;
      });
      const suites = suitesOf(played).join(", ");
      return `| ${clients} | ${suites} | ${cells.join(" | ")} | ${sum(played, "mixed")} |`;
    }),
    "",
    ...limits,
    ...(limits.length === 0 ? [] : [""]),
  ];
}

function sum(rows: readonly JudgedConfig[], key: "runs" | "passed" | "mixed"): number {
  return rows.reduce((total, row) => total + row[key], 0);
}

function limits(): string[] {
  return [
    "## Known limits of peers",
    "",
    "A run that fails as listed here counts as limited where a sentence of the RFC shows whose it is, and as",
    "unsettled where other evidence has to do. A limit that never shows where it always should counts as a",
    "failure, so that the list stays true.",
    "",
    "| id | seen at | whose | evidence | what |",
    "| --- | --- | --- | --- | --- |",
    ...PEER_LIMITS.map(({ id, version, whose, evidence, reason }) => {
      return `| ${id} | ${version} | ${whose} | ${evidence} | ${reason} |`;
    }),
    "",
    "These calls are answered with nothing, and an answer would be a failure:",
    "",
    "| id | seen at | whose | calls | so |",
    "| --- | --- | --- | --- | --- |",
    ...EMPTY_ANSWERS.map(({ id, version, whose, calls, reason }) => {
      return `| ${id} | ${version} | ${whose} | ${calls.join(", ")} | ${reason} |`;
    }),
    "",
    "mls-go v1.6.0 does not read padded handshakes (RFC 9420 §6.3.1: “A receiver identifies the padding",
    "field in a plaintext decoded from PrivateMessage.ciphertext by first decoding the content and the auth",
    "field; then the padding field comprises any remaining octets of plaintext”), so mlskit's server runs",
    "with `--no-padding` beside it.",
  ];
}
