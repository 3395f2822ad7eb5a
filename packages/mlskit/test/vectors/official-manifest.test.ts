/** What the manifest of the official vectors demands, and that nothing less or more passes. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { absentCases, officialDirectory, officialSet, ownSet } from "./locate.ts";
import { compareWithManifest } from "./manifest.ts";
import { OFFICIAL_MANIFEST } from "./official-manifest.ts";
import { closingLine, summarize } from "./run-set.ts";

/** Only against hanging for good. */
const PATIENCE = 600_000;

const folder = mkdtempSync(join(tmpdir(), "mlskit-manifest-"));
afterAll(() => rmSync(folder, { recursive: true }));

describe("the official manifest", () => {
  const counts: Readonly<Record<string, number>> = {
    "crypto-basics": 7,
    deserialization: 14,
    "key-schedule": 7,
    "message-protection": 7,
    messages: 300,
    "passive-client-handling-commit": 91,
    "passive-client-random": 1,
    "passive-client-welcome": 56,
    psk_secret: 77,
    "secret-tree": 21,
    "transcript-hashes": 7,
    "tree-math": 10,
    "tree-operations": 5,
    "tree-validation": 98,
    treekem: 77,
    welcome: 7,
  };

  test("M-INT-05 expects 785 cases of 16 files: 71 of suite 1, 65 of each other, 324 of none", () => {
    const found = OFFICIAL_MANIFEST.files.map(({ file, cases }) => [file, cases]);
    const expected = Object.entries(counts).map(([name, cases]) => [`${name}.json`, cases]);
    expect(found).toHaveLength(expected.length);
    expect(Object.fromEntries(found)).toEqual(Object.fromEntries(expected));
    const perSuite: Record<string, number> = {};
    for (const { perSuite: cases } of OFFICIAL_MANIFEST.files) {
      for (const [suite, count] of Object.entries(cases)) {
        perSuite[suite] = (perSuite[suite] ?? 0) + count;
      }
    }
    expect(perSuite).toEqual({ 1: 71, 2: 65, 3: 65, 4: 65, 5: 65, 6: 65, 7: 65, "-": 324 });
    const sum = Object.values(perSuite).reduce((total, count) => total + count, 0);
    expect(sum).toBe(785);
    expect(OFFICIAL_MANIFEST.unsupportedSuites).toEqual({ node: [], webcrypto: [], noble: [] });
  });

  test("M-INT-05 a case too few or too many is noticed, in each file and suite, and so are checks", () => {
    for (const entry of OFFICIAL_MANIFEST.files) {
      const perSuite = new Map(Object.entries(entry.perSuite));
      const totals = new Map(Object.entries(entry.minimum));
      const exact = { sha256: entry.sha256, perSuite, totals, isComplete: true };
      expect(compareWithManifest(entry, exact)).toEqual([]);
      expect(totals.size).toBeGreaterThan(0);
      for (const [suite, count] of perSuite) {
        for (const wrong of [count - 1, count + 1]) {
          const found = { ...exact, perSuite: new Map([...perSuite, [suite, wrong]]) };
          const problem = `${count} cases of suite ${suite} are expected, ${wrong} found`;
          expect(compareWithManifest(entry, found)).toContain(problem);
        }
      }
      for (const [kind, count] of totals) {
        const found = { ...exact, totals: new Map([...totals, [kind, count - 1]]) };
        const problem = `${count} ${kind} are expected, ${count - 1} were checked`;
        expect(compareWithManifest(entry, found)).toEqual([problem]);
      }
    }
  });

  // Built by the same command that builds the library.
  const program = fileURLToPath(new URL("../../build/test/vectors/run.js", import.meta.url));

  test.runIf(existsSync(program))(
    "M-INT-05 npm run vectors fails with all 785 cases if the files are not where we are told",
    () => {
      const empty = mkdtempSync(join(folder, "empty-"));
      const { status, stdout } = spawnSync(process.execPath, [program, "--jobs", "1"], {
        encoding: "utf8",
        env: { ...process.env, MLSKIT_VECTORS: empty },
      });
      expect(stdout.trimEnd().split("\n").at(-1)).toBe("vectors: 0 passed, 785 failed, 0 skipped");
      expect(status).toBe(1);
    },
    PATIENCE,
  );

  test("M-INT-05 where our own vectors stand in for absent official ones, all 785 count as skipped", () => {
    const absent = absentCases(ownSet(), false);
    expect(closingLine(summarize([], absent))).toBe("vectors: 0 passed, 0 failed, 785 skipped");
    // Nothing is missing if ours were asked for, or if the official ones run.
    expect(absentCases(ownSet(), true)).toBe(0);
    expect(absentCases(officialSet(folder), false)).toBe(0);
  });

  test.runIf(existsSync(program) && officialDirectory() !== undefined)(
    "M-INT-05 npm run vectors fails if one case is missing or one is too many",
    () => {
      const text = readFileSync(join(officialDirectory()!, "psk_secret.json"), "utf8");
      const cases = JSON.parse(text) as unknown[];
      for (const changed of [cases.slice(1), [...cases, cases[0]]]) {
        const directory = mkdtempSync(join(folder, "changed-"));
        writeFileSync(join(directory, "psk_secret.json"), JSON.stringify(changed));
        const args = [program, "--jobs", "1", "--no-controls", "--file", "psk_secret"];
        const { status, stdout } = spawnSync(process.execPath, args, {
          encoding: "utf8",
          env: { ...process.env, MLSKIT_VECTORS: directory },
        });
        const line = `vectors: ${changed.length} passed, 1 failed, 0 skipped`;
        expect(stdout.trimEnd().split("\n").at(-1)).toBe(line);
        expect(stdout).toContain(`77 cases are expected, ${changed.length} found`);
        expect(status).toBe(1);
      }
    },
    PATIENCE,
  );
});
