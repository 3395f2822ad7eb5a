/**
 * How the benchmark talks to a library's process: one JSON object per line, one answer per request.
 * Byte strings are base64. peers/README.md describes it for other languages.
 */

import type { Step } from "./limits.ts";

/** `cold`: all added in one commit. `warm`: everybody has committed since. */
export type TreeState = "cold" | "warm";

export type Request =
  | { readonly do: "hello" }
  | { readonly do: "cold"; readonly suite: number; readonly size: number }
  /** Two key packages for a group that somebody else makes. */
  | { readonly do: "guests"; readonly suite: number; readonly size: number }
  /** They join, and both commit. The tree is in the Welcome, unless `treeBeside`, and beside it. */
  | { readonly do: "warm"; readonly welcome: string; readonly tree: string }
  | { readonly do: "run"; readonly group: string; readonly count: number }
  /** Of mlskit: what the operations need of primitives. */
  | { readonly do: "limit"; readonly group: string; readonly count: number }
  /** The same calls, made by another library's primitives. */
  | {
      readonly do: "primitives";
      readonly suite: number;
      readonly steps: Readonly<Record<string, readonly Step[]>>;
      readonly count: number;
    };

export interface Hello {
  readonly library: string;
  readonly version: string;
  /** Language and cryptography: "Node 20.1, node:crypto". */
  readonly runtime: string;
  readonly suites: readonly number[];
  /** Groups of operations it can run. */
  readonly groups: readonly string[];
  /** It takes the tree beside the Welcome only. */
  readonly treeBeside?: boolean;
  /** It answers `primitives`. */
  readonly primitives?: boolean;
}

/** Microseconds per operation, and bytes on the wire. */
export interface Measured {
  readonly samples: Readonly<Record<string, readonly number[]>>;
  readonly bytes?: Readonly<Record<string, number>>;
}

/** Of `limit`: the primitive calls too. */
export interface Limited extends Measured {
  readonly steps: Readonly<Record<string, readonly Step[]>>;
}

export type Answer =
  | Hello
  | Measured
  | Limited
  | { readonly keyPackages: readonly string[] }
  | { readonly ok: true }
  | { readonly error: string };
