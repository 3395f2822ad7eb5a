/** The process in which mlskit is measured; speaks the protocol of protocol.ts. */
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { type CryptoProvider, providers } from "./internals.ts";
import { LowLevelLibrary, type LowLevelInvitation } from "./low-level.ts";
import { coldFixture, type Fixture, RUNS, warmFixture } from "./operations.ts";
import type { Answer, Measured, Request } from "./protocol.ts";
import { Recorder } from "./recorder.ts";

const recorder = new Recorder();
const freshProvider = (): CryptoProvider => recorder.wrap(providers.nodeProvider());

let suite = 1;
let size = 2;
let library = new LowLevelLibrary(freshProvider, suite);
let guests: LowLevelInvitation[] = [];
let fixture: Fixture<LowLevelInvitation> | undefined;

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
      return { ok: true };
    case "guests":
      ({ suite, size } = request);
      library = new LowLevelLibrary(freshProvider, suite);
      guests = [await library.invitation("guest 1"), await library.invitation("guest 2")];
      return { keyPackages: guests.map(({ keyPackage }) => base64(keyPackage)) };
    case "warm": {
      const welcome = new Uint8Array(Buffer.from(request.welcome, "base64"));
      fixture = await warmFixture(library, size, guests, welcome);
      return { ok: true };
    }
    case "ownWarm":
      throw new Error("guests are invited");
    case "run":
      return run(request.group, request.count);
    case "limit":
      return limit(request.group, request.count);
  }
}

async function run(group: string, count: number): Promise<Measured> {
  const samples: Record<string, number[]> = {};
  const bytes: Record<string, number> = {};
  for (let i = 0; i < count; i++) {
    await once(
      group,
      async (operation, work) => {
        const start = process.hrtime.bigint();
        const result = await work();
        const end = process.hrtime.bigint();
        (samples[operation] ??= []).push(Number(end - start) / 1000);
        return result;
      },
      (operation, length) => {
        bytes[operation] = length;
      },
    );
  }
  return { samples, bytes };
}

async function limit(group: string, count: number): Promise<Measured> {
  const recordings = new Map<string, ReturnType<Recorder["stop"]>>();
  await once(group, async (operation, work) => {
    recorder.start();
    try {
      return await work();
    } finally {
      recordings.set(operation, recorder.stop());
    }
  });
  const samples: Record<string, number[]> = {};
  const counts: Record<string, Readonly<Record<string, number>>> = {};
  let crypto = providers.nodeProvider().suite(suite);
  for (const [operation, recording] of recordings) {
    counts[operation] = recording.counts;
    const times: number[] = [];
    // Once in vain: the caches fill as they are full when the operation is repeated.
    for (let i = 0; i <= count; i++) {
      if (FORGETFUL.has(operation)) crypto = providers.nodeProvider().suite(suite);
      const start = process.hrtime.bigint();
      await recording.replay(crypto);
      const end = process.hrtime.bigint();
      if (i > 0) times.push(Number(end - start) / 1000);
    }
    samples[operation] = times;
  }
  return { samples, counts };
}

async function once(
  group: string,
  timer: Parameters<NonNullable<(typeof RUNS)[string]>>[1],
  bytes: (operation: string, length: number) => void = () => undefined,
): Promise<void> {
  const perform = RUNS[group];
  if (fixture === undefined || perform === undefined) throw new Error(`cannot run ${group}`);
  await perform(fixture as unknown as Parameters<typeof perform>[0], timer, bytes);
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
