/** Every operation, cut at every write. P-CR-03. */
import fs from "node:fs";
import { afterAll, describe, expect, test, vi } from "vitest";
import { Client } from "../../src/client/client.ts";
import { ClientTransaction } from "../../src/client/client-transaction.ts";
import { MlsError } from "../../src/errors.ts";
import * as drafts from "../../src/drafts/index.ts";
import * as main from "../../src/index.ts";
import { Group } from "../../src/index.ts";
import * as production from "../../src/production/index.ts";
import { SimulatedDisk } from "../../src/storage/fault-file.ts";
import { fileStorage } from "../../src/storage/file.ts";
import type { Storage } from "../../src/storage/storage.ts";
import { type FaultPlan, FaultStorage } from "../../src/testing/index.ts";
import { temporaryDirectories } from "../unit/storage/directories.ts";
import { CrashWorld, goOn, type Name } from "./crash-world.ts";
import { contentsOf, type MapStorage } from "./map-storage.ts";
import type { Operation, Run } from "./operation.ts";
import { EXPORT_OPERATIONS } from "./export-operations.ts";
import { OPERATIONS as CLIENT_OPERATIONS } from "./operations.ts";
import { PRODUCTION_OPERATIONS } from "./production-operations.ts";

vi.setConfig({ testTimeout: 300_000 });

const OPERATIONS = [...CLIENT_OPERATIONS, ...PRODUCTION_OPERATIONS, ...EXPORT_OPERATIONS];
const newDirectory = temporaryDirectories();

interface Prepared {
  readonly operation: Operation;
  readonly world: CrashWorld;
  readonly snapshot: ReadonlyMap<Name, MapStorage>;
  readonly run: Run;
  /** Alice's store before the operation and after each of its writes. */
  readonly states: readonly string[];
  readonly reads: number;
}

/** Runs the operation once without faults and looks at the store after each write. */
async function prepare(operation: Operation): Promise<Prepared> {
  const world = new CrashWorld("prepare");
  const run = await operation.prepare(world);
  const snapshot = world.snapshot();
  const states: string[] = [];
  let reads = 0;
  const watched = await CrashWorld.restore(world, snapshot, async (inner) => {
    states.push(await contentsOf(inner));
    const write = inner.write.bind(inner);
    inner.write = (batch) => {
      write(batch);
      const all = [...inner.records.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
      states.push(
        all.map(({ key, value }) => `${key} ${Buffer.from(value).toString("hex")}`).join("\n"),
      );
    };
    return new FaultStorage(inner, {});
  });
  const storage = watched.stores.get("alice") as FaultStorage;
  const before = storage.reads;
  called.clear();
  await run(watched);
  for (const name of called) runs.add(name);
  reads = storage.reads - before;
  return { operation, world, snapshot, run, states, reads };
}

const CUTS = ["before", "torn", "after"] as const;
const counts = { operations: 0, cuts: 0, disk: 0, faults: 0, failures: 0 };

/** The error of an operation that was cut; anything else is a finding. */
async function cut(run: Promise<unknown>): Promise<boolean> {
  try {
    await run;
    return false;
  } catch (error) {
    if (error instanceof MlsError && error.blame === "storage") return true;
    throw error;
  }
}

async function repeat({ operation, run }: Prepared, world: CrashWorld): Promise<void> {
  if (operation.again !== true) return;
  try {
    await run(world);
  } catch (error) {
    // A Welcome that was used already.
    if (!(error instanceof MlsError) || error.blame === "storage") throw error;
    expect(["GROUP_EXISTS", "ORPHAN_WELCOME", "GROUP_INACTIVE", "WRONG_EPOCH"]).toContain(
      error.code,
    );
  }
}

/** A crash before or after the write of this number. */
async function crashAt(prepared: Prepared, number: number, isAfter: boolean): Promise<void> {
  const { world: origin, snapshot, run, states } = prepared;
  let storage: FaultStorage | undefined;
  const world = await CrashWorld.restore(origin, snapshot, (inner) => {
    storage = new FaultStorage(inner, {});
    return storage;
  });
  const before = storage!.writes;
  const plan: FaultPlan = isAfter
    ? { crashAfterWrite: before + number }
    : { crashBeforeWrite: before + number };
  Object.assign(storage!.plan, plan);
  expect(await cut(run(world)), "the operation was cut").toBe(true);
  const reopened = storage!.reopen();
  expect(await contentsOf(reopened)).toBe(states[isAfter ? number : number - 1]);
  world.clients.delete("alice");
  if ((await reopened.get("meta")) === undefined) await world.create("alice", reopened);
  else await world.open("alice", reopened);
  world.directory.add(world.alice.identity);
  await repeat(prepared, world);
  await goOn(world);
  counts.cuts++;
}

/** A write or read that fails while the process lives. */
async function failAt(
  prepared: Prepared,
  what: "failWrite" | "failRead",
  n: number,
): Promise<void> {
  const { operation, world: origin, snapshot, run, states } = prepared;
  let storage: FaultStorage | undefined;
  const world = await CrashWorld.restore(origin, snapshot, (inner) => {
    storage = new FaultStorage(inner, {});
    return storage;
  });
  const before = what === "failWrite" ? storage!.writes : storage!.reads;
  storage!.plan[what] = before + n;
  await cut(run(world));
  if (operation.goesOn !== true) expect(states).toContain(await contentsOf(storage!));
  if (!world.clients.has("alice")) {
    if ((await storage!.get("meta")) === undefined) await world.create("alice", storage);
    else await world.open("alice", storage!);
    world.directory.add(world.alice.identity);
  }
  await repeat(prepared, world);
  await goOn(world);
  counts.faults++;
}

/** The same on a file whose disk dies at one of its operations. */
async function diskCuts({ world: origin, snapshot, run, states }: Prepared): Promise<void> {
  const start = async (): Promise<{
    disk: SimulatedDisk;
    directory: string;
    world: CrashWorld;
  }> => {
    const disk = new SimulatedDisk();
    const directory = newDirectory();
    const wrap = async (inner: MapStorage): Promise<Storage> => {
      const storage = await fileStorage(directory, {
        dangerouslyUnencrypted: true,
        openFile: () => disk.open(),
      });
      const puts = [...inner.records.values()].map(({ key, value }) => ({ key, value }));
      if (puts.length > 0) await storage.write({ puts, deletes: [], expect: [] });
      return storage;
    };
    // The others are not needed: going on from each of these states was tried in memory.
    return { disk, directory, world: await CrashWorld.restore(origin, snapshot, wrap, "alice") };
  };
  const whole = await start();
  const first = whole.disk.operations;
  await run(whole.world);
  const count = whole.disk.operations - first;
  for (let operation = 1; operation <= count; operation++) {
    // To die after one operation is to die before the next.
    const kinds = operation < count ? (["before", "torn"] as const) : CUTS;
    for (const kind of kinds) {
      const { disk, directory, world } = await start();
      disk.fault = { operation: disk.operations + operation, kind };
      await run(world).catch((error: unknown) => {
        if (!disk.hasDied) throw error;
      });
      expect(disk.hasDied).toBe(true);
      await world.stores.get("alice")?.close();
      const storage = await fileStorage(directory, {
        dangerouslyUnencrypted: true,
        openFile: () => disk.open(),
      });
      expect(states, `${kind} ${operation}`).toContain(await contentsOf(storage));
      await storage.close();
      fs.rmSync(directory, { recursive: true, force: true });
      counts.disk++;
    }
  }
}

/** Methods that change nothing in the store; every other one of these classes is cut. */
const READERS: Readonly<Record<string, string>> = {
  Client:
    "bestCipherSuite checkGroupInfo close events groups identities keyPackages keyPackageStock on peekWelcome psk pskIds",
  ClientTransaction: "checkpoint get",
  Group:
    "dangerouslyExportResumptionPsk export findMembers groupInfo members needsUpdate proposals ratchetTree",
};
/** Functions beside the classes that change nothing in a client's store. */
const PLAIN_FUNCTIONS: readonly string[] =
  "adminsOnly allOf compareBeacon compareGroupInfo createBeacon eventLog expiringMembers keyPackageObstacles logTo memberLimit membersByIdentity noExternalCommits replayEvents selfRemovalOnly unfinishedRotations cipherSuite commitDelay createExternalProposal createNewMemberProposal createProvider createSigner createSuiteCrypto customProposal defaultProvider exportCryptoKey isBadSignature isCommitRequired isDecryptionFailure isEpochMismatch isKeyPackageMissing isNotOperational isPskMissing isUnknownMember isWrongGroup judgeEach makeExtension memoryStorage readExtension systemClock".split(
    " ",
  );
/** The same of drafts: what takes values or an epoch, and has no store. */
const PLAIN_DRAFTS: readonly string[] =
  "annotateCommit annotateWelcome appDataUpdate appDataUpdateType applicationPsk applicationPskType componentData createSelfRemove dictionaryExtension isMarkedLastResort lastResortDictionary membershipProof proveMember readApplicationPsk readDictionary selfRemove senderAuthenticated withComponent".split(
    " ",
  );
const called = new Set<string>();
/** Those that an operation consists of, not those that prepare it. */
const runs = new Set<string>();

/** Methods of the classes, which note that they are called. */
const methods = [Client, Group, ClientTransaction].flatMap(({ prototype, name: owner }) =>
  Object.entries(Object.getOwnPropertyDescriptors(prototype)).flatMap(([own, { value }]) => {
    if (typeof value !== "function" || own === "constructor") return [];
    const name = `${owner}.${own}`;
    const method = value as (...args: unknown[]) => unknown;
    function noting(this: unknown, ...args: unknown[]): unknown {
      called.add(name);
      return method.apply(this, args);
    }
    Object.defineProperty(prototype, own, { configurable: true, writable: true, value: noting });
    return [name];
  }),
);

describe("P-CR-03 M-STO-09 sto-1: cut at any write, a client is as before or after and goes on", () => {
  for (const operation of OPERATIONS) {
    test(operation.name, async () => {
      const prepared = await prepare(operation);
      const writes = prepared.states.length - 1;
      expect(writes).toBeGreaterThan(0);
      for (let number = 1; number <= writes; number++) {
        await crashAt(prepared, number, false);
        await crashAt(prepared, number, true);
        await failAt(prepared, "failWrite", number);
      }
      for (let n = 1; n <= prepared.reads; n++) await failAt(prepared, "failRead", n);
      await diskCuts(prepared);
      counts.operations++;
    });
  }

  test("every method that changes something is among the operations", () => {
    expect(methods.length).toBeGreaterThan(60);
    const readers = Object.entries(READERS).flatMap(([owner, names]) =>
      names.split(" ").map((name) => `${owner}.${name}`),
    );
    expect(readers.filter((name) => !methods.includes(name))).toEqual([]);
    const isCut = (name: string): boolean => runs.has(name) || readers.includes(name);
    expect(methods.filter((name) => !isCut(name))).toEqual([]);
  });

  test("every function that changes something is among the operations", () => {
    const sources = ["operations", "production-operations", "export-operations"].map((name) =>
      fs.readFileSync(new URL(`${name}.ts`, import.meta.url), "utf8"),
    );
    const plain = [...PLAIN_FUNCTIONS, ...PLAIN_DRAFTS];
    const called = (name: string): boolean => sources.some((text) => text.includes(`${name}(`));
    const names = [production, drafts, main].flatMap((module) =>
      Object.entries(module).flatMap(([name, value]) => {
        return typeof value === "function" && /^[a-z]/.test(name) ? [name] : [];
      }),
    );
    expect(names.length).toBeGreaterThan(40);
    const isCut = (name: string): boolean => called(name) || plain.includes(name);
    expect(names.filter((name) => !isCut(name))).toEqual([]);
    expect(plain.filter((name) => !names.includes(name))).toEqual([]);
  });
});

afterAll(() => {
  const { operations, cuts, disk, faults } = counts;
  const failures = OPERATIONS.length - operations;
  console.log(
    `${operations} operations × ${cuts + disk} cut points (${cuts} in memory, ${disk} on disk), ` +
      `${faults} failed calls, ${failures} failures`,
  );
});
