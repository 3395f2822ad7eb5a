/** Suspecting that a group has split. Catalogue M-FRK-01, M-FRK-02. */
import type { Epoch } from "../../group/epoch.ts";
import type { GroupSession } from "../session/session.ts";
import type { ForkEvidence, ForkFingerprints } from "../state/events.ts";

/** `fingerprints` are hashes of the epoch authenticators, where a beacon gave both. */
export function suspectFork(
  session: GroupSession,
  evidence: ForkEvidence,
  fingerprints?: ForkFingerprints,
): void {
  const { groupId, epoch } = session.state.epoch.context;
  session.emit({ type: "forkSuspected", groupId, epoch, evidence, fingerprints });
}

/** Failures in a row to decrypt messages of the current epoch, by group state; not stored. */
const failures = new WeakMap<Epoch, number>();
const SUSPICIOUS_FAILURES = 3;

/** Counts failures to decrypt; a success in between starts over. */
export function noteDecryption(session: GroupSession, succeeded: boolean): void {
  const { epoch } = session.state;
  if (succeeded) {
    failures.delete(epoch);
    return;
  }
  const count = (failures.get(epoch) ?? 0) + 1;
  failures.set(epoch, count);
  if (count === SUSPICIOUS_FAILURES) suspectFork(session, "decryptionFailures");
}
