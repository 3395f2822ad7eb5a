/** Work on one file that can be done anywhere: some of its cases, or its negative controls. */
import { readFileSync } from "node:fs";
import type { CryptoProvider } from "../../src/crypto/index.ts";
import { type ControlReport, runControls } from "./controls.ts";
import { formatNamed } from "./formats/index.ts";
import { type CaseOptions, type CaseResult, runCase } from "./run-case.ts";
import { parseDocument } from "./value.ts";

export interface Job {
  readonly path: string;
  readonly type: string;
  /** Which cases. */
  readonly indices: readonly number[];
  /** Run the cases themselves, or the negative controls on them. */
  readonly task: "cases" | "controls";
  readonly skippable: CaseOptions["skippable"];
  readonly now: CaseOptions["now"];
}

export interface JobResult {
  readonly cases: readonly CaseResult[];
  readonly controls: ControlReport | undefined;
  readonly milliseconds: number;
}

/** Does the work in this thread. */
export async function runJob(job: Job, provider: CryptoProvider): Promise<JobResult> {
  const started = performance.now();
  const format = formatNamed(job.type);
  if (format === undefined) throw new Error(`there is no format ${job.type}`);
  const all = casesOf(job.path);
  const options: CaseOptions = { provider, skippable: job.skippable, now: job.now };
  const cases: CaseResult[] = [];
  let controls: ControlReport | undefined;
  if (job.task === "controls") {
    const chosen = job.indices.map((index) => all[index]);
    controls = await runControls(format, chosen, options);
  } else {
    for (const index of job.indices) {
      cases.push(await runCase(format, all[index], index, options));
    }
  }
  return { cases, controls, milliseconds: performance.now() - started };
}

/** The file that was read last, which the next job is often about, too. */
let lastRead: { readonly path: string; readonly cases: readonly unknown[] } | undefined;

function casesOf(path: string): readonly unknown[] {
  if (lastRead?.path === path) return lastRead.cases;
  const document = parseDocument(readFileSync(path, "utf8"));
  const cases: readonly unknown[] = Array.isArray(document) ? document : [];
  lastRead = { path, cases };
  return cases;
}
