/** Real processes that send from one file store at the same time. P-MP-02, sto-4. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { fromHex, fromUtf8, toHex } from "../../src/codec/index.ts";
import { Client, KeyDirectory } from "../../src/index.ts";
import { fileStorage } from "../../src/storage/file.ts";
import { memoryStorage } from "../../src/storage/memory.ts";
import { compile } from "../support/compile.ts";

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

/** `folder` is empty and belongs to the caller. */
export async function runSenders(
  folder: string,
  processes: number,
  seconds: number,
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
  const sender = await make("sender", await fileStorage(directory));
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

  const outputs = await race(program, [directory, id], processes, seconds);
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

/** All start together; their lines when they have ended. */
async function race(
  program: string,
  args: readonly string[],
  processes: number,
  seconds: number,
): Promise<readonly string[][]> {
  const children = Array.from({ length: processes }, (_, i) => {
    const all = [program, ...args, `process-${i}`, String(seconds)];
    const child = spawn(process.execPath, all, { stdio: ["pipe", "pipe", "inherit"] });
    let output = "";
    child.stdout.on("data", (data) => {
      output += data;
    });
    const exit = once(child, "close").then(([code]) => {
      if (code !== 0) throw new Error(`a sender ended with ${String(code)}`);
      return output.trim().split("\n").slice(1);
    });
    return { child, exit, ready: once(child.stdout, "data") };
  });
  await Promise.all(children.map(({ ready }) => ready));
  for (const { child } of children) child.stdin.write("go\n");
  return Promise.all(children.map(({ exit }) => exit));
}
