/** docs/benchmarks.md, its plots and the README's table, from the committed results. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { formatTime } from "./format.ts";
import { rootFolder } from "./folders.ts";
import { table } from "./markdown.ts";
import { plotOf } from "./plot.ts";
import { reachOf } from "./reach.ts";
import { missingList, reachTable } from "./reach-table.ts";
import { isLimit, OVER, readResults, type Results } from "./results.ts";
import { bundleTable, largeTable, scenarioTable, storageTable } from "./section-tables.ts";
import { ENOUGH } from "./statistics.ts";
import {
  bytesTable,
  callsTable,
  FEW,
  markdownOf,
  markOf,
  type Table,
  tablesOf,
  titleOf,
} from "./tables.ts";

/** Writes everything that is made from the results in the repository. */
export function writeReport(): void {
  const files = reportOf(readResults());
  rmSync(join(rootFolder, PLOTS), { recursive: true, force: true });
  mkdirSync(join(rootFolder, PLOTS), { recursive: true });
  for (const [path, text] of files) writeFileSync(join(rootFolder, path), text);
  console.log(`written: docs/benchmarks.md, README.md, ${PLOTS}`);
}

/** By path: the document, the README with the part between its marks, the plots. */
export function reportOf(all: readonly Results[]): Map<string, string> {
  const files = new Map<string, string>();
  const most = mostComplete(all);
  if (most === undefined) {
    return files.set("docs/benchmarks.md", `${documentOf([])}\n\nThere are no results yet.\n`);
  }
  for (const measured of tablesOf(most)) {
    if (measured.sizes.length > 1) files.set(plotPath(measured), plotOf(measured));
  }
  const readme = readFileSync(join(rootFolder, "README.md"), "utf8");
  return files
    .set("docs/benchmarks.md", `${documentOf(all)}\n`)
    .set("README.md", withPart(readme, readmePart(most)));
}

/** Everything that was found, newest Node first. */
export function documentOf(all: readonly Results[]): string {
  const parts = [INTRODUCTION.trim()];
  for (const results of all) parts.push(sectionOf(results, results === mostComplete(all)));
  return parts.join("\n\n");
}

function settlingOf({ settling }: Results): string {
  return settling === undefined
    ? "Turns were a rotation, and their first 10 ms do not count."
    : `The first ${settling} ms of a turn do not count.`;
}

/** Plots and README's table are made from it: a short run on another Node has fewer sizes. */
function mostComplete(all: readonly Results[]): Results | undefined {
  return [...all].sort((a, b) => b.rows.length - a.rows.length)[0];
}

function sectionOf(results: Results, withPlots: boolean): string {
  const { machine, libraries, skipped } = results;
  const reached = reachOf(results);
  const missing = missingList(reached);
  const parts = [
    `## Node ${machine.node}`,
    `${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB, ${machine.system}; OpenSSL ` +
      `${machine.openssl}. Commit ${results.commit}, ${results.date}. ` +
      settlingOf(results) +
      (results.anew === undefined ? "" : ` ${results.anew.what}: commit ${results.anew.commit}.`) +
      (skipped.some(({ why }) => why === OVER)
        ? " **Incomplete**: the time of the run did not suffice for everything; what is missing is listed."
        : ""),
    table(
      ["library", "version", "runtime"],
      libraries.map(({ name, version, runtime }) => [name, version, runtime]),
      3,
    ),
    "### Reach",
    reachTable(reached),
  ];
  if (missing !== undefined) parts.push("Not measured:", missing);
  for (const measured of tablesOf(results)) {
    const title = titleOf(measured);
    parts.push(`### ${title.charAt(0).toUpperCase()}${title.slice(1)}`);
    if (withPlots && measured.sizes.length > 1) parts.push(`![${title}](../${plotPath(measured)})`);
    parts.push(markdownOf(measured));
  }
  for (const suite of [1, 2, 3]) {
    const bytes = bytesTable(results, suite);
    if (bytes !== undefined) parts.push(`### Bytes, suite ${suite}`, bytes);
  }
  const calls = callsTable(results, 1, 100);
  if (calls !== undefined) parts.push("### What the limit counts, suite 1, N = 100", calls);
  const { storage, scenarios, large, bundles } = results;
  if (storage.length > 0) parts.push("### Storage", STORAGE, storageTable(storage));
  if (large.length > 0) parts.push("### Large groups", LARGE, largeTable(large));
  if (scenarios.length > 0) parts.push("### Scenarios", SCENARIOS, scenarioTable(scenarios));
  if (bundles.length > 0) parts.push("### Bundles", bundleTable(bundles));
  if (skipped.length > 0) {
    parts.push("### Left out", skipped.map(({ what, why }) => `- ${what}: ${why}`).join("\n"));
  }
  return parts.join("\n\n");
}

/** A few operations at one size, and a plot. */
export function readmePart(results: Results): string {
  const { machine, libraries, rows } = results;
  const size = README_SIZE;
  const here = rows.filter((row) => row.suite === 1 && row.size === size);
  const names = libraries
    .map(({ name }) => name)
    .filter((name) => here.some(({ library }) => library === name && !isLimit(name)))
    .filter((name) => !/ thread|1\.3\.0/.test(name));
  const lines = README_ROWS.map(([operation, tree, title]) => [
    title,
    ...names.map((name) => {
      const row = here.find(
        (each) => each.operation === operation && each.tree === tree && each.library === name,
      );
      return row === undefined ? "–" : `${formatTime(row.median)}${markOf(row)}`;
    }),
  ]);
  const plotted = tablesOf(results).find(
    ({ operation, tree, suite, sizes }) =>
      operation === "commit" && tree === "warm" && suite === 1 && sizes.length > 1,
  );
  return [
    `Medians at N = ${size}, suite 1, on ${machine.cores} cores of ${machine.cpu}, Node ${machine.node}, all in one run; mlskit below its client and without storage, OpenMLS with its memory storage:`,
    table(["", ...names], lines, 1),
    ...(lines.flat().some((cell) => cell.endsWith(FEW)) ? [`${FEW} ${MARKED}.`] : []),
    ...(plotted === undefined ? [] : [`![${titleOf(plotted)}](${plotPath(plotted)})`]),
  ].join("\n\n");
}

const README_SIZE = 100;
const README_ROWS = [
  ["add", "cold", "create a group, add 99 members"],
  ["join", "warm", "join"],
  ["commit", "warm", "commit"],
  ["process", "warm", "process a commit"],
  ["send", "warm", "send 1 KiB"],
  ["receive", "warm", "receive 1 KiB"],
] as const;

const BEGIN = "<!-- benchmarks: npm run bench -- --report -->";
const END = "<!-- /benchmarks -->";

function withPart(text: string, part: string): string {
  const [before, rest] = text.split(BEGIN);
  const after = rest?.split(END)[1];
  if (before === undefined || after === undefined) throw new Error(`README.md lacks ${BEGIN}`);
  return `${before}${BEGIN}\n\n${part}\n\n${END}${after}`;
}

export const PLOTS = "packages/benchmarks/results/plots";
const plotPath = ({ operation, tree, suite }: Table): string =>
  `${PLOTS}/${operation}-${tree}-${suite}.svg`;

const MARKED = `median of fewer than ${ENOUGH} samples`;

const STORAGE = `Bytes written by a client for one operation, median / largest: keys and values, and the keys of deletions. *Late* are messages
that arrive in the worst order. An own commit is stored when it is made and again when it is accepted; all others were added at once
and have not committed, so that it holds an encryption per member, as it would not in a tree that has been used.`;

const LARGE = `A client on file storage in a group in which all members have committed. Memory is live objects / resident set, after twice
resting for some seconds and collecting garbage: what the library with an idle client adds to an empty process, and what joining, or
opening after a restart, adds to that. Joining and opening are timed once; the others are medians of 9 Commits and 90 messages.`;

const SCENARIOS = `The scenarios of the OpenMLS book, as two of N members live through them, without storage. *Follow* is to process a Commit. The other
members were added at once and stay silent, so that each Commit is one on a tree that is mostly cold; N = 1,000 is left to
the tables above. All are lived through once before they are measured.`;

const INTRODUCTION = `
# Benchmarks

Generated from packages/benchmarks/results by \`npm run bench -- --report\`; \`npm run bench\` measures anew, and \`-- --help\` tells
what else it can do.

Every library runs in a process of its own, which goes on from one size to the next as an application's would, so that engines have
compiled its code; a new process first repeats each kind of operation, for three seconds or 20,000 times. All take turns in one run, in
an order by which each follows each other one as often, unless the head of a part says otherwise: a turn is one run of the operation
or, of what is fast, up to a hundred in a row. What a turn begins with does not count, because after the turns of others caches are
cold. Cells are medians, with the 95th percentile and the number of samples in brackets; ${FEW} marks a ${MARKED}: what takes seconds
is not repeated as often, nor is what nothing is aimed at. All rounds are in the JSON. Ratios are mlskit's median over the other's, so
less than 1 means that mlskit is faster. Messages go in and out as bytes: handshake messages as PublicMessage, application messages as
PrivateMessage without padding, GroupInfo with the tree. The receiver is another member, and whenever it processes a Commit, both are
found to be in the same epoch. Sending and receiving go on in an epoch that is in use. mlskit is measured below its client, without
storage, on the provider for Node; OpenMLS writes to its memory storage as it goes. Commits of mlskit always carry a path, and its
Welcomes the tree; some libraries leave the path out when a Commit only adds members. OpenMLS-WASM (the bindings of mls-ts) adds by a
proposal and a Commit without path, both as PrivateMessage, by a Welcome without tree: there, mlskit does the same, as *propose to add
one and commit*. mlskit reads the key package from bytes, the bindings are given their object and go on with an epoch that is in use,
mlskit begins one. mlskit uses all cores. Columns named *1 thread* are measured after the others, when the machine may be in another
state, and so without a ratio.

Suites 1 and 2 are compared; on suite 3 OpenMLS-WASM has no other, and suite 7 is mlskit's alone, both to N = 1,000. Updates that one
proposes and another commits are compared with OpenMLS only: with the others a member that wants new keys commits, as *commit with
path* measures. OpenMLS has no row for storing, because every operation of it stores.

*Cold*: the creator has added all others in one commit, and nobody else has committed; a commit then costs one encryption per
member. *Warm*: every member has committed, and a commit costs one encryption per level of the tree. Such groups are made once and
joined by all libraries.

*Limit* is the time of the cryptography that RFC 9420 demands for the operation on a group of this shape, carried out by the same
provider in the same process, in turns with the operation; packages/benchmarks/src/limits.ts says how often what is called, and why.
It is a limit of what is above the provider: HPKE, the import of keys and the threads for signatures and encryptions are mlskit's own
there, too. mls-go's limit is the same list, carried out by Go's standard library on one thread; the ratio of both limits tells what
the platforms' primitives make of a comparison, and where the calls are the same for groups of any size it is taken over all sizes.

Whoever joins, creates or loads starts with a provider that has cached no keys, only the threads that encrypt to many members go on
and know those they have met; who adds or processes finds the keys of the members, and of the key package, cached by the other member
in this process. Storing and loading need no cryptography. Loading is not the same work everywhere: mlskit reads the nodes of a tree
when they are needed, so that the first Commit afterwards is slower, others read everything.

*Reach* compares with what mlskit aims at: the worst place, what is allowed there, the number of samples of the median with fewer of
them, and how many of all places a complete run has meet the target. *Missed by the limit alone* are those where the limit of
mlskit already takes longer than the other's whole operation allows.
`;
