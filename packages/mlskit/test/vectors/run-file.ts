/** One file: all of its cases, its negative controls, and what the manifest says about it. */
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import type { CryptoProvider } from "../../src/crypto/index.ts";
import { addTotals } from "./checks.ts";
import { type ControlReport, runControls } from "./controls.ts";
import type { Format } from "./format.ts";
import { formatNamed, guessFormat } from "./formats/index.ts";
import { clockOf, compareWithManifest, type Manifest, type ManifestEntry } from "./manifest.ts";
import { type CaseOptions, type CaseResult, runCase, suiteName } from "./run-case.ts";
import { parseDocument } from "./value.ts";

export interface FileOptions {
  readonly provider: CryptoProvider;
  /** Absent for files that nobody has announced. */
  readonly entry: ManifestEntry | undefined;
  readonly manifest: Manifest | undefined;
  /** The format's name, if it is not to be guessed. */
  readonly type: string | undefined;
  readonly now: bigint | undefined;
  readonly withControls: boolean;
  /** Only so many cases of each suite. The manifest's numbers are then not compared. */
  readonly sample?: number | undefined;
}

export interface FileResult {
  readonly file: string;
  readonly type: string;
  readonly cases: readonly CaseResult[];
  /** What is wrong with the file as a whole. */
  readonly problems: readonly string[];
  readonly totals: ReadonlyMap<string, number>;
  readonly controls: ControlReport | undefined;
  readonly milliseconds: number;
}

export async function runFile(
  path: string,
  file: string,
  options: FileOptions,
): Promise<FileResult> {
  const started = performance.now();
  const { entry } = options;
  const failed = (type: string, problem: string): FileResult => {
    const nothing = { totals: new Map<string, number>(), controls: undefined, milliseconds: 0 };
    return { file, type, cases: missingCases(entry), problems: [problem], ...nothing };
  };
  if (!existsSync(path)) return failed(entry?.type ?? "?", "the file is missing");
  const text = readFileSync(path, "utf8");
  let document: unknown;
  try {
    document = parseDocument(text);
  } catch {
    return failed(entry?.type ?? "?", "the file is not JSON");
  }
  const named = options.type ?? entry?.type;
  const format = named === undefined ? guessFormat(file, document) : formatNamed(named);
  if (format === undefined) return failed("?", "the format is unknown; name it with --type");
  if (!Array.isArray(document)) return failed(format.type, "the file is not a list of cases");
  const cases: readonly unknown[] = document;
  if (cases.length === 0) return failed(format.type, "the file has no cases");
  return run(format, cases, { ...options, file, started, sha256: sha256(text) });
}

async function run(
  format: Format,
  all: readonly unknown[],
  options: FileOptions & { file: string; started: number; sha256: string },
): Promise<FileResult> {
  const { provider, entry, manifest, file, sample } = options;
  const caseOptions: CaseOptions = {
    provider,
    skippable:
      manifest === undefined ? undefined : (manifest.unsupportedSuites[provider.name] ?? []),
    now: options.now ?? (entry === undefined ? undefined : clockOf(entry)),
  };
  const results: CaseResult[] = [];
  const totals = new Map<string, number>();
  const taken = new Map<string, number>();
  const indices: number[] = [];
  for (const [index, json] of all.entries()) {
    const suite = suiteName(format, json);
    const before = taken.get(suite) ?? 0;
    taken.set(suite, before + 1);
    if (sample !== undefined && before >= sample) continue;
    indices.push(index);
    const result = await runCase(format, json, index, caseOptions);
    results.push(result);
    addTotals(totals, result.totals);
  }
  const problems: string[] = [];
  if (entry !== undefined && sample === undefined) {
    const perSuite = new Map<string, number>();
    for (const { suite } of results) addTotals(perSuite, new Map([[suite, 1]]));
    const isComplete = results.every(({ status }) => status === "passed");
    const found = { sha256: options.sha256, perSuite, totals, isComplete };
    problems.push(...compareWithManifest(entry, found));
  }
  let controls: ControlReport | undefined;
  if (options.withControls) {
    const cases = indices.map((index) => all[index]);
    controls = await runControls(format, cases, caseOptions);
    for (const miss of controls.missed) problems.push(`negative control missed: ${miss}`);
    const isRun = results.some(({ status }) => status !== "skipped");
    if (isRun && controls.applied === 0) problems.push("no negative control applies");
  }
  const milliseconds = performance.now() - options.started;
  return { file, type: format.type, cases: results, problems, totals, controls, milliseconds };
}

/** The cases of a file that cannot be read, all of them failed. */
function missingCases(entry: ManifestEntry | undefined): CaseResult[] {
  const cases: CaseResult[] = [];
  for (const [suite, count] of Object.entries(entry?.perSuite ?? {})) {
    for (let i = 0; i < count; i++) {
      const nothing = { caughtBy: [], isCrash: false, totals: new Map<string, number>() };
      const reason = "the file cannot be read";
      cases.push({ index: cases.length, suite, status: "failed", reason, ...nothing });
    }
  }
  return cases;
}

export function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
