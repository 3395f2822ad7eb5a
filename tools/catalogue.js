/**
 * `npm run catalogue`: which rows of docs/features.md, and with `--pitfalls` of docs/pitfalls.md, are
 * covered by a test that names them. It exists so that the catalogue stays a promise with evidence. Only
 * passing tests count: the titles come from the results of a test run, made here unless
 * `--results FILE` hands one over.
 *
 *     npm run catalogue               a table per group, closing with `catalogue: N covered, N open`
 *     npm run catalogue -- --open     the open rows; ★ marks the required base
 *     npm run catalogue -- --pitfalls the pitfalls, with those that are open
 *     npm run catalogue -- --static   quick: believes test sources instead of running them
 */
import { existsSync, readFileSync } from "node:fs";
import { readText } from "./lib/sources.js";
import { readTitle, scanTitles } from "./lib/titles.js";
import { runVitest } from "./lib/vitest.js";

const args = process.argv.slice(2);
const isAboutPitfalls = args.includes("--pitfalls");
const [file, kind, name] = isAboutPitfalls
  ? ["docs/pitfalls.md", "pitfalls", "pitfalls"]
  : ["docs/features.md", "rows", "catalogue"];
const groups = readCatalogue();
const covered = new Set((await titles()).flatMap((title) => readTitle(title)[kind]));

const rows = groups.flatMap((group) => group.rows);
if (args.includes("--open")) {
  printOpen();
} else if (isAboutPitfalls) {
  for (const { title, rows: all } of groups) console.log(`${share(all).padStart(7)}   ${title}`);
  printOpen();
} else {
  console.log("covered   ★ covered   group");
  for (const { title, rows: all } of groups) {
    const base = all.filter((row) => row.required);
    console.log(`${share(all).padStart(7)}   ${share(base).padStart(9)}   ${title}`);
  }
}
const known = new Set(rows.map((row) => row.id));
const stray = [...covered].filter((id) => !known.has(id));
for (const id of stray) console.log(`a test names ${id}, which is not in ${file}`);
const done = rows.filter((row) => covered.has(row.id)).length;
console.log(`${name}: ${done} covered, ${rows.length - done} open`);
process.exitCode = stray.length > 0 ? 1 : 0;

function printOpen() {
  for (const { id, required, text } of rows.filter((row) => !covered.has(row.id))) {
    console.log(`${id.padEnd(11)} ${required ? "★" : " "}  ${text}`);
  }
}

function share(list) {
  return `${list.filter((row) => covered.has(row.id)).length}/${list.length}`;
}

async function titles() {
  if (args.includes("--static")) return scanTitles("packages").map((test) => test.title);
  const index = args.indexOf("--results");
  if (index !== -1) {
    const file = args[index + 1] ?? "";
    if (!existsSync(file)) throw new Error(`--results ${file}: no such file`);
    return JSON.parse(readFileSync(file, "utf8"))
      .testResults.flatMap((suite) => suite.assertionResults)
      .filter((result) => result.status === "passed")
      .map((result) => result.fullName);
  }
  const { tests } = await runVitest([], { quiet: true });
  return tests.filter((test) => test.status === "passed").map((test) => test.title);
}

/** Groups and rows: `| M-KP-03 ★ | §10 | text |` of features, `| com-4 | text |` of pitfalls. */
function readCatalogue() {
  const found = [];
  for (const line of readText(file).split("\n")) {
    const heading = /^## (.+)$/.exec(line);
    if (heading !== null) found.push({ title: heading[1], rows: [] });
    const row =
      /^\| ((?:M-[A-Z0-9]+|P-[A-Z]+)-\d{2}|[a-z]+-\d{1,2})( ★)? \|(?:.*\|)? ([^|]+) \|$/.exec(line);
    if (row !== null) {
      found.at(-1).rows.push({ id: row[1], required: row[2] !== undefined, text: row[3] });
    }
  }
  return found.filter((group) => group.rows.length > 0);
}
