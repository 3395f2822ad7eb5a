/** The file store under real processes: killed at any moment, and several at a time. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import path from "node:path";
import { beforeAll, expect, test, vi } from "vitest";
import { openNodeFile } from "../../../src/storage/file-device.ts";
import { describeOwner } from "../../../src/storage/file-owner.ts";
import { fileStorage } from "../../../src/storage/file.ts";
import { compile } from "../../support/compile.ts";
import { allBytes, temporaryDirectories } from "./directories.ts";

const newDirectory = temporaryDirectories();

// Exhaustive or made of processes: slow where cores are shared.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });
let writer = "";

beforeAll(() => {
  writer = compile("test/unit/storage/file-writer.ts", newDirectory());
});

function start(mode: string, directory: string, count = 0) {
  const args = [writer, mode, directory, String(count)];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  let output = "";
  child.stdout.on("data", (data) => {
    output += data;
  });
  const exit = once(child, "close").then(([code]) => code as number | null);
  return { child, exit, output: () => output };
}

async function killAfter(directory: string, milliseconds: number): Promise<number> {
  const { child, exit, output } = start("steps", directory);
  await once(child.stdout, "data");
  await new Promise((resume) => setTimeout(resume, milliseconds));
  child.kill("SIGKILL");
  expect(await exit).toBeNull();
  return Number(output().trimEnd().split("\n").at(-1));
}

test("M-STO-09: killed 32 times while writing, the store has the acknowledged batch or the one after", async () => {
  const directory = newDirectory();
  let acknowledged = 0;
  for (let round = 0; round < 32; round++) {
    acknowledged = await killAfter(directory, (round * 7) % 23);
    // Every other time the next writer has to recover.
    if (round % 2 === 0) continue;
    const storage = await fileStorage(directory, { dangerouslyUnencrypted: true });
    const records = await storage.list("");
    const steps = new Set(records.map(({ value }) => Buffer.from(value).toString().split(";")[1]));
    expect(steps.size).toBe(1);
    const step = Number([...steps][0]);
    expect([acknowledged, acknowledged + 1]).toContain(step);
    const keys = records.map(({ key }) => key);
    expect(keys).toEqual([`extra/${step}`, "step/a", "step/b", "step/c"]);
    for (const { value } of records) expect(value.length).toBe(20 + ((step * 977) % 5000));
    const left =
      allBytes(directory)
        .toString("latin1")
        .match(/step;\d+;/g) ?? [];
    expect(new Set(left)).toEqual(new Set([`step;${step};`]));
    await storage.close();
  }
  expect(acknowledged).toBeGreaterThan(100);
  expect(fs.readdirSync(directory)).toEqual(["records"]);
});

test("sto-4: two processes that write with version checks lose no update", async () => {
  const directory = newDirectory();
  const children = [1, 2].map(() => start("increment", directory, 150));
  expect(await Promise.all(children.map(({ exit }) => exit))).toEqual([0, 0]);
  const storage = await fileStorage(directory, { dangerouslyUnencrypted: true });
  expect(Buffer.from((await storage.get("counter"))!.value).toString()).toBe("300");
  expect((await storage.get("counter"))!.version).toBe(300);
  const log = await storage.list("log/");
  expect(new Set(log.map(({ value }) => Buffer.from(value).toString())).size).toBe(300);
  await storage.close();
});

test("P-MP-01: the lock of a killed process is taken over, and its batch is whole or absent", async () => {
  const directory = newDirectory();
  const survivor = start("increment", directory, 300);
  await once(survivor.child, "spawn");
  const killed: string[] = [];
  for (let round = 0; round < 8; round++) {
    const victim = start("increment", directory, 1_000_000);
    await new Promise((resume) => setTimeout(resume, 150 + round * 13));
    victim.child.kill("SIGKILL");
    await victim.exit;
    killed.push(`log/${victim.child.pid}/`);
  }
  expect(await survivor.exit).toBe(0);
  const storage = await fileStorage(directory, { dangerouslyUnencrypted: true });
  let logged = (await storage.list(`log/${survivor.child.pid}/`)).length;
  expect(logged).toBe(300);
  for (const prefix of killed) logged += (await storage.list(prefix)).length;
  expect((await storage.get("counter"))?.version).toBe(logged);
  expect(Buffer.from((await storage.get("counter"))!.value).toString()).toBe(`${logged}`);
  await storage.close();
});

test("P-MP-01: a process that cannot recover what it inherited leaves it to others while it lives", async () => {
  const directory = newDirectory();
  const open = (openFile = openNodeFile) =>
    fileStorage(directory, { dangerouslyUnencrypted: true, openFile });
  await (await open()).close();
  const dead = { ...describeOwner("0".repeat(24), false), pid: 2 ** 30 };
  fs.writeFileSync(path.join(directory, "lock"), JSON.stringify(dead));
  const write = (): never => {
    throw Object.assign(new Error("i/o error"), { code: "EIO" });
  };
  const failing = open((file) => Object.assign(openNodeFile(file), { write }));
  await expect(failing).rejects.toMatchObject({ code: "STORAGE_FAILED", cause: { code: "EIO" } });
  expect(await start("increment", directory, 1).exit).toBe(0);
  expect(fs.readdirSync(directory)).toEqual(["records"]);
});
