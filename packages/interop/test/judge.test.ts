/** What is made of the answers of the working group's runner, which a program of a few lines plays. */
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { judge } from "../src/driver/judge.ts";
import type { Launcher } from "../src/driver/processes.ts";
import { countOf, isRight, type JudgedConfig } from "../src/driver/results.ts";
import type { Script } from "../src/driver/script.ts";
import { PATIENCE, server } from "./play.ts";

const folder = mkdtempSync(join(tmpdir(), "interop-judge-"));
writeFileSync(join(folder, "branch.json"), "{}");
/** There as soon as the runner has played. */
const played = join(folder, "played");

const WICKR = { alice: "mlskit 0.1.0 :1", bob: "Wickr MLS on port 2" };
const passed = { cipher_suite: 1, encrypt_flag: false, actors: WICKR };
const failed = (actors: Readonly<Record<string, string>>, text: string) => {
  const error = `rpc error: code = Aborted desc = ${text}`;
  return { ...passed, actors, failed_step: 1, error };
};

const extensions: readonly [] = [];
const STEPS: Script["steps"] = [
  { action: "createGroup", actor: "alice", members: ["bob"] },
  {
    action: "branch",
    actor: "alice",
    members: ["bob"],
    extensions,
    externalTree: false,
    forcePath: false,
  },
];

/** The judgement on one configuration of one script, in both forms, of which this is said. */
function judged(...verdicts: readonly object[]): Promise<JudgedConfig> {
  return judgedWith(server(), verdicts);
}

async function judgedWith(
  launcher: Launcher,
  verdicts: readonly object[],
  progress: () => void = () => undefined,
): Promise<JudgedConfig> {
  const at = join(folder, "runner");
  // It plays all scripts of a file, whatever was asked for.
  const all = { base: [passed, passed], with_extensions: verdicts };
  const said = JSON.stringify({ scripts: all });
  writeFileSync(at, `#!/bin/sh\ntouch '${played}'\necho '${said}'\n`);
  chmodSync(at, 0o755);
  const scripts = [{ name: "with_extensions", steps: STEPS, actors: ["alice", "bob"] }];
  const { rows, runner } = await judge({
    program: { at, version: "v1" },
    launchers: [launcher],
    configs: [
      { name: "branch", scripts },
      { name: "ours", scripts },
    ],
    folder,
    onlySuites: [1],
    forms: [false, true],
    rotates: false,
    origin: { date: "2026-01-02", commit: "0123456789" },
    skip: () => undefined,
    progress,
  });
  expect(runner).toBe("v1");
  const [row, ...more] = rows;
  if (row === undefined || more.length > 0) throw new Error("only the official script is judged");
  return row;
}

test(
  "M-INT-02 the second judge's runs are counted: all of them must be there and pass",
  async () => {
    const all = await judged(passed, passed);
    expect(all).toMatchObject({ runs: 2, passed: 2, mixed: 2, listed: {}, failures: [] });
    expect(isRight(all)).toBe(true);
    expect(isRight(await judged(passed))).toBe(false);
    await expect(judged()).resolves.toMatchObject({ runs: 2, passed: 0 });
  },
  PATIENCE,
);

test(
  "M-INT-02 what fails before the second judge has a listed limit of a peer, or has failed",
  async () => {
    const text = "Aborted with error ReInitExtensionsMismatch";
    const known = await judged(passed, failed(WICKR, text));
    expect(known).toMatchObject({ passed: 1, listed: { "mls-rs-branch-extensions": 1 } });
    expect(countOf(known)).toMatchObject({ runs: 2, passed: 1, unsettled: 1, failed: 0 });
    expect(isRight(known)).toBe(true);
    for (const [actors, words] of [
      [WICKR, "Aborted with something else"],
      // No branch is read in that step, nor a message of a peer: this is ours to answer for.
      [WICKR, "the signature of the message is wrong [SIGNATURE_INVALID, rule valn1304]"],
      [{ alice: "mlskit 0.1.0 :1", bob: "mlskit 0.1.0 :2" }, text],
    ] as const) {
      const unknown = await judged(passed, failed(actors, words));
      expect(unknown).toMatchObject({ passed: 1, listed: {} });
      expect(unknown.failures).toEqual([expect.stringContaining(words)]);
      expect(isRight(unknown)).toBe(false);
    }
  },
  PATIENCE,
);

test(
  "M-INT-06 before the second judge too, a limit shows only in the step where it can",
  async () => {
    const text = "Aborted with error ReInitExtensionsMismatch";
    const elsewhere = await judged(passed, { ...failed(WICKR, text), failed_step: 0 });
    expect(elsewhere).toMatchObject({ passed: 1, listed: {} });
    expect(elsewhere.failures).toHaveLength(1);
  },
  PATIENCE,
);

test(
  "M-INT-06 runs of peers without mlskit are not mixed",
  async () => {
    const others = { alice: "mlspp", bob: "Wickr MLS on port 2" };
    const all = await judged(passed, { ...passed, actors: others });
    expect(all).toMatchObject({ runs: 2, passed: 2, mixed: 1 });
  },
  PATIENCE,
);

test(
  "M-INT-02 where a server of ours ends, the second judge has judged nothing",
  async () => {
    rmSync(played, { force: true });
    const ending: Launcher = {
      start: async () => ({ ...(await server().start()), isGone: () => existsSync(played) }),
    };
    const told: string[] = [];
    const verdicts = [passed, failed(WICKR, "it is gone")];
    const judgement = judgedWith(ending, verdicts, () => told.push("a row"));
    await expect(judgement).rejects.toThrow(/^mlskit .* has ended/);
    expect(told).toEqual([]);
  },
  PATIENCE,
);
