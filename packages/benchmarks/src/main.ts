/** `npm run bench`: measures mlskit and its peers, and writes down what was found. */
import { runSection } from "./apart.ts";
import { nodeBinary } from "./builds.ts";
import { bundleSizes } from "./bundle.ts";
import { Journal } from "./journal.ts";
import { measureLarge } from "./large.ts";
import { currentCommit, thisMachine } from "./machine.ts";
import { Measurement } from "./measure.ts";
import { type Options, readOptions, USAGE } from "./options.ts";
import { findPeers, inScope, mlskit } from "./peers.ts";
import { groupsAt, LATE, nameOf, rank, weightOf } from "./plan.ts";
import { writeReport } from "./report.ts";
import { OVER, type Results, type Row, writeResults } from "./results.ts";
import { SETTLING } from "./rounds.ts";
import { textOf } from "./text.ts";

interface Task {
  readonly name: string;
  /** What has a lower one is worth the time more. */
  readonly rank: number;
  /** Compared with the other tasks, how much time it may take. */
  readonly weight: number;
  readonly run: (seconds: number, end: number) => Promise<Partial<Results>>;
}

async function measure(options: Options): Promise<void> {
  const found = options.node === undefined ? { path: process.execPath } : nodeBinary(options.node);
  if ("why" in found) throw new Error(found.why);
  const machine = thisMachine(found.path);
  const commit = currentCommit();
  const name = options.output ?? `node-${machine.node.split(".")[0] ?? "0"}`;
  const { minutes, ...what } = options;
  const journal = new Journal<Results>(name, JSON.stringify({ machine, commit, what }));
  let results: Results = journal.found ?? {
    format: 2,
    date: new Date().toISOString().slice(0, 10),
    machine,
    commit,
    quick: options.quick,
    ...(options.quick ? {} : { settling: SETTLING }),
    libraries: [],
    skipped: [],
    rows: [],
    scenarios: [],
    storage: [],
    large: [],
    bundles: [],
  };
  const all = tasksOf(options, found.path);
  // Not before: other libraries may have been built.
  const start = performance.now();
  const end = start + minutes * 60_000;
  if (journal.found === undefined) results = { ...results, skipped: all.skipped };
  // A quick run ends in time even if an answer does not come.
  const wait = minutes * 60_000 + GRACE;
  const deadline = options.quick ? setTimeout(() => all.end(), wait) : undefined;
  const tasks = all.tasks.filter((task) => !journal.isDone(task.name));
  let undone = 0;
  let weights = tasks.reduce((sum, { weight }) => sum + weight, 0);
  for (const task of tasks) {
    const left = end - performance.now();
    if (left < 0) {
      results = merge(results, { skipped: [{ what: task.name, why: OVER }] });
      undone++;
      continue;
    }
    process.stderr.write(
      `${((performance.now() - start) / 60_000).toFixed(1)} min: ${task.name}\n`,
    );
    const more = await task.run((left / 1000) * (task.weight / weights), end);
    results = merge(results, more);
    weights -= task.weight;
    if (more.skipped?.some(({ why }) => why === OVER) === true) undone++;
    else if (!options.quick && !commit.endsWith("+")) journal.record(task.name, results);
  }
  clearTimeout(deadline);
  all.end();
  console.log(textOf(results));
  console.log(`written: ${writeResults(results, name)}`);
  if (undone === 0 || options.quick) journal.close();
  else
    console.log(`incomplete: ${undone} parts are left; the same command again goes on from here`);
  const isEmpty = options.sections.includes("operations") && results.rows.length === 0;
  if (isEmpty || results.skipped.some(({ isFault }) => isFault === true)) process.exitCode = 1;
}

function tasksOf(
  options: Options,
  node: string,
): { readonly tasks: readonly Task[]; readonly skipped: Results["skipped"]; end(): void } {
  const tasks = sectionsOf(options, node);
  if (!options.sections.includes("operations")) return { tasks, skipped: [], end: () => undefined };
  const { quick, once, places, groups, peers } = options;
  const { programs, skipped } = findPeers({ wanted: peers, mayBuild: !quick, node });
  const measurement = new Measurement({ patience: quick ? 12 : 40, groups, quick, once });
  const apart = programs.filter(({ isApart }) => isApart === true);
  const beside = [mlskit(node, options.clock), ...programs.filter((each) => !apart.includes(each))];
  for (const place of places) {
    const weight = weightOf(place, groupsAt(place, groups).length);
    if (weight === 0) continue;
    const name = nameOf(place);
    tasks.push({
      name,
      rank: quick ? 0 : rank(place),
      weight,
      run: (seconds, end) => measurement.run(beside, place, seconds, end),
    });
    if (apart.some((program) => inScope(program, place))) {
      tasks.push({
        name: `${name}, 1 thread`,
        rank: LATE + 2,
        weight: weight / 3,
        run: (seconds, end) => measurement.run(apart, place, seconds, end),
      });
    }
  }
  tasks.sort((a, b) => a.rank - b.rank);
  return { tasks, skipped, end: () => measurement.end() };
}

/** Weights are about seconds, ranks before those of places unless nothing is aimed at. */
function sectionsOf({ sections, quick, sizes, suites }: Options, node: string): Task[] {
  const tasks: Task[] = [];
  if (sections.includes("large")) {
    for (const size of sizes ?? (quick ? [1000] : [10_000, 50_000])) {
      const run: Task["run"] = async () => measureLarge(node, size, quick ? 0 : IDLE);
      const weight = 40 + size / 1000;
      tasks.push({ name: `large, N = ${size}`, rank: size > 10_000 ? LATE : -1, weight, run });
    }
  }
  if (sections.includes("storage")) {
    for (const size of sizes ?? (quick ? [2, 100] : [2, 10_000, 100, 1000])) {
      const run: Task["run"] = () => runSection(node, "storage", [size], [1]);
      tasks.push({ name: `storage, N = ${size}`, rank: -1, weight: 2 + size / 500, run });
    }
  }
  if (sections.includes("bundle")) {
    const run: Task["run"] = async () => ({ bundles: await bundleSizes() });
    tasks.push({ name: "bundle", rank: -1, weight: 5, run });
  }
  if (sections.includes("scenarios")) {
    const run: Task["run"] = () =>
      runSection(node, "scenarios", sizes ?? (quick ? [10] : [10, 100]), suites ?? [1, 2]);
    tasks.push({ name: "scenarios", rank: LATE, weight: 12, run });
  }
  return tasks;
}

/** Seconds; a process that takes a rest gives memory back. */
const IDLE = 8;
/** Milliseconds that what a quick run has begun may take beyond its minutes. */
const GRACE = 10_000;

function merge(before: Results, more: Partial<Results>): Results {
  const known = new Set(before.libraries.map(({ name }) => name));
  return {
    ...before,
    libraries: [
      ...before.libraries,
      ...(more.libraries ?? []).filter(({ name }) => !known.has(name)),
    ],
    skipped: [...before.skipped, ...(more.skipped ?? [])],
    rows: [...before.rows, ...(more.rows ?? [])].sort(byPlace),
    scenarios: [...before.scenarios, ...(more.scenarios ?? [])],
    storage: [...before.storage, ...(more.storage ?? [])].sort((a, b) => a.members - b.members),
    large: [...before.large, ...(more.large ?? [])],
    bundles: [...before.bundles, ...(more.bundles ?? [])],
  };
}

/** However they were measured. */
function byPlace(a: Row, b: Row): number {
  if (a.suite !== b.suite) return a.suite - b.suite;
  if (a.size !== b.size) return a.size - b.size;
  return a.tree.localeCompare(b.tree);
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
