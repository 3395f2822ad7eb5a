/** What is made of the answers of the working group's runner, which a program of a few lines plays. */
import { chmodSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { judge } from "../src/driver/judge.ts";
import { isRight, type JudgedConfig } from "../src/driver/results.ts";
import { PATIENCE, server } from "./play.ts";

const folder = mkdtempSync(join(tmpdir(), "interop-judge-"));
writeFileSync(join(folder, "branch.json"), "{}");

const WICKR = { alice: "mlskit 0.1.0 :1", bob: "Wickr MLS on port 2" };
const passed = { cipher_suite: 1, encrypt_flag: false, actors: WICKR };
const failed = (actors: Readonly<Record<string, string>>, text: string) => {
  const error = `rpc error: code = Aborted desc = ${text}`;
  return { ...passed, actors, failed_step: 1, error };
};

/** The judgement on one configuration of one script, in both forms, of which this is said. */
async function judged(...verdicts: readonly object[]): Promise<JudgedConfig> {
  const at = join(folder, "runner");
  const said = JSON.stringify({ scripts: { with_extensions: verdicts } });
  writeFileSync(at, `#!/bin/sh\necho '${said}'\n`);
  chmodSync(at, 0o755);
  const scripts = [{ name: "with_extensions", steps: [], actors: ["alice", "bob"] }];
  const { rows, runner } = await judge({
    program: { at, version: "v1" },
    launchers: [server()],
    configs: [
      { name: "branch", scripts },
      { name: "ours", scripts },
    ],
    folder,
    onlySuites: [1],
    forms: [false, true],
    rotates: false,
    progress: () => undefined,
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
    expect(all).toMatchObject({ runs: 2, passed: 2, mixed: 2, limited: {}, failures: [] });
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
    expect(known).toMatchObject({ passed: 1, limited: { "mls-rs-branch-extensions": 1 } });
    expect(isRight(known)).toBe(true);
    for (const [actors, words] of [
      [WICKR, "Aborted with something else"],
      [{ alice: "mlskit 0.1.0 :1", bob: "mlskit 0.1.0 :2" }, text],
    ] as const) {
      const unknown = await judged(passed, failed(actors, words));
      expect(unknown).toMatchObject({ passed: 1, limited: {} });
      expect(unknown.failures).toEqual([expect.stringContaining(words)]);
      expect(isRight(unknown)).toBe(false);
    }
  },
  PATIENCE,
);
