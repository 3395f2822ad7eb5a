/** The document that is made of results. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { OFFICIAL_FOLDER } from "../src/driver/configs.ts";
import { DOCUMENT, documentOf, recordedResults } from "../src/driver/docs.ts";
import { PEER_LIMITS } from "../src/driver/peer-limits.ts";
import { type MatrixResult, noRuns, type ScriptResult } from "../src/driver/results.ts";

const NONE = noRuns();

function result(config: string, script: string, runs: number, note?: string): ScriptResult {
  return {
    config,
    script,
    actors: 2,
    mixed: { runs, passed: runs - 2, vacuous: 1, limited: 1, failed: 0 },
    ours: NONE,
    peers: NONE,
    suites: { "1 public mixed": { runs, passed: runs - 2, vacuous: 1, limited: 1, failed: 0 } },
    checks: { epochs: 1, authenticators: 1, exports: 1, messages: 1, flags: 1, refusals: 1 },
    observations: note === undefined ? [] : [note],
    failures: [],
  };
}

const matrix: MatrixResult = {
  servers: ["mlskit 1", "Peer 2"],
  processes: 2,
  suites: [1],
  expectedRuns: 14,
  scripts: [
    result("commit", "add", 8, "Peer: left something out"),
    result("commit", "remove", 8, "Peer: left something out"),
    result("branch", "base", 4, "Peer: left something out"),
    result("branch", "external_tree", 2),
  ],
  vanishedLimits: [],
};
const file = { date: "2026-01-02", seed: "seed", results: [matrix] };

test("M-INT-06 the document names versions and counts mixed runs, in the overview too", () => {
  const text = documentOf([file]);
  expect(text).toContain("## mlskit 1 × Peer 2");
  expect(text).toContain("| mlskit 1 × Peer 2 | 1 | 22 mixed | 14 | 4 | 4 | 0 |");
  expect(text).toContain("| commit | 12/16 (2 vacuous, 2 limited) |");
  expect(text).toContain("Runs: mixed 14 of 22 passed, 4 vacuous, 4 limited, 0 failed.");
});

test("M-INT-06 the document says how many of the possible casts were played, and what was left out", () => {
  const lines = documentOf([file]).split("\n");
  expect(lines).toContain("Every cast in every suite and form: commit.");
  expect(lines).toContain("Every cast at least once, suites and forms in turn: branch/base.");
  expect(lines).toContain("Some casts, suites and forms in turn: branch/external_tree.");
  expect(lines).toContain("- Peer: left something out: commit, branch/base");
});

test("the document shows what the second judge said, with the limits that it met", () => {
  const row = { clients: ["mlskit 1", "Peer 2"], config: "commit", runs: 3, passed: 2, mixed: 2 };
  const rows = [{ ...row, limited: { "peer-limit": 1 } }];
  const text = documentOf([
    { ...file, results: [], judge: { runner: "runner 3", suites: [1], rows } },
  ]);
  expect(text).toContain("| mlskit 1 × Peer 2 | 1 | 2/3 | 2 |");
  expect(text).toContain("- Peer 2, commit: 1 limited by peer-limit");
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
    // The limits', one for each at least, and that of the padding.
    expect(quotes.length).toBeGreaterThan(PEER_LIMITS.length);
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
