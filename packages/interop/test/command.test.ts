/** The command as a whole: what it exits with. */
import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, readdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { describe, expect, test } from "vitest";
import { loadConfigs, LONG_CONFIG, OFFICIAL_CONFIGS } from "../src/driver/configs.ts";
import { BadUsage, parseOptions } from "../src/driver/options.ts";
import { readResults } from "../src/driver/result-file.ts";

const program = fileURLToPath(new URL("../build/main.js", import.meta.url));
const PATIENCE = 300_000;

function interop(args: readonly string[], path = process.env["PATH"], temporary = tmpdir()) {
  const env = { ...process.env, PATH: path, TMPDIR: temporary };
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, ...args], {
    encoding: "utf8",
    env,
  });
  return { status, stdout, stderr, lastLine: stdout.trimEnd().split("\n").at(-1) };
}

// Built by the same command that builds the library, without which no test of this package runs.
describe.runIf(existsSync(program))("npm run interop", () => {
  const script = ["--script", "two_epochs_late", "--suite", "1", "--form", "public"];
  /** A folder with official scripts of that name: they are not played, for `script` names one of ours. */
  const folder = mkdtempSync(join(tmpdir(), "interop-configs-"));
  for (const name of OFFICIAL_CONFIGS)
    writeFileSync(join(folder, `${name}.json`), '{"scripts":{}}');
  const found = ["--configs", folder];
  /** Where there are no official scripts, and no programs either. */
  const nowhere = join(tmpdir(), "interop-nothing-here");

  test(
    "M-INT-02 exits with 0 if everything passed, and says how many runs that were",
    () => {
      // Each form by servers of its own, at the same time.
      const both = ["--self", "--jobs", "2", ...found, ...script.slice(0, 4)];
      const { status, lastLine, stdout } = interop(both);
      expect(stdout.match(/^strict\/.*$/gm)).toEqual(["strict/two_epochs_late, suite 1: ours 2/2"]);
      expect(stdout).toContain("2 runs: 2 passed, 0 vacuous, 0 limited, 0 unsettled, 0 failed");
      expect(lastLine).toBe(
        "interop: 2 passed, 0 vacuous, 0 limited, 0 unsettled, 0 failed, 0 skipped",
      );
      expect(status).toBe(0);
    },
    PATIENCE,
  );

  test(
    "M-INT-06 --json records what was played, with date and commit, beside what the file has already",
    () => {
      const path = join(mkdtempSync(join(tmpdir(), "interop-json-")), "results.json");
      const json = ["--json", path];
      for (const suite of ["1", "2", "1"]) {
        const args = ["--self", ...found, ...script.slice(0, 2), "--suite", suite, ...json];
        expect(interop(args).status).toBe(0);
      }
      const { results } = readResults(path);
      const [matrix, ...more] = results;
      expect(more).toEqual([]);
      expect(matrix).toMatchObject({ expectedRuns: 4, processes: 2 });
      const commit = expect.stringMatching(/^[0-9a-f]{10}\+?$|^unknown$/);
      const date = expect.stringMatching(/^\d{4}-\d\d-\d\d$/);
      expect(matrix?.scripts).toEqual([
        expect.objectContaining({ script: "two_epochs_late", suite: 1, date, commit }),
        expect.objectContaining({ script: "two_epochs_late", suite: 2, date, commit }),
      ]);
    },
    PATIENCE,
  );

  test(
    "M-INT-02 exits with 1 if something failed, or if nothing was run",
    () => {
      const { status, lastLine } = interop(["--broken", "exporter", ...script]);
      expect(lastLine).toMatch(/^interop: 0 passed, 0 vacuous, 0 limited, 0 unsettled, 1 failed, /);
      expect(status).toBe(1);
      expect(interop(["--self", "--configs", nowhere, "--config", "application"]).status).toBe(1);
    },
    PATIENCE,
  );

  test(
    "M-INT-02 absent scripts and an absent Go toolchain are named and counted as skipped, never as passed",
    () => {
      const { status, lastLine, stdout } = interop(["--configs", nowhere, ...script], nowhere);
      // Only the script of our own was played, with ourselves.
      const counts = "interop: 1 passed, 0 vacuous, 0 limited, 0 unsettled, 0 failed, 10 skipped";
      const [first = "", ...names] = OFFICIAL_CONFIGS.map((name) => `official scripts ${name}`);
      expect(lastLine?.split("; ")).toEqual([
        `${counts} (${first}`,
        ...names,
        "mls-go: there is no Go toolchain",
        "the second judge: there is no Go toolchain)",
      ]);
      expect(status).toBe(0);
      expect(stdout).toContain(
        `skipped: ${first} (not in ${nowhere}; interop/configs of github.com/mlswg/mls-implementations has them`,
      );
      const onlyOne = interop(["--configs", nowhere, "--self", "--config", "application"]);
      expect(onlyOne.lastLine).toBe(
        "interop: 0 passed, 0 vacuous, 0 limited, 0 unsettled, 0 failed, 1 skipped (official scripts application)",
      );
      expect(onlyOne.status).toBe(1);
      // The one that --short leaves out is not missing from it.
      const short = interop(["--configs", nowhere, "--self", "--short", ...script]);
      expect(short.lastLine).toContain(" 7 skipped ");
      expect(short.lastLine).not.toContain(LONG_CONFIG);
    },
    PATIENCE,
  );

  test(
    "M-INT-02 the long script is played by mlskit alone and by whoever names it, also with --short",
    () => {
      const scripts = mkdtempSync(join(tmpdir(), "interop-long-"));
      const steps = [{ action: "createGroup", actor: "alice", members: ["bob"] }];
      const text = JSON.stringify({ scripts: { random: steps } });
      writeFileSync(join(scripts, `${LONG_CONFIG}.json`), text);
      const one = ["--configs", scripts, "--suite", "1", "--form", "public", "--one-cast"];
      const server = fileURLToPath(new URL("../build/server.js", import.meta.url));
      const peer = ["--run", `${process.execPath} ${server} --port {port}`];
      const isPlayed = (...args: readonly string[]): boolean =>
        interop([...one, ...args]).stdout.includes(`\n${LONG_CONFIG}/random, suite 1: `);
      expect(isPlayed("--self", "--script", "random")).toBe(true);
      expect(isPlayed("--script", "random", ...peer)).toBe(false);
      expect(isPlayed("--config", LONG_CONFIG, ...peer)).toBe(true);
      expect(isPlayed("--self", "--short", "--script", "random")).toBe(false);
      expect(isPlayed("--self", "--short", "--config", LONG_CONFIG)).toBe(true);
    },
    PATIENCE,
  );

  test(
    "M-INT-02 exits with 2 if something that was asked for has no such name, although other things do",
    () => {
      const { status, stderr, stdout } = interop([
        "--self",
        ...found,
        ...script,
        "--script",
        "typo",
      ]);
      expect(stderr).toContain('there is no script "typo" in application, ');
      expect(stdout).not.toContain("passed");
      expect(status).toBe(2);
    },
    PATIENCE,
  );

  test(
    "M-INT-02 exits with 1 if a server of ours ends, and records nothing of what it played last",
    () => {
      const folderOfPeer = mkdtempSync(join(tmpdir(), "interop-ending-"));
      const [peer, json] = [join(folderOfPeer, "peer.mjs"), join(folderOfPeer, "results.json")];
      const built = (name: string): string => {
        return JSON.stringify(String(new URL(`server/${name}.js`, pathToFileURL(program))));
      };
      writeFileSync(
        peer,
        `import { honest } from ${built("distortion")};
import { serve } from ${built("serve")};
const distortion = { ...honest, incomingCommit: () => process.exit(3) };
await serve({ port: Number(process.argv[2]), distortion });
`,
      );
      const run = ["--run", `${process.execPath} ${peer} {port}`, "--json", json];
      const { status, stderr, stdout } = interop([...run, ...found, ...script]);
      expect(stderr).toMatch(/mlskit \S+ :\d+ has ended/);
      expect(stdout).not.toContain("FAILED");
      expect(existsSync(json)).toBe(false);
      expect(status).toBe(1);
    },
    PATIENCE,
  );

  test(
    "M-INT-02 what Go says when it cannot build is told, with the address that refused",
    () => {
      const programs = mkdtempSync(join(tmpdir(), "interop-go-"));
      const said = [
        "go: downloading example.org/peer v1",
        "example.org/peer@v1: reading https://proxy.example/peer.zip: 403 Forbidden",
        "\tserver response: This module version is not available.",
      ];
      const echo = said.map((line) => `echo '${line}' >&2`).join("\n");
      writeFileSync(
        join(programs, "go"),
        `#!/bin/sh\n[ "$1" = version ] && exit 0\n${echo}\nexit 1\n`,
      );
      chmodSync(join(programs, "go"), 0o755);
      const temporary = mkdtempSync(join(tmpdir(), "interop-temporary-"));
      const { status, lastLine } = interop([...found, ...script], programs, temporary);
      // Nor do the copies that it was to build in stay behind.
      expect(readdirSync(temporary)).toEqual([]);
      const reason =
        "example.org/peer@v1: reading https://proxy.example/peer.zip: 403 Forbidden server response: This module version is not available.";
      expect(lastLine).toBe(
        `interop: 1 passed, 0 vacuous, 0 limited, 0 unsettled, 0 failed, 2 skipped (mls-go: Go cannot build it: ${reason}; the second judge: Go cannot build it: ${reason})`,
      );
      expect(status).toBe(0);
    },
    PATIENCE,
  );

  test(
    "M-INT-02 a peer that cannot be started, such as one nobody built with Rust, is a failure and named",
    () => {
      const peer = join(nowhere, "rust-peer");
      const { status, stderr, stdout } = interop(["--run", `${peer} {port}`, ...script]);
      expect(stderr).toContain(`spawn ${peer} ENOENT`);
      // Said in a sentence, not by where in the driver it was noticed.
      expect(stderr).not.toMatch(/^\s+at /m);
      expect(stdout).not.toContain("passed");
      expect(status).toBe(1);
      const start = performance.now();
      const ending = interop(["--run", `${process.execPath} --version {port}`, ...script]);
      // It is not waited for as a peer is that may yet begin to listen.
      expect(performance.now() - start).toBeLessThan(60_000);
      expect(ending.stderr).toContain(`${process.execPath} ended with 0 before it answered`);
      expect(ending.status).toBe(1);
    },
    PATIENCE,
  );
});

test("peers are named by address or command, with a version that they do not tell themselves", () => {
  const options = parseOptions(["--client", "127.0.0.1:5000", "--run", "peer --at {port}=v1"]);
  expect(options.clients).toEqual([{ at: "127.0.0.1:5000", version: undefined }]);
  expect(options.commands).toEqual([{ at: "peer --at {port}", version: "v1" }]);
  // A command may have an equals sign of its own.
  const { commands } = parseOptions([
    "--run",
    "peer --port={port}",
    "--run",
    "peer -a=b {port}=v1",
  ]);
  expect(commands).toEqual([
    { at: "peer --port={port}", version: undefined },
    { at: "peer -a=b {port}", version: "v1" },
  ]);
  // Jobs would share the server that runs already.
  const shared = ["--client", "127.0.0.1:5000", "--jobs", "2"];
  for (const wrong of [["--client"], ["--jobs", "0"], ["--suite", "x"], ["--what"], shared]) {
    expect(() => parseOptions(wrong)).toThrow(BadUsage);
  }
});

describe("M-INT-02 names of what is not there are errors, even beside others", () => {
  const nowhere = join(tmpdir(), "interop-nothing-here");
  const choice = { folder: nowhere, configs: undefined, scripts: undefined };

  test("a suite that mlskit does not carry", () => {
    expect(parseOptions(["--suite", "7", "--suite", "1"]).suites).toEqual([7, 1]);
    const wrong = ["--suite", "1", "--suite", "9"];
    expect(() => parseOptions(wrong)).toThrow(new BadUsage("mlskit has no suite 9"));
  });

  test("a configuration; one of the working group's is missing, not misspelt", () => {
    const { configs, missing } = loadConfigs({ ...choice, configs: ["strict", "commit"] });
    expect(configs.map(({ name }) => name)).toEqual(["strict"]);
    expect(missing).toEqual(["commit"]);
    const wrong = { ...choice, configs: ["strict", "comit"] };
    expect(() => loadConfigs(wrong)).toThrow(BadUsage);
    expect(() => loadConfigs(wrong)).toThrow(
      /^there is no configuration "comit", only application, .*, strict$/,
    );
  });

  test("a script, in the configurations that were asked for", () => {
    const scripts = ["race", "second_signer"];
    const [config] = loadConfigs({ ...choice, scripts }).configs;
    expect(config?.scripts.map(({ name }) => name)).toEqual(scripts);
    const wrong = { ...choice, configs: ["strict", "commit"], scripts: ["race", "rase"] };
    const message = 'there is no script "rase" in strict, commit (absent)';
    expect(() => loadConfigs(wrong)).toThrow(new BadUsage(message));
  });
});
