/** Results as tables in Markdown: one per operation, tree and suite. */
import { digits, formatBytes, formatTime } from "./format.ts";
import { TITLES } from "./groups.ts";
import { table } from "./markdown.ts";
import { isOneThread } from "./peers.ts";
import { isLimit, LIMIT, limitOf, type Results, type Row } from "./results.ts";
import { ENOUGH } from "./statistics.ts";

export interface Table {
  readonly operation: string;
  readonly tree: Row["tree"];
  readonly suite: number;
  readonly sizes: readonly number[];
  /** The limit, mlskit, then the others in the order in which they were started. */
  readonly libraries: readonly string[];
  row(library: string, size: number): Row | undefined;
}

export function tablesOf({ rows, libraries }: Results): Table[] {
  const tables: Table[] = [];
  const order = [LIMIT, ...libraries.flatMap(({ name }) => [name, limitOf(name)])];
  for (const operation of Object.keys(TITLES)) {
    for (const tree of ["cold", "warm"] as const) {
      for (const suite of new Set(rows.map((row) => row.suite))) {
        const own = rows.filter((row) => {
          return row.operation === operation && row.tree === tree && row.suite === suite;
        });
        if (own.length === 0) continue;
        tables.push({
          operation,
          tree,
          suite,
          sizes: [...new Set(own.map(({ size }) => size))].sort((a, b) => a - b),
          libraries: order.filter((name) => own.some(({ library }) => library === name)),
          row: (library, size) => own.find((row) => row.library === library && row.size === size),
        });
      }
    }
  }
  return tables;
}

export function titleOf({ operation, tree, suite }: Table): string {
  return `${TITLES[operation] ?? operation}, ${tree} tree, suite ${suite}`;
}

/** Times with ratios: mlskit to its limit, and mlskit to each of the others. */
export function markdownOf(measured: Table): string {
  const others = measured.libraries.filter((name) => !isLimit(name) && name !== "mlskit");
  const head = [
    "N",
    "mlskit",
    "limit",
    "mlskit / limit",
    ...others.flatMap((name) => (isOneThread(name) ? [name] : [name, "mlskit / it"])),
  ];
  const lines: string[][] = [];
  for (const size of measured.sizes) {
    const own = measured.row("mlskit", size);
    const limit = measured.row(LIMIT, size);
    const cells = [`${size}`, timeOf(own), timeOf(limit), ratio(own, limit)];
    for (const name of others) {
      const other = measured.row(name, size);
      cells.push(timeOf(other));
      if (!isOneThread(name)) cells.push(ratio(own, other));
    }
    lines.push(cells);
  }
  return table(head, lines);
}

function timeOf(row: Row | undefined): string {
  if (row === undefined) return "–";
  return `${formatTime(row.median)} (${formatTime(row.p95)}; ${row.runs})${markOf(row)}`;
}

/** Behind a median of few samples. */
export function markOf({ runs }: Pick<Row, "runs">): string {
  return runs < ENOUGH ? ` ${FEW}` : "";
}

export const FEW = "†";

function ratio(one: Row | undefined, other: Row | undefined): string {
  return one === undefined || other === undefined ? "–" : digits(one.median / other.median);
}

/** What goes over the wire, and what is kept: of all libraries, by size. */
export function bytesTable({ rows, libraries }: Results, suite: number): string | undefined {
  const own = rows.filter((row) => row.suite === suite && row.bytes !== undefined);
  if (own.length === 0) return undefined;
  const names = libraries
    .map(({ name }) => name)
    .filter((name) => {
      return own.some(({ library }) => library === name);
    });
  const lines: string[][] = [];
  for (const [operation, title] of Object.entries(BYTES)) {
    for (const tree of ["cold", "warm"] as const) {
      const these = own.filter((row) => row.operation === operation && row.tree === tree);
      for (const size of new Set(these.map((row) => row.size))) {
        const cells = names.map((name) => {
          const found = these.find((row) => row.library === name && row.size === size);
          return found?.bytes === undefined ? "–" : formatBytes(found.bytes);
        });
        lines.push([title, tree, `${size}`, ...cells]);
      }
    }
  }
  return table(["bytes", "tree", "N", ...names], lines, 2);
}

const BYTES: Readonly<Record<string, string>> = {
  commit: "Commit",
  join: "Welcome with tree",
  add: "Commit and Welcome, N − 1 added",
  addOne: "Commit and Welcome, one added",
  addBare: "proposal, Commit and Welcome, one added, without path and tree",
  removeOne: "Commit, one removed",
  externalJoin: "external Commit",
  send: "message of 1 KiB",
  load: "state",
};

/** What the limit of each operation consists of. */
export function callsTable({ rows }: Results, suite: number, size: number): string | undefined {
  const lines: string[][] = [];
  for (const [operation, title] of Object.entries(TITLES)) {
    for (const { tree, calls } of rows) {
      const row = rows.find((each) => {
        const isHere = each.suite === suite && each.size === size && each.tree === tree;
        return isHere && each.operation === operation && each.calls === calls;
      });
      if (row === undefined || calls === undefined) continue;
      const list = Object.entries(calls).map(([name, count]) => `${count} × ${name}`);
      lines.push([`${title}, ${tree}`, list.join(", ")]);
    }
  }
  return lines.length === 0 ? undefined : table(["operation", "calls"], lines, 2);
}
