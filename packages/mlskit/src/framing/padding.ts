/** Padding policies: they hide the length of what is encrypted. RFC 9420 §15.1. */

/** Maps the length of the unpadded content to the length it is padded to; never shorter. */
export type PaddingPolicy = (length: number) => number;

export const noPadding: PaddingPolicy = (length) => length;

/** Up to the next multiple of `size`. */
export function padToMultiple(size: number): PaddingPolicy {
  return (length) => Math.ceil(length / size) * size;
}

/** Up to `size`; longer content is not padded. */
export function padToSize(size: number): PaddingPolicy {
  return (length) => Math.max(length, size);
}

/** Up to the first of the ascending `sizes` that is large enough; beyond the last, its multiples. */
export function padToSteps(sizes: readonly number[]): PaddingPolicy {
  const last = sizes.at(-1) ?? 1;
  return (length) => sizes.find((size) => size >= length) ?? Math.ceil(length / last) * last;
}

/**
 * PADMÉ: leaks O(log log length) bits at a cost of at most 12 %, never below `floor` bytes.
 * Nikitin et al., "Reducing Metadata Leakage from Encrypted Files and Communication with PURBs".
 */
export function padme(floor = 128): PaddingPolicy {
  return (length) => {
    if (length <= floor) return floor;
    const exponent = Math.floor(Math.log2(length));
    const mantissaBits = Math.floor(Math.log2(exponent)) + 1;
    const step = 2 ** Math.max(0, exponent - mantissaBits);
    return Math.ceil(length / step) * step;
  };
}
