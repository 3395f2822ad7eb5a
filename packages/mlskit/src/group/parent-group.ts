/** The group that a successor or a branch follows from. RFC 9420 §11.2, §11.3. */
import type { Identity } from "../credentials/authentication-service.ts";
import type { Secret } from "../crypto/index.ts";
import type { ReInit } from "../messages/proposal.ts";
import type { Epoch } from "./epoch.ts";
import { identityOf } from "./credential-checks.ts";

/** What must be kept of a group so that others can follow from it. Survives the group itself. */
export interface Parent {
  readonly groupId: Uint8Array;
  /** The epoch that the resumption PSK belongs to. */
  readonly epoch: bigint;
  readonly version: number;
  readonly cipherSuite: number;
  readonly members: readonly Identity[];
  readonly resumptionPsk: Secret;
}

/** A group that ended with a ReInit; `epoch` is the one after the Commit that covers it. */
export interface Predecessor extends Parent {
  readonly reInit: ReInit;
}

/** A group as it may be branched from. */
export function parentOf({ context, tree, secrets }: Epoch): Parent {
  const { groupId, epoch, version, cipherSuite } = context;
  const members = [...tree.members()].map(([, leaf]) => identityOf(leaf));
  return { groupId, epoch, version, cipherSuite, members, resumptionPsk: secrets.resumptionPsk };
}

/** A group that ended; `epoch` is the one that its ReInit Commit started. */
export function predecessorOf(epoch: Epoch, reInit: ReInit): Predecessor {
  return { ...parentOf(epoch), reInit };
}
