/**
 * Mutation of rule checks: takes the check of one rule out of a copy of the source and runs the tests
 * that name the rule. At least one must fail, or the tests prove nothing. Production code has no
 * switch for this; what is disabled is found in the source text:
 *
 *     check(condition, "valn0304", …)            the condition is still computed, the outcome ignored
 *     throw violation("mk-18", …)                the error is still built, but not thrown
 *     throw reader.error("…", "mk-05")           likewise, and for any other `throw` that names the id
 */
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { blank, closeOf, listFiles, readText, root } from "./sources.js";
import { readTitle } from "./titles.js";
import { runVitest } from "./vitest.js";

const library = "packages/mlskit";

/** Runs all mutations, prints one line each, returns the exit code. */
export async function mutateRules(ids, { testFolder, eachSite, needsNoCheck }) {
  const sources = new Map(listFiles(`${library}/src`).map((path) => [path, readText(path)]));
  const jobs = [];
  const without = [];
  for (const id of ids) {
    const sites = findSites(sources, id);
    if (sites.length === 0) without.push(id);
    else if (eachSite) jobs.push(...sites.map((site) => ({ id, sites: [site] })));
    else jobs.push({ id, sites });
  }

  const copies = makeCopies(Math.min(jobs.length, Math.max(1, availableParallelism() >> 1)));
  const counts = { killed: 0, survived: 0 };
  try {
    if (jobs.length > 0) {
      const baseline = await runVitest([testFolder], { quiet: true, cwd: copies[0] });
      if (baseline.failed > 0) {
        console.log(baseline.output);
        console.log(`${baseline.failed} rule tests fail without any mutation; nothing was mutated`);
        return 1;
      }
    }
    const queue = [...jobs];
    await Promise.all(
      copies.map(async (copy) => {
        for (let job = queue.shift(); job !== undefined; job = queue.shift()) {
          const killed = await runMutant(copy, job, sources, testFolder);
          counts[killed ? "killed" : "survived"]++;
          const where = job.sites.map(
            (site) => `${site.path.slice(library.length + 5)}:${site.line}`,
          );
          console.log(`${killed ? "killed  " : "SURVIVED"} ${job.id.padEnd(8)} ${where.join(" ")}`);
        }
      }),
    );
  } finally {
    for (const copy of copies) rmSync(copy, { recursive: true, force: true });
  }

  const unchecked = without.filter((id) => !needsNoCheck(id));
  for (const id of unchecked) console.log(`NO CHECK ${id}`);
  const properties = without.length - unchecked.length;
  console.log(
    `mutation: ${counts.killed} killed, ${counts.survived} survived, ` +
      `${unchecked.length} without a check, ${properties} properties without one`,
  );
  return counts.survived > 0 || unchecked.length > 0 ? 1 : 0;
}

/** Edits that disable every check of a rule: `{ path, line, edits: [{ at, remove, insert }] }`. */
export function findSites(sources, id) {
  const sites = [];
  for (const [path, source] of sources) {
    if (/\/(rules|rule-registry)\.ts$/.test(path) || !source.includes(`"${id}"`)) continue;
    const readable = blank(source);
    const code = blank(source, { strings: true });
    const add = (at, edits) =>
      sites.push({ path, line: source.slice(0, at).split("\n").length, edits });

    for (const match of code.matchAll(/(?<![.\w])check\(/g)) {
      const open = match.index + match[0].length;
      const end = closeOf(code, open - 1) - 1;
      const comma = topLevelComma(code, open, end);
      if (
        comma === -1 ||
        !readable
          .slice(comma + 1)
          .trimStart()
          .startsWith(`"${id}"`)
      )
        continue;
      add(match.index, [
        { at: open, remove: 0, insert: "((" },
        { at: comma, remove: 0, insert: "), true)" },
      ]);
    }
    for (const match of code.matchAll(/\bthrow\b/g)) {
      const end = endOfStatement(code, match.index);
      if (!readable.slice(match.index, end).includes(`"${id}"`)) continue;
      add(match.index, [{ at: match.index, remove: "throw".length, insert: "void" }]);
    }
  }
  return sites;
}

async function runMutant(copy, { id, sites }, sources, testFolder) {
  const paths = new Set(sites.map((site) => site.path));
  for (const path of paths) {
    const edits = sites.filter((site) => site.path === path).flatMap((site) => site.edits);
    let text = sources.get(path);
    for (const { at, remove, insert } of edits.sort((a, b) => b.at - a.at)) {
      text = text.slice(0, at) + insert + text.slice(at + remove);
    }
    writeFileSync(join(copy, path), text);
  }
  const run = await runVitest([testFolder, "-t", `\\b${id}\\b`, "--passWithNoTests"], {
    quiet: true,
    cwd: copy,
  });
  for (const path of paths) writeFileSync(join(copy, path), sources.get(path));
  return run.tests.some(
    (test) => test.status === "failed" && readTitle(test.title).rules.includes(id),
  );
}

/** Copies of source and tests in .tmp/, where modules still resolve to the repository's. */
function makeCopies(count) {
  mkdirSync(join(root, ".tmp"), { recursive: true });
  return Array.from({ length: count }, () => {
    const copy = mkdtempSync(join(root, ".tmp/mutate-"));
    for (const path of [
      "package.json",
      "vitest.config.ts",
      "tsconfig.base.json",
      `${library}/package.json`,
    ]) {
      mkdirSync(join(copy, path, ".."), { recursive: true });
      cpSync(join(root, path), join(copy, path));
    }
    for (const path of ["src", "test"]) {
      cpSync(join(root, library, path), join(copy, library, path), { recursive: true });
    }
    symlinkSync(join(root, "node_modules"), join(copy, "node_modules"), "dir");
    return copy;
  });
}

function topLevelComma(code, from, end) {
  let depth = 0;
  for (let i = from; i < end; i++) {
    if ("([{".includes(code[i])) depth++;
    if (")]}".includes(code[i])) depth--;
    if (code[i] === "," && depth === 0) return i;
  }
  return -1;
}

function endOfStatement(code, from) {
  let depth = 0;
  for (let i = from; i < code.length; i++) {
    if ("([{".includes(code[i])) depth++;
    if (")]}".includes(code[i]) && --depth < 0) return i;
    if (code[i] === ";" && depth === 0) return i;
  }
  return code.length;
}
