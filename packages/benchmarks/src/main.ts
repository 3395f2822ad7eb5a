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
import { groupsAt, nameOf, weightOf } from "./plan.ts";
import { writeReport } from "./report.ts";
import { OVER, type Results, type Row, writeResults } from "./results.ts";
import { textOf } from "./text.ts";

interface Task {
  readonly name: string;
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
  all.end();
  console.log(textOf(results));
  console.log(`written: ${writeResults(results, name)}`);
  if (undone === 0 || options.quick) journal.close();
  else
    console.log(`incomplete: ${undone} parts are left; the same command again goes on from here`);
  if (options.sections.includes("operations") && results.rows.length === 0) process.exitCode = 1;
}

/** In the order in which they are worth the time. */
function tasksOf(
  options: Options,
  node: string,
): { readonly tasks: readonly Task[]; readonly skipped: Results["skipped"]; end(): void } {
  const aims: Task[] = [];
  const others: Task[] = [];
  addSections(options, node, aims, others);
  if (!options.sections.includes("operations")) {
    return { tasks: [...aims, ...others], skipped: [], end: () => undefined };
  }
  const { quick, once, places, groups, peers } = options;
  const { programs, skipped } = findPeers({ wanted: peers, mayBuild: !quick, node });
  const measurement = new Measurement({ patience: quick ? 6 : 40, groups, quick, once });
  const apart = programs.filter(({ isApart }) => isApart === true);
  const beside = [mlskit(node, options.clock), ...programs.filter((each) => !apart.includes(each))];
  for (const place of places) {
    const weight = weightOf(place, groupsAt(place, groups).length);
    if (weight === 0) continue;
    const name = nameOf(place);
    aims.push({
      name,
      weight,
      run: (seconds, end) => measurement.run(beside, place, seconds, end),
    });
    if (apart.some((program) => inScope(program, place))) {
      others.push({
        name: `${name}, 1 thread`,
        weight: weight / 3,
        run: (seconds, end) => measurement.run(apart, place, seconds, end),
      });
    }
  }
  return { tasks: [...aims, ...others], skipped, end: () => measurement.end() };
}

/** Weights are about seconds of a long run. */
function addSections(
  { sections, quick, sizes, suites }: Options,
  node: string,
  aims: Task[],
  others: Task[],
): void {
  if (sections.includes("large")) {
    for (const size of sizes ?? (quick ? [1000] : [10_000, 50_000])) {
      const run: Task["run"] = async () => measureLarge(node, size, quick ? 0 : IDLE);
      const list = size > 10_000 ? others : aims;
      list.push({ name: `large, N = ${size}`, weight: size / 1000, run });
    }
  }
  if (sections.includes("storage")) {
    for (const size of sizes ?? (quick ? [2, 100] : [2, 10_000, 100, 1000])) {
      const run: Task["run"] = () => runSection(node, "storage", [size], [1]);
      aims.push({ name: `storage, N = ${size}`, weight: 2 + size / 500, run });
    }
  }
  if (sections.includes("bundle")) {
    const run: Task["run"] = async () => ({ bundles: await bundleSizes() });
    aims.push({ name: "bundle", weight: 5, run });
  }
  if (sections.includes("scenarios")) {
    const run: Task["run"] = () =>
      runSection(node, "scenarios", sizes ?? [quick ? 10 : 100], suites ?? [1, 2]);
    others.push({ name: "scenarios", weight: 8, run });
  }
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
