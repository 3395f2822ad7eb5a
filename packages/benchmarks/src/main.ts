/** `npm run bench`: measures mlskit and its peers, and writes down what was found. */
import { bundleSizes } from "./bundle.ts";
import { providers } from "./internals.ts";
import { LowLevelLibrary } from "./low-level.ts";
import { currentCommit, thisMachine } from "./machine.ts";
import { LibraryProcess } from "./library-process.ts";
import { Measurement } from "./measure.ts";
import { type Options, readOptions, USAGE } from "./options.ts";
import { findPeers, MLSKIT } from "./peers.ts";
import { writeReport } from "./report.ts";
import { type Results, type Skipped, writeResults } from "./results.ts";
import { runScenarios } from "./scenarios.ts";
import { formatTime, markdownOf, tablesOf, titleOf } from "./tables.ts";

async function measure(options: Options): Promise<void> {
  const { programs, skipped } = findPeers(options.peers, options.quick);
  const noted: Skipped[] = [...skipped];
  const libraries: LibraryProcess[] = [];
  for (const program of [MLSKIT, ...programs]) {
    const library = new LibraryProcess(program);
    try {
      await library.greet();
      libraries.push(library);
    } catch (error) {
      noted.push({ what: program.name, why: String(error) });
      library.stop();
    }
  }
  const measurement = new Measurement(options);
  try {
    await measurement.run(libraries);
  } finally {
    for (const library of libraries) library.stop();
  }
  const results: Results = {
    format: 1,
    date: new Date().toISOString().slice(0, 10),
    machine: thisMachine(),
    commit: currentCommit(),
    quick: options.quick,
    libraries: libraries.map(({ name, hello: { version, runtime } }) => ({
      name,
      version,
      runtime,
    })),
    skipped: [...noted, ...measurement.skipped],
    rows: measurement.rows,
  };
  print(results);
  console.log(`written: ${writeResults(results, options.output ?? ".last")}`);
  if (measurement.rows.length === 0) process.exitCode = 1;
}

async function scenarios({ suites, sizes, quick }: Options): Promise<void> {
  const size = sizes.filter((each) => each <= (quick ? 10 : 100)).at(-1) ?? 10;
  for (const suite of suites) {
    const library = (): LowLevelLibrary => new LowLevelLibrary(providers.nodeProvider, suite);
    for (const { name, milliseconds, events } of await runScenarios(library, size)) {
      console.log(`${name}, N = ${size}, suite ${suite}: ${formatTime(milliseconds * 1000)}`);
      for (const [event, { median, p95 }] of Object.entries(events)) {
        console.log(`  ${event.padEnd(8)} ${formatTime(median)}, 95 %: ${formatTime(p95)}`);
      }
    }
  }
}

function print(results: Results): void {
  for (const table of tablesOf(results)) console.log(`${titleOf(table)}\n\n${markdownOf(table)}\n`);
  for (const { what, why } of results.skipped) console.log(`skipped ${what}: ${why}`);
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
  case "bundle":
    for (const { name, minified, compressed } of await bundleSizes()) {
      console.log(`${name}: ${minified} bytes minified, ${compressed} compressed`);
    }
    break;
  case "scenarios":
    await scenarios(options);
    break;
  case "storage":
    console.error("--storage needs the client, which is not measured yet");
    process.exitCode = 1;
    break;
}
