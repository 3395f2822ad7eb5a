/**
 * Reading TypeScript as text. TypeScript 7 has no JavaScript API yet, and the checks of this
 * repository ask simple questions, so they work on source text in which comments (and, where wanted,
 * the insides of strings) are blanked out: positions and line numbers stay what they were.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";

export const root = join(dirname(fileURLToPath(import.meta.url)), "../..");

/** Paths relative to the repository root, `/`-separated, sorted; nothing if the folder is missing. */
export function listFiles(folder, pattern = /\.ts$/) {
  const top = join(root, folder);
  if (!existsSync(top)) return [];
  return readdirSync(top, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && pattern.test(entry.name))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)).split(sep).join("/"))
    .filter((path) => !/(^|\/)(node_modules|dist|build|\.tmp)\//.test(path))
    .sort();
}

export function readText(path) {
  return readFileSync(join(root, path), "utf8");
}

/** Line number, counted from 1, of a position in a text. */
export function lineOf(text, position) {
  return text.slice(0, position).split("\n").length;
}

/**
 * Blanks comments, and with `strings: true` the contents of string literals too. Line breaks are
 * kept. Code inside `${…}` of a template is kept in both cases.
 */
export function blank(source, { strings = false } = {}) {
  const out = source.split("");
  const erase = (from, to) => {
    for (let i = from; i < to; i++) if (out[i] !== "\n") out[i] = " ";
  };
  const braces = []; // one entry per open `${`: how many `{` are open inside it
  let i = 0;
  let last = ""; // last significant character, tells a regular expression from a division
  while (i < source.length) {
    const two = source.slice(i, i + 2);
    const char = source[i];
    if (two === "//" || two === "/*") {
      const end = two === "//" ? source.indexOf("\n", i) : source.indexOf("*/", i) + 2;
      const stop = end <= 1 ? source.length : end;
      erase(i, stop);
      i = stop;
    } else if (char === '"' || char === "'") {
      const end = skipString(source, i);
      if (strings) erase(i + 1, end - 1);
      last = char;
      i = end;
    } else if (char === "`" || (char === "}" && braces.at(-1) === 0)) {
      if (char === "}") braces.pop();
      const end = skipTemplate(source, i + 1);
      if (source[end - 1] === "{") braces.push(0);
      if (strings) erase(i + 1, source[end - 1] === "{" ? end - 2 : end - 1);
      last = source[end - 1] === "{" ? "{" : '"';
      i = end;
    } else if (char === "/" && startsRegExp(source.slice(Math.max(0, i - 12), i), last)) {
      const end = skipRegExp(source, i);
      if (strings) erase(i + 1, end - 1);
      last = "/";
      i = end;
    } else {
      if (braces.length > 0) {
        if (char === "{") braces[braces.length - 1]++;
        if (char === "}") braces[braces.length - 1]--;
      }
      if (!/\s/.test(char)) last = char;
      i++;
    }
  }
  return out.join("");
}

/**
 * Module specifiers a file imports from or re-exports, type-only imports included, with the line
 * they stand on and the position of the specifier's opening quote.
 */
export function importsOf(source) {
  const text = blank(source);
  const pattern = /(?:\bfrom\s*|\bimport\s*\(\s*|\bimport\s*)(["'])([^"']+)\1/g;
  return [...text.matchAll(pattern)].map((match) => ({
    specifier: match[2],
    line: lineOf(text, match.index + match[0].length),
  }));
}

/** Position after the bracket that closes the one at `open`, in a text whose strings are blanked. */
export function closeOf(blanked, open) {
  let depth = 0;
  for (let i = open; i < blanked.length; i++) {
    if ("([{".includes(blanked[i])) depth++;
    if (")]}".includes(blanked[i]) && --depth === 0) return i + 1;
  }
  return blanked.length;
}

/** Whether a `/` begins a regular expression, given the text in front of it. */
function startsRegExp(before, last) {
  return /^[(,=:[!&|?{};]?$/.test(last) || /\b(return|typeof|case|of|in)\s*$/.test(before);
}

function skipString(source, start) {
  const quote = source[start];
  let i = start + 1;
  while (i < source.length && source[i] !== quote && source[i] !== "\n") {
    i += source[i] === "\\" ? 2 : 1;
  }
  return i + 1;
}

/** Runs to the end of a template literal, or just past the `${` that interrupts it. */
function skipTemplate(source, start) {
  let i = start;
  while (i < source.length && source[i] !== "`") {
    if (source[i] === "$" && source[i + 1] === "{") return i + 2;
    i += source[i] === "\\" ? 2 : 1;
  }
  return i + 1;
}

function skipRegExp(source, start) {
  let i = start + 1;
  let inClass = false;
  while (i < source.length && source[i] !== "\n" && (inClass || source[i] !== "/")) {
    if (source[i] === "[") inClass = true;
    if (source[i] === "]") inClass = false;
    i += source[i] === "\\" ? 2 : 1;
  }
  return i + 1;
}
