/** The command line of `npm run vectors`. */
import { parseArgs } from "node:util";
import type { CryptoProvider } from "../../src/crypto/index.ts";
import { nobleProvider, nodeProvider, webCryptoProvider } from "../../src/providers/index.ts";
import { defaultJobs } from "./executor.ts";
import { FORMATS, formatNamed } from "./formats/index.ts";

export interface Options {
  readonly provider: string;
  readonly directory: string | undefined;
  readonly type: string | undefined;
  readonly file: string | undefined;
  readonly now: bigint | undefined;
  readonly jobs: number;
  readonly own: boolean;
  readonly json: boolean;
  readonly generate: boolean;
  readonly controls: boolean;
  readonly help: boolean;
}

/** A wrong command line. */
export class OptionError extends Error {}

export const USAGE = `npm run vectors -- [options]

Runs the official MLS test vectors if they are there, and mlskit's own ones otherwise.

  --provider NAME    node (default), webcrypto or noble
  --file NAME        only files whose name contains NAME
  --own              mlskit's own vectors, even if the official ones are there
  --dir FOLDER       all JSON files of a folder, in any of the official formats
  --type FORMAT      the format of those files, if their names do not tell it:
                     ${FORMATS.map(({ type }) => type).join(", ")}
  --now SECONDS      the clock, in seconds since 1970; by default a time at which the file is valid
  --controls         negative controls with --dir, too
  --no-controls      no negative controls
  --jobs N           threads; by default one for each processor
  --json             results as JSON
  --generate         writes mlskit's own vectors anew

MLSKIT_VECTORS names the folder of the official vectors.
`;

export function parseOptions(args: readonly string[]): Options {
  const text = { type: "string" } as const;
  const flag = { type: "boolean" } as const;
  const options = {
    provider: text,
    dir: text,
    type: text,
    file: text,
    now: text,
    jobs: text,
    own: flag,
    json: flag,
    generate: flag,
    controls: flag,
    "no-controls": flag,
    help: flag,
  };
  const { values } = parse(() => parseArgs({ args: [...args], options, strict: true }));
  const { type, now, dir } = values;
  if (type !== undefined && formatNamed(type) === undefined) {
    throw new OptionError(`there is no format ${type}`);
  }
  if (type !== undefined && dir === undefined) throw new OptionError("--type needs --dir");
  if (now !== undefined && !/^\d{1,15}$/.test(now)) throw new OptionError("--now takes seconds");
  const jobs = values.jobs ?? String(defaultJobs());
  if (!/^[1-9]\d?$/.test(jobs)) throw new OptionError("--jobs takes a number from 1 to 99");
  return {
    jobs: Number(jobs),
    provider: values.provider ?? "node",
    directory: dir,
    type,
    file: values.file,
    now: now === undefined ? undefined : BigInt(now),
    own: values.own ?? false,
    json: values.json ?? false,
    generate: values.generate ?? false,
    controls: values["no-controls"] === true ? false : (values.controls ?? dir === undefined),
    help: values.help ?? false,
  };
}

export async function providerNamed(name: string): Promise<CryptoProvider> {
  switch (name) {
    case "node":
      return nodeProvider();
    case "webcrypto":
      return webCryptoProvider();
    case "noble":
      return nobleProvider();
    default:
      throw new OptionError(`there is no provider ${name}: node, webcrypto or noble`);
  }
}

function parse<T>(run: () => T): T {
  try {
    return run();
  } catch (error) {
    throw new OptionError(error instanceof Error ? error.message : String(error));
  }
}
