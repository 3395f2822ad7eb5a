/** What must be there, to the byte: files that are absent or other files prove nothing. */

export interface ManifestEntry {
  readonly file: string;
  /** Name of the format. */
  readonly type: string;
  readonly sha256: string;
  readonly cases: number;
  /** Cases by suite; those without one under "-". */
  readonly perSuite: Readonly<Record<string, number>>;
  /** How many sub-checks of each kind there must be at least, if no case is skipped. */
  readonly minimum: Readonly<Record<string, number>>;
  /** The time at which the file's lifetimes are valid; absent where they never end. */
  readonly clock?: string | undefined;
}

export interface Manifest {
  /** Which suites a provider is known not to carry: their cases are skipped by name. */
  readonly unsupportedSuites: Readonly<Record<string, readonly number[]>>;
  readonly files: readonly ManifestEntry[];
}

/** Seconds since 1970. */
export function clockOf({ clock }: Pick<ManifestEntry, "clock">): bigint | undefined {
  return clock === undefined ? undefined : BigInt(Date.parse(clock)) / 1000n;
}

/** Where the numbers of a file differ from what the manifest demands. */
export function compareWithManifest(
  entry: ManifestEntry,
  found: {
    readonly sha256: string;
    readonly perSuite: ReadonlyMap<string, number>;
    readonly totals: ReadonlyMap<string, number>;
    /** Whether all cases were run to their end. */
    readonly isComplete: boolean;
  },
): string[] {
  const problems: string[] = [];
  if (found.sha256 !== entry.sha256) problems.push(`the SHA-256 is ${found.sha256}`);
  let cases = 0;
  for (const count of found.perSuite.values()) cases += count;
  if (cases !== entry.cases) problems.push(`${entry.cases} cases are expected, ${cases} found`);
  for (const suite of new Set([...Object.keys(entry.perSuite), ...found.perSuite.keys()])) {
    const [expected, actual] = [entry.perSuite[suite] ?? 0, found.perSuite.get(suite) ?? 0];
    if (expected !== actual) {
      problems.push(`${expected} cases of suite ${suite} are expected, ${actual} found`);
    }
  }
  if (!found.isComplete) return problems;
  for (const [kind, minimum] of Object.entries(entry.minimum)) {
    const actual = found.totals.get(kind) ?? 0;
    if (actual < minimum) problems.push(`${minimum} ${kind} are expected, ${actual} were checked`);
  }
  return problems;
}
