/**
 * What test titles say. Tests name the rules and catalogue rows they prove, so that the reports of
 * this repository need no table that somebody has to keep up to date by hand:
 *
 *     valn0304 [R] two removes of one leaf are rejected        a violation, on path R
 *     valn0304 [RO] ok: an update beside a remove of another   the legal boundary, on paths R and O
 *     M-KP-03 many key packages are one transaction            a row of docs/features.md
 *     com-4 making and dropping Commits changes nothing        a row of docs/pitfalls.md
 *
 * Ids may stand anywhere in the full title, so a `describe` may carry them for its tests.
 */
import { blank, closeOf, lineOf, listFiles, readText } from "./sources.js";

const ruleId = /\b(?:valn\d{4}|mk-\d{2,3})\b/g;
const rowId = /\b(?:M-[A-Z0-9]+|P-[A-Z]+)-\d{2}\b/g;
const pitfallId =
  /\b(?:tree|ph|codec|ks|st|fr|prop|com|ext|join|psk|ri|sto|err|cc|past|perf|pkg)-\d{1,2}\b/g;
const pathLetters = /\[([CSRJXOD][CSRJXOD, ]*)\]/;

/** What a full title claims to prove. */
export function readTitle(title) {
  return {
    rules: [...new Set(title.match(ruleId) ?? [])],
    rows: [...new Set(title.match(rowId) ?? [])],
    pitfalls: [...new Set(title.match(pitfallId) ?? [])],
    paths: [...(pathLetters.exec(title)?.[1] ?? "").replace(/[^A-Z]/g, "")],
    positive: /\bok:/.test(title),
  };
}

/**
 * Titles of tests as they stand in the source, `describe` titles put in front of those inside. A title
 * that is put together at run time is given as written, with its `${…}`; skipped tests are left out.
 */
export function scanTitles(folder) {
  const titles = [];
  for (const file of listFiles(folder, /\.test\.ts$/)) {
    const source = readText(file);
    const code = blank(source, { strings: true });
    const calls = /\b(describe|test|it)((?:\.\w+)*)\s*(\([^()]*\)\s*)?\(\s*(["'`])/g;
    const open = []; // enclosing describes: { title, end, skipped }
    for (const match of code.matchAll(calls)) {
      const start = match.index + match[0].length;
      const end = code.indexOf(match[4], start);
      while (open.length > 0 && open.at(-1).end <= match.index) open.pop();
      const skipped = /\.(skip|todo)\b/.test(match[2]) || open.some((outer) => outer.skipped);
      const title = [...open.map((outer) => outer.title), source.slice(start, end)].join(" ");
      if (match[1] === "describe") {
        const callEnd = closeOf(code, code.lastIndexOf("(", start));
        open.push({ title: source.slice(start, end), end: callEnd, skipped });
      } else if (!skipped) {
        titles.push({ title, file, line: lineOf(source, match.index) });
      }
    }
  }
  return titles;
}
