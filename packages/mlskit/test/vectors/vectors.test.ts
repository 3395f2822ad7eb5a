/** The runner on mlskit's own vectors, on its own negative controls, and on the official files. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { nodeProvider } from "../../src/providers/index.ts";
import { createProvider } from "../../src/crypto/index.ts";
import { inlineExecutor } from "./executor.ts";
import { formatFile, generateCases } from "./generate/index.ts";
import {
  givenSet,
  officialDirectory,
  officialSet,
  ownDirectory,
  ownSet,
  type VectorSet,
} from "./locate.ts";
import { OFFICIAL_MANIFEST } from "./official-manifest.ts";
import type { FileResult } from "./run-file.ts";
import { closingLine, runSet, type SetOptions, summarize } from "./run-set.ts";

const provider = nodeProvider();
const folder = mkdtempSync(join(tmpdir(), "mlskit-vectors-"));
afterAll(() => rmSync(folder, { recursive: true }));

function run(set: VectorSet, options: Partial<SetOptions> = {}): Promise<FileResult[]> {
  const executor = inlineExecutor(options.provider ?? provider);
  return runSet(set, { provider, executor, withControls: false, ...options });
}

/** Everything that is wrong, in words. */
function complaints(results: readonly FileResult[]): string[] {
  return results.flatMap(({ file, problems, cases }) => [
    ...problems.map((problem) => `${file}: ${problem}`),
    ...cases
      .filter(({ status }) => status === "failed")
      .map(({ index, reason }) => `${file}, case ${index}: ${reason ?? ""}`),
  ]);
}

/** A folder with one file of ours, changed. */
function changedFile(name: string, change: (cases: Record<string, unknown>[]) => void): VectorSet {
  const directory = mkdtempSync(join(folder, "set-"));
  const text = readFileSync(join(ownDirectory(), name), "utf8");
  const cases = JSON.parse(text) as Record<string, unknown>[];
  change(cases);
  writeFileSync(join(directory, name), formatFile(cases));
  return givenSet(directory);
}

const own = ownSet();

describe("own vectors", () => {
  test("all files hold, with the numbers of their manifest", async () => {
    const results = await run(own);
    expect(complaints(results)).toEqual([]);
    const cases = own.manifest?.files.reduce((sum, entry) => sum + entry.cases, 0);
    const line = closingLine(summarize(results));
    expect(line).toBe(`vectors: ${cases} passed, 0 failed, 0 skipped`);
  });

  const cheap = [
    "crypto-basics",
    "psk_secret",
    "transcript-hashes",
    "tree-math",
    "deserialization",
  ];
  const dear = [
    "welcome",
    "tree-operations",
    "tree-validation",
    "messages",
    "passive-client-welcome",
  ];
  test.each([...cheap, ...dear])("the negative controls of %s are caught", async (name) => {
    const [result] = await run(own, { filter: `${name}.json`, sample: 1, withControls: true });
    expect(result?.controls?.missed).toEqual([]);
    expect(result?.controls?.applied).toBeGreaterThan(1);
  });

  test("generating again gives the same bytes", async () => {
    const text = readFileSync(join(ownDirectory(), "passive-client-welcome.json"), "utf8");
    const lines = formatFile(await generateCases("passive-client-welcome", [1]));
    expect(text).toContain(lines.split("\n")[1]);
  });
});

describe("the runner fails", () => {
  test("when one byte of an expected value is another", async () => {
    const set = changedFile("passive-client-handling-commit.json", (cases) => {
      const epochs = cases[0]?.["epochs"] as { epoch_authenticator: string }[];
      const last = epochs.at(-1)!;
      const flipped = last.epoch_authenticator.startsWith("0") ? "1" : "0";
      last.epoch_authenticator = flipped + last.epoch_authenticator.slice(1);
    });
    const [result] = await run(set);
    expect(result?.cases[0]).toMatchObject({ status: "failed" });
    expect(result?.cases[0]?.caughtBy).toEqual(["epoch authenticators"]);
    expect(result?.cases[1]).toMatchObject({ status: "passed" });
  });

  test("when a case has a key too many, one too few, or an unknown suite", async () => {
    const set = changedFile("psk_secret.json", (cases) => {
      cases[0]!["comment"] = "";
      delete cases[1]!["psks"];
      cases[2]!["cipher_suite"] = 8;
    });
    const [result] = await run(set);
    const states = result?.cases.map(({ status }) => status);
    expect(states?.slice(0, 4)).toEqual(["failed", "failed", "failed", "passed"]);
  });

  test("when a file is missing, added, shortened or changed", async () => {
    const entry = own.manifest!.files.find(({ file }) => file === "psk_secret.json")!;
    const set = changedFile("psk_secret.json", (cases) => cases.pop());
    const manifest = { ...own.manifest!, files: [entry] };
    const [shortened] = await run({ ...set, manifest });
    expect(shortened?.problems).toHaveLength(4);
    writeFileSync(join(set.directory, "more.json"), "[]");
    const [, added] = await run({ ...set, manifest, files: ["psk_secret.json", "more.json"] });
    expect(added?.problems[0]).toContain("does not list");
    rmSync(join(set.directory, "psk_secret.json"));
    const results = await run({ ...set, manifest, files: [] });
    expect(summarize(results)).toMatchObject({ passed: 0, failed: entry.cases, skipped: 0 });
  });

  test("when sub-checks are fewer than the manifest demands", async () => {
    const entry = own.manifest!.files.find(({ file }) => file === "psk_secret.json")!;
    const minimum = { "PSK secrets": 1000 };
    const manifest = { ...own.manifest!, files: [{ ...entry, minimum }] };
    const results = await run({ ...own, manifest, files: [entry.file] });
    expect(summarize(results)).toMatchObject({ passed: entry.cases, failed: 1 });
  });

  test("when a lifetime is over at the time of the clock", async () => {
    const [result] = await run(own, { filter: "passive-client-welcome", now: 1_900_000_000n });
    expect(result?.cases.every(({ caughtBy }) => caughtBy.includes("valn0106"))).toBe(true);
  });
});

test("suites that a provider lacks are skipped by name, or fail where nobody expects it", async () => {
  const partial = createProvider("partial", [provider.suite(1), provider.suite(2)]);
  const options = { provider: partial, filter: "psk_secret" };
  const [given] = await run(givenSet(ownDirectory()), options);
  const skipped = given?.cases.filter(({ status }) => status === "skipped");
  expect(skipped).toHaveLength(15);
  expect(skipped?.[0]?.reason).toBe("the provider partial does not carry suite 3");
  const [announced] = await run(own, options);
  expect(announced?.cases.filter(({ status }) => status === "failed")).toHaveLength(15);
});

test("a folder without a manifest is run by file names, and by keys where names say nothing", async () => {
  const set = changedFile("passive-client-welcome.json", (cases) => cases.splice(4));
  const text = readFileSync(join(set.directory, "passive-client-welcome.json"), "utf8");
  writeFileSync(join(set.directory, "zzz.json"), text);
  const results = await run(givenSet(set.directory));
  expect(complaints(results)).toEqual([]);
  expect(results.map(({ type }) => type)).toEqual(["passive-client", "passive-client"]);
});

const official = officialDirectory();

describe.skipIf(official === undefined)("official vectors", () => {
  const set = official === undefined ? own : officialSet(official);

  test("M-INT-05 the folder has the 16 files of the manifest and no other", () => {
    expect(set.files).toEqual(OFFICIAL_MANIFEST.files.map(({ file }) => file).sort());
  });

  test("M-WIRE-11 each of the 5,100 objects of messages.json is encoded as it was", async () => {
    const results = await run(set, { filter: "messages.json" });
    expect(complaints(results)).toEqual([]);
    expect(results[0]?.totals.get("round trips")).toBe(5100);
  });

  const small = OFFICIAL_MANIFEST.files
    .map(({ file }) => file)
    .filter((file) => !file.startsWith("treekem") && !file.includes("random"))
    .filter((file) => file !== "messages.json");
  test.each(small)("M-INT-05 a sample of %s holds in every suite", async (file) => {
    const [result] = await run(set, { filter: file, sample: 1 });
    expect(complaints(result === undefined ? [] : [result])).toEqual([]);
    expect(result?.cases.length).toBeGreaterThan(0);
  });
});
