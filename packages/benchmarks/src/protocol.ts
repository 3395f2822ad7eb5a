/**
 * How the benchmark talks to a library's process: one JSON object per line, one answer per request.
 * Byte strings are base64. peers/README.md describes it for other languages.
 */

/** `cold`: all added in one commit. `warm`: everybody has committed since. */
export type TreeState = "cold" | "warm";

export type Request =
  | { readonly do: "hello" }
  | { readonly do: "cold"; readonly suite: number; readonly size: number }
  /** Two key packages for a group that somebody else makes. */
  | { readonly do: "guests"; readonly suite: number; readonly size: number }
  /** They join, and both commit. The tree is in the Welcome, and beside it. */
  | { readonly do: "warm"; readonly welcome: string; readonly tree: string }
  /** Instead of both, for libraries that make warm groups themselves. */
  | { readonly do: "ownWarm"; readonly suite: number; readonly size: number }
  | { readonly do: "run"; readonly group: string; readonly count: number }
  | { readonly do: "limit"; readonly group: string; readonly count: number };

export interface Hello {
  readonly library: string;
  readonly version: string;
  /** Language and cryptography: "Node 20.1, node:crypto". */
  readonly runtime: string;
  readonly suites: readonly number[];
  /** Groups of operations it can run. */
  readonly groups: readonly string[];
  /** It makes warm groups itself. */
  readonly ownWarm?: boolean;
}

/** Microseconds per operation, and bytes on the wire. */
export interface Measured {
  readonly samples: Readonly<Record<string, readonly number[]>>;
  readonly bytes?: Readonly<Record<string, number>>;
  /** How often each primitive is called; of `limit` only. */
  readonly counts?: Readonly<Record<string, Readonly<Record<string, number>>>>;
}

export type Answer =
  | Hello
  | Measured
  | { readonly keyPackages: readonly string[] }
  | { readonly ok: true }
  | { readonly error: string };
