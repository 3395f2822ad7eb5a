/** One file: all of its cases, its negative controls, and what the manifest says about it. */
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import type { CryptoProvider } from "../../src/crypto/index.ts";
import { addTotals } from "./checks.ts";
import type { ControlReport } from "./controls.ts";
import type { Executor } from "./executor.ts";
import type { Format } from "./format.ts";
import { formatNamed, guessFormat } from "./formats/index.ts";
import type { Job } from "./job.ts";
import { clockOf, compareWithManifest, type Manifest, type ManifestEntry } from "./manifest.ts";
import { type CaseResult, suiteName } from "./run-case.ts";
import { parseDocument } from "./value.ts";

export interface FileOptions {
  readonly provider: CryptoProvider;
  readonly executor: Executor;
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
  /** Of all threads together. */
  readonly milliseconds: number;
}

export async function runFile(
  path: string,
  file: string,
  options: FileOptions,
): Promise<FileResult> {
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
  const result = await execute(path, format, cases, options);
  const problems = judge(sha256(text), result, options);
  return { file, type: format.type, problems, ...result };
}

type Executed = Pick<FileResult, "cases" | "totals" | "controls" | "milliseconds">;

/** Splits the work, and puts the results together again. */
async function execute(
  path: string,
  format: Format,
  all: readonly unknown[],
  { provider, executor, manifest, entry, sample, withControls, now }: FileOptions,
): Promise<Executed> {
  const { type } = format;
  const listed =
    manifest === undefined ? undefined : (manifest.unsupportedSuites[provider.name] ?? []);
  const clock = now ?? (entry === undefined ? undefined : clockOf(entry));
  const indices = choose(format, all, sample);
  const shared = { path, type, skippable: listed, now: clock };
  const parts = Math.min(executor.parts, indices.length);
  const jobs: Job[] = [...new Array<undefined>(parts).keys()].map((part) => {
    const own = indices.filter((_, at) => at % parts === part);
    return { ...shared, task: "cases", indices: own };
  });
  if (withControls) jobs.push({ ...shared, task: "controls", indices });
  const results = await Promise.all(jobs.map((job) => executor.run(job)));
  const cases = results.flatMap((result) => result.cases).sort((a, b) => a.index - b.index);
  const totals = new Map<string, number>();
  for (const found of cases) addTotals(totals, found.totals);
  const controls = results.find((result) => result.controls !== undefined)?.controls;
  const milliseconds = results.reduce((sum, result) => sum + result.milliseconds, 0);
  return { cases, totals, controls, milliseconds };
}

/** All cases, or the first few of each suite. */
function choose(format: Format, all: readonly unknown[], sample: number | undefined): number[] {
  const taken = new Map<string, number>();
  const indices: number[] = [];
  for (const [index, json] of all.entries()) {
    const suite = suiteName(format, json);
    const before = taken.get(suite) ?? 0;
    taken.set(suite, before + 1);
    if (sample === undefined || before < sample) indices.push(index);
  }
  return indices;
}

/** What is wrong with the file, other than that cases fail. */
function judge(
  hash: string,
  { cases, totals, controls }: Executed,
  { entry, sample }: FileOptions,
): string[] {
  const problems: string[] = [];
  if (entry !== undefined && sample === undefined) {
    const perSuite = new Map<string, number>();
    for (const { suite } of cases) addTotals(perSuite, new Map([[suite, 1]]));
    const isComplete = cases.every(({ status }) => status === "passed");
    problems.push(...compareWithManifest(entry, { sha256: hash, perSuite, totals, isComplete }));
  }
  for (const miss of controls?.missed ?? []) problems.push(`negative control missed: ${miss}`);
  const isRun = cases.some(({ status }) => status !== "skipped");
  if (controls?.applied === 0 && isRun) problems.push("no negative control applies");
  return problems;
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
