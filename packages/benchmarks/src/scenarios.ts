/** Groups as they are used: the scenarios of the OpenMLS book, written against {@link Library}. */
import type { Invitation, Library, Member } from "./boundary.ts";
import { summarizeSamples } from "./statistics.ts";

export interface ScenarioResult {
  readonly name: string;
  readonly size: number;
  /** Of the whole script, set-up left out. */
  readonly milliseconds: number;
  /** Median and 95th percentile in microseconds. */
  readonly events: Readonly<Record<string, EventTimes>>;
}

export interface EventTimes {
  readonly median: number;
  readonly p95: number;
  readonly count: number;
}

/** A script of events: how often members update, join and leave among the messages. */
interface Script {
  readonly name: string;
  readonly messages: number;
  readonly messagesPerUpdate: number;
  readonly messagesPerAdd: number | undefined;
  readonly everySecondBlank?: boolean;
}

const SCRIPTS: readonly Script[] = [
  { name: "stable", messages: 200, messagesPerUpdate: 20, messagesPerAdd: undefined },
  { name: "somewhat stable", messages: 200, messagesPerUpdate: 20, messagesPerAdd: 50 },
  { name: "high fluctuation", messages: 60, messagesPerUpdate: 10, messagesPerAdd: 2 },
  {
    name: "every second leaf blank",
    messages: 60,
    messagesPerUpdate: 10,
    messagesPerAdd: undefined,
    everySecondBlank: true,
  },
];

/** How much a device has missed. */
const BACKLOG = { commits: 100, messagesPerCommit: 10 };

export async function runScenarios<I extends Invitation>(
  makeLibrary: () => Library<I>,
  size: number,
): Promise<ScenarioResult[]> {
  const results: ScenarioResult[] = [];
  for (const script of SCRIPTS) results.push(await runScript(makeLibrary(), size, script));
  results.push(await longOffline(makeLibrary(), size));
  return results;
}

/** Two of the members are alive; what they cost is what each of the others would. */
async function pair<I extends Invitation>(
  library: Library<I>,
  size: number,
): Promise<readonly [Member, Member]> {
  const creator = await library.create(await library.invitation("creator"));
  const invitations: I[] = [];
  for (let i = 1; i < size; i++) invitations.push(await library.invitation(`member ${i}`));
  const { welcome } = await creator.commit({ add: invitations.map((each) => each.keyPackage) });
  const last = invitations.at(-1);
  if (welcome === undefined || last === undefined) throw new Error("nobody was added");
  return [creator, await library.join(last, welcome)];
}

async function runScript<I extends Invitation>(
  library: Library<I>,
  size: number,
  script: Script,
): Promise<ScenarioResult> {
  const members = await pair(library, size);
  const [creator, other] = members;
  const times = new Times();
  if (script.everySecondBlank === true) {
    const remove = Array.from({ length: Math.floor((size - 2) / 2) }, (_, i) => 2 * i + 1);
    const { commit } = await times.of("remove half", () => creator.commit({ remove }));
    await times.of("follow", () => other.process(commit));
  }
  const start = performance.now();
  for (let i = 1; i <= script.messages; i++) {
    const [from, to] = i % 2 === 0 ? [creator, other] : [other, creator];
    const message = await times.of("send", () => from.send(DATA));
    await times.of("receive", () => to.receive(message));
    if (i % script.messagesPerUpdate === 0) {
      const { commit } = await times.of("update", () => from.commit());
      await times.of("follow", () => to.process(commit));
    }
    if (script.messagesPerAdd !== undefined && i % script.messagesPerAdd === 0) {
      const { keyPackage } = await library.invitation(`guest ${i}`);
      const added = await times.of("add", () => from.commit({ add: [keyPackage] }));
      await times.of("follow", () => to.process(added.commit));
      const removed = await times.of("remove", () => from.commit({ remove: [size] }));
      await times.of("follow", () => to.process(removed.commit));
    }
  }
  const milliseconds = performance.now() - start;
  return { name: script.name, size, milliseconds, events: times.summary() };
}

/** Everything that a device missed, in the order in which it happened. */
async function longOffline<I extends Invitation>(
  library: Library<I>,
  size: number,
): Promise<ScenarioResult> {
  const [creator, device] = await pair(library, size);
  const missed: { readonly event: "message" | "commit"; readonly bytes: Uint8Array }[] = [];
  for (let i = 0; i < BACKLOG.commits; i++) {
    for (let k = 0; k < BACKLOG.messagesPerCommit; k++) {
      missed.push({ event: "message", bytes: await creator.send(DATA) });
    }
    missed.push({ event: "commit", bytes: (await creator.commit()).commit });
  }
  const times = new Times();
  const start = performance.now();
  for (const { event, bytes } of missed) {
    if (event === "message") await times.of("receive", () => device.receive(bytes));
    else await times.of("follow", () => device.process(bytes));
  }
  const milliseconds = performance.now() - start;
  return { name: "long-time offline device", size, milliseconds, events: times.summary() };
}

class Times {
  readonly #samples = new Map<string, number[]>();

  async of<T>(event: string, work: () => Promise<T>): Promise<T> {
    const start = performance.now();
    const result = await work();
    const samples = this.#samples.get(event) ?? [];
    samples.push((performance.now() - start) * 1000);
    this.#samples.set(event, samples);
    return result;
  }

  summary(): ScenarioResult["events"] {
    const events: Record<string, EventTimes> = {};
    for (const [event, samples] of this.#samples) {
      const { median, p95, runs } = summarizeSamples(samples);
      events[event] = { median, p95, count: runs };
    }
    return events;
  }
}

const DATA: Uint8Array = new Uint8Array(1024).fill(0x61);
