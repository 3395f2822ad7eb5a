/**
 * Keeps the architecture: the folder list below is the order in which the library is built up, and a
 * file may import from its own folder and from folders earlier in the list. A cycle between folders
 * then cannot be written, and moving a line here is a design decision that shows in review.
 * Type-only imports count, since a type is knowledge about the other folder as well.
 */
import { posix } from "node:path";
import { importsOf, listFiles, readText } from "./lib/sources.js";

const layers = [
  "codec",
  "crypto",
  "credentials",
  "extensions",
  "tree",
  "key-packages",
  "key-schedule",
  "secret-tree",
  "messages",
  "framing",
  "group",
  "observer",
  "x509",
  "storage",
  "providers",
  "client/state",
  "client/records",
  "client/session",
  "client/identity",
  "client/sending",
  "client/receiving",
  "client/joining",
  "client",
  "production",
  "drafts",
  "testing",
];

/** Folders that see less than their place in the list allows: they adapt the outside world. */
const restricted = {
  storage: ["codec", "crypto"],
  providers: ["codec", "crypto"],
};

/** Files directly in src/ that every folder may import. They import only one another. */
const shared = ["checked.ts", "errors.ts", "rules.ts"];

const source = "packages/mlskit/src/";
const problems = [];

for (const file of listFiles("packages/mlskit/src")) {
  const from = file.slice(source.length);
  for (const { specifier, line } of importsOf(readText(file))) {
    const problem = judge(from, specifier);
    if (problem !== undefined) problems.push(`${file}:${line} imports ${specifier}: ${problem}`);
  }
  if (from.includes("/") && folderOf(from) === undefined) {
    problems.push(`${file}: its folder is not in the list of tools/check-layers.js`);
  }
}
for (const file of listFiles("packages", /\.[jt]s$/)) {
  if (file.startsWith("packages/mlskit/")) continue;
  for (const { specifier, line } of importsOf(readText(file))) {
    if (/mlskit\/(src|dist|build)\b/.test(specifier) || specifier.startsWith("../../mlskit")) {
      problems.push(`${file}:${line} imports ${specifier}: other packages use mlskit's exports`);
    }
  }
}

for (const problem of problems) console.log(problem);
console.log(`layers: ${problems.length === 0 ? "in order" : `${problems.length} violations`}`);
process.exitCode = problems.length === 0 ? 0 : 1;

/** Why a file must not import a specifier, or undefined if it may. */
function judge(from, specifier) {
  if (!specifier.startsWith(".")) return undefined;
  if (!specifier.endsWith(".ts")) return "relative imports name the .ts file";
  const to = posix.join(posix.dirname(from), specifier);
  if (to.startsWith("..")) return "leaves src/";
  const [fromFolder, toFolder] = [folderOf(from), folderOf(to)];
  if (fromFolder === toFolder && fromFolder !== "") return undefined;
  if (toFolder === "") {
    if (shared.includes(to)) return undefined;
    if (to === "rule-registry.ts" && (fromFolder === "" || fromFolder === "testing"))
      return undefined;
    return "entry files and the rule texts are not for use inside the library";
  }
  if (fromFolder === "") {
    return shared.includes(from) || from === "rule-registry.ts"
      ? "shared files know no folder"
      : undefined;
  }
  const allowed = restricted[fromFolder] ?? layers.slice(0, layers.indexOf(fromFolder));
  return allowed.includes(toFolder) ? undefined : `${fromFolder}/ does not build on ${toFolder}/`;
}

/** The layer that a file belongs to: the innermost folder that is in the list. */
function folderOf(path) {
  if (!path.includes("/")) return "";
  return layers
    .filter((layer) => path.startsWith(`${layer}/`))
    .sort((a, b) => b.length - a.length)[0];
}
