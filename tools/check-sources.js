/**
 * Rules about source text that no linter of ours knows: which files may touch the runtime they run
 * on, whether mutants of rules (lib/mutants.js) still find their places, where time and randomness may come from, and how long a file may grow before somebody has to
 * say why. Time and randomness are injected (the clock and the provider), or a test could not fix
 * them and an application could not replace them.
 */
import { misplacedMutants } from "./lib/mutate.js";
import { blank, importsOf, lineOf, listFiles, readText } from "./lib/sources.js";

const maxLines = 600;

/** Longer files, each with the reason why splitting it would make it worse. */
const longFiles = {
  "packages/mlskit/test/simulate/world.ts": "the state of one simulated world and its moves",
};

/** One section of a table of rules or rows is tested in one place, however many cases it has. */
const tables = /^packages\/mlskit\/test\/(rules|catalogue)\//;
const maxTableLines = 800;

/** Files of the library that are about Node and may import from it. */
const nodeFiles =
  /^packages\/mlskit\/src\/(providers\/node|storage\/file)[^/]*(\/.*)?\.ts$|^packages\/mlskit\/src\/(providers\/node|storage\/file)\//;

const ambient = /\b(Date\.now|new Date\(\s*\)|Math\.random|performance\.now)/g;
const anyType = /(?::|<|\bas|\||&|,)\s*any\b(?!\s*[:(])/g;

const problems = [];
const library = listFiles("packages/mlskit/src");
for (const path of library) {
  const text = readText(path);
  const code = blank(text, { strings: true });
  if (!nodeFiles.test(path)) {
    for (const { specifier, line } of importsOf(text)) {
      if (specifier.startsWith("node:")) {
        problems.push(
          `${path}:${line} imports ${specifier}; only providers/node and storage/file may`,
        );
      }
    }
  }
  for (const match of code.matchAll(ambient)) {
    // The one place that reads the machine's clock is the default value of the injected one.
    if (readsTheClock(path)) continue;
    problems.push(
      `${path}:${lineOf(code, match.index)} uses ${match[1]}; time and randomness are injected`,
    );
  }
  for (const match of code.matchAll(anyType)) {
    problems.push(`${path}:${lineOf(code, match.index)} uses the type any`);
  }
}

const everything = ["packages", "tools", "examples"].flatMap((folder) =>
  listFiles(folder, /\.[jt]s$/),
);
for (const path of everything) {
  const lines = readText(path).trimEnd().split("\n").length;
  const limit = tables.test(path) ? maxTableLines : maxLines;
  if (lines > limit && longFiles[path] === undefined) {
    problems.push(`${path} has ${lines} lines (limit ${limit}): which second idea crept in?`);
  }
}

problems.push(...misplacedMutants());
for (const problem of problems) console.log(problem);
console.log(`sources: ${everything.length} files, ${problems.length} problems`);
process.exitCode = problems.length === 0 ? 0 : 1;

/** The clock itself, waiting for another process's lock, and measuring: no rule depends on those. */
function readsTheClock(path) {
  return /\/(client\/state\/clock|storage\/file-(lock|owner)|testing\/measure-storage)\.ts$/.test(
    path,
  );
}
