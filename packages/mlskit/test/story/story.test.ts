/** `npm start` and the quick start, as a user runs them: built, and in a process of their own. */
import { execFile } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const root = fileURLToPath(new URL("../../../../", import.meta.url));
const tsc = path.join(root, "node_modules/typescript/bin/tsc");
const folder = fs.mkdtempSync(path.join(os.tmpdir(), "mlskit-story-test-"));
/** Where the programs put what they should not leave behind. */
const temporary = path.join(folder, "tmp");
fs.mkdirSync(temporary);

beforeAll(async () => {
  expect(await run([tsc, "-b", "packages/story"])).toMatchObject({ stdout: "" });
}, 120_000);

afterAll(() => {
  const left = fs.readdirSync(temporary);
  fs.rmSync(folder, { recursive: true, force: true });
  expect(left.filter((name) => name.startsWith("mlskit"))).toEqual([]);
});

interface Result {
  readonly status: number | string;
  readonly stdout: string;
  readonly stderr: string;
}

function run(args: readonly string[], input = ""): Promise<Result> {
  const env = { ...process.env, TMPDIR: temporary };
  return new Promise((resolve) => {
    const child = execFile(process.execPath, args, { cwd: root, env }, (error, stdout, stderr) => {
      resolve({ status: error === null ? 0 : (error.code ?? "killed"), stdout, stderr });
    });
    child.stdin?.end(input);
  });
}

const start = (...args: readonly string[]): Promise<Result> => {
  return run([path.join(root, "packages/story/build/main.js"), ...args]);
};

type Event = Readonly<Record<string, unknown>>;

function events(stdout: string): readonly Event[] {
  const lines = stdout.trimEnd().split("\n");
  return lines.map((line) => JSON.parse(line) as Event);
}

describe.concurrent("npm start", { timeout: 180_000 }, () => {
  test("tells the story to people", async () => {
    const { status, stdout, stderr } = await start();
    expect(stderr).toBe("");
    expect(stdout.trimEnd().split("\n").at(-1)).toMatch(/^ok: 7 members, suite 1, .* are equal/);
    expect(status).toBe(0);
  });

  test("--json --members 20: every line is an object, and every beat happens", async () => {
    const { status, stdout } = await start("--json", "--members", "20");
    expect(status).toBe(0);
    const told = events(stdout);
    const beat = (name: string): Event | undefined => told.find(({ event }) => event === name);
    expect(beat("stores")).toMatchObject({ onDisk: 20 });
    expect(beat("conflict")).toMatchObject({ winner: "Bob", loser: "Carol" });
    expect(beat("rebuilt")).toMatchObject({ added: "Erin" });
    expect(beat("duplicate")).toMatchObject({ outcome: "duplicate" });
    expect(beat("lockedOut")).toMatchObject({
      outcomes: ["future", "removed", "groupInactive"],
      send: "GROUP_INACTIVE",
    });
    expect(beat("reopened")).toMatchObject({ status: "pendingCommit" });
    expect(beat("caughtUp")).toMatchObject({ outcomes: ["ownCommit", "application"] });
    expect(beat("externalJoin")).toMatchObject({ member: "Frank", members: 19 });
    expect(beat("late")).toMatchObject({ readers: 18 });
    expect(told.filter(({ event }) => event === "authenticator")).toHaveLength(1);
    expect(told.at(-1)).toMatchObject({ event: "end", ok: true, members: 19, problems: [] });
  });

  test.each([2, 3, 4, 5, 6, 7])("--suite %i ends in agreement", async (suite) => {
    const file = path.join(folder, `text for suite ${suite}`);
    fs.writeFileSync(file, "The same every time.");
    const small = ["--members", "7", "--messages", file, "--quiet"];
    const { status, stdout } = await start("--suite", String(suite), ...small);
    expect(stdout).toMatch(new RegExp(`^ok: 6 members, suite ${suite}, .*\n$`));
    expect(status).toBe(0);
  });

  test("--messages sends every line, --dir keeps the stores and is not used twice", async () => {
    const file = path.join(folder, "texts");
    fs.writeFileSync(file, Array.from({ length: 40 }, (_, i) => `line ${i}\r\n`).join("\n"));
    const directory = path.join(folder, "stores");
    const options = ["--messages", file, "--dir", directory];
    const { status, stdout } = await start("--json", ...options);
    expect(status).toBe(0);
    const told = events(stdout);
    expect(told.find(({ event }) => event === "message")).toMatchObject({ text: "line 0" });
    expect(told.find(({ event }) => event === "conversation")).toMatchObject({ messages: 40 });
    expect(fs.readdirSync(directory).sort()).toContain("alice");
    expect(await start(...options)).toMatchObject({ status: 2, stdout: "" });
  });

  test.each([
    [["--members", "3"], "--members takes a number"],
    [["--members", "many"], "--members takes a number"],
    [["--suite", "8"], "--suite takes a number"],
    [["--messages", "/nonexistent/file"], "--messages: ENOENT"],
    [["--colour"], "Unknown option '--colour'"],
    [["something"], "Unexpected argument"],
  ])("%j is a mistake: a reason, the usage and exit code 2", async (args, reason) => {
    const { status, stdout, stderr } = await start(...args);
    expect(status).toBe(2);
    expect(stdout).toBe("");
    expect(stderr).toContain(reason);
    expect(stderr).toContain("usage: npm start");
  });
});

describe.concurrent("the quick start", { timeout: 180_000 }, () => {
  const source = fs.readFileSync(path.join(root, "examples/hello.ts"), "utf8");

  test("M-DOC-01 pkg-4 has two clients, one group, one message and at most 12 lines, and runs", async () => {
    expect(source.split("\n").filter((line) => line.trim() !== "").length).toBeLessThanOrEqual(12);
    // It holds no type annotations, so it runs as it is, and "mlskit" is the built package.
    const { stdout } = await run(["--input-type=module"], source);
    expect(stdout).toBe("Hello, Bob\n");
    expect(fs.readFileSync(path.join(root, "README.md"), "utf8")).toContain(source.trimEnd());
  });

  test("compiles under the strictest options", async () => {
    const options = ["--ignoreConfig", "--noEmit", "--strict", "--noUncheckedIndexedAccess"];
    options.push("--exactOptionalPropertyTypes", "--module", "nodenext", "--target", "es2022");
    options.push("--types", "node", "examples/hello.ts");
    expect(await run([tsc, ...options])).toMatchObject({ status: 0, stdout: "" });
  });
});
