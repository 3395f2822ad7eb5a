/** Suspecting that a group has split. Catalogue M-FRK-01, M-FRK-02. */
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

const SUSPICIOUS_FAILURES = 3;

/** Counts failures in a row to decrypt messages of the current epoch; they are not stored. */
export function noteDecryption(session: GroupSession, succeeded: boolean): void {
  const { failures } = session.host;
  const { handle, epoch: current } = session.state;
  const { epoch } = current.context;
  const known = failures.get(handle);
  if (succeeded && (known?.count ?? 0) === 0) return;
  const count = succeeded ? 0 : known?.epoch === epoch ? known.count + 1 : 1;
  failures.set(handle, { epoch, count });
  session.transaction.onAbort(() => failures.set(handle, known ?? { epoch, count: 0 }));
  if (count === SUSPICIOUS_FAILURES) suspectFork(session, "decryptionFailures");
}
