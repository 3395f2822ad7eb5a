/** Real processes, or threads, that send from one store at the same time. P-MP-02, sto-4. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import type { Readable, Writable } from "node:stream";
import { Worker } from "node:worker_threads";
import { fromHex, fromUtf8, toHex } from "../../src/codec/index.ts";
import { Client, KeyDirectory } from "../../src/index.ts";
import { memoryStorage } from "../../src/storage/memory.ts";
import { compile } from "../support/compile.ts";
import { openSenderStore, type SenderStore } from "./sender-store.ts";

export interface SendersReport {
  /** Messages by process. */
  readonly sent: readonly number[];
  readonly generations: number;
  /** Generations that two messages have. */
  readonly reused: number;
  /** Messages that the receiver could not read. */
  readonly lost: number;
  /** Generations that no message has. */
  readonly gaps: number;
}

export type SenderKind = "process" | "thread";

/** `folder` is empty and belongs to the caller. */
export async function runSenders(
  folder: string,
  processes: number,
  seconds: number,
  kind: SenderKind = "process",
  store: SenderStore = "file",
): Promise<SendersReport> {
  const program = compile("test/production/sender.ts", path.join(folder, "program"));
  const directory = path.join(folder, "store");
  const trust = new KeyDirectory();
  const make = async (
    identity: string,
    storage: Parameters<typeof Client.create>[0]["storage"],
  ) => {
    const client = await Client.create({ identity, storage, authenticationService: trust });
    trust.add(client.identity);
    return client;
  };
  const sender = await make("sender", await openSenderStore(store, directory));
  const receiver = await make("receiver", memoryStorage());
  const group = await sender.createGroup();
  await group.add([(await receiver.createKeyPackage()).bytes]);
  const { welcomes } = await group.acceptCommit();
  // The receiver has to keep up with any order in which the processes print.
  const config = { outOfOrderTolerance: 4096, maximumForwardDistance: 1_000_000 };
  const inbox = await receiver.join((welcomes[0] as (typeof welcomes)[number]).bytes, {
    config: { ...config, maximumSkippedKeys: 100_000 },
  });
  const id = toHex(group.id);
  await sender.close();

  const outputs = await race(kind === "process" ? startProcess : startThread, processes, (name) => [
    program,
    directory,
    id,
    name,
    String(seconds),
    store,
  ]);
  const messages = outputs.flatMap((lines) =>
    lines.map((line) => {
      const [generation = "", bytes = "", ...text] = line.split(" ");
      return { generation: Number(generation), bytes, text: text.join(" ") };
    }),
  );
  messages.sort((a, b) => a.generation - b.generation);
  let lost = 0;
  for (const { bytes, text } of messages) {
    const outcome = await inbox.process(fromHex(bytes));
    if (outcome.kind !== "application" || fromUtf8(outcome.data) !== text) lost++;
  }
  const generations = new Set(messages.map(({ generation }) => generation));
  return {
    sent: outputs.map((lines) => lines.length),
    generations: generations.size,
    reused: messages.length - generations.size,
    lost,
    gaps: Math.max(-1, ...generations) + 1 - generations.size,
  };
}

interface Sender {
  readonly stdin: Writable;
  readonly stdout: Readable;
  /** The exit code. */
  readonly ended: Promise<number>;
}

type Start = (program: string, args: readonly string[]) => Sender;

const startProcess: Start = (program, args) => {
  const child = spawn(process.execPath, [program, ...args], { stdio: ["pipe", "pipe", "inherit"] });
  const { stdin, stdout } = child;
  return { stdin, stdout, ended: once(child, "close").then(([code]) => Number(code)) };
};

const startThread: Start = (program, args) => {
  const worker = new Worker(program, { argv: [...args], stdin: true, stdout: true });
  const { stdin, stdout } = worker;
  const ended = once(worker, "exit").then(([code]) => Number(code));
  return { stdin: stdin as Writable, stdout, ended };
};

/** All start together; their lines when they have ended. */
async function race(
  start: Start,
  count: number,
  argsOf: (name: string) => readonly [program: string, ...args: string[]],
): Promise<readonly string[][]> {
  const senders = Array.from({ length: count }, (_, i) => {
    const [program, ...args] = argsOf(`sender-${i}`);
    const { stdin, stdout, ended } = start(program, args);
    let output = "";
    stdout.on("data", (data) => {
      output += data;
    });
    const exit = ended.then((code) => {
      if (code !== 0) throw new Error(`a sender ended with ${code}`);
      return output.trim().split("\n").slice(1);
    });
    return { stdin, exit, ready: once(stdout, "data") };
  });
  await Promise.all(senders.map(({ ready }) => ready));
  for (const { stdin } of senders) stdin.write("go\n");
  return Promise.all(senders.map(({ exit }) => exit));
}
