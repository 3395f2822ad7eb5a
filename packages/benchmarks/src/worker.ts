/** The process in which mlskit is measured; speaks the protocol of protocol.ts. */
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { type CryptoProvider, providers, type SuiteCrypto } from "./internals.ts";
import { limitsOf } from "./limit-inputs.ts";
import { LowLevelLibrary, type LowLevelInvitation } from "./low-level.ts";
import { coldFixture, type Fixture, RUNS, type Timer, warmFixture } from "./operations.ts";
import type { Step } from "./limits.ts";
import { type PreparedLimit, Primitives } from "./primitives.ts";
import type { Answer, Limited, Measured, Request } from "./protocol.ts";

/** With `cpu` the processor's time instead of the wall's, which others on the machine disturb less. */
const now: () => number =
  process.argv[2] === "cpu"
    ? () => {
        const { user, system } = process.cpuUsage();
        return user + system;
      }
    : () => Number(process.hrtime.bigint()) / 1000;

const freshProvider = (): CryptoProvider => providers.nodeProvider();

let suite = 1;
let size = 2;
let library = new LowLevelLibrary(freshProvider, suite);
let guests: LowLevelInvitation[] = [];
let fixture: Fixture<LowLevelInvitation> | undefined;
const primitives = new Map<number, Primitives>();
/** By group of operations, for the fixture at hand. */
let limits = new Map<string, GroupLimit>();

async function answer(request: Request): Promise<Answer> {
  switch (request.do) {
    case "hello": {
      const manifest = createRequire(import.meta.url)("mlskit/package.json") as { version: string };
      return {
        library: "mlskit",
        version: manifest.version,
        runtime: `Node ${process.versions.node}, OpenSSL ${process.versions.openssl}`,
        suites: providers.nodeProvider().suites,
        groups: Object.keys(RUNS),
      };
    }
    case "cold":
      ({ suite, size } = request);
      library = new LowLevelLibrary(freshProvider, suite);
      fixture = await coldFixture(library, size);
      limits = new Map();
      return { ok: true };
    case "guests":
      ({ suite, size } = request);
      library = new LowLevelLibrary(freshProvider, suite);
      guests = [await library.invitation("guest 1"), await library.invitation("guest 2")];
      return { keyPackages: guests.map(({ keyPackage }) => base64(keyPackage)) };
    case "warm": {
      const welcome = new Uint8Array(Buffer.from(request.welcome, "base64"));
      fixture = await warmFixture(library, size, guests, welcome);
      limits = new Map();
      return { ok: true };
    }
    case "run":
      return run(request.group, request.count);
    case "limit":
      return limit(request.group, request.count);
    case "primitives":
      throw new Error("mlskit's primitives are in its limit");
  }
}

async function run(group: string, count: number): Promise<Measured> {
  const samples: Record<string, number[]> = {};
  const bytes: Record<string, number> = {};
  for (let i = 0; i < count; i++) {
    await once(
      group,
      async (operation, work) => {
        const start = now();
        const result = await work();
        const end = now();
        (samples[operation] ??= []).push(end - start);
        return result;
      },
      (operation, length) => {
        bytes[operation] = length;
      },
    );
  }
  return { samples, bytes };
}

/** The primitive calls that the operations need, without the operations. */
async function limit(group: string, count: number): Promise<Limited> {
  const samples: Record<string, number[]> = {};
  const known = limits.get(group) ?? (await prepareLimit(group));
  limits.set(group, known);
  // In turns, like the operations: what was done before decides what is in the processor's caches.
  for (let i = 0; i < count; i++) {
    for (const [operation, calls] of known.calls) {
      await calls.renew();
      const crypto = FORGETFUL.has(operation) ? freshProvider().suite(suite) : known.crypto;
      const start = now();
      await calls.run(crypto);
      const end = now();
      (samples[operation] ??= []).push(end - start);
    }
  }
  return { samples, steps: known.steps };
}

interface GroupLimit {
  readonly steps: Limited["steps"];
  readonly calls: ReadonlyMap<string, PreparedLimit>;
  /** With its caches as full as when the operations are repeated. */
  readonly crypto: SuiteCrypto;
}

async function prepareLimit(group: string): Promise<GroupLimit> {
  const needed = await limitsOf(group, prepared());
  const shared = primitives.get(suite) ?? new Primitives(freshProvider().suite(suite));
  primitives.set(suite, shared);
  const crypto = freshProvider().suite(suite);
  const calls = new Map<string, PreparedLimit>();
  const steps: Record<string, readonly Step[]> = {};
  for (const [operation, list] of Object.entries(needed)) {
    const prepared = await shared.prepare(list);
    await prepared.run(crypto);
    calls.set(operation, prepared);
    // A fresh provider reads every key; others are told to do so.
    const isFresh = FORGETFUL.has(operation);
    steps[operation] = isFresh ? list.map((step) => ({ ...step, newKeys: true })) : list;
  }
  return { steps, calls, crypto };
}

async function once(
  group: string,
  timer: Timer,
  bytes: (operation: string, length: number) => void,
): Promise<void> {
  const perform = RUNS[group];
  if (perform === undefined) throw new Error(`cannot run ${group}`);
  await perform(prepared(), timer, bytes);
}

function prepared(): Parameters<(typeof RUNS)[string]>[0] {
  if (fixture === undefined) throw new Error("there is no group");
  return fixture as unknown as Parameters<(typeof RUNS)[string]>[0];
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64");
}

/** Operations of a process that has not seen the keys before. */
const FORGETFUL: ReadonlySet<string> = new Set(["add", "join", "externalJoin"]);

for await (const line of createInterface({ input: process.stdin })) {
  let result: Answer;
  try {
    result = await answer(JSON.parse(line) as Request);
  } catch (error) {
    result = { error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
  process.stdout.write(`${JSON.stringify(result)}\n`);
}
