/** The recorded results: all that is to be there, and nothing odd among it. */
import { existsSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { loadConfigs, LONG_CONFIG, OFFICIAL_FOLDER } from "../src/driver/configs.ts";
import { recordedResults } from "../src/driver/docs.ts";
import {
  countIn,
  FORMS,
  isGood,
  isRight,
  type JudgedConfig,
  type MatrixResult,
  type ScriptResult,
  suitesOf,
} from "../src/driver/results.ts";

const files = recordedResults();
const matrices = files.flatMap(({ results }) => results);
const judgements = files.flatMap((file) => file.judgements);

/** Scripts of our own; all others are the working group's. */
const OWN_CONFIG = "strict";
/** With the number of their scripts. */
const SCRIPTS: Readonly<Record<string, number>> = {
  application: 3,
  branch: 4,
  commit: 9,
  [LONG_CONFIG]: 1,
  external_join: 5,
  external_proposals: 8,
  reinit: 6,
  strict: 9,
  welcome_join: 4,
};

/** With whom, and in which suites. */
const MATRICES: readonly [name: string, peers: RegExp, suites: readonly number[]][] = [
  ["mlskit alone", /^$/, [1, 2, 3, 4, 5, 6, 7]],
  ["mls-go", /^mls-go /, [1, 2, 3, 5]],
  ["mls-rs", /^Wickr MLS mls-rs /, [1, 2, 3, 4, 5, 6, 7]],
  ["mlspp", /^mlspp /, [1, 2, 3, 4, 5, 6, 7]],
  ["OpenMLS", /^OpenMLS /, [1, 2, 3]],
];

/** Who stood before the second judge together. */
const JUDGED: typeof MATRICES = [
  ["mlskit alone", /^$/, [1, 2, 3, 4, 5, 6, 7]],
  ["mls-go", /^mls-go [^,]*, go[\d.]*$/, [1, 2, 3, 5]],
  ["OpenMLS", /^OpenMLS [^,]*, rustc [\d.]*$/, [1, 2, 3]],
  ["mlspp and mls-rs", /^mlspp .*,Wickr MLS mls-rs /, [1, 2, 3, 4, 5, 6, 7]],
];

const isWithMlsGo = ({ servers }: MatrixResult): boolean =>
  servers[1]?.startsWith("mls-go ") === true;
const isAlone = ({ servers }: MatrixResult): boolean => servers.length === 1;
/** In words, for whoever reads what is wrong. */
const nameOf = ({ config, script, suite }: ScriptResult): string =>
  `${config}/${script}, suite ${suite}`;
const namesOf = (rows: readonly ScriptResult[]): string[] => rows.map(nameOf);

test("M-INT-06 mlskit alone and every peer are recorded once, in all their suites", () => {
  for (const [name, peers, suites] of MATRICES) {
    const found = matrices.filter(({ servers }) => peers.test(servers.slice(1).join()));
    expect([name, ...found.map(({ scripts }) => suitesOf(scripts))]).toEqual([name, suites]);
  }
  expect(matrices).toHaveLength(MATRICES.length);
});

describe.each(matrices.map((matrix) => [matrix.servers.join(" × "), matrix] as const))(
  "M-INT-06 recorded of %s",
  (_servers, matrix) => {
    const { scripts, servers, processes } = matrix;

    test("nothing failed, no run is missing, and every listed limit shows", () => {
      expect(isGood(matrix)).toBe(true);
      const isWhole = (row: ScriptResult): boolean => {
        const { runs, failed } = countIn(row);
        return runs > 0 && runs === row.expectedRuns && failed === 0;
      };
      expect(namesOf(scripts.filter((row) => !isWhole(row)))).toEqual([]);
    });

    test("all scripts are there, each once in every suite", () => {
      expect(servers[0]).toMatch(/^mlskit \d/);
      expect(new Set(namesOf(scripts)).size).toBe(scripts.length);
      const { [LONG_CONFIG]: long, ...others } = SCRIPTS;
      // It is longer than all others together, and played by mlskit alone.
      const expected = isAlone(matrix) ? { ...others, [LONG_CONFIG]: long } : others;
      for (const suite of suitesOf(scripts)) {
        const found: Record<string, number> = {};
        for (const { config } of scripts.filter((row) => row.suite === suite)) {
          found[config] = (found[config] ?? 0) + 1;
        }
        expect([suite, found]).toEqual([suite, expected]);
      }
    });

    test("every row is of a commit that one can check out", () => {
      expect(namesOf(scripts.filter(({ commit }) => !isCommit(commit)))).toEqual([]);
    });

    test("every row has runs that count in both handshake forms", () => {
      const kind = isAlone(matrix) ? "ours" : "mixed";
      const isHalf = (row: ScriptResult): boolean =>
        FORMS.some((encrypt) => countIn(row, [kind], [encrypt]).runs === 0);
      expect(namesOf(scripts.filter(isHalf))).toEqual([]);
    });

    test("every row comes from epochs in which all was checked, unless its runs all fail as listed", () => {
      const isEmpty = (row: ScriptResult): boolean => {
        const { passed, vacuous } = countIn(row);
        const { epochs, authenticators, exports, messages, refusals } = row.checks;
        const least = Math.min(epochs, authenticators, exports, messages, refusals);
        return least === 0 && passed + vacuous > 0;
      };
      expect(namesOf(scripts.filter(isEmpty))).toEqual([]);
    });

    test("where all casts were played, there are as many runs as forms and casts", () => {
      const isOther = ({ casts, actors, expectedRuns }: ScriptResult): boolean => {
        return casts === "all" && expectedRuns !== FORMS.length * processes ** actors;
      };
      expect(namesOf(scripts.filter(isOther))).toEqual([]);
    });
  },
);

test("M-INT-06 the official scripts were played with mls-go in all casts", () => {
  const rows = matrices.filter(isWithMlsGo).flatMap(({ scripts }) => scripts);
  const sampled = rows.filter(({ config, casts }) => config !== OWN_CONFIG && casts !== "all");
  expect(rows.length).toBeGreaterThan(0);
  expect(namesOf(sampled)).toEqual([]);
});

describe("M-INT-06 the second judge", () => {
  const rows = judgements.flatMap((judgement) => judgement.rows);

  test.each(JUDGED)(
    "has heard all official scripts of %s in both forms",
    (_name, peers, suites) => {
      const heard = rows.filter(({ clients }) => peers.test(clients.slice(1).join()));
      const official = Object.entries(SCRIPTS).filter(([name]) => {
        return name !== LONG_CONFIG && name !== OWN_CONFIG;
      });
      const expected = suites.flatMap((suite) =>
        official.map(
          ([name, scripts]) => `${name}, suite ${suite}: ${FORMS.length * scripts} runs`,
        ),
      );
      const found = heard.map(
        ({ config, suite, runs }) => `${config}, suite ${suite}: ${runs} runs`,
      );
      expect(found.sort()).toEqual(expected.sort());
      const isMixed = heard.some(({ mixed }) => mixed > 0);
      expect(isMixed).toBe(!peers.test(""));
    },
  );

  test("has heard nobody else, found everything right, and of a commit", () => {
    const isExpected = ({ clients }: JudgedConfig): boolean =>
      JUDGED.some(([, peers]) => peers.test(clients.slice(1).join()));
    const wrong = rows.filter((row) => {
      return !isExpected(row) || !isRight(row) || !isCommit(row.commit);
    });
    expect(wrong.map(({ clients, config, suite }) => [clients, config, suite])).toEqual([]);
  });
});

/** Of files without changes. */
function isCommit(commit: string): boolean {
  return /^[0-9a-f]{10}$/.test(commit);
}

test.runIf(existsSync(OFFICIAL_FOLDER))(
  "M-INT-06 the scripts that are expected are those that there are",
  () => {
    const { configs } = loadConfigs({ folder: undefined, configs: undefined, scripts: undefined });
    const found = configs.map(({ name, scripts }) => [name, scripts.length]);
    expect(Object.fromEntries(found)).toEqual(SCRIPTS);
  },
);
