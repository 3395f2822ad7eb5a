/** Medians and the like. */

export interface Summary {
  readonly median: number;
  readonly p95: number;
  readonly minimum: number;
  /** How many samples. */
  readonly runs: number;
}

/** Medians of fewer samples say little. */
export const ENOUGH = 9;

export function summarizeSamples(samples: readonly number[]): Summary {
  const sorted = [...samples].sort((a, b) => a - b);
  return {
    median: quantile(sorted, 0.5),
    p95: quantile(sorted, 0.95),
    minimum: sorted[0] ?? Number.NaN,
    runs: sorted.length,
  };
}

export function median(samples: readonly number[]): number {
  return summarizeSamples(samples).median;
}

function quantile(sorted: readonly number[], share: number): number {
  const position = (sorted.length - 1) * share;
  const low = sorted[Math.floor(position)] ?? Number.NaN;
  const high = sorted[Math.ceil(position)] ?? Number.NaN;
  return low + (high - low) * (position - Math.floor(position));
}
