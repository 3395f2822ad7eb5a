/**
 * The second judge: the working group's own runner, which draws who plays whom when there are
 * several servers. It looks at less than the driver, but it is not ours.
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { OFFICIAL_FOLDER } from "./configs.ts";
import type { CallName } from "../protocol.ts";
import { type Connection, familyOf, isOursByName } from "./connection.ts";
import { withVersion } from "./matrix.ts";
import { limitsOf } from "./peer-limits.ts";
import { rotate } from "./plan.ts";
import type { Launcher, Peer } from "./processes.ts";
import type { JudgedConfig, Judgement, Origin } from "./results.ts";
import type { Config, Script, Step } from "./script.ts";
import { ServerPool } from "./server-pool.ts";
import { chooseSuites } from "./suites.ts";

export interface JudgeOptions {
  readonly program: Peer;
  readonly launchers: readonly Launcher[];
  readonly configs: readonly Config[];
  /** Where the official scripts are, if not where they usually are. */
  readonly folder: string | undefined;
  readonly onlySuites: readonly number[] | undefined;
  readonly forms: readonly boolean[];
  /** One suite and one form per configuration, in turn. */
  readonly rotates: boolean;
  readonly origin: Origin;
  /** Told what cannot be played, and why. */
  skip(reason: string): void;
  /** Told after every configuration in every suite, with the name of the runner. */
  progress(row: JudgedConfig, runner: string): void;
}

/** What the runner writes about one run. */
interface Verdict {
  readonly cipher_suite: number;
  readonly encrypt_flag: boolean;
  /** Names of servers by actor. */
  readonly actors: Readonly<Record<string, string>>;
  readonly failed_step?: number | null;
  readonly error?: unknown;
}

export async function judge(options: JudgeOptions): Promise<Judgement> {
  const pool = new ServerPool(options.launchers);
  try {
    const servers = await pool.servers();
    const names = servers.map(({ description }, i) => {
      return withVersion(description.family, options.launchers[i]?.version);
    });
    const clients = [...new Set(names)];
    const descriptions = servers.map(({ description }) => description);
    const { suites: common, skipped } = chooseSuites(descriptions, options.onlySuites);
    for (const reason of skipped) options.skip(reason);
    const runner = options.program.version ?? options.program.at;
    const rows: JudgedConfig[] = [];
    for (const [turn, config] of options.configs.entries()) {
      const file = join(options.folder ?? OFFICIAL_FOLDER, `${config.name}.json`);
      // Scripts of our own have steps that the runner does not know.
      if (!existsSync(file)) continue;
      const suites = options.rotates ? rotate(common, turn) : common;
      const forms = options.rotates ? rotate(options.forms, turn) : options.forms;
      for (const suite of suites) {
        const row: JudgedConfig = {
          clients,
          config: config.name,
          suite,
          ...options.origin,
          runs: config.scripts.length * forms.length,
          passed: 0,
          mixed: 0,
          listed: {},
          failures: [],
        };
        const present = await pool.servers();
        for (const [name, verdicts] of play({ ...options, forms }, present, file, suite)) {
          // The runner plays all scripts of a file.
          const script = config.scripts.find((asked) => asked.name === name);
          if (script !== undefined) for (const verdict of verdicts) count(row, script, verdict);
        }
        if (row.failures.length > 0) await pool.settle();
        pool.survey();
        rows.push(row);
        options.progress(row, runner);
      }
    }
    return { runner, rows };
  } finally {
    pool.close();
  }
}

const MINUTE = 60_000;

function play(
  { program, forms }: JudgeOptions,
  servers: readonly Connection[],
  file: string,
  suite: number,
): [script: string, verdicts: readonly Verdict[]][] {
  const args = servers.flatMap(({ address }) => ["-client", address]);
  // Otherwise every assignment, of which many are the same.
  if (servers.length > 1) args.push("-random");
  if (forms.length === 1) args.push(forms[0] === true ? "-private" : "-public");
  args.push("-suite", String(suite), "-config", file);
  const { stdout, stderr, error } = spawnSync(program.at, args, {
    encoding: "utf8",
    maxBuffer: 2 ** 30,
    timeout: 30 * MINUTE,
  });
  if (error !== undefined) throw error;
  // It fails when a run did, which is counted below; without results it has nothing to say.
  if (stdout.trim() === "") throw new Error(`the second judge said: ${stderr.trim()}`);
  const { scripts } = JSON.parse(stdout) as { scripts: Readonly<Record<string, Verdict[]>> };
  return Object.entries(scripts);
}

function count(row: JudgedConfig, script: Script, verdict: Verdict): void {
  const names = Object.values(verdict.actors);
  const families = new Set(names.map(familyOf));
  if (families.size > 1 && names.some(isOursByName)) row.mixed += 1;
  if (verdict.failed_step === undefined || verdict.failed_step === null) {
    row.passed += 1;
    return;
  }
  const limit = limitOf(row.config, script, verdict);
  if (limit === undefined) {
    const { cipher_suite, failed_step, error } = verdict;
    const cast = JSON.stringify(verdict.actors);
    row.failures.push(
      `${script.name}, suite ${cipher_suite}, step ${failed_step}: ${String(error)} (${cast})`,
    );
    return;
  }
  row.listed[limit] = (row.listed[limit] ?? 0) + 1;
}

/** Which limit of a peer explains a failure. */
function limitOf(config: string, script: Script, verdict: Verdict): string | undefined {
  const { cipher_suite: suite, encrypt_flag: encrypt, actors, failed_step, error } = verdict;
  const cast = new Map(
    Object.entries(actors).map(([actor, name]) => {
      return [actor, { name, isOurs: isOursByName(name) }] as const;
    }),
  );
  const [, code = "", text = ""] = /code = (\w+) desc = (.*)/s.exec(String(error)) ?? [];
  const action = script.steps[failed_step ?? -1]?.action;
  const calls = action === undefined ? [] : (CALLS[action] ?? []);
  // The runner tells neither the call that failed nor who answered: only the step and what was said.
  const said = [...new Set(Object.values(actors))].flatMap((name) => {
    return calls.map((call) => `${call} at ${name}: ${code.toUpperCase()}: ${text}`);
  });
  return limitsOf({ config, script: script.name, suite, encrypt }, cast).find((limit) => {
    return said.some((line) => limit.error.test(line));
  })?.id;
}

/** Those in which limits of peers show, by the steps in which the runner makes them. */
const CALLS: Partial<Record<Step["action"], readonly CallName[]>> = {
  externalJoin: ["ExternalJoin", "HandleCommit"],
  fullCommit: ["HandleCommit"],
  handleCommit: ["HandleCommit"],
  unprotect: ["Unprotect"],
  branch: ["CreateBranch", "HandleBranch"],
  reinit: ["HandleReInitWelcome"],
};
