/** Results as text. */
import {
  add,
  type Count,
  type JudgedConfig,
  KINDS,
  type MatrixResult,
  noRuns,
  type ScriptResult,
  total,
} from "./results.ts";

/** One line per script, while it runs. */
export function describeScript(result: ScriptResult): string {
  const parts = KINDS.filter((kind) => result[kind].runs > 0).map((kind) => {
    return `${kind} ${describeCount(result[kind])}`;
  });
  const lines = [`${result.config}/${result.script}: ${parts.join(", ")}`];
  for (const observation of result.observations) lines.push(`  noted: ${observation}`);
  for (const failure of result.failures) {
    const form = failure.encrypt ? "private" : "public";
    const where = `suite ${failure.suite} ${form}, step ${failure.step} ${failure.action}`;
    const limit = failure.limit === undefined ? "FAILED" : `limit ${failure.limit}`;
    lines.push(`  ${limit}: ${where}: ${failure.error}`);
    lines.push(`    cast: ${castOf(failure.cast)}`);
  }
  return lines.join("\n");
}

function castOf(cast: Readonly<Record<string, string>>): string {
  return Object.entries(cast)
    .map(([actor, server]) => `${actor}=${server}`)
    .join(", ");
}

function describeCount({ runs, passed, vacuous, limited, failed }: Count): string {
  const empty = vacuous === 0 ? "" : `, ${vacuous} vacuous`;
  const limits = limited === 0 ? "" : `, ${limited} limited`;
  return `${passed}/${runs}${empty}${limits}${failed === 0 ? "" : `, ${failed} FAILED`}`;
}

/** One line per configuration, and what the second judge does not like. */
export function describeJudged(row: JudgedConfig): string {
  const limits = describeLimits(row);
  const lines = [`${row.config}: ${row.passed}/${row.runs}${limits === "" ? "" : `, ${limits}`}`];
  for (const failure of row.failures ?? []) lines.push(`  FAILED: ${failure}`);
  return lines.join("\n");
}

/** How many runs failed as known. */
export function describeLimits({ limited = {} }: JudgedConfig): string {
  return Object.entries(limited)
    .map(([id, count]) => `${count} limited by ${id}`)
    .join(", ");
}

/** Configurations × suites and forms. */
export function matrixTable(matrix: MatrixResult): string[] {
  const columns = matrix.suites.flatMap((suite) => [`${suite} public`, `${suite} private`]);
  const rows = [["configuration", ...columns]];
  for (const config of new Set(matrix.scripts.map((script) => script.config))) {
    const cells = columns.map((column) => cell(matrix, config, column));
    rows.push([config, ...cells]);
  }
  return markdownTable(rows);
}

/** Mixed runs if there are any, for only they show that two stacks work together. */
function cell(matrix: MatrixResult, config: string, column: string): string {
  const sum = noRuns();
  const hasMixed = total(matrix, ["mixed"]).runs > 0;
  for (const script of matrix.scripts.filter((script) => script.config === config)) {
    for (const kind of hasMixed ? (["mixed"] as const) : KINDS) {
      const count = script.suites[`${column} ${kind}`];
      if (count !== undefined) add(sum, count);
    }
  }
  if (sum.runs === 0) return "–";
  const others = [
    ...(sum.vacuous === 0 ? [] : [`${sum.vacuous} vacuous`]),
    ...(sum.limited === 0 ? [] : [`${sum.limited} limited`]),
  ];
  return `${sum.passed}/${sum.runs}${others.length === 0 ? "" : ` (${others.join(", ")})`}`;
}

function markdownTable([head = [], ...rows]: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)];
}

/** What was checked, summed up. */
export function checksOf(matrix: MatrixResult): string {
  const sum = new Map<string, number>();
  for (const { checks } of matrix.scripts) {
    for (const [name, count] of Object.entries(checks)) {
      sum.set(name, (sum.get(name) ?? 0) + count);
    }
  }
  return [...sum].map(([name, count]) => `${count} ${name}`).join(", ");
}

export function summary(matrix: MatrixResult): string[] {
  const { runs, passed, vacuous, limited, failed } = total(matrix);
  const lines = [
    `servers: ${matrix.servers.join(" × ")} (${matrix.processes} processes)`,
    ...matrixTable(matrix),
    `checks: ${checksOf(matrix)}`,
  ];
  for (const kind of KINDS) {
    const count = total(matrix, [kind]);
    if (count.runs > 0) lines.push(`${kind}: ${describeCount(count)}`);
  }
  for (const id of matrix.vanishedLimits) lines.push(`FAILED: the limit ${id} did not show`);
  if (runs !== matrix.expectedRuns) {
    lines.push(`FAILED: ${runs} runs instead of ${matrix.expectedRuns}`);
  }
  lines.push(
    `${runs} runs: ${passed} passed, ${vacuous} vacuous, ${limited} limited, ${failed} failed`,
  );
  return lines;
}
