/** `npm run interop`: the strict driver. Exit code 0 if everything is as it must be. */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { type ResultFile, resultText, writeDocs } from "./driver/docs.ts";
import { loadConfigs, LONG_CONFIG } from "./driver/configs.ts";
import { runMatrix } from "./driver/matrix.ts";
import { findMlsGo } from "./driver/mls-go.ts";
import { BadUsage, type Options, parseOptions, USAGE } from "./driver/options.ts";
import { command, type Launcher, listening, ownServer } from "./driver/processes.ts";
import { describeScript, summary } from "./driver/report.ts";
import { isGood, type MatrixResult } from "./driver/results.ts";

interface Contest {
  readonly name: string;
  readonly launchers: readonly Launcher[];
  /** One where all servers are the same. */
  readonly casts: "all" | "one";
}

const OWN_PROCESSES = 2;

async function main(options: Options): Promise<number> {
  if (options.writesDocs) {
    writeDocs();
    return 0;
  }
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
      casts: options.short || casts === "one" ? "one" : options.casts,
      onlySuites: options.suites,
      forms: options.forms,
      rotates: options.short,
      seed: options.seed,
      provokesPeers: false,
      jobs: options.jobs,
      progress: (result) => console.log(describeScript(result)),
    });
    console.log(`\n${summary(matrix).join("\n")}`);
    results.push(matrix);
  }
  const date = new Date().toISOString().slice(0, 10);
  const file: ResultFile = { date, seed: options.seed, results };
  if (options.json !== undefined) {
    mkdirSync(dirname(options.json), { recursive: true });
    writeFileSync(options.json, resultText(file));
  }
  return results.length > 0 && results.every(isGood) ? 0 : 1;
}

function contestsOf(options: Options): Contest[] {
  const ours = ownServer();
  const { broken, self, clients, commands, together, mlsGo } = options;
  if (broken !== undefined) {
    const launchers = [ours, ownServer(["--broken", broken])];
    return [{ name: `mlskit with a broken ${broken}`, launchers, casts: "one" }];
  }
  const alone: Contest = {
    name: "mlskit alone",
    launchers: Array.from({ length: OWN_PROCESSES }, () => ours),
    casts: "one",
  };
  if (self) return [alone];
  const others = [
    ...clients.map((peer) => ({ name: peer.at, launcher: listening(peer) })),
    ...commands.map((peer) => ({ name: peer.at, launcher: command(peer) })),
  ];
  if (together) {
    const launchers = [ours, ...others.map(({ launcher }) => launcher)];
    return [{ name: "all together", launchers, casts: "all" }];
  }
  if (others.length > 0) {
    return others.map(({ name, launcher }): Contest => {
      return { name: `mlskit with ${name}`, launchers: [ours, launcher], casts: "all" };
    });
  }
  if (mlsGo !== undefined) return withMlsGo(options);
  return [alone, ...withMlsGo(options)];
}

/** mls-go v1.6.0 reads no padded handshakes, although RFC 9420 §6.3.1 has them: so none for it. */
function withMlsGo(options: Options): Contest[] {
  const found = findMlsGo(options.mlsGo);
  if ("missing" in found) {
    console.log(`skipped: ${found.missing}`);
    return [];
  }
  const launchers = [ownServer(["--no-padding"]), found.launcher];
  return [{ name: "mlskit with mls-go", launchers, casts: "all" }];
}

try {
  process.exitCode = await main(parseOptions(process.argv.slice(2)));
} catch (error) {
  if (!(error instanceof BadUsage)) throw error;
  console.error(`${error.message}\n${USAGE}`);
  process.exitCode = 2;
}
