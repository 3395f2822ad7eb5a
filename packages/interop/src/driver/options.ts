/** The driver's command line. */
import { type Fault, FAULTS, isFault } from "../server/broken.ts";

export interface Options {
  /** mlskit alone. */
  readonly self: boolean;
  /** One run per script, with suites and forms in turn. */
  readonly short: boolean;
  /** One cast per script also where all could be played. */
  readonly oneCast: boolean;
  /** Servers that are running already. */
  readonly clients: readonly string[];
  /** A server of mls-go that was built elsewhere. */
  readonly mlsGo: string | undefined;
  /** All servers in one mix, rather than ours with each of them. */
  readonly together: boolean;
  readonly suites: readonly number[] | undefined;
  readonly configs: readonly string[] | undefined;
  readonly scripts: readonly string[] | undefined;
  readonly folder: string | undefined;
  readonly forms: readonly boolean[];
  readonly seed: string;
  readonly broken: Fault | undefined;
  readonly json: string | undefined;
  readonly writesDocs: boolean;
}

export class BadUsage extends Error {}

export const USAGE: string = `usage: npm run interop -- [options]
  --self               mlskit alone, in several processes
  --short              one run per script, suites and handshake forms in turn
  --one-cast           one cast per script, in all suites and forms
  --client HOST:PORT   also with this server (repeat)
  --mls-go PROGRAM     its server, if it is not to be built here
  --together           all servers in one mix, instead of mlskit with each
  --suite N            only this suite (repeat)
  --config NAME        only this configuration (repeat)
  --script NAME        only this script (repeat)
  --form public|private
  --configs FOLDER     where the official scripts are
  --seed TEXT          of group ids, PSKs and sampled casts
  --broken ${FAULTS.join("|")}   one server is wrong on purpose; must fail
  --json FILE          where the results go
  --docs               only write docs/interop.md from packages/interop/results`;

type Draft = { -readonly [Key in keyof Options]: Options[Key] };

export function parseOptions(args: readonly string[]): Options {
  const draft: Draft = {
    self: false,
    short: false,
    oneCast: false,
    clients: [],
    mlsGo: undefined,
    together: false,
    suites: undefined,
    configs: undefined,
    scripts: undefined,
    folder: undefined,
    forms: [false, true],
    seed: "mlskit",
    broken: undefined,
    json: undefined,
    writesDocs: false,
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
  return draft;
}

const FLAGS: Readonly<Record<string, ((draft: Draft) => void) | undefined>> = {
  "--self": (draft) => (draft.self = true),
  "--short": (draft) => (draft.short = true),
  "--one-cast": (draft) => (draft.oneCast = true),
  "--together": (draft) => (draft.together = true),
  "--docs": (draft) => (draft.writesDocs = true),
};

const VALUES: Readonly<Record<string, ((draft: Draft, value: string) => void) | undefined>> = {
  "--client": (draft, value) => (draft.clients = [...draft.clients, value]),
  "--mls-go": (draft, value) => (draft.mlsGo = value),
  "--config": (draft, value) => (draft.configs = [...(draft.configs ?? []), value]),
  "--script": (draft, value) => (draft.scripts = [...(draft.scripts ?? []), value]),
  "--configs": (draft, value) => (draft.folder = value),
  "--seed": (draft, value) => (draft.seed = value),
  "--json": (draft, value) => (draft.json = value),
  "--suite": (draft, value) => {
    const suite = Number(value);
    if (!Number.isInteger(suite)) throw new BadUsage(`"${value}" is no suite`);
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
