/**
 * One step in the life of a large group, in a process of its own so that memory can be told apart:
 * `node --expose-gc large-worker.js prepare|join|open|use FOLDER IDLE`. Prints one JSON object.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { AuthenticationService, Client, ClientOptions, Group } from "mlskit";
import type { Memory, Weighed } from "./large.ts";
import { median } from "./statistics.ts";

const [phase = "", folder = "", idle = "0"] = process.argv.slice(2);
const NAMES = ["first", "second"] as const;

/** The members are forged; nobody vouches for anybody. */
const authenticationService: AuthenticationService = {
  validate: (identities) => identities.map(() => true as const),
  isSuccessor: () => true,
};

/** Not loaded before it is used: what is weighed begins with an empty process. */
async function openClient(name: string): Promise<Client> {
  const mlskit = await import("mlskit");
  return mlskit.Client.open(await options(name));
}

async function options(name: string): Promise<ClientOptions> {
  const { fileStorage } = await import("mlskit/storage/file");
  const how = { durability: "none", dangerouslyUnencrypted: true } as const;
  return { storage: await fileStorage(join(folder, name), how), authenticationService };
}

/**
 * Megabytes after collecting garbage: what the objects take, and what the process has. V8 frees the
 * memory of its young generation only if little was allocated in the last five seconds, and gives
 * back what is free only some seconds later, with the next collection.
 */
async function memory(): Promise<Memory> {
  for (let rest = 0; rest < 2; rest++) {
    await new Promise((resolve) => setTimeout(resolve, Number(idle) * 1000));
    for (let i = 0; i < 4; i++) {
      (globalThis as { gc?: () => void }).gc?.();
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
  const { heapUsed, external, rss } = process.memoryUsage();
  return { live: (heapUsed + external) / 1e6, resident: rss / 1e6 };
}

async function timed<T>(
  work: () => Promise<T>,
): Promise<readonly [result: T, milliseconds: number]> {
  const start = performance.now();
  const result = await work();
  return [result, performance.now() - start];
}

/** What `work` leaves in memory; where it joins, what the client alone takes, too. */
async function weighed(work: (client: Client) => Promise<unknown>): Promise<Weighed> {
  const empty = phase === "join" ? await memory() : undefined;
  const client = await openClient("first");
  const loaded = await memory();
  const [kept, milliseconds] = await timed(() => work(client));
  const after = await memory();
  if (kept === undefined) throw new Error("nothing was made");
  const found = { milliseconds, ...difference(after, loaded) };
  return empty === undefined ? found : { ...found, client: difference(loaded, empty) };
}

function difference(after: Memory, before: Memory): Memory {
  return { live: after.live - before.live, resident: after.resident - before.resident };
}

async function use(groups: readonly [Group, Group]): Promise<Record<string, number>> {
  const samples: Record<string, number[]> = { send: [], receive: [], commit: [], process: [] };
  const note = async <T>(name: string, work: () => Promise<T>): Promise<T> => {
    const [result, milliseconds] = await timed(work);
    samples[name]?.push(milliseconds);
    return result;
  };
  for (let round = 0; round < ROUNDS; round++) {
    const [from, to] = round % 2 === 0 ? groups : [groups[1], groups[0]];
    const { commit } = await note("commit", async () => {
      const made = await from.update();
      await from.acceptCommit();
      return made;
    });
    await note("process", () => to.process(commit, { accept: true }));
    for (let i = 0; i < MESSAGES; i++) {
      const { bytes } = await note("send", () => from.send(`message ${i}`));
      const outcome = await note("receive", () => to.process(bytes));
      if (outcome.kind !== "application") throw new Error("the message was not read");
    }
  }
  const medians = Object.entries(samples).map(([name, values]) => [name, median(values)] as const);
  return Object.fromEntries(medians);
}

const ROUNDS = 9;
const MESSAGES = 10;

async function perform(): Promise<unknown> {
  switch (phase) {
    case "prepare":
      for (const name of NAMES) {
        const mlskit = await import("mlskit");
        const client = await mlskit.Client.create({ identity: name, ...(await options(name)) });
        writeFileSync(join(folder, `${name}.kp`), (await client.createKeyPackage()).bytes);
      }
      return {};
    case "join": {
      const welcome = (): Uint8Array => new Uint8Array(readFileSync(join(folder, "welcome")));
      const joined = await weighed((client) => client.join(welcome()));
      const second = await openClient("second");
      await second.join(welcome());
      return joined;
    }
    case "open":
      return weighed(async (client) => {
        const [group] = await client.groups();
        await group?.send("the first message after a restart");
        return group;
      });
    case "use": {
      const groups: Group[] = [];
      for (const name of NAMES) {
        groups.push(...(await (await openClient(name)).groups()));
      }
      return use(groups as [Group, Group]);
    }
    default:
      throw new Error(`unknown phase ${phase}`);
  }
}

console.log(JSON.stringify(await perform()));
process.exit();
