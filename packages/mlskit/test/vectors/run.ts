/** `npm run vectors`: the strict runner for test vectors. */
import { resolve } from "node:path";
import type { CryptoProvider } from "../../src/crypto/index.ts";
import { inlineExecutor, WorkerExecutor } from "./executor.ts";
import { writeVectors } from "./generate/index.ts";
import {
  absentCases,
  givenSet,
  OFFICIAL_SOURCE,
  officialDirectory,
  officialSet,
  ownDirectory,
  ownSet,
  type VectorSet,
} from "./locate.ts";
import { OptionError, type Options, parseOptions, providerNamed, USAGE } from "./options.ts";
import { formatChecks, formatControls, formatFailures, formatTable, toJson } from "./report.ts";
import type { FileResult } from "./run-file.ts";
import { closingLine, runSet, summarize } from "./run-set.ts";

async function main(args: readonly string[]): Promise<number> {
  const options = parseOptions(args);
  if (options.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  if (options.generate) return generate();
  const provider = await providerNamed(options.provider);
  const set = choose(options);
  const absent = absentCases(set, options.own);
  announce(set, provider);
  if (absent > 0) console.error(`skipped: the ${absent} official cases, which are not here`);
  const started = performance.now();
  const executor =
    options.jobs > 1 ? new WorkerExecutor(provider.name, options.jobs) : inlineExecutor(provider);
  const results = await runSet(set, {
    provider,
    executor,
    withControls: options.controls,
    filter: options.file,
    type: options.type,
    now: options.now,
    onFile: progress,
  });
  await executor.close();
  if (results.length === 0) throw new OptionError("no file has such a name");
  const summary = summarize(results, absent);
  if (options.json) {
    console.log(toJson(set, provider, results, summary));
    console.error(closingLine(summary));
  } else {
    console.log(`\n${formatTable(results)}\n\n${formatChecks(results)}\n`);
    if (options.controls) console.log(`${formatControls(results, summary)}\n`);
    const failures = formatFailures(results);
    if (failures !== "") console.log(`${failures}\n`);
    const time = seconds(performance.now() - started);
    console.log(`${NAMES[set.name]}, provider ${provider.name}, ${time}`);
    console.log(closingLine(summary));
  }
  return summary.failed === 0 ? 0 : 1;
}

async function generate(): Promise<number> {
  const directory = ownDirectory();
  await writeVectors(directory, (file, bytes) => {
    console.log(`  ${file}: ${Math.ceil(bytes / 1024)} KiB`);
  });
  console.log("mlskit's own vectors are written");
  return 0;
}

const NAMES: Readonly<Record<VectorSet["name"], string>> = {
  official: "official vectors",
  own: "mlskit's own vectors",
  given: "given folder",
};

function choose({ directory, own }: Options): VectorSet {
  if (directory !== undefined) return givenSet(resolve(process.env["INIT_CWD"] ?? "", directory));
  const official = own ? undefined : officialDirectory();
  return official === undefined ? ownSet() : officialSet(official);
}

/** Which vectors these are, and what the provider cannot do. On stderr, as all that is not a result. */
function announce(set: VectorSet, provider: CryptoProvider): void {
  const cases = set.manifest?.files.reduce((sum, { cases: count }) => sum + count, 0);
  switch (set.name) {
    case "official":
      console.error(`The official vectors: ${set.files.length} files, ${cases ?? 0} cases.`);
      break;
    case "own":
      console.error(
        `mlskit's own vectors in the official formats: ${set.files.length} files, ${cases ?? 0} cases.\n` +
          "They show that mlskit agrees with itself. For the official vectors get the folder from\n" +
          `${OFFICIAL_SOURCE}, and name it in MLSKIT_VECTORS.`,
      );
      break;
    case "given":
      console.error(`${set.files.length} files of ${set.directory}, without a manifest.`);
      break;
  }
  const missing = [1, 2, 3, 4, 5, 6, 7].filter((suite) => !provider.suites.includes(suite));
  const lacks = missing.length === 0 ? "all suites" : `all suites but ${missing.join(", ")}`;
  console.error(`The provider ${provider.name} carries ${lacks}.`);
}

function progress({ file, cases, problems, milliseconds }: FileResult): void {
  const failed = cases.filter(({ status }) => status === "failed").length + problems.length;
  const state = failed === 0 ? "" : `, ${failed} failures`;
  console.error(`  ${file}: ${cases.length} cases, ${seconds(milliseconds)}${state}`);
}

function seconds(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(1)} s`;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (error instanceof OptionError) console.error(`${error.message}\n\n${USAGE}`);
  else console.error(error instanceof Error && error.constructor === Error ? error.message : error);
  console.log("vectors: 0 passed, 1 failed, 0 skipped");
  process.exitCode = error instanceof OptionError ? 2 : 1;
}
