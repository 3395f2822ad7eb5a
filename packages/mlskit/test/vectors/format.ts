/** What a file format brings along: how its cases are verified, and what must break them. */
import type { CryptoProvider, SuiteCrypto } from "../../src/crypto/index.ts";
import type { Lifetime } from "../../src/tree/nodes.ts";
import type { Checks } from "./checks.ts";
import type { Value } from "./value.ts";

/** What the verification of one case has to work with. */
export interface CaseRun {
  readonly provider: CryptoProvider;
  readonly checks: Checks;
  /** Seconds since 1970: as fixed for the file, or else a time that fits these lifetimes. */
  now(lifetimes: readonly Lifetime[]): bigint;
}

/** A change that must make a case fail. */
export interface Control {
  /** What kind of thing is changed, for the report. */
  readonly kind: string;
  /** Keys and `*` for all elements of a list, joined by dots; all strings and numbers found there. */
  readonly path: string;
  /** Which bytes of a string of hex digits are flipped. Default: several from first to last. */
  readonly at?: "first" | "last" | "spread" | undefined;
  /** What must notice: rule ids and kinds of checks. Default: anything that is not a crash. */
  readonly caughtBy?: readonly string[] | undefined;
  /** Looks at this many list elements at the beginning only, where later ones take long. */
  readonly within?: number | undefined;
  /** Instead of flipping a byte: the whole case, changed; undefined if that is not possible here. */
  readonly rewrite?: ((json: unknown, provider: CryptoProvider) => unknown) | undefined;
  /** Instead of changing anything: another time, for files with lifetimes that end. */
  readonly now?: bigint | undefined;
}

export interface Format {
  /** As in the name of the official file. */
  readonly type: string;
  /** The keys of a case. */
  readonly keys: readonly string[];
  /** Whether cases name a cipher suite. */
  readonly hasSuite: boolean;
  verify(value: Value, run: CaseRun): Promise<void> | void;
  readonly controls: readonly Control[];
}

/** The primitives of the suite that the case names. */
export function suiteOf(value: Value, { provider }: CaseRun): SuiteCrypto {
  return provider.suite(value.integer());
}

/** Flips in values that are computed by the generator and compared by us. */
export function expected(...paths: readonly string[]): Control[] {
  return paths.map((path) => ({ kind: "expected value", path }));
}
