/** The command line of `npm start`. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { CIPHER_SUITES } from "mlskit";
import { defaultTexts } from "./texts.ts";

export interface StoryOptions {
  readonly json: boolean;
  readonly quiet: boolean;
  readonly help: boolean;
  readonly suite: number;
  /** Everybody who takes part, with those who join late or are removed. */
  readonly members: number;
  /** What the members write to each other. */
  readonly texts: readonly string[];
  /** Where the stores stay; undefined: a temporary directory. */
  readonly directory: string | undefined;
}

/** The user asked for something that does not exist. */
export class OptionError extends Error {}

/** The named roles of the story. */
export const SMALLEST = 7;
export const LARGEST = 5000;

export const USAGE: string = `usage: npm start -- [options]

  --members N      how many clients take part, ${SMALLEST} to ${LARGEST} (default 8)
  --suite N        the cipher suite, 1 to 7 (default 1)
  --messages FILE  text for the members to send, one message per line
  --dir D          keep the clients' stores in D, which must be empty or new
  --json           one JSON object per line
  --quiet          only the result
  --help           this text

The exit code is 0 if all members end with the same epoch authenticator and every
message was read as it was written, 1 if not, and 2 for a mistake on the command line.`;

/** @throws OptionError */
export function parseOptions(args: readonly string[]): StoryOptions {
  const { json, quiet, help, suite, members, messages, dir } = parse(args);
  return {
    json: json === true,
    quiet: quiet === true,
    help: help === true,
    suite: parseSuite(suite ?? "1"),
    members: parseCount("--members", members ?? "8", SMALLEST, LARGEST),
    texts: messages === undefined ? defaultTexts : readTexts(messages),
    directory: dir === undefined ? undefined : checkDirectory(dir),
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      strict: true,
      allowPositionals: false,
      options: {
        json: { type: "boolean" },
        quiet: { type: "boolean" },
        help: { type: "boolean" },
        suite: { type: "string" },
        members: { type: "string" },
        messages: { type: "string" },
        dir: { type: "string" },
      },
    }).values;
  } catch (error) {
    throw new OptionError(error instanceof Error ? error.message : String(error));
  }
}

function parseSuite(text: string): number {
  const last = Math.max(...CIPHER_SUITES.map(({ id }) => id));
  return parseCount("--suite", text, 1, last);
}

function parseCount(flag: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= least && value <= most) return value;
  throw new OptionError(`${flag} takes a number from ${least} to ${most}, not "${text}"`);
}

function readTexts(file: string): readonly string[] {
  let content: string;
  try {
    content = readFileSync(file, "utf8");
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new OptionError(`--messages: ${reason}`);
  }
  const lines = content.split(/\r?\n/).filter((line) => line.trim() !== "");
  if (lines.length === 0) throw new OptionError(`--messages: ${file} holds no message`);
  return lines;
}

function checkDirectory(directory: string): string {
  if (directory === "") throw new OptionError("--dir takes the name of a directory");
  let used: readonly string[] = [];
  try {
    if (existsSync(directory)) used = readdirSync(directory);
  } catch (error) {
    throw new OptionError(`--dir: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (used.length === 0) return directory;
  throw new OptionError(`--dir: ${directory} is not empty`);
}
