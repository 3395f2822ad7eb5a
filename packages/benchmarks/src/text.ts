/** Results for the terminal: the same tables as in the report. */
import { reachOf } from "./reach.ts";
import { reachTable } from "./reach-table.ts";
import type { Results } from "./results.ts";
import { bundleTable, largeTable, scenarioTable, storageTable } from "./section-tables.ts";
import { markdownOf, tablesOf, titleOf } from "./tables.ts";

export function textOf(results: Results): string {
  const parts = tablesOf(results).map((table) => `${titleOf(table)}\n\n${markdownOf(table)}`);
  if (results.storage.length > 0) parts.push(storageTable(results.storage));
  if (results.scenarios.length > 0) parts.push(scenarioTable(results.scenarios));
  if (results.large.length > 0) parts.push(largeTable(results.large));
  if (results.bundles.length > 0) parts.push(bundleTable(results.bundles));
  const reached = reachOf(results).filter(({ measured }) => measured.length > 0);
  if (reached.length > 0) parts.push(reachTable(reached));
  for (const { what, why, isFault } of results.skipped) {
    parts.push(`${isFault === true ? "failed" : "skipped"} ${what}: ${why}`);
  }
  return parts.join("\n\n");
}
