/** Servers that run while a script does. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { fileURLToPath } from "node:url";
import { Connection } from "./connection.ts";

/** How to get a server, fresh for every script where that is possible. */
export interface Launcher {
  /** Of a peer whose name does not tell. */
  readonly version?: string | undefined;
  start(): Promise<Launched>;
}

export interface Launched {
  readonly connection: Connection;
  stop(): void;
  /** Whether it has ended, as far as one can know. */
  isGone(): boolean;
}

/** A server that was asked for does not run: nothing can be played with it. */
export class NoServer extends Error {}

/** A server of ours in a process of its own. */
export function ownServer(args: readonly string[] = []): Launcher {
  const program = fileURLToPath(new URL("../server.js", import.meta.url));
  return {
    async start() {
      const child = spawn(process.execPath, [program, "--port", "0", ...args], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      const line = await firstLine(child);
      const address = /listening on (\S+)/.exec(line)?.[1];
      if (address === undefined) throw new Error(`a server of ours said: ${line}`);
      return launched(await Connection.open(address), child);
    },
  };
}

/** A program that listens on the port that it is given. */
export function program(
  file: string,
  version: string | undefined,
  args: (port: number) => readonly string[],
): Launcher {
  return {
    version,
    async start() {
      const port = await freePort();
      const child = spawn(file, args(port), { stdio: ["ignore", "ignore", "ignore"] });
      // Rejects if there is no such program.
      await reached(file, once(child, "spawn"));
      const end = once(child, "exit").then(([code]) => {
        throw new Error(`${file} ended with ${code} before it answered`);
      });
      const opened = Connection.open(`127.0.0.1:${port}`);
      try {
        return launched(await reached(file, Promise.race([opened, end])), child);
      } catch (error) {
        child.kill();
        throw error;
      }
    },
  };
}

/** A command line, for which `{port}` is replaced. */
export function command({ at, version }: Peer): Launcher {
  const [file = "", ...words] = at.split(" ");
  return program(file, version, (port) => words.map((word) => word.replace("{port}", `${port}`)));
}

/** A peer as the command line names it. */
export interface Peer {
  /** An address, or a program. */
  readonly at: string;
  readonly version: string | undefined;
}

/** Somebody else's server that is running already. */
export function listening({ at, version }: Peer): Launcher {
  return {
    version,
    async start() {
      const connection = await reached(at, Connection.open(at));
      return { connection, stop: () => connection.close(), isGone: () => connection.isLost };
    },
  };
}

/** @throws NoServer with the reason why `work` failed */
async function reached<T>(server: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new NoServer(`no server at ${server}: ${reason}`);
  }
}

/** All or none. */
export async function startAll(launchers: readonly Launcher[]): Promise<Launched[]> {
  const results = await Promise.allSettled(launchers.map((launcher) => launcher.start()));
  const started = results.flatMap((result) =>
    result.status === "fulfilled" ? [result.value] : [],
  );
  const failed = results.find((result) => result.status === "rejected");
  if (failed === undefined) return started;
  for (const { stop } of started) stop();
  throw failed.reason;
}

function launched(connection: Connection, child: ChildProcess): Launched {
  return {
    connection,
    stop() {
      connection.close();
      child.kill();
    },
    isGone: () => child.exitCode !== null || child.signalCode !== null,
  };
}

function firstLine(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    child.stdout?.on("data", (chunk: Buffer) => {
      text += chunk.toString();
      if (text.includes("\n")) resolve(text);
    });
    child.on("exit", (code) => reject(new Error(`a server of ours ended with ${code}`)));
    child.on("error", reject);
  });
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      const port = typeof address === "object" && address !== null ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
}
