/** `npm run interop`: the strict driver. Exit code 0 if everything is as it must be. */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { loadConfigs, LONG_CONFIG } from "./driver/configs.ts";
import { runMatrix } from "./driver/matrix.ts";
import { BadUsage, type Options, parseOptions, USAGE } from "./driver/options.ts";
import { type Launcher, listening, ownServer } from "./driver/processes.ts";
import { describeScript, summary } from "./driver/report.ts";
import { isGood, type MatrixResult } from "./driver/results.ts";

interface Contest {
  readonly name: string;
  readonly launchers: readonly Launcher[];
  readonly casts: "all" | "one";
}

const OWN_PROCESSES = 2;

async function main(options: Options): Promise<number> {
  const { configs, missing } = loadConfigs(options);
  for (const reason of missing) console.log(`skipped: ${reason}`);
  const chosen = options.short ? configs.filter(({ name }) => name !== LONG_CONFIG) : configs;
  console.log(`start value: ${options.seed}`);
  const results: MatrixResult[] = [];
  for (const { name, launchers, casts } of contestsOf(options)) {
    console.log(`\n${name}`);
    const matrix = await runMatrix({
      configs: chosen,
      launchers,
      casts: options.short ? "one" : casts,
      onlySuites: options.suites,
      forms: options.forms,
      rotatesSuites: options.short,
      seed: options.seed,
      provokesPeers: false,
      startsAfresh: !options.short,
      progress: (result) => console.log(describeScript(result)),
    });
    console.log(`\n${summary(matrix).join("\n")}`);
    results.push(matrix);
  }
  if (options.json !== undefined) {
    mkdirSync(dirname(options.json), { recursive: true });
    writeFileSync(options.json, `${JSON.stringify({ seed: options.seed, results }, null, 2)}\n`);
  }
  return results.length > 0 && results.every(isGood) ? 0 : 1;
}

function contestsOf(options: Options): Contest[] {
  const ours = ownServer();
  if (options.broken !== undefined) {
    const launchers = [ours, ownServer(["--broken", options.broken])];
    return [{ name: `mlskit with a broken ${options.broken}`, launchers, casts: "one" }];
  }
  const alone: Contest = {
    name: "mlskit alone",
    launchers: Array.from({ length: OWN_PROCESSES }, () => ours),
    casts: "one",
  };
  if (options.self) return [alone];
  const peers = options.clients.map((address) => ({ name: address, launcher: listening(address) }));
  if (options.together) {
    const launchers = [ours, ...peers.map(({ launcher }) => launcher)];
    return [alone, { name: "all together", launchers, casts: "all" }];
  }
  const pairs = peers.map(({ name, launcher }): Contest => {
    return { name: `mlskit with ${name}`, launchers: [ours, launcher], casts: "all" };
  });
  return [alone, ...pairs];
}

try {
  process.exitCode = await main(parseOptions(process.argv.slice(2)));
} catch (error) {
  if (!(error instanceof BadUsage)) throw error;
  console.error(`${error.message}\n${USAGE}`);
  process.exitCode = 2;
}
