/**
 * Proposals that were refused on arrival, so that a Commit with one of them is told apart from a
 * Commit that came too early. Rule mk-67; RFC 9420 §12.4.
 */
import { bytesKey } from "../codec/index.ts";
import { PolicyError } from "../errors.ts";
import type { PublicEpoch } from "./epoch.ts";

/** By epoch and reference; forgotten with the epoch, and by a restart. */
const refused = new WeakMap<PublicEpoch, Map<string, unknown>>();

/** Senders outside the group can send any number of bad proposals. */
const MAXIMUM = 1024;

export function rememberRefusal(epoch: PublicEpoch, reference: Uint8Array, reason: unknown): void {
  // Nobody has refused anything: the application did not answer.
  if (reason instanceof PolicyError && reason.retryable) return;
  const known = refused.get(epoch) ?? new Map<string, unknown>();
  refused.set(epoch, known);
  known.set(bytesKey(reference), reason);
  for (const oldest of known.keys()) {
    if (known.size <= MAXIMUM) break;
    known.delete(oldest);
  }
}

/** Those of the references that were refused, with the reasons. */
export function refusalsAmong(
  epoch: PublicEpoch,
  references: readonly Uint8Array[],
): readonly { readonly reference: Uint8Array; readonly reason: unknown }[] {
  const known = refused.get(epoch);
  if (known === undefined) return [];
  return references.flatMap((reference) => {
    const key = bytesKey(reference);
    return known.has(key) ? [{ reference, reason: known.get(key) }] : [];
  });
}
