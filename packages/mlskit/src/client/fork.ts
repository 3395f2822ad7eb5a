/**
 * Telling whether a group has split. Catalogue M-FRK-01, M-FRK-02.
 *
 * Members on two branches cannot read each other's messages, so they compare what both can check
 * without: a beacon, which says which epoch its author is in, signed with the key of its leaf.
 */
import {
  type Codec,
  decode,
  encode,
  equalBytes,
  opaque,
  struct,
  uint32,
  uint64,
} from "../codec/index.ts";
import { labeledContent, signWithLabel } from "../crypto/labels.ts";
import { CryptoError } from "../errors.ts";
import type { Epoch } from "../group/epoch.ts";
import { check } from "../rules.ts";
import { leafIndex } from "../tree/tree-math.ts";
import type { ForkEvidence, ForkFingerprints } from "./events.ts";
import type { GroupSession } from "./session.ts";

interface Statement {
  readonly groupId: Uint8Array;
  readonly epoch: bigint;
  readonly leafIndex: number;
  /** Hash of the epoch authenticator: says nothing to those who do not have it. */
  readonly fingerprint: Uint8Array;
}

const Statement: Codec<Statement> = struct({
  groupId: opaque,
  epoch: uint64,
  leafIndex: uint32,
  fingerprint: opaque,
});

const Beacon: Codec<{ readonly statement: Uint8Array; readonly signature: Uint8Array }> = struct({
  statement: opaque,
  signature: opaque,
});

const LABEL = "mlskit EpochBeacon";

export interface BeaconComparison extends ForkFingerprints {
  readonly leafIndex: number;
  readonly epoch: bigint;
  /** `other`: the author is in another epoch, which is no sign of a fork by itself. */
  readonly result: "equal" | "different" | "other";
}

/** May travel any way; it is signed and carries no secret. */
export async function createBeacon(epoch: Epoch): Promise<Uint8Array> {
  const { groupId, epoch: number } = epoch.context;
  const statement = encode(Statement, {
    groupId,
    epoch: number,
    leafIndex: epoch.ownLeaf,
    fingerprint: fingerprintOf(epoch),
  });
  const signature = await signWithLabel(epoch.signer, LABEL, statement);
  return encode(Beacon, { statement, signature });
}

/** Compares a member's beacon with our own epoch; a difference raises `forkSuspected`. */
export async function compareBeacon(
  session: GroupSession,
  bytes: Uint8Array,
): Promise<BeaconComparison> {
  const { epoch } = session.state;
  const { crypto, context, tree } = epoch;
  const { statement, signature } = decode(Beacon, bytes, "beacon");
  const said = decode(Statement, statement, "beacon");
  check(
    equalBytes(said.groupId, context.groupId),
    "mk-24",
    "INVALID_MESSAGE",
    "the beacon belongs to another group",
  );
  const leaf = tree.leaf(leafIndex(said.leafIndex));
  check(leaf !== undefined, "mk-26", "INVALID_MESSAGE", "the beacon's author is no member");
  const message = labeledContent(LABEL, statement);
  if (!(await crypto.verify(leaf.signatureKey, message, signature))) {
    throw new CryptoError("SIGNATURE_INVALID", "the signature of the beacon is wrong");
  }
  const ours = fingerprintOf(epoch);
  const isSame = equalBytes(ours, said.fingerprint);
  const result = said.epoch !== context.epoch ? "other" : isSame ? "equal" : "different";
  const { leafIndex: author, epoch: number, fingerprint: theirs } = said;
  if (result === "different") suspectFork(session, "beacon", { ours, theirs });
  return { leafIndex: author, epoch: number, result, ours, theirs };
}

/** `fingerprints` are hashes of the epoch authenticators, where a beacon gave both. */
export function suspectFork(
  session: GroupSession,
  evidence: ForkEvidence,
  fingerprints?: ForkFingerprints,
): void {
  const { groupId, epoch } = session.state.epoch.context;
  session.emit({ type: "forkSuspected", groupId, epoch, evidence, fingerprints });
}

function fingerprintOf({ crypto, secrets }: Epoch): Uint8Array {
  return crypto.hash(secrets.epochAuthenticator.bytes);
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
