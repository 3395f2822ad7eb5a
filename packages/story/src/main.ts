/** Entry of `npm start`. */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { converse, disorder, gather, meet, race } from "./beginning.ts";
import { comeIn, compare, late, remove, restart } from "./end.ts";
import { Narrator } from "./narrator.ts";
import { OptionError, parseOptions, type StoryOptions, USAGE } from "./options.ts";
import { World } from "./world.ts";

process.exitCode = await main(process.argv.slice(2));

async function main(args: readonly string[]): Promise<number> {
  let options: StoryOptions;
  try {
    options = parseOptions(args);
  } catch (error) {
    if (!(error instanceof OptionError)) throw error;
    console.error(`${error.message}\n\n${USAGE}`);
    return 2;
  }
  if (!options.help) return inDirectory(options.directory, (path) => tell(options, path));
  console.log(USAGE);
  return 0;
}

async function tell(options: StoryOptions, directory: string): Promise<number> {
  const narrator = new Narrator(options);
  const world = new World(options, narrator);
  let isEqual: boolean | undefined;
  try {
    await meet(world, directory);
    await gather(world);
    await converse(world);
    await race(world);
    await disorder(world);
    await remove(world);
    await restart(world);
    await comeIn(world);
    await late(world);
    isEqual = await compare(world);
  } catch (error) {
    world.problems.push(error instanceof Error ? (error.stack ?? error.message) : String(error));
  }
  await Promise.all(world.people.map((member) => member.close()));
  return conclude(world, isEqual);
}

function conclude({ narrator, options, members, problems, sent, read }: World, isEqual?: boolean) {
  const ok = isEqual === true && problems.length === 0;
  const memory = Math.round(process.memoryUsage.rss() / 2 ** 20);
  const results = { true: "all epoch authenticators are equal", false: "the members do not agree" };
  const result = isEqual === undefined ? "the story broke off" : results[`${isEqual}`];
  const people = `${members.length} members, suite ${options.suite}`;
  const mail = `${sent} messages written, ${read} read`;
  const cost = `${narrator.seconds} s, ${memory} MiB`;
  for (const problem of problems) console.error(`problem: ${problem}`);
  narrator.conclude(`${ok ? "ok" : "FAILED"}: ${people}, ${mail}: ${result} (${cost})`, {
    ok,
    isEqual: isEqual === true,
    suite: options.suite,
    members: members.length,
    sent,
    read,
    memory,
    problems,
  });
  return ok ? 0 : 1;
}

/** A temporary directory goes at the end, also when the story is interrupted. */
async function inDirectory(
  wanted: string | undefined,
  work: (directory: string) => Promise<number>,
): Promise<number> {
  if (wanted !== undefined) {
    const directory = resolve(wanted);
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    return work(directory);
  }
  const directory = mkdtempSync(join(tmpdir(), "mlskit-story-"));
  const clear = (): void => rmSync(directory, { recursive: true, force: true });
  const stop = (signal: NodeJS.Signals): void => {
    clear();
    process.exit(signal === "SIGINT" ? 130 : 143);
  };
  process.once("SIGINT", stop);
  process.once("SIGTERM", stop);
  try {
    return await work(directory);
  } finally {
    clear();
  }
}
