/** What is kept of an epoch that is over, for late messages. RFC 9420 §15.3; rule mk-44. */
import type { Credential } from "../credentials/credential.ts";
import type { Secret, SuiteCrypto } from "../crypto/index.ts";
import type { SecretTree } from "../secret-tree/secret-tree.ts";
import { leafIndex } from "../tree/tree-math.ts";
import type { EpochKeys } from "./content.ts";
import type { Epoch } from "./epoch.ts";

/** A member as it was in its epoch. */
export interface PastMember {
  readonly credential: Credential;
  readonly signatureKey: Uint8Array;
}

/** Sender-data secret, remaining ratchets and a table of members: not a second tree. */
export interface PastEpoch extends Omit<EpochKeys, "signatureKey"> {
  readonly crypto: SuiteCrypto;
  readonly senderDataSecret: Secret;
  readonly secretTree: SecretTree;
  /** Undefined for leaves that were blank in that epoch. */
  member(leaf: number): PastMember | undefined;
  /** When the epoch ended, in seconds since 1970. */
  readonly endedAt: bigint;
}

/** Takes over the secret tree and the sender-data secret; the epoch must not be used any more. */
export function retire(epoch: Epoch, endedAt: bigint): PastEpoch {
  const { crypto, context, contextBytes, ownLeaf, secrets, secretTree, tree } = epoch;
  const { groupId, epoch: number, extensions } = context;
  return {
    crypto,
    context: { groupId, epoch: number, extensions },
    contextBytes,
    ownLeaf,
    senderDataSecret: secrets.senderDataSecret,
    secretTree,
    member: memberTable(tree),
    endedAt,
  };
}

/** The tree is immutable and shares its chunks with its successors, so holding it costs little. */
function memberTable(tree: Epoch["tree"]): PastEpoch["member"] {
  return (leaf) => tree.leaf(leafIndex(leaf));
}

/** For opening messages of a past epoch. */
export function pastKeys(past: PastEpoch): EpochKeys {
  return { ...past, signatureKey: (leaf) => past.member(leaf)?.signatureKey };
}

/** For opening messages of the current epoch. */
export function currentKeys(epoch: Epoch): EpochKeys {
  const { crypto, context, contextBytes, ownLeaf, secrets, secretTree, tree } = epoch;
  return {
    crypto,
    context,
    contextBytes,
    ownLeaf,
    senderDataSecret: secrets.senderDataSecret,
    secretTree,
    signatureKey: (leaf) => tree.leaf(leafIndex(leaf))?.signatureKey,
  };
}
