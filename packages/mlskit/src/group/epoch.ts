/** One epoch of a group. Values of these types never change; a Commit makes the next one. */
import { copyBytes, decodeInPlace, encode } from "../codec/index.ts";
import type { Secret, Signer, SuiteCrypto } from "../crypto/index.ts";
import { interimTranscriptHash } from "../framing/transcript-hash.ts";
import { GroupContext } from "../key-schedule/group-context.ts";
import type { EpochSecrets } from "../key-schedule/key-schedule.ts";
import { SecretTree } from "../secret-tree/secret-tree.ts";
import type { RatchetTree } from "../tree/ratchet-tree.ts";
import { leafIndex as asLeafIndex, type LeafIndex } from "../tree/tree-math.ts";
import type { GroupView, MemberView } from "./environment.ts";

/** What everybody can know about an epoch, delivery services included. */
export interface PublicEpoch {
  readonly crypto: SuiteCrypto;
  readonly context: GroupContext;
  /** The encoded context: part of signatures, tags and key derivation. */
  readonly contextBytes: Uint8Array;
  readonly tree: RatchetTree;
  readonly confirmationTag: Uint8Array;
  readonly interimTranscriptHash: Uint8Array;
}

/**
 * What a member knows. The one part that does change is the secret tree, whose purpose is to forget
 * (RFC 9420 §9.2).
 */
export interface Epoch extends PublicEpoch {
  readonly ownLeaf: LeafIndex;
  /** HPKE private keys by node index: the own leaf and what is known of its direct path. */
  readonly privateKeys: ReadonlyMap<number, Secret>;
  /** Without the encryption secret, which lives on in the secret tree. */
  readonly secrets: Omit<EpochSecrets, "encryptionSecret">;
  readonly secretTree: SecretTree;
  /** What is left of the exporter tree by node index; undefined while it is untouched. */
  readonly exporterTree?: ReadonlyMap<number, Secret> | undefined;
  readonly signer: Signer;
}

/** An epoch with what follows from its context and tag. */
export function publicEpoch<Tree extends RatchetTree>(
  crypto: SuiteCrypto,
  given: GroupContext,
  tree: Tree,
  confirmationTag: Uint8Array,
  contextBytes: Uint8Array = encodeContext(given),
): PublicEpoch & { readonly tree: Tree } {
  // In memory of its own: views would keep a GroupInfo or Commit for as long as the epoch lasts.
  const context = decodeInPlace(GroupContext, contextBytes);
  return {
    crypto,
    context,
    contextBytes,
    tree,
    confirmationTag: copyBytes(confirmationTag),
    interimTranscriptHash: interimTranscriptHash(
      crypto,
      context.confirmedTranscriptHash,
      confirmationTag,
    ),
  };
}

/** An epoch as one of its members has it. The secret tree takes over the encryption secret. */
export function memberEpoch(
  epoch: PublicEpoch,
  { encryptionSecret, ...secrets }: EpochSecrets,
  own: Pick<Epoch, "ownLeaf" | "privateKeys" | "signer">,
): Epoch {
  const { crypto, tree } = epoch;
  const secretTree = SecretTree.fromEncryptionSecret(crypto, tree.leafCount, encryptionSecret);
  return { ...epoch, ...own, secrets, secretTree };
}

/** The context of the next epoch before its confirmed transcript hash is known. RFC 9420 §12.4.1. */
export function provisionalContext(
  { context }: PublicEpoch,
  { treeHash, extensions }: Pick<GroupContext, "treeHash" | "extensions">,
): GroupContext {
  return { ...context, epoch: context.epoch + 1n, treeHash, extensions };
}

export function encodeContext(context: GroupContext): Uint8Array {
  return encode(GroupContext, context);
}

/** The view that hooks get. */
export function groupView(context: GroupContext, tree: RatchetTree): GroupView {
  const view = (leafIndex: number): MemberView | undefined => {
    const leaf = tree.leaf(asLeafIndex(leafIndex));
    if (leaf === undefined) return undefined;
    return { leafIndex, credential: leaf.credential, signatureKey: leaf.signatureKey };
  };
  return {
    groupId: context.groupId,
    epoch: context.epoch,
    extensions: context.extensions,
    member: view,
    *members() {
      for (const [leafIndex, { credential, signatureKey }] of tree.members()) {
        yield { leafIndex, credential, signatureKey };
      }
    },
  };
}

/** Overwrites the secrets of an epoch that is over. Keys that the next epoch shares are kept. */
export function eraseEpoch(epoch: Epoch, next: Epoch | undefined): void {
  for (const secret of Object.values(epoch.secrets)) secret.erase();
  epoch.secretTree.erase();
  for (const node of epoch.exporterTree?.values() ?? []) node.erase();
  const kept = new Set(next?.privateKeys.values());
  for (const key of epoch.privateKeys.values()) if (!kept.has(key)) key.erase();
}
