/** `npm start` and the quick start, as a user runs them: built, and in a process of their own. */
import { execFileSync, spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const root = fileURLToPath(new URL("../../../../", import.meta.url));
const tsc = path.join(root, "node_modules/typescript/bin/tsc");
const folder = fs.mkdtempSync(path.join(os.tmpdir(), "mlskit-story-test-"));

beforeAll(() => {
  const built = spawnSync(process.execPath, [tsc, "-b", "packages/story"], {
    cwd: root,
    encoding: "utf8",
  });
  expect(built.stdout).toBe("");
}, 120_000);

afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

function start(...args: readonly string[]): {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
} {
  const program = path.join(root, "packages/story/build/main.js");
  const env = { ...process.env, TMPDIR: folder };
  return spawnSync(process.execPath, [program, ...args], { encoding: "utf8", env });
}

type Event = Readonly<Record<string, unknown>>;

function events(stdout: string): readonly Event[] {
  const lines = stdout.trimEnd().split("\n");
  return lines.map((line) => JSON.parse(line) as Event);
}

describe("npm start", () => {
  test("tells the story and leaves nothing behind", () => {
    const { status, stdout, stderr } = start();
    expect(stderr).toBe("");
    expect(stdout.trimEnd().split("\n").at(-1)).toMatch(/^ok: 7 members, suite 1, .* are equal/);
    expect(status).toBe(0);
    expect(fs.readdirSync(folder)).toEqual([]);
  });

  test("--json --members 20: every line is an object, and every beat happens", () => {
    const { status, stdout } = start("--json", "--members", "20");
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

  test.each([1, 2, 3, 4, 5, 6, 7])("--suite %i ends in agreement", (suite) => {
    const { status, stdout } = start("--suite", String(suite), "--members", "7", "--quiet");
    expect(stdout).toMatch(new RegExp(`^ok: 6 members, suite ${suite}, .*\n$`));
    expect(status).toBe(0);
  });

  test("--messages sends every line, --dir keeps the stores and is not used twice", () => {
    const file = path.join(folder, "texts");
    fs.writeFileSync(file, Array.from({ length: 40 }, (_, i) => `line ${i}\r\n`).join("\n"));
    const directory = path.join(folder, "stores");
    const options = ["--messages", file, "--dir", directory];
    const { status, stdout } = start("--json", ...options);
    expect(status).toBe(0);
    const told = events(stdout);
    expect(told.find(({ event }) => event === "message")).toMatchObject({ text: "line 0" });
    expect(told.find(({ event }) => event === "conversation")).toMatchObject({ messages: 40 });
    expect(fs.readdirSync(directory).sort()).toContain("alice");
    expect(start(...options)).toMatchObject({ status: 2, stdout: "" });
  });

  test.each([
    [["--members", "3"], "--members takes a number"],
    [["--members", "many"], "--members takes a number"],
    [["--suite", "8"], "--suite takes a number"],
    [["--messages", "/nonexistent/file"], "--messages: ENOENT"],
    [["--colour"], "Unknown option '--colour'"],
    [["something"], "Unexpected argument"],
  ])("%j is a mistake: a reason, the usage and exit code 2", (args, reason) => {
    const { status, stdout, stderr } = start(...args);
    expect(status).toBe(2);
    expect(stdout).toBe("");
    expect(stderr).toContain(reason);
    expect(stderr).toContain("usage: npm start");
  });
});

describe("the quick start", () => {
  const source = fs.readFileSync(path.join(root, "examples/hello.ts"), "utf8");

  test("M-DOC-01 has two clients, one group, one message and at most 12 lines, and runs", () => {
    expect(source.split("\n").filter((line) => line.trim() !== "").length).toBeLessThanOrEqual(12);
    // It holds no type annotations, so it runs as it is, and "mlskit" is the built package.
    const output = execFileSync(process.execPath, ["--input-type=module"], {
      cwd: root,
      input: source,
      encoding: "utf8",
    });
    expect(output).toBe("Hello, Bob\n");
    expect(fs.readFileSync(path.join(root, "README.md"), "utf8")).toContain(source.trimEnd());
  });

  test("compiles under the strictest options", () => {
    const options = ["--ignoreConfig", "--noEmit", "--strict", "--noUncheckedIndexedAccess"];
    options.push("--exactOptionalPropertyTypes", "--module", "nodenext", "--target", "es2022");
    options.push("--types", "node", "examples/hello.ts");
    const { status, stdout } = spawnSync(process.execPath, [tsc, ...options], {
      cwd: root,
      encoding: "utf8",
    });
    expect(stdout).toBe("");
    expect(status).toBe(0);
  });
});
