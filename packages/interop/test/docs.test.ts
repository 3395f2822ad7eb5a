/** The document that is made of results. */
import { existsSync, linkSync, mkdtempSync, readdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { OFFICIAL_FOLDER } from "../src/driver/configs.ts";
import { DOCUMENT, documentOf, recordedResults } from "../src/driver/docs.ts";
import { EMPTY_ANSWERS, PEER_LIMITS } from "../src/driver/peer-limits.ts";
import { readResults, record, type ResultFile, withPlayed } from "../src/driver/result-file.ts";
import {
  type JudgedConfig,
  type Judgement,
  type MatrixResult,
  noRuns,
  type ScriptResult,
} from "../src/driver/results.ts";

function result(config: string, script: string, runs: number, note?: string): ScriptResult {
  const count = { ...noRuns(), runs, passed: runs - 3, vacuous: 1, limited: 1, unsettled: 1 };
  return {
    config,
    script,
    suite: 1,
    date: "2026-01-02",
    commit: "0123456789",
    actors: 2,
    casts: "spread",
    seed: "seed",
    expectedRuns: runs,
    counts: { "public mixed": count },
    checks: { epochs: 1, authenticators: 1, exports: 1, messages: 1, flags: 1, refusals: 1 },
    observations: note === undefined ? [] : [note],
    limits: [],
    failures: [],
  };
}

const both = result("branch", "both", 6);
const [count = noRuns()] = Object.values(both.counts);
const matrix: MatrixResult = {
  servers: ["mlskit 1", "Peer 2"],
  processes: 2,
  expectedRuns: 32,
  scripts: [
    result("commit", "add", 8, "Peer: left something out"),
    result("commit", "remove", 8, "Peer: left something out"),
    result("branch", "base", 4, "Peer: left something out"),
    {
      ...both,
      counts: { "public mixed": count, "private mixed": noRuns(), "private peers": count },
    },
    { ...both, script: "all", counts: { "public mixed": count, "private mixed": count } },
    result("branch", "external_tree", 3),
  ],
};
const row: JudgedConfig = {
  clients: ["mlskit 1", "Peer 2"],
  config: "commit",
  suite: 1,
  date: "2026-01-03",
  commit: "abcdef0123",
  runs: 4,
  passed: 2,
  mixed: 2,
  listed: { "mls-go-given-tree": 1, "mlspp-branch-tree": 1 },
  failures: [],
};
const judgement: Judgement = {
  runner: "runner 3",
  rows: [row, { ...row, suite: 2, passed: 4, listed: {} }],
};
const file: ResultFile = { results: [matrix], judgements: [] };

test("M-INT-06 the document names versions and counts mixed runs, in the overview too", () => {
  const text = documentOf([file]);
  expect(text).toContain("## mlskit 1 × Peer 2");
  expect(text).toContain("| mlskit 1 × Peer 2 | 1 | 41 mixed | 20 | 7 | 7 | 7 | 0 |");
  expect(text).toContain("| commit | 10/16 (2 vacuous, 2 limited, 2 unsettled) | – |");
  expect(text).toContain(
    "Runs: mixed 41: 20 passed, 7 vacuous, 7 limited, 7 unsettled, 0 failed; peers 6: 3 passed",
  );
  expect(text).toContain("2026-01-02, mlskit at 0123456789, suites 1, 2 processes");
});

test("M-INT-06 the document says how many of the possible casts were played, and what was left out", () => {
  const lines = documentOf([file]).split("\n");
  expect(lines).toContain("Every cast in every suite and form: commit.");
  expect(lines).toContain(
    "Every cast at least once, suites and forms in turn: branch/base, branch/both.",
  );
  expect(lines).toContain(
    "Every cast at least once, a mixed one in every suite and form: branch/all.",
  );
  expect(lines).toContain("Some casts, suites and forms in turn: branch/external_tree.");
  expect(lines).toContain("- Peer: left something out: commit, branch/base");
});

test("the document shows what the second judge said, with the limits that it met", () => {
  const text = documentOf([{ results: [], judgements: [judgement] }]);
  expect(text).toContain("2026-01-03, mlskit at abcdef0123, both handshake forms");
  expect(text).toContain("| mlskit 1 × Peer 2 | 1, 2 | 6/8 | 4 |");
  expect(text).toContain(
    "- mlskit 1 × Peer 2, commit: 1 limited by mls-go-given-tree, 1 unsettled by mlspp-branch-tree",
  );
});

test("M-INT-06 the document says which limits have a sentence of the RFC, and what is not compared", () => {
  const lines = documentOf([]).split("\n");
  const rows = (start: string): string[] => lines.filter((line) => line.startsWith(start));
  for (const { id, version, whose, evidence } of PEER_LIMITS) {
    expect(rows(`| ${id} | ${version} | ${whose} | ${evidence} | `)).toHaveLength(1);
  }
  for (const { id, version, whose, calls } of EMPTY_ANSWERS) {
    expect(rows(`| ${id} | ${version} | ${whose} | ${calls.join(", ")} | `)).toHaveLength(1);
  }
});

test("M-INT-06 a file with matrices and a judgement loses neither", () => {
  const text = documentOf([{ results: [matrix], judgements: [judgement] }]);
  expect(text).toContain("## mlskit 1 × Peer 2");
  expect(text).toContain("## The second judge");
});

test("M-INT-06 what is played again takes the place of its like, with its own date and commit", () => {
  const path = join(mkdtempSync(join(tmpdir(), "interop-results-")), "new", "peer.json");
  record(path, { results: [matrix], judgements: [judgement] });
  const now = { date: "2026-02-03", commit: "fedcba9876" };
  const again = { ...result("commit", "add", 5), ...now, suite: 1 };
  const more = { ...result("commit", "add", 6), ...now, suite: 2 };
  const other = { ...matrix, servers: ["mlskit 1", "Other 3"], scripts: [again] };
  const played = { ...matrix, scripts: [more, again], expectedRuns: 11 };
  const heard = { ...judgement, rows: [{ ...row, ...now, passed: 0, mixed: 0 }] };
  record(path, { results: [played, other], judgements: [heard] });
  const { results, judgements } = readResults(path);
  const [merged, apart] = results;
  expect(
    merged?.scripts.map(({ config, script, suite }) => `${config}/${script} ${suite}`),
  ).toEqual([
    "branch/all 1",
    "branch/base 1",
    "branch/both 1",
    "branch/external_tree 1",
    "commit/add 1",
    "commit/add 2",
    "commit/remove 1",
  ]);
  expect(merged?.scripts.slice(4, 6)).toEqual([again, more]);
  // What was there before, without the eight runs of commit/add.
  expect(merged?.expectedRuns).toBe(4 + 6 + 6 + 3 + 5 + 6 + 8);
  expect(apart).toEqual(other);
  expect(judgements).toEqual([{ ...judgement, rows: [heard.rows[0], judgement.rows[1]] }]);
  const text = documentOf([readResults(path)]);
  expect(text).toContain(
    "2026-01-02 to 2026-02-03, mlskit at 0123456789, fedcba9876, suites 1, 2, 2 processes, start value `seed`.",
  );
  // Another runner is another judge.
  const { judgements: two } = withPlayed(
    { results: [], judgements },
    { results: [], judgements: [{ ...heard, runner: "runner 4" }] },
  );
  expect(two).toHaveLength(2);
});

test("M-INT-06 who reads results while others are recorded, or after a killed driver, finds all of them", () => {
  const folder = mkdtempSync(join(tmpdir(), "interop-results-"));
  const [path, opened] = [join(folder, "peer.json"), join(folder, "opened.json")];
  record(path, file);
  // As whoever has opened the file sees it.
  linkSync(path, opened);
  const before = readFileSync(opened, "utf8");
  record(path, { results: [], judgements: [judgement] });
  expect(readFileSync(opened, "utf8")).toBe(before);
  expect(readResults(path)).toEqual({ results: [matrix], judgements: [judgement] });
  expect(readdirSync(folder).sort()).toEqual(["opened.json", "peer.json"]);
});

test("the document in the repository is made of the results in the repository", () => {
  expect(readFileSync(DOCUMENT, "utf8")).toBe(documentOf(recordedResults()));
});

/** Kept beside the official scripts. */
const RFC = join(OFFICIAL_FOLDER, "../spec/rfc9420.txt");

test.runIf(existsSync(RFC))(
  "M-INT-06 what the document quotes of the RFC stands there, in the section that it names",
  () => {
    const sections = new Map<string, string>();
    for (const text of readFileSync(RFC, "utf8").split(/^(?=\d+(?:\.\d+)*\. {2}\S)/m)) {
      const [number = ""] = /^\d+(?:\.\d+)*/.exec(text) ?? [];
      sections.set(number, withoutBreaks(text));
    }
    const document = withoutBreaks(documentOf([]));
    const quotes = [...document.matchAll(/RFC 9420 §([\d.]+): “([^”]+)”/g)];
    // The limits', one for each that has one, and that of the padding.
    const quoted = PEER_LIMITS.filter(({ evidence }) => evidence === "RFC sentence");
    expect(quotes.length).toBeGreaterThan(quoted.length);
    expect(document.match(/“/g)).toHaveLength(quotes.length);
    for (const [, section = "", quote = ""] of quotes) {
      for (const part of quote.split(" […] ")) {
        expect([section, sections.get(section)]).toEqual([section, expect.stringContaining(part)]);
      }
    }
  },
);

/** On one line, with words that a hyphen ends at a break made whole. */
function withoutBreaks(text: string): string {
  return text.replace(/-\n\s*/g, "-").replace(/\s+/g, " ");
}
