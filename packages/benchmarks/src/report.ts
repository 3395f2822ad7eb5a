/** docs/benchmarks.md and its plots, from the committed results. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { resultsFolder, rootFolder } from "./folders.ts";
import { plotOf } from "./plot.ts";
import { readResults, type Results } from "./results.ts";
import { markdownOf, type Table, tablesOf, titleOf } from "./tables.ts";

/** Writes the document and the plots. */
export function writeReport(): void {
  const all = readResults();
  const [newest] = all;
  if (newest === undefined) {
    console.error("there are no results yet: npm run bench");
    process.exitCode = 1;
    return;
  }
  mkdirSync(join(resultsFolder, "plots"), { recursive: true });
  const parts = [INTRODUCTION.trim()];
  for (const results of all) parts.push(sectionOf(results, results === newest));
  const path = join(rootFolder, "docs/benchmarks.md");
  writeFileSync(path, `${parts.join("\n\n")}\n`);
  console.log(`written: ${path}`);
}

function sectionOf(results: Results, withPlots: boolean): string {
  const { machine, libraries, skipped } = results;
  const parts = [
    `## Node ${machine.node}`,
    `${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB, ${machine.system}; OpenSSL ` +
      `${machine.openssl}. Commit ${results.commit}, ${results.date}. Medians.`,
    ["| library | version | runtime |", "|---|---|---|"]
      .concat(
        libraries.map(({ name, version, runtime }) => `| ${name} | ${version} | ${runtime} |`),
      )
      .join("\n"),
  ];
  for (const table of tablesOf(results)) {
    parts.push(`### ${capitalized(titleOf(table))}`);
    if (withPlots && table.sizes.length > 1) parts.push(`![${titleOf(table)}](${plot(table)})`);
    parts.push(markdownOf(table));
  }
  if (skipped.length > 0) {
    parts.push("### Left out", skipped.map(({ what, why }) => `- ${what}: ${why}`).join("\n"));
  }
  return parts.join("\n\n");
}

/** Writes the plot; its path as seen from docs/. */
function plot(table: Table): string {
  const name = `${table.operation}-${table.tree}-${table.suite}.svg`;
  writeFileSync(join(resultsFolder, "plots", name), plotOf(table));
  return `../packages/benchmarks/results/plots/${name}`;
}

function capitalized(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

const INTRODUCTION = `
# Benchmarks

Generated from packages/benchmarks/results by \`npm run bench -- --report\`; \`npm run bench\` measures anew.

Every library runs in a process of its own, and all take turns in one run. Messages go in and out as bytes: handshake messages as
PublicMessage, application messages as PrivateMessage without padding, GroupInfo with the tree. The receiver is another member, and
both are found to be in the same epoch after every Commit. Nothing is persisted unless a library cannot do without. *Cold*: the
creator has added all others in one commit, and nobody else has committed; a commit then costs one encryption per member. *Warm*:
every member has committed, and a commit costs one encryption per level of the tree.

*Limit* is the time of the cryptography that RFC 9420 demands for the operation on a group of this shape, carried out by the same
provider in the same process, in turns with the operation (packages/benchmarks/src/limits.ts says how often what is called, and
why). Whoever joins or creates starts without cached keys.
`;
