/** The driver's command line. */
import { defaultProvider } from "mlskit";
import type { Casts } from "./plan.ts";
import type { Peer } from "./processes.ts";
import { type Fault, FAULTS, isFault } from "../server/broken.ts";

export interface Options {
  /** mlskit alone. */
  readonly self: boolean;
  /** One run per script, with suites and forms in turn. */
  readonly short: boolean;
  /** How many casts are played where several could be. */
  readonly casts: Casts;
  /** Servers that are running already. */
  readonly clients: readonly Peer[];
  /** Servers to be started: a command line in which `{port}` stands for the port. */
  readonly commands: readonly Peer[];
  /** Undefined: two where that saves waiting, otherwise one. */
  readonly jobs: number | undefined;
  /** A server of mls-go that was built elsewhere. */
  readonly mlsGo: Peer | undefined;
  /** The working group's runner, built elsewhere, in place of the driver. */
  readonly judge: Peer | undefined;
  /** All servers in one mix, rather than ours with each of them. */
  readonly together: boolean;
  /** Whether peers too are given what must be refused; what they let pass is noted. */
  readonly provokesPeers: boolean;
  readonly suites: readonly number[] | undefined;
  readonly configs: readonly string[] | undefined;
  readonly scripts: readonly string[] | undefined;
  readonly folder: string | undefined;
  readonly forms: readonly boolean[];
  readonly seed: string;
  readonly broken: Fault | undefined;
  readonly json: string | undefined;
  readonly writesDocs: boolean;
  readonly help: boolean;
}

export class BadUsage extends Error {}

export const USAGE: string = `usage: npm run interop -- [options]
  --self               mlskit alone, in several processes
  --short              one run per script, suites and handshake forms in turn;
                       deep_random only if it is named
  --one-cast           one cast per script, in all suites and forms
  --spread             every cast once, one of several servers in each suite and form
  --client HOST:PORT[=VERSION]   with this server instead (repeat)
  --run "COMMAND {port}"[=VERSION]   with this program as a server instead (repeat)
  --mls-go PROGRAM[=VERSION]     with this server, which was built elsewhere
  --judge PROGRAM[=VERSION]      the working group's runner, instead of the driver
  --jobs N             as much is played at the same time, by servers of its own
  --together           all servers in one mix, instead of mlskit with each
  --provoke-peers      peers too get tampered input: what they accept is noted,
                       what they do not survive fails
  --suite N            only this suite (repeat)
  --config NAME        only this configuration (repeat); deep_random is played by
                       mlskit alone unless it is named
  --script NAME        only this script (repeat)
  --form public|private
  --configs FOLDER     where the official scripts are
  --seed TEXT          of group ids, PSKs and sampled casts
  --broken ${FAULTS.join("|")}   one server is wrong on purpose; must fail
  --json FILE          where the results go, in the place of what was played before
                       with the same servers, script and suite
  --docs               only write docs/interop.md from packages/interop/results`;

/** Ours takes part in everything. */
const OWN_SUITES: readonly number[] = defaultProvider().suites;

type Draft = { -readonly [Key in keyof Options]: Options[Key] };

function wholeNumber(value: string): number {
  const number = Number(value);
  if (!Number.isInteger(number) || number < 1) throw new BadUsage(`"${value}" is no whole number`);
  return number;
}

/** What follows the last `=` is the version, unless it belongs to the command. */
function peerOf(value: string): Peer {
  const end = value.lastIndexOf("=");
  if (end === -1 || value.includes("{port}", end)) return { at: value, version: undefined };
  return { at: value.slice(0, end), version: value.slice(end + 1) };
}

export function parseOptions(args: readonly string[]): Options {
  const draft: Draft = {
    self: false,
    short: false,
    casts: "all",
    clients: [],
    commands: [],
    jobs: undefined,
    mlsGo: undefined,
    judge: undefined,
    together: false,
    provokesPeers: false,
    suites: undefined,
    configs: undefined,
    scripts: undefined,
    folder: undefined,
    forms: [false, true],
    seed: "mlskit",
    broken: undefined,
    json: undefined,
    writesDocs: false,
    help: false,
  };
  const rest = [...args];
  for (let name = rest.shift(); name !== undefined; name = rest.shift()) {
    const flag = FLAGS[name];
    if (flag !== undefined) {
      flag(draft);
      continue;
    }
    const take = VALUES[name];
    const value = rest.shift();
    if (take === undefined) throw new BadUsage(`unknown option ${name}`);
    if (value === undefined) throw new BadUsage(`${name} needs a value`);
    take(draft, value);
  }
  if ((draft.jobs ?? 1) > 1 && draft.clients.length > 0) {
    throw new BadUsage("--jobs needs servers of its own, which --client does not start");
  }
  return draft;
}

const FLAGS: Readonly<Record<string, ((draft: Draft) => void) | undefined>> = {
  "--self": (draft) => (draft.self = true),
  "--short": (draft) => (draft.short = true),
  "--one-cast": (draft) => (draft.casts = "one"),
  "--spread": (draft) => (draft.casts = "spread"),
  "--provoke-peers": (draft) => (draft.provokesPeers = true),
  "--together": (draft) => (draft.together = true),
  "--help": (draft) => (draft.help = true),
  "--docs": (draft) => (draft.writesDocs = true),
};

const VALUES: Readonly<Record<string, ((draft: Draft, value: string) => void) | undefined>> = {
  "--client": (draft, value) => (draft.clients = [...draft.clients, peerOf(value)]),
  "--run": (draft, value) => (draft.commands = [...draft.commands, peerOf(value)]),
  "--jobs": (draft, value) => (draft.jobs = wholeNumber(value)),
  "--mls-go": (draft, value) => (draft.mlsGo = peerOf(value)),
  "--judge": (draft, value) => (draft.judge = peerOf(value)),
  "--config": (draft, value) => (draft.configs = [...(draft.configs ?? []), value]),
  "--script": (draft, value) => (draft.scripts = [...(draft.scripts ?? []), value]),
  "--configs": (draft, value) => (draft.folder = value),
  "--seed": (draft, value) => (draft.seed = value),
  "--json": (draft, value) => (draft.json = value),
  "--suite": (draft, value) => {
    const suite = wholeNumber(value);
    if (!OWN_SUITES.includes(suite)) throw new BadUsage(`mlskit has no suite ${suite}`);
    draft.suites = [...(draft.suites ?? []), suite];
  },
  "--form": (draft, value) => {
    if (value !== "public" && value !== "private") throw new BadUsage(`"${value}" is no form`);
    draft.forms = [value === "private"];
  },
  "--broken": (draft, value) => {
    if (!isFault(value)) throw new BadUsage(`there is no fault "${value}"`);
    draft.broken = value;
  },
};
