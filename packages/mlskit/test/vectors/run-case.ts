/** One case: passed, failed or skipped, and why. */
import type { CryptoProvider } from "../../src/crypto/index.ts";
import { MlsError } from "../../src/errors.ts";
import { CheckFailed, Checks } from "./checks.ts";
import { clockFor } from "./clock.ts";
import type { CaseRun, Format } from "./format.ts";
import { FormatError, isObject, Value } from "./value.ts";

export interface CaseOptions {
  readonly provider: CryptoProvider;
  /** Suites whose cases may be skipped; undefined: all that the provider lacks. */
  readonly skippable: readonly number[] | undefined;
  /** Seconds since 1970; undefined: a time that fits the case's lifetimes. */
  readonly now: bigint | undefined;
}

export interface CaseResult {
  readonly index: number;
  /** "1" to "7", or "-" for formats without a suite. */
  readonly suite: string;
  readonly status: "passed" | "failed" | "skipped";
  /** Why it failed or was skipped. */
  readonly reason?: string | undefined;
  /** What noticed the failure: rule, code of the error, kind of the check. */
  readonly caughtBy: readonly string[];
  /** The failure is not an answer but an accident. */
  readonly isCrash: boolean;
  readonly totals: ReadonlyMap<string, number>;
}

export async function runCase(
  format: Format,
  json: unknown,
  index: number,
  options: CaseOptions,
): Promise<CaseResult> {
  const checks = new Checks();
  const suite = suiteName(format, json);
  const base = { index, suite, caughtBy: [], isCrash: false, totals: checks.totals };
  try {
    const skip = skipReason(suite, options);
    if (skip !== undefined) return { ...base, status: "skipped", reason: skip };
    const value = new Value(json);
    const current = BigInt(Math.floor(Date.now() / 1000));
    const now: CaseRun["now"] = (lifetimes) => options.now ?? clockFor(lifetimes, current);
    await format.verify(value, { provider: options.provider, checks, now });
    if (checks.count === 0) throw new Error("nothing was checked");
    return { ...base, status: "passed" };
  } catch (error) {
    return { ...base, status: "failed", ...describe(error) };
  }
}

/** "-" for formats without suites, "?" for cases that lack theirs. */
export function suiteName(format: Format, json: unknown): string {
  if (!format.hasSuite) return "-";
  const suite = isObject(json) ? json["cipher_suite"] : undefined;
  return typeof suite === "number" ? String(suite) : "?";
}

const KNOWN_SUITES: readonly string[] = ["-", "1", "2", "3", "4", "5", "6", "7"];

/** @throws Error for suites that nobody has announced */
function skipReason(suite: string, { provider, skippable }: CaseOptions): string | undefined {
  if (!KNOWN_SUITES.includes(suite)) throw new FormatError(`cipher suite ${suite} is unknown`);
  if (suite === "-" || provider.suites.includes(Number(suite))) return undefined;
  if (skippable === undefined || skippable.includes(Number(suite))) {
    return `the provider ${provider.name} does not carry suite ${suite}`;
  }
  throw new Error(
    `the provider ${provider.name} lacks suite ${suite}, which the manifest does not list as missing`,
  );
}

function describe(error: unknown): Pick<CaseResult, "reason" | "caughtBy" | "isCrash"> {
  if (error instanceof CheckFailed) {
    return { reason: error.message, caughtBy: [error.kind], isCrash: false };
  }
  if (MlsError.is(error)) {
    const { code, rule, message } = error;
    const reason = `${message} (${rule === undefined ? code : `${code}, ${rule}`})`;
    const isCrash = error.blame === "internal";
    return { reason, caughtBy: rule === undefined ? [code] : [code, rule], isCrash };
  }
  if (error instanceof Error) {
    // A bare Error is a sentence of a verifier; its subclasses come from the engine.
    const isCrash = !(error instanceof FormatError) && error.constructor !== Error;
    return { reason: error.message, caughtBy: [], isCrash };
  }
  return { reason: String(error), caughtBy: [], isCrash: true };
}
