/** A moment at which files of unknown age are valid. Lifetimes stay enforced. RFC 9420 §7.2. */
import type { Lifetime } from "../../src/tree/nodes.ts";

/** Lifetimes that end after this are meant not to end. */
const NEVER = 2n ** 40n;

/**
 * Early in the window that all lifetimes share; the current time where none of them ends. Early,
 * because a file's members were made within a short time of each other.
 */
export function clockFor(lifetimes: readonly Lifetime[], current: bigint): bigint {
  let from = 0n;
  let to: bigint | undefined;
  for (const { notBefore, notAfter } of lifetimes) {
    if (notBefore > from) from = notBefore;
    if (notAfter < NEVER && (to === undefined || notAfter < to)) to = notAfter;
  }
  if (to === undefined) return current > from ? current : from;
  return from + (to - from) / 10n;
}
