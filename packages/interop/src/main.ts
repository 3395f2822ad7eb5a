/** `npm run interop`: the strict driver. Exit code 0 if everything is as it must be. */
import { writeDocs } from "./driver/docs.ts";
import { loadConfigs, LONG_CONFIG } from "./driver/configs.ts";
import { findJudge, findMlsGo } from "./driver/go-programs.ts";
import { judge } from "./driver/judge.ts";
import { runMatrix } from "./driver/matrix.ts";
import { BadUsage, type Options, parseOptions, USAGE } from "./driver/options.ts";
import {
  command,
  type Launcher,
  listening,
  NoServer,
  ownServer,
  type Peer,
  program,
} from "./driver/processes.ts";
import { describeAll, describeJudged, describeScript, summary } from "./driver/report.ts";
import { presentOrigin, record, type ResultFile } from "./driver/result-file.ts";
import {
  add,
  countOf,
  isGood,
  isRight,
  type Judgement,
  type MatrixResult,
  noRuns,
  total,
} from "./driver/results.ts";
import type { Config } from "./driver/script.ts";

interface Contest {
  readonly name: string;
  readonly launchers: readonly Launcher[];
  /** One where all servers are the same. */
  readonly casts: "all" | "one";
}

const OWN_PROCESSES = 2;

/** What was asked for and could not be done, with the reason. Nothing of it counts as passed. */
const skipped: string[] = [];

async function main(options: Options): Promise<number> {
  if (options.help) {
    console.log(USAGE);
    return 0;
  }
  if (options.writesDocs) {
    writeDocs();
    return 0;
  }
  const { configs, missing, remedy } = loadConfigs(options);
  // Longer than all else together: played in full, or by whoever names it.
  const isNamed = (name: string): boolean => options.configs?.includes(name) === true;
  const isChosen = (name: string): boolean =>
    !options.short || name !== LONG_CONFIG || isNamed(name);
  for (const name of missing.filter(isChosen)) skip(`official scripts ${name}`, remedy);
  const chosen = configs.filter(({ name }) => isChosen(name));
  console.log(`start value: ${options.seed}`);
  const contests = contestsOf(options);
  const judging = judgeOf(options);
  const results: MatrixResult[] = [];
  if (options.judge === undefined) {
    const others = chosen.filter(({ name }) => name !== LONG_CONFIG || isNamed(name));
    for (const contest of contests) {
      results.push(await drive(contest, contest.name === ALONE ? chosen : others, options));
    }
  }
  const judged: Judgement[] = [];
  if (judging !== undefined) {
    for (const contest of contests) judged.push(await hear(judging, contest, chosen, options));
  }
  return conclude(results, judged);
}

function skip(reason: string, remedy?: string): void {
  // The driver and the second judge miss the same.
  if (skipped.includes(reason)) return;
  console.log(`skipped: ${reason}${remedy === undefined ? "" : ` (${remedy})`}`);
  skipped.push(reason);
}

async function drive(
  { name, launchers, casts }: Contest,
  configs: readonly Config[],
  options: Options,
): Promise<MatrixResult> {
  console.log(`\n${name}`);
  const matrix = await runMatrix({
    configs,
    launchers,
    casts: options.short || casts === "one" ? "one" : options.casts,
    onlySuites: options.suites,
    forms: options.forms,
    rotates: options.short,
    seed: options.seed,
    provokesPeers: options.provokesPeers,
    // A server that runs already is one for all: nothing is played there at the same time.
    jobs: options.jobs ?? (options.short && options.clients.length === 0 ? 2 : 1),
    origin: presentOrigin(),
    skip,
    progress: (result, players) => {
      console.log(describeScript(result));
      const { expectedRuns } = result;
      keep(options, { results: [{ ...players, expectedRuns, scripts: [result] }] });
    },
  });
  console.log(`\n${summary(matrix).join("\n")}`);
  return matrix;
}

/** The runner instead of the driver, or after it where everything is played that can be had. */
function judgeOf(options: Options): Peer | undefined {
  if (options.judge === undefined && !isEverything(options)) return undefined;
  const found = findJudge(options.judge);
  if ("program" in found) return found.program;
  skip(found.missing);
  return undefined;
}

async function hear(
  program: Peer,
  { name, launchers }: Contest,
  configs: readonly Config[],
  options: Options,
): Promise<Judgement> {
  console.log(`\n${name}, before the second judge`);
  return judge({
    program,
    // Several processes of ours would only be drawn from without effect.
    launchers: name === ALONE ? launchers.slice(0, 1) : launchers,
    configs: configs.filter((config) => config.name !== LONG_CONFIG),
    folder: options.folder,
    onlySuites: options.suites,
    forms: options.forms,
    rotates: options.short,
    origin: presentOrigin(),
    skip,
    progress: (row, runner) => {
      console.log(describeJudged(row));
      keep(options, { judgements: [{ runner, rows: [row] }] });
    },
  });
}

/** At once, for what comes later may take hours and be stopped. */
function keep({ json }: Options, played: Partial<ResultFile>): void {
  if (json !== undefined) record(json, { results: [], judgements: [], ...played });
}

/** The last line, and the exit code. */
function conclude(results: readonly MatrixResult[], judged: readonly Judgement[]): number {
  const sum = noRuns();
  for (const matrix of results) add(sum, total(matrix));
  const rows = judged.flatMap((judgement) => judgement.rows);
  for (const row of rows) add(sum, countOf(row));
  const names = skipped.length === 0 ? "" : ` (${skipped.join("; ")})`;
  console.log(`interop: ${describeAll(sum)}, ${skipped.length} skipped${names}`);
  return sum.runs > 0 && results.every(isGood) && rows.every(isRight) ? 0 : 1;
}

/** Neither ours alone nor some peer was asked for. */
function isEverything({ broken, self, clients, commands, mlsGo }: Options): boolean {
  return (
    broken === undefined && !self && mlsGo === undefined && clients.length + commands.length === 0
  );
}

const ALONE = "mlskit alone";

function contestsOf(options: Options): Contest[] {
  const ours = ownServer();
  const { broken, self, clients, commands, together, mlsGo } = options;
  if (broken !== undefined) {
    const launchers = [ours, ownServer(["--broken", broken])];
    return [{ name: `mlskit with a broken ${broken}`, launchers, casts: "one" }];
  }
  const alone: Contest = {
    name: ALONE,
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
    skip(found.missing);
    return [];
  }
  const { at, version } = found.program;
  const peer = program(at, version, (port) => ["-port", String(port)]);
  const launchers = [ownServer(["--no-padding"]), peer];
  return [{ name: "mlskit with mls-go", launchers, casts: "all" }];
}

try {
  process.exitCode = await main(parseOptions(process.argv.slice(2)));
} catch (error) {
  if (error instanceof BadUsage) {
    console.error(`${error.message}\n${USAGE}`);
    process.exitCode = 2;
  } else if (error instanceof NoServer) {
    console.error(error.message);
    // At once: whoever does not listen would be waited for.
    process.exit(1);
  } else throw error;
}
