/**
 * Keeps in step what is said twice: docs/generated/validation.md is made from the rule table and from
 * the sources and tests that name each rule, errors.md from what is thrown; the example in README.md is the file it claims to be; the
 * package carries the repository's licence and exports the entry points that exist. Without arguments it checks, `npm run docs` writes.
 */
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { packageExports } from "./lib/entries.js";
import { errorTable } from "./lib/error-table.js";
import { listFiles, readText, root } from "./lib/sources.js";
import { readTitle, scanTitles } from "./lib/titles.js";

const { PATHS, RULES } = await import(join(root, "packages/mlskit/dist/rule-registry.js"));
const write = process.argv.includes("--write");
let stale = 0;

keep("docs/generated/validation.md", validationTable());
keep("docs/generated/errors.md", errorTable());
keep("README.md", withExamples(readText("README.md")));
keep("packages/mlskit/LICENSE", readText("LICENSE"));
keep("packages/mlskit/package.json", manifestWithExports());
console.log(stale === 0 ? "docs: in sync" : `docs: ${stale} out of date, run \`npm run docs\``);
process.exitCode = stale === 0 ? 0 : 1;

function keep(path, content) {
  if (existsSync(join(root, path)) && readText(path) === content) return;
  if (write) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
    console.log(`wrote ${path}`);
  } else {
    console.log(`${path} is out of date`);
    stale++;
  }
}

function validationTable() {
  const code = filesByRule(
    listFiles("packages/mlskit/src")
      .filter((path) => !/\/src\/rules?(-registry)?\.ts$/.test(path))
      .map((path) => ({ path, ids: readText(path).match(/"(?:valn\d{4}|mk-\d{2,3})"/g) ?? [] })),
  );
  const tests = filesByRule(
    scanTitles("packages/mlskit/test").map(({ title, file }) => ({
      path: file,
      ids: readTitle(title).rules.map((id) => `"${id}"`),
    })),
  );
  const lines = [
    "# Validation rules",
    "",
    "Generated from `packages/mlskit/src/rule-registry.ts` and the tests; do not edit, run `npm run docs`.",
    "",
    "Each rule is enforced by code that names its id, and the error for a violation carries it as `rule`.",
    "`npm run rules` runs the tests listed here and says which paths they cover.",
    "",
    "| path | while |",
    "|---|---|",
    ...Object.entries(PATHS).map(([letter, text]) => `| ${letter} | ${text} |`),
    "",
    "Outcomes: DEC malformed input, UNS unsupported, VAL rule broken, CRY cryptographic failure, STA state",
    "or timing, POL refused by policy, USE mistake of the caller. A *property* always holds, a *notice* is",
    "reported, *accept* marks what must be accepted, and a *result* is an ordinary outcome. Letters in",
    "brackets are paths on which a deviation is tolerated.",
  ];
  let area = "";
  for (const [id, rule] of Object.entries(RULES)) {
    if (rule.area !== area) {
      area = rule.area;
      lines.push("", `## ${area}`, "");
      lines.push(
        "| id | RFC 9420 | rule | paths | outcome | code | tests |",
        "|---|---|---|---|---|---|---|",
      );
    }
    const alias = rule.aliases.length > 0 ? ` (${rule.aliases.join(", ")})` : "";
    const paths = rule.accepts === "" ? rule.paths : `${rule.paths} (${rule.accepts})`;
    const cells = [id, rule.section, rule.text + alias, paths, rule.kind];
    lines.push(`| ${[...cells, links(code.get(id)), links(tests.get(id))].join(" | ")} |`);
  }
  return `${lines.join("\n")}\n`;
}

function manifestWithExports() {
  const manifest = JSON.parse(readText("packages/mlskit/package.json"));
  return `${JSON.stringify({ ...manifest, exports: packageExports() }, null, 2)}\n`;
}

/** Rule id → the files that name it, sorted. */
function filesByRule(entries) {
  const files = new Map();
  for (const { path, ids } of entries) {
    for (const quoted of ids) {
      const id = quoted.slice(1, -1);
      files.set(id, (files.get(id) ?? new Set()).add(path));
    }
  }
  return files;
}

function links(paths) {
  if (paths === undefined) return "–";
  const short = (path) => path.replace(/^packages\/mlskit\/(src|test)\//, "");
  return [...paths]
    .sort()
    .map((path) => `[${short(path)}](../../${path})`)
    .join(", ");
}

/** Replaces the code after each `<!-- example: path -->` by that file, once the file exists. */
function withExamples(text) {
  const block = /<!-- example: (\S+) -->\n\n?```ts\n[\s\S]*?```/g;
  return text.replace(block, (found, path) => {
    if (!existsSync(join(root, path))) return found;
    return `<!-- example: ${path} -->\n\n\`\`\`ts\n${readText(path).trimEnd()}\n\`\`\``;
  });
}
