/** A client with a file store, killed again and again in the middle of the story. */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { toHex } from "../../src/codec/index.ts";
import { compile } from "../support/compile.ts";
import { Arena } from "./kill-parent.ts";
import { randomFrom, type Reply, type Report, type Request } from "./kill-protocol.ts";

const KILLS = 52;
const folder = fs.mkdtempSync(path.join(os.tmpdir(), "mlskit-kill-"));
let program = "";

beforeAll(() => {
  program = compile("test/story/kill-child.ts", folder);
});

afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

interface Run {
  readonly wasKilled: boolean;
  readonly report: Report | undefined;
}

/** A process that has loaded the program and waits to be let go. */
function launch(seed: number, mode: string): ChildProcess {
  return fork(program, [path.join(folder, "store"), String(seed), mode], {
    serialization: "advanced",
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
}

/** Lets a client play until it ends, or until some time after one of its messages. */
async function run(
  arena: Arena,
  child: ChildProcess,
  death?: { readonly messages: number; readonly milliseconds: number },
): Promise<Run> {
  let queue = Promise.resolve();
  let count = 0;
  let report: Report | undefined;
  let failure: unknown;
  const die = (): void => {
    setTimeout(() => child.kill("SIGKILL"), death?.milliseconds ?? 0);
  };
  const answer = async (request: Request): Promise<void> => {
    const reply: Reply | undefined = await arena.handle(request);
    if (request.type === "finished") report = request.report;
    if (reply !== undefined && child.connected) child.send(reply, () => undefined);
  };
  child.on("message", (request: Request) => {
    count += 1;
    if (count === death?.messages) die();
    queue = queue
      .then(() => answer(request))
      .catch((error: unknown) => {
        failure ??= error;
        child.kill("SIGKILL");
      });
  });
  child.send("go");
  if (death?.messages === 0) die();
  const disconnected = once(child, "disconnect");
  const [, signal] = (await once(child, "exit")) as [number | null, string | null];
  // What the client had sent before it died is on the wire, and counts.
  await disconnected;
  await queue;
  if (failure !== undefined) throw failure;
  return { wasKilled: signal === "SIGKILL", report };
}

test(`M-STO-09 M-STO-11 st-9 killed ${KILLS} times in the middle of the story, a client goes on from the old or the new state and uses no generation twice`, async () => {
  const seed = Number(process.env["MLSKIT_SEED"] ?? Date.now() % 1_000_000);
  console.log(`seed ${seed} (set MLSKIT_SEED to repeat)`);
  const random = randomFrom(seed);
  const arena = await Arena.create(random);
  let next = launch(seed, "play");
  onTestFinished(() => void next.kill("SIGKILL"));
  for (let kill = 1; kill <= KILLS; kill++) {
    const child = next;
    // Starts while the other one plays: most of the time goes into loading the program.
    next = launch(seed + kill, kill < KILLS ? "play" : "finish");
    const inStartup = random() < 0.15;
    const messages = inStartup ? 0 : 1 + Math.floor(random() * 32);
    const milliseconds = random() * (inStartup ? 60 : 8);
    expect(await run(arena, child, { messages, milliseconds })).toMatchObject({ wasKilled: true });
  }
  const { report } = await run(arena, next);
  const authenticator = report?.authenticator;
  expect(authenticator).toBeDefined();
  const all = [...arena.authenticators(), toHex(authenticator ?? new Uint8Array())];
  expect(new Set(all).size).toBe(1);
  expect(report?.epoch).toBe(arena.epoch);
  expect(arena.ciphertexts).toBeGreaterThan(KILLS / 2);
  console.log(
    `${KILLS} kills, ${arena.received} requests, ${arena.ciphertexts} ciphertexts, epoch ${arena.epoch}`,
  );
}, 600_000);
