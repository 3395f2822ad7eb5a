/**
 * `npm run rules`: is every validation rule proved? Runs the tests under test/rules and holds them
 * against the rule table. A rule has passed if on each path it applies to a test breaks it and is
 * caught, and if one test at least shows that the legal boundary is accepted. It exists because a rule
 * without such a test is only a claim; how tests name rules is described in lib/titles.js.
 *
 *     npm run rules                      the table, closing with `rules: N passed, N failed`
 *     npm run rules -- valn0304 mk-18    only these
 *     npm run rules -- --mutate          does a test notice when a rule's check is taken out?
 *     npm run rules -- --mutate --each-site   likewise for each place of a check on its own
 *     npm run rules -- --check-mutants   quick: do the mutants still fit the sources?
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { checkMutants, mutateRules } from "./lib/mutate.js";
import { listFiles, root } from "./lib/sources.js";
import { readTitle } from "./lib/titles.js";
import { runVitest } from "./lib/vitest.js";

const testFolder = "packages/mlskit/test/rules";
/** Kinds that are not errors: tests of them need no violation. */
const withoutError = ["property", "notice", "accept", "result"];

const options = process.argv.slice(2).filter((argument) => argument.startsWith("--"));
const wanted = process.argv.slice(2).filter((argument) => !argument.startsWith("--"));
const { RULES } = await loadRegistry();
const ids = Object.keys(RULES).filter((id) => wanted.length === 0 || wanted.includes(id));
for (const id of wanted) if (RULES[id] === undefined) console.error(`${id} is not a rule`);

if (options.includes("--check-mutants")) {
  process.exitCode = checkMutants(ids);
} else if (options.includes("--mutate")) {
  process.exitCode = await mutateRules(ids, {
    testFolder,
    eachSite: options.includes("--each-site"),
    withoutError: (id) => withoutError.includes(RULES[id].kind),
  });
} else {
  process.exitCode = await report();
}

async function report() {
  const files = listFiles(testFolder, /\.test\.ts$/);
  const run = files.length === 0 ? { tests: [] } : await runVitest([testFolder], { quiet: true });
  const proofs = collect(run.tests);
  let failed = 0;
  let area = "";
  for (const id of ids) {
    const rule = RULES[id];
    if (rule.area !== area) {
      area = rule.area;
      console.log(`\n${area}`);
      console.log("  rule      kind      paths   covered  ok  ");
    }
    const { verdict, covered, positive } = judge(rule, proofs.get(id));
    if (verdict !== "") failed++;
    const columns = [id.padEnd(8), rule.kind.padEnd(8), rule.paths.padEnd(6), covered.padEnd(7)];
    console.log(`  ${columns.join("  ")} ${String(positive).padStart(3)}  ${verdict}`.trimEnd());
  }
  for (const test of run.tests.filter((candidate) => candidate.status === "failed")) {
    console.log(`\nfailed: ${test.file}: ${test.title}\n${test.message}`.trimEnd());
  }
  const unknown = run.tests
    .flatMap((test) => readTitle(test.title).rules)
    .filter((id) => !RULES[id]);
  for (const id of new Set(unknown)) console.log(`\na test names ${id}, which is not a rule`);
  console.log(`\nrules: ${ids.length - failed} passed, ${failed} failed`);
  return failed > 0 || unknown.length > 0 ? 1 : 0;
}

/** Rule id → what passing and failing tests say about it. */
function collect(tests) {
  const proofs = new Map();
  for (const { title, status } of tests) {
    const { rules, paths, positive } = readTitle(title);
    for (const id of rules) {
      const proof = proofs.get(id) ?? { negative: new Set(), positive: 0, any: new Set(), bad: 0 };
      proofs.set(id, proof);
      if (status !== "passed") {
        proof.bad++;
        continue;
      }
      for (const path of paths) {
        proof.any.add(path);
        if (!positive) proof.negative.add(path);
        else (proof.accepted ??= new Set()).add(path);
      }
      if (positive) proof.positive++;
    }
  }
  return proofs;
}

function judge(rule, proof) {
  if (proof === undefined) return { verdict: "no test", covered: "-", positive: 0 };
  const free = withoutError.includes(rule.kind);
  const seen = free ? proof.any : proof.negative;
  const covered = [...rule.paths].filter((path) => seen.has(path));
  const missing = [...rule.paths].filter((path) => !seen.has(path));
  const tolerated = [...rule.accepts].filter((path) => !(proof.accepted?.has(path) ?? false));
  const complaints = [];
  if (proof.bad > 0) complaints.push(`${proof.bad} failing or skipped`);
  if (missing.length > 0) complaints.push(`missing ${missing.join("")}`);
  if (tolerated.length > 0) complaints.push(`no ok: test on ${tolerated.join("")}`);
  if (!free && proof.positive === 0) complaints.push("no ok: test");
  return {
    verdict: complaints.join(", "),
    covered: covered.join("") || "-",
    positive: proof.positive,
  };
}

async function loadRegistry() {
  const tsc = join(root, "node_modules/typescript/bin/tsc");
  spawnSync(process.execPath, [tsc, "-b", join(root, "packages/mlskit")], { stdio: "ignore" });
  const built = join(root, "packages/mlskit/dist/rule-registry.js");
  if (!existsSync(built)) throw new Error("the library does not build: run `npm run build`");
  return import(built);
}
