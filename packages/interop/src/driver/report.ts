/** Results as text. */
import { verdictOn } from "./peer-limits.ts";
import {
  add,
  type Count,
  countIn,
  FORMS,
  type JudgedConfig,
  KINDS,
  type MatrixResult,
  noRuns,
  type ScriptResult,
  suitesOf,
  total,
  vanishedLimits,
} from "./results.ts";

/** One line per script and suite, while it runs. */
export function describeScript(result: ScriptResult): string {
  const parts = KINDS.map((kind) => [kind, countIn(result, [kind])] as const)
    .filter(([, { runs }]) => runs > 0)
    .map(([kind, count]) => `${kind} ${describeCount(count)}`);
  const lines = [`${result.config}/${result.script}, suite ${result.suite}: ${parts.join(", ")}`];
  for (const observation of result.observations) lines.push(`  noted: ${observation}`);
  for (const failure of result.failures) {
    const form = failure.encrypt ? "private" : "public";
    const where = `suite ${failure.suite} ${form}, step ${failure.step} ${failure.action}`;
    const { limit } = failure;
    const verdict = limit === undefined ? "FAILED" : `${verdictOn(limit)} by ${limit}`;
    lines.push(`  ${verdict}: ${where}: ${failure.error}`);
    lines.push(`    cast: ${castOf(failure.cast)}`);
  }
  return lines.join("\n");
}

function castOf(cast: Readonly<Record<string, string>>): string {
  return Object.entries(cast)
    .map(([actor, server]) => `${actor}=${server}`)
    .join(", ");
}

function describeCount(count: Count): string {
  const failed = count.failed === 0 ? [] : [`${count.failed} FAILED`];
  return [`${count.passed}/${count.runs}`, ...exceptions(count), ...failed].join(", ");
}

/** What neither passed nor failed. */
function exceptions(count: Count): string[] {
  const names = ["vacuous", "limited", "unsettled"] as const;
  return names.filter((name) => count[name] > 0).map((name) => `${count[name]} ${name}`);
}

/** All that there is to say of some runs, zeros too. */
export function describeAll({ passed, vacuous, limited, unsettled, failed }: Count): string {
  return `${passed} passed, ${vacuous} vacuous, ${limited} limited, ${unsettled} unsettled, ${failed} failed`;
}

/** One line per configuration and suite, and what the second judge does not like. */
export function describeJudged(row: JudgedConfig): string {
  const { config, suite, passed, runs } = row;
  const lines = [
    [`${config}, suite ${suite}: ${passed}/${runs}`, ...describeLimits([row])].join(", "),
  ];
  for (const failure of row.failures) lines.push(`  FAILED: ${failure}`);
  return lines.join("\n");
}

/** How many runs failed as known. */
export function describeLimits(rows: readonly JudgedConfig[]): string[] {
  const sums = new Map<string, number>();
  for (const [id, count] of rows.flatMap(({ listed }) => Object.entries(listed))) {
    sums.set(id, (sums.get(id) ?? 0) + count);
  }
  return [...sums].map(([id, count]) => `${count} ${verdictOn(id)} by ${id}`);
}

/** Configurations × suites and forms. */
export function matrixTable(matrix: MatrixResult): string[] {
  const places = suitesOf(matrix.scripts).flatMap((suite) =>
    FORMS.map((form) => [suite, form] as const),
  );
  const columns = places.map(([suite, encrypt]) => `${suite} ${encrypt ? "private" : "public"}`);
  const rows = [["configuration", ...columns]];
  for (const config of new Set(matrix.scripts.map((script) => script.config))) {
    const cells = places.map(([suite, encrypt]) => cell(matrix, config, suite, encrypt));
    rows.push([config, ...cells]);
  }
  return markdownTable(rows);
}

/** Mixed runs if there are any, for only they show that two stacks work together. */
function cell(matrix: MatrixResult, config: string, suite: number, encrypt: boolean): string {
  const sum = noRuns();
  const kinds = total(matrix, ["mixed"]).runs > 0 ? (["mixed"] as const) : KINDS;
  for (const script of matrix.scripts) {
    if (script.config === config && script.suite === suite)
      add(sum, countIn(script, kinds, [encrypt]));
  }
  if (sum.runs === 0) return "–";
  const others = exceptions(sum);
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
  const sum = total(matrix);
  const lines = [
    `servers: ${matrix.servers.join(" × ")} (${matrix.processes} processes)`,
    ...matrixTable(matrix),
    `checks: ${checksOf(matrix)}`,
  ];
  for (const kind of KINDS) {
    const count = total(matrix, [kind]);
    if (count.runs > 0) lines.push(`${kind}: ${describeCount(count)}`);
  }
  for (const id of vanishedLimits(matrix)) lines.push(`FAILED: the limit ${id} did not show`);
  if (sum.runs !== matrix.expectedRuns) {
    lines.push(`FAILED: ${sum.runs} runs instead of ${matrix.expectedRuns}`);
  }
  lines.push(`${sum.runs} runs: ${describeAll(sum)}`);
  return lines;
}
