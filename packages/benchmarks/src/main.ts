/** `npm run bench`: measures mlskit and its peers, and writes down what was found. */
import { runSection } from "./apart.ts";
import { nodeBinary } from "./builds.ts";
import { bundleSizes } from "./bundle.ts";
import { Journal } from "./journal.ts";
import { measureLarge } from "./large.ts";
import { currentCommit, thisMachine } from "./machine.ts";
import { groupsAt, Measurement, nameOf } from "./measure.ts";
import { type Options, readOptions, USAGE } from "./options.ts";
import { findPeers, mlskit } from "./peers.ts";
import { writeReport } from "./report.ts";
import { type Results, writeResults } from "./results.ts";
import { textOf } from "./text.ts";

interface Task {
  readonly name: string;
  /** Compared with the other tasks, how much time it may take. */
  readonly weight: number;
  readonly run: (seconds: number) => Promise<Partial<Results>>;
}

async function measure(options: Options): Promise<void> {
  const end = performance.now() + options.minutes * 60_000;
  const found = options.node === undefined ? { path: process.execPath } : nodeBinary(options.node);
  if ("why" in found) throw new Error(found.why);
  const machine = thisMachine(found.path);
  const commit = currentCommit();
  const name = options.output ?? `node-${machine.node.split(".")[0] ?? "0"}`;
  const { minutes: _, ...what } = options;
  const journal = new Journal<Results>(name, JSON.stringify({ machine, commit, what }));
  let results: Results = journal.found ?? {
    format: 2,
    date: new Date().toISOString().slice(0, 10),
    machine,
    commit,
    quick: options.quick,
    libraries: [],
    skipped: [],
    rows: [],
    scenarios: [],
    storage: [],
    large: [],
    bundles: [],
  };
  const all = tasksOf(options, found.path);
  if (journal.found === undefined) results = { ...results, skipped: all.skipped };
  const tasks = all.tasks.filter((task) => !journal.isDone(task.name));
  let undone = 0;
  let weights = tasks.reduce((sum, { weight }) => sum + weight, 0);
  for (const task of tasks) {
    const left = end - performance.now();
    if (left < 0) {
      const skipped = { what: task.name, why: "the time of the run was over" };
      results = { ...results, skipped: [...results.skipped, skipped] };
      undone++;
      continue;
    }
    process.stderr.write(`${task.name}\n`);
    results = merge(results, await task.run((left / 1000) * (task.weight / weights)));
    weights -= task.weight;
    if (!options.quick && !commit.endsWith("+")) journal.record(task.name, results);
  }
  all.end();
  console.log(textOf(results));
  console.log(`written: ${writeResults(results, name)}`);
  if (undone === 0 || options.quick) journal.close();
  else console.log(`${undone} parts are left: the same command again goes on from here`);
  if (options.sections.includes("operations") && results.rows.length === 0) process.exitCode = 1;
}

function tasksOf(
  options: Options,
  node: string,
): { readonly tasks: readonly Task[]; readonly skipped: Results["skipped"]; end(): void } {
  const { sections, quick, places, sizes, groups } = options;
  const tasks: Task[] = [];
  const add = (name: string, weight: number, run: Task["run"]): void => {
    tasks.push({ name, weight, run });
  };
  if (sections.includes("bundle")) {
    add("bundle", 1, async () => ({ bundles: await bundleSizes() }));
  }
  if (sections.includes("storage")) {
    const members = sizes ?? (quick ? [2, 100] : [2, 100, 1000, 10_000]);
    for (const size of members) {
      add(`storage, N = ${size}`, 1, () => runSection(node, "storage", [size], [1]));
    }
  }
  if (sections.includes("scenarios")) {
    const run: Task["run"] = () =>
      runSection(node, "scenarios", sizes ?? [quick ? 10 : 100], options.suites ?? [1, 2]);
    add("scenarios", 2, run);
  }
  if (sections.includes("large")) {
    for (const size of sizes ?? (quick ? [1000] : [10_000, 50_000])) {
      const run: Task["run"] = async () => measureLarge(node, size, quick ? 0 : IDLE);
      add(`large, N = ${size}`, 3, run);
    }
  }
  if (!sections.includes("operations")) return { tasks, skipped: [], end: () => undefined };
  const { programs, skipped } = findPeers({ wanted: options.peers, mayBuild: !quick, node });
  const all = [mlskit(node, options.clock), ...programs];
  const measurement = new Measurement({
    patience: quick ? 6 : 40,
    groups,
    quick,
    once: options.once,
  });
  for (const place of places) {
    // Larger groups take longer for everything.
    const weight = groupsAt(place, groups).length * (place.size > 100 ? 3 : 1);
    if (weight === 0) continue;
    add(nameOf(place), weight, (seconds) => measurement.run(all, place, seconds));
  }
  return { tasks, skipped, end: () => measurement.end() };
}

/** Seconds; a process that takes a rest gives memory back. */
const IDLE = 8;

function merge(before: Results, more: Partial<Results>): Results {
  const known = new Set(before.libraries.map(({ name }) => name));
  return {
    ...before,
    libraries: [
      ...before.libraries,
      ...(more.libraries ?? []).filter(({ name }) => !known.has(name)),
    ],
    skipped: [...before.skipped, ...(more.skipped ?? [])],
    rows: [...before.rows, ...(more.rows ?? [])],
    scenarios: [...before.scenarios, ...(more.scenarios ?? [])],
    storage: [...before.storage, ...(more.storage ?? [])],
    large: [...before.large, ...(more.large ?? [])],
    bundles: [...before.bundles, ...(more.bundles ?? [])],
  };
}

const options = readOptions(process.argv.slice(2));
switch (options.action) {
  case "help":
    console.log(USAGE);
    break;
  case "report":
    writeReport();
    break;
  case "measure":
    await measure(options);
    break;
}
