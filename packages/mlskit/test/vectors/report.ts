/** The results as a table for people, and as JSON. */
import type { CryptoProvider } from "../../src/crypto/index.ts";
import type { FileResult } from "./run-file.ts";
import { closingLine, type Summary } from "./run-set.ts";

const SUITES = ["1", "2", "3", "4", "5", "6", "7", "-"] as const;
const MAX_FAILURES_SHOWN = 20;

/** Files by suites with passed/expected, sub-checks, failures and skips, negative controls. */
export function formatTable(results: readonly FileResult[]): string {
  const header = [
    "file",
    ...SUITES.map((suite) => (suite === "-" ? "no suite" : `suite ${suite}`)),
  ];
  const rows = results.map((result) => [
    result.file.replace(/\.json$/, ""),
    ...SUITES.map((suite) => cell(result, suite)),
    cell(result, undefined),
    `${(result.milliseconds / 1000).toFixed(1)} s`,
  ]);
  return align([[...header, "all", "time"], ...rows]).join("\n");
}

function cell({ cases }: FileResult, suite: string | undefined): string {
  const own = suite === undefined ? cases : cases.filter((found) => found.suite === suite);
  if (own.length === 0) return suite === undefined ? "0/0" : "";
  return `${own.filter(({ status }) => status === "passed").length}/${own.length}`;
}

/** What was compared in each file, and how often. */
export function formatChecks(results: readonly FileResult[]): string {
  const lines: string[] = ["sub-checks"];
  let sum = 0;
  for (const { file, totals } of results) {
    const parts = [...totals].map(([kind, count]) => `${count} ${kind}`);
    for (const count of totals.values()) sum += count;
    lines.push(
      `  ${file.replace(/\.json$/, "")}: ${parts.length === 0 ? "none" : parts.join(", ")}`,
    );
  }
  lines.push(`  in all: ${sum}`);
  return lines.join("\n");
}

export function formatControls(results: readonly FileResult[], summary: Summary): string {
  const lines: string[] = ["negative controls (changes that must make a case fail)"];
  for (const { file, controls } of results) {
    if (controls === undefined) continue;
    const kinds = [...controls.caught].map(([kind, count]) => `${count} ${kind}`);
    const caught = controls.applied - controls.missed.length;
    const name = file.replace(/\.json$/, "");
    lines.push(`  ${name}: ${caught}/${controls.applied} caught (${kinds.join(", ")})`);
  }
  lines.push(`  in all: ${summary.controlsCaught} of ${summary.controlsApplied} caught`);
  return lines.join("\n");
}

/** Failures one by one up to a limit, skips by reason. Empty if there are none. */
export function formatFailures(results: readonly FileResult[]): string {
  const lines: string[] = [];
  const skips = new Map<string, number>();
  for (const { file, problems, cases } of results) {
    for (const problem of problems) lines.push(`FAILED ${file}: ${problem}`);
    for (const { index, suite, status, reason } of cases) {
      const text = reason ?? "unknown";
      if (status === "failed") lines.push(`FAILED ${file}, case ${index}, suite ${suite}: ${text}`);
      if (status === "skipped") skips.set(text, (skips.get(text) ?? 0) + 1);
    }
  }
  const more = lines.length - MAX_FAILURES_SHOWN;
  if (more > 0) lines.splice(MAX_FAILURES_SHOWN, more, `… and ${more} more`);
  for (const [reason, count] of skips) lines.push(`skipped ${count} cases: ${reason}`);
  return lines.join("\n");
}

/** The same for programs. */
export function toJson(
  set: { readonly name: string },
  provider: CryptoProvider,
  results: readonly FileResult[],
  summary: Summary,
): string {
  const files = results.map(({ totals, controls, cases, ...rest }) => ({
    ...rest,
    checks: Object.fromEntries(totals),
    negativeControls:
      controls === undefined
        ? undefined
        : {
            applied: controls.applied,
            caught: Object.fromEntries(controls.caught),
            missed: controls.missed,
          },
    cases: cases.map(({ totals: checks, caughtBy, isCrash, ...result }) => ({
      ...result,
      caughtBy: caughtBy.length === 0 ? undefined : caughtBy,
      isCrash: isCrash ? true : undefined,
      checks: Object.fromEntries(checks),
    })),
  }));
  const head = { vectors: set.name, provider: provider.name, suites: provider.suites };
  return JSON.stringify({ ...head, summary, closing: closingLine(summary), files }, undefined, 2);
}

function align(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => {
    return Math.max(...rows.map((row) => row[column]?.length ?? 0));
  });
  return rows.map((row) => {
    const cells = row.map((text, column) => {
      const width = widths[column] ?? 0;
      return column === 0 ? text.padEnd(width) : text.padStart(width);
    });
    return cells.join("  ").trimEnd();
  });
}
