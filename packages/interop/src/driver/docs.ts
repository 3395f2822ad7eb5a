/** docs/interop.md, made from the results of the last matrices. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { PEER_LIMITS } from "./peer-limits.ts";
import { checksOf, describeLimits, matrixTable } from "./report.ts";
import { type Count, type Judgement, KINDS, type MatrixResult, total } from "./results.ts";

const packageFolder = fileURLToPath(new URL("../../", import.meta.url));

export const RESULTS_FOLDER: string = join(packageFolder, "results");
const DOCUMENT = join(packageFolder, "../../docs/interop.md");

export interface ResultFile {
  readonly date: string;
  readonly seed: string;
  /** How these results came to be, where the driver's options do not tell. */
  readonly note?: string;
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
      mixed: { ...NO_RUNS, ...script.mixed },
      ours: { ...NO_RUNS, ...script.ours },
      peers: { ...NO_RUNS, ...script.peers },
      suites: Object.fromEntries(
        Object.entries(script.suites).map(([key, count]) => [key, { ...NO_RUNS, ...count }]),
      ),
    })),
  }));
  return { ...file, results };
}

const NO_RUNS: Count = { runs: 0, passed: 0, limited: 0, failed: 0 };

export function writeDocs(): void {
  const files = existsSync(RESULTS_FOLDER) ? readdirSync(RESULTS_FOLDER).sort() : [];
  const sections = files
    .filter((file) => file.endsWith(".json"))
    .flatMap((file) => sectionsOf(readResults(readFileSync(join(RESULTS_FOLDER, file), "utf8"))));
  writeFileSync(DOCUMENT, `${[...INTRODUCTION, ...sections, ...limits()].join("\n")}\n`);
}

const INTRODUCTION: readonly string[] = [
  "# Interoperability",
  "",
  "<!-- Written by `npm run interop -- --docs` from packages/interop/results. -->",
  "",
  "Groups of several implementations, driven by the scripts of the MLS working group's harness and by",
  "our own ([configs](../packages/interop/configs)), with `npm run interop`. In every epoch the driver",
  "compares epoch authenticators and exported secrets, lets everybody write to everybody (in groups of",
  "more than twelve: each to the next, and one to all), and hands members tampered, replayed and",
  "untimely input, which mlskit must refuse and peers are watched with. It checks that paths, trees and",
  "wire formats are those that were asked for, and that the number of runs is the number of",
  "scripts × suites × handshake forms × casts.",
  "",
  "Only mixed runs, in which several implementations are in one group, show that they work together.",
  "Runs of one implementation with itself are counted apart.",
  "",
];

function sectionsOf({ date, seed, note, results, judge }: ResultFile): string[] {
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
      ...(note === undefined ? [] : [note]),
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

const NOTES =
  "Noted without failing. What a peer left out is not shown by its runs of these scripts, for which they are vacuous:";

/** What peers did otherwise than asked, and in which scripts. */
function notesOf({ scripts }: MatrixResult): string[] {
  const places = new Map<string, string[]>();
  for (const { config, script, observations } of scripts) {
    for (const note of observations) {
      places.set(note, [...(places.get(note) ?? []), `${config}/${script}`]);
    }
  }
  return [...places].map(([note, where]) => `${note} (${where.join(", ")})`);
}

function judgement(date: string, { runner, suites, rows }: Judgement): string[] {
  return [
    "## The second judge",
    "",
    `${date}, both handshake forms: the working group's runner (${runner}). With several`,
    "clients each script is played once per suite and form, and the runner draws who plays whom.",
    "",
    "| clients | suites | configuration | passed | of all these mixed | failed as known |",
    "| --- | --- | --- | --- | --- | --- |",
    ...rows.map((row) => {
      const { clients, suites: some, config, runs, passed, mixed } = row;
      const where = (some ?? suites).join(", ");
      const result = `${passed}/${runs}`;
      const cells = [clients.join(" × "), where, config, result, mixed ?? "–", describeLimits(row)];
      return `| ${cells.join(" | ")} |`;
    }),
    "",
  ];
}

function describe({ runs, passed, limited, failed }: Count): string {
  return `${passed} of ${runs} passed, ${limited} limited, ${failed} failed`;
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
