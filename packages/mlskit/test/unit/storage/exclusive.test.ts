/** One process owns the store. P-MP-01. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import path from "node:path";
import { beforeAll, expect, test, vi } from "vitest";
import { testGroup } from "../../../src/testing/index.ts";
import { fileStorage } from "../../../src/storage/file.ts";
import { memoryStorage } from "../../../src/storage/memory.ts";
import type { Storage } from "../../../src/storage/storage.ts";
import { compile } from "../../support/compile.ts";
import { temporaryDirectories } from "./directories.ts";

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });
const newDirectory = temporaryDirectories();
const LOCKED = { code: "STORE_LOCKED", retryable: true };
let program = "";

beforeAll(() => {
  program = compile("test/unit/storage/file-writer.ts", newDirectory());
});

const open = (directory: string, exclusive: boolean, lockTimeout = 20) =>
  fileStorage(directory, { exclusive, lockTimeout, dangerouslyUnencrypted: true });
const put = (storage: Storage, value: string) =>
  storage.write({ puts: [{ key: "a", value: Buffer.from(value) }], deletes: [], expect: [] });
const lockOf = (directory: string) => path.join(directory, "lock");
const ownerOf = (directory: string) =>
  JSON.parse(fs.readFileSync(lockOf(directory), "utf8")) as Record<string, unknown>;

async function startOwner(directory: string) {
  const args = [program, "own", directory, "0"];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  await once(child.stdout, "data");
  return { child, ended: once(child, "close") };
}

test("P-MP-01: while a process owns the store all others get STORE_LOCKED, and one that waits takes over when it is killed", async () => {
  const directory = newDirectory();
  const { child, ended } = await startOwner(directory);
  expect(ownerOf(directory)).toMatchObject({ pid: child.pid, exclusive: true });
  for (const exclusive of [true, false]) {
    await expect(open(directory, exclusive)).rejects.toMatchObject({
      ...LOCKED,
      details: { pid: child.pid },
    });
  }
  const waiting = open(directory, true, 30_000);
  let isOpen = false;
  void waiting.then(() => (isOpen = true));
  await new Promise((resume) => setTimeout(resume, 100));
  expect(isOpen).toBe(false);
  child.kill("SIGKILL");
  await ended;
  const storage = await waiting;
  expect(ownerOf(directory)).toMatchObject({ pid: process.pid });
  // What the killed one acknowledged is there.
  expect((await storage.get("step/a"))?.version).toBeGreaterThan(0);
  await put(storage, "mine");
  await expect(open(directory, false)).rejects.toMatchObject(LOCKED);
  await storage.close();
  const shared = await open(directory, false);
  expect(Buffer.from((await shared.get("a"))!.value).toString()).toBe("mine");
  await shared.close();
  expect(fs.readdirSync(directory)).toEqual(["records"]);
});

test("P-MP-01: an owner waits for all who share the store, dead ones excepted", async () => {
  const directory = newDirectory();
  const shared = [await open(directory, false), await open(directory, false)];
  await expect(open(directory, true)).rejects.toMatchObject(LOCKED);
  // Waiting in vain leaves the store to the others.
  await put(shared[0]!, "still shared");
  const waiting = open(directory, true, 10_000);
  for (const storage of shared) await storage.close();
  await (await waiting).close();

  const mark = path.join(directory, `share-${"0".repeat(24)}`);
  const dead = { token: "0".repeat(24), pid: 2 ** 30, started: "", since: 0, exclusive: false };
  const host = (await import("node:os")).hostname();
  fs.writeFileSync(mark, JSON.stringify({ ...dead, host }));
  await (await open(directory, true)).close();
  expect(fs.existsSync(mark)).toBe(false);
});

test("P-MP-01: the lock names its owner and beats; silence proves the end of an owner elsewhere", async () => {
  const directory = newDirectory();
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
  try {
    const storage = await open(directory, true);
    const owner = ownerOf(directory);
    expect(owner).toMatchObject({ pid: process.pid, host: expect.any(String) });
    const old = new Date(Date.now() - 50_000);
    fs.utimesSync(lockOf(directory), old, old);
    vi.advanceTimersByTime(5000);
    expect(Date.now() - fs.statSync(lockOf(directory)).mtimeMs).toBeLessThan(10_000);
    await storage.close();

    const elsewhere = { ...owner, token: "1".repeat(24), host: "elsewhere" };
    fs.writeFileSync(lockOf(directory), JSON.stringify(elsewhere));
    fs.utimesSync(lockOf(directory), old, old);
    await expect(open(directory, false)).rejects.toMatchObject({
      ...LOCKED,
      details: { pid: process.pid, host: "elsewhere" },
    });
    const silent = new Date(Date.now() - 61_000);
    fs.utimesSync(lockOf(directory), silent, silent);
    await (await open(directory, true)).close();
    expect(fs.readdirSync(directory)).toEqual(["records"]);
  } finally {
    vi.useRealTimers();
  }
});

/** Opens a store whose lock names such an owner and was touched so many seconds ago. */
async function openLockedBy(changes: object, silence: number, exclusive = false): Promise<void> {
  const directory = newDirectory();
  const owned = await open(directory, true);
  const owner = { ...ownerOf(directory), token: "3".repeat(24), ...changes };
  await owned.close();
  fs.writeFileSync(lockOf(directory), JSON.stringify(owner));
  const touched = new Date(Date.now() - silence * 1000);
  fs.utimesSync(lockOf(directory), touched, touched);
  await (await open(directory, exclusive)).close();
}

const onLinux = test.runIf(process.platform === "linux");

onLinux(
  "P-MP-01: an owner in another container of the same host name is not taken for dead by its process id",
  async () => {
    const boot = fs.readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
    // Both have a process with this number, which in the other container began at another time.
    const other = { pidNamespace: "pid:[1]", started: `${boot}/1` };
    for (const where of [
      other,
      { ...other, pidNamespace: undefined },
      { ...other, pid: 2 ** 30 },
    ]) {
      for (const exclusive of [true, false]) {
        await expect(openLockedBy({ ...where, exclusive }, 50)).rejects.toMatchObject(LOCKED);
      }
      await expect(openLockedBy({ ...where, exclusive: false }, 3600)).rejects.toMatchObject(
        LOCKED,
      );
      await openLockedBy({ ...where, exclusive: true }, 61);
    }
    // In the same one the time tells that the number was given to somebody else.
    await openLockedBy({ started: `${boot}/1`, exclusive: true }, 0);
  },
);

test("P-MP-01: where the start of a process cannot be learned, an owner of this host that runs keeps its lock in silence", async () => {
  const owner = { started: "", exclusive: true };
  for (const exclusive of [true, false]) {
    await expect(openLockedBy(owner, 3600, exclusive)).rejects.toMatchObject(LOCKED);
  }
  await openLockedBy({ ...owner, pid: 2 ** 30 }, 0);
  await openLockedBy({ ...owner, since: 0 }, 0);
});

onLinux(
  "P-MP-01: the lock that an earlier build left before the machine was started again is inherited",
  async () => {
    const earlier = { exclusive: undefined, pidNamespace: undefined };
    await openLockedBy({ ...earlier, started: "another boot/1" }, 3600);
    await openLockedBy({ ...earlier, started: "", since: 0 }, 3600);
  },
);

test("P-MP-03: after its lock was taken over a client uses no ratchet from its cache", async () => {
  for (const generationBlock of [1, 16]) {
    const directory = newDirectory();
    const owned = await open(directory, true);
    const world = await testGroup({
      config: { generationBlock },
      storage: (name) => (name === "member 0" ? owned : memoryStorage()),
    });
    const { group } = world.member(0);
    await group.send("mine");
    const { token } = ownerOf(directory);
    const thief = { ...ownerOf(directory), token: "2".repeat(24), host: "elsewhere" };
    fs.rmSync(lockOf(directory));
    fs.writeFileSync(lockOf(directory), JSON.stringify(thief));
    for (let i = 0; i < 3; i++) await expect(group.send("not mine")).rejects.toMatchObject(LOCKED);
    const { commit } = await world.member(1).group.update();
    await expect(group.process(commit, { accept: true })).rejects.toMatchObject(LOCKED);
    // Nor does it disturb the new owner when it goes.
    await owned.close();
    expect(ownerOf(directory)["token"]).not.toBe(token);
  }
});
