/**
 * Mutation of rule checks: takes the check of a rule out of a copy of the source and runs the tests
 * that name the rule. At least one must fail, or the tests prove nothing. Production code has no
 * switch for this; what is disabled is found in the source text:
 *
 *     check(condition, "valn0304", …)            also demand(…); the condition is still computed, the outcome ignored
 *     throw violation("mk-18", …)                the error is not thrown
 *     throw reader.error("…", "mk-05")           likewise, and for any other `throw` that names the id
 *
 * A rule that consists of others ("the leaf in an Update is valid") or says how something is done has no
 * such place; its mutant is written down in mutants.js. All mutants are in one copy, each behind a
 * switch that mutation-runner.js turns on for the tests that name its rule.
 */
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { MUTANTS } from "./mutants.js";
import { blank, closeOf, lineOf, listFiles, readText, root } from "./sources.js";
import { runVitest } from "./vitest.js";

const library = "packages/mlskit";

const config = `
import { mergeConfig } from "vitest/config";
import base from "./vitest.config.ts";
export default mergeConfig(base, {
  test: { runner: ${JSON.stringify(join(root, "tools/lib/mutation-runner.js"))}, testTimeout: 60_000 },
});
`;

/** Whether each rule has a mutant and all mutants stand together. Returns the exit code. */
export function checkMutants(ids) {
  const sources = readSources();
  const { mutants, unchecked } = collectMutants(ids, sources, { eachSite: false });
  applyMutants(mutants, sources);
  for (const id of unchecked) console.log(`NO CHECK ${id}`);
  console.log(`mutants: ${mutants.length} rules, ${unchecked.length} without a check`);
  return unchecked.length > 0 ? 1 : 0;
}

/** Where mutants.js names text that is not, or not once, in the sources. */
export function misplacedMutants() {
  const sources = readSources();
  return Object.keys(MUTANTS).flatMap((id) => {
    try {
      writtenSites(sources, id);
      return [];
    } catch (error) {
      return [error.message];
    }
  });
}

function readSources() {
  return new Map(listFiles(`${library}/src`).map((path) => [path, readText(path)]));
}

function collectMutants(ids, sources, { eachSite }) {
  const mutants = [];
  const unchecked = [];
  for (const id of ids) {
    const sites = [...findSites(sources, id), ...writtenSites(sources, id)];
    if (sites.length === 0) unchecked.push(id);
    else if (!eachSite) mutants.push({ id, name: id, sites });
    else sites.forEach((site, i) => mutants.push({ id, name: `${id}#${i + 1}`, sites: [site] }));
  }
  return { mutants, unchecked };
}

/** Runs all mutants, prints one line each, returns the exit code. */
export async function mutateRules(ids, { testFolder, eachSite, withoutError }) {
  const sources = readSources();
  const { mutants, unchecked } = collectMutants(ids, sources, { eachSite });
  const { outcomes, output } = await runMutants(mutants, sources, {
    testFolder,
    free: ids.filter(withoutError),
  });

  const unsound = outcomes.filter((outcome) => !outcome.sound);
  const counts = { killed: 0, survived: 0 };
  for (const { id, name, sites } of mutants) {
    const killers = outcomes.filter(({ sound, kills }) => sound && kills.includes(name));
    counts[killers.length > 0 ? "killed" : "survived"]++;
    const where = sites.map((site) => `${site.path.slice(library.length + 5)}:${site.line}`);
    const isTested = outcomes.some(({ ran }) => ran.includes(name));
    const verdict = killers.length > 0 ? "killed  " : isTested ? "SURVIVED" : "UNTESTED";
    console.log(`${verdict} ${id.padEnd(8)} ${where.join(" ")}`);
  }
  for (const id of unchecked) console.log(`NO CHECK ${id}`);
  for (const { title } of unsound) console.log(`FAILS WITHOUT A MUTANT: ${title}`);
  if (outcomes.length === 0 && mutants.length > 0) console.log(output);
  console.log(
    `mutation: ${counts.killed} killed, ${counts.survived} survived, ${unchecked.length} without a check`,
  );
  return counts.survived + unchecked.length + unsound.length > 0 ? 1 : 0;
}

/** Edits that disable every check of a rule: `{ path, line, edits: [{ at, insert }] }`. */
export function findSites(sources, id) {
  const sites = [];
  for (const [path, source] of sources) {
    if (/\/(rules|rule-registry)\.ts$/.test(path) || !source.includes(`"${id}"`)) continue;
    const readable = blank(source);
    const code = blank(source, { strings: true });
    const add = (at, edits) => sites.push({ path, line: lineOf(source, at), edits });

    for (const match of code.matchAll(/(?<![.\w]|function )(?:check|demand)\(/g)) {
      const open = match.index + match[0].length;
      const end = closeOf(code, open - 1) - 1;
      const comma = topLevelComma(code, open, end);
      const isOurs =
        comma !== -1 &&
        readable
          .slice(comma + 1)
          .trimStart()
          .startsWith(`"${id}"`);
      if (!isOurs) continue;
      add(match.index, [
        { at: open, remove: 0, insert: "((" },
        { at: comma, remove: 0, insert: ") || OFF)" },
      ]);
    }
    for (const match of code.matchAll(/\bthrow\b/g)) {
      const end = endOfStatement(code, match.index);
      if (!readable.slice(match.index, end).includes(`"${id}"`)) continue;
      add(match.index, [{ at: match.index, remove: 0, insert: "if (OFF) void 0; else " }]);
    }
  }
  return sites;
}

/** The mutants of a rule that mutants.js describes. */
function writtenSites(sources, id) {
  return (MUTANTS[id] ?? []).map(({ file, edits }) => {
    const path = `${library}/src/${file}`;
    const source = sources.get(path) ?? "";
    const placed = edits.map(([old, insert]) => {
      const at = source.indexOf(old);
      if (at === -1 || source.includes(old, at + 1)) {
        throw new Error(`mutants.js: the text for ${id} is not exactly once in ${file}: ${old}`);
      }
      return { at, remove: old.length, insert };
    });
    return { path, line: lineOf(source, placed[0].at), edits: placed };
  });
}

/** One vitest run over a copy in which every mutant can be switched on. */
async function runMutants(mutants, sources, { testFolder, free }) {
  if (mutants.length === 0) return { outcomes: [], output: "" };
  const copy = makeCopy();
  try {
    for (const [path, text] of applyMutants(mutants, sources))
      writeFileSync(join(copy, path), text);
    const plan = { mutants: {}, free, results: join(copy, "results.jsonl") };
    for (const { id, name } of mutants) (plan.mutants[id] ??= []).push(name);
    writeFileSync(join(copy, "plan.json"), JSON.stringify(plan));
    writeFileSync(plan.results, "");
    writeFileSync(join(copy, "mutation.config.ts"), config);
    const { output } = await runVitest([testFolder, "--config=mutation.config.ts"], {
      quiet: true,
      cwd: copy,
      env: { MUTATION_PLAN: join(copy, "plan.json") },
    });
    const lines = readFileSync(plan.results, "utf8").split("\n").filter(Boolean);
    return { outcomes: lines.map((line) => JSON.parse(line)), output };
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}

/** Path → text with all mutants in it. `OFF` in an edit becomes the switch of its mutant. */
export function applyMutants(mutants, sources) {
  const edits = new Map();
  for (const { name, sites } of mutants) {
    const off = `(globalThis as any).mutant === "${name}"`;
    for (const { path, edits: list } of sites) {
      const own = list.map((edit) => ({ ...edit, insert: edit.insert.replaceAll("OFF", off) }));
      edits.set(path, [...(edits.get(path) ?? []), ...own]);
    }
  }
  return [...edits].map(([path, list]) => {
    let text = sources.get(path);
    let last = text.length + 1;
    for (const { at, remove, insert } of list.sort((a, b) => b.at - a.at || b.remove - a.remove)) {
      if (at + remove > last) throw new Error(`${path}: two mutants overlap at ${at}`);
      last = at;
      text = text.slice(0, at) + insert + text.slice(at + remove);
    }
    return [path, text];
  });
}

/** A copy of source and tests in .tmp/, where modules still resolve to the repository's. */
function makeCopy() {
  mkdirSync(join(root, ".tmp"), { recursive: true });
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
