/**
 * Beacons: telling whether a group has split. Catalogue M-FRK-01, M-FRK-02.
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
import type { ForkFingerprints } from "../client/state/events.ts";
import type { GroupSession } from "../client/session/session.ts";
import { accessOf, type Group } from "../client/group.ts";
import { suspectFork } from "../client/receiving/fork.ts";
import { checkSecrets } from "../client/session/session.ts";

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

/** A signed statement of the epoch that a group is in. May travel any way, and carries no secret. */
export function createBeacon(group: Group): Promise<Uint8Array> {
  return accessOf(group).operate(async ({ state }) => {
    checkSecrets(state);
    return signBeacon(state.epoch);
  });
}

async function signBeacon(epoch: Epoch): Promise<Uint8Array> {
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
export function compareBeacon(group: Group, beacon: Uint8Array): Promise<BeaconComparison> {
  return accessOf(group).operate((session) => compareWith(session, beacon));
}

async function compareWith(session: GroupSession, bytes: Uint8Array): Promise<BeaconComparison> {
  checkSecrets(session.state);
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

function fingerprintOf({ crypto, secrets }: Epoch): Uint8Array {
  return crypto.hash(secrets.epochAuthenticator.bytes);
}
