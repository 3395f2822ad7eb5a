/** Results as tables in Markdown: one per operation, tree and suite. */
import { digits, formatTime } from "./format.ts";
import { TITLES } from "./groups.ts";
import { isLimit, LIMIT, limitOf, type Results, type Row } from "./results.ts";

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
export function markdownOf(table: Table): string {
  const others = table.libraries.filter((name) => !isLimit(name) && name !== "mlskit");
  const head = [
    "N",
    "mlskit",
    "limit",
    "mlskit / limit",
    ...others.flatMap((n) => [n, "mlskit / it"]),
  ];
  const lines = [`| ${head.join(" | ")} |`, `|${head.map(() => "--:").join("|")}|`];
  for (const size of table.sizes) {
    const own = table.row("mlskit", size);
    const limit = table.row(LIMIT, size);
    const cells = [`${size}`, timeOf(own), timeOf(limit), ratio(own, limit)];
    for (const name of others) {
      const other = table.row(name, size);
      cells.push(timeOf(other), ratio(own, other));
    }
    lines.push(`| ${cells.join(" | ")} |`);
  }
  return lines.join("\n");
}

function timeOf(row: Row | undefined): string {
  return row === undefined ? "–" : `${formatTime(row.median)}`;
}

function ratio(one: Row | undefined, other: Row | undefined): string {
  return one === undefined || other === undefined ? "–" : digits(one.median / other.median);
}
