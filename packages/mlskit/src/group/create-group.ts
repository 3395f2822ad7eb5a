/** A group of one. RFC 9420 §11. */
import { EMPTY_BYTES, MLS10 } from "../codec/index.ts";
import { Secret } from "../crypto/index.ts";
import type { Extension } from "../extensions/extension.ts";
import { UsageError } from "../errors.ts";
import { checkPrivateKeys } from "../key-packages/private-keys.ts";
import { confirmationTag, secretsOf } from "../key-schedule/key-schedule.ts";
import { RatchetTree } from "../tree/ratchet-tree.ts";
import { leafIndex } from "../tree/tree-math.ts";
import { checkContextSupport, checkExternalSenderList } from "./context-extensions.ts";
import { checkCredentials } from "./credential-checks.ts";
import { checkExtensionsByTypes } from "./custom-types.ts";
import type { Environment } from "./environment.ts";
import { type Epoch, memberEpoch, publicEpoch } from "./epoch.ts";
import type { KeyPackageBundle } from "./join-by-welcome.ts";
import { checkContextExtensionTypes } from "./proposal-rules.ts";
import type { SuiteCrypto } from "../crypto/index.ts";

export interface CreateGroupOptions {
  readonly crypto: SuiteCrypto;
  readonly groupId: Uint8Array;
  /** GroupContext extensions. */
  readonly extensions: readonly Extension[];
  /** A key package of the creator: it gives the leaf and its key. */
  readonly creator: Omit<KeyPackageBundle, "initKey">;
}

/** The first epoch, number 0, with the creator as its only member. */
export async function createGroup(
  { crypto, groupId, extensions, creator }: CreateGroupOptions,
  environment: Environment,
): Promise<Epoch> {
  await checkPrivateKeys(crypto, creator);
  const tree = RatchetTree.ofLeaf(crypto, creator.keyPackage.leafNode);
  const context = {
    version: MLS10,
    cipherSuite: crypto.suite.id,
    groupId,
    epoch: 0n,
    treeHash: tree.treeHash(),
    confirmedTranscriptHash: EMPTY_BYTES,
    extensions,
  };
  checkCreation(tree, extensions, environment);
  await checkCredentials(environment, [{ next: creator.keyPackage.leafNode }], "add", groupId);
  await checkExternalSenderList({ crypto, context }, extensions, environment);
  // Rule mk-106: nothing about the first epoch follows from public data.
  const epochSecret = new Secret(crypto.randomBytes(crypto.suite.kdf.size));
  const secrets = secretsOf(crypto, epochSecret);
  epochSecret.erase();
  const tag = confirmationTag(crypto, secrets.confirmationKey, EMPTY_BYTES);
  return memberEpoch(publicEpoch(crypto, context, tree, tag), secrets, {
    ownLeaf: leafIndex(0),
    privateKeys: new Map([[0, creator.encryptionKey]]),
    signer: creator.signer,
  });
}

/** Rule mk-108: the creator can live in the group that it describes. */
function checkCreation(
  tree: RatchetTree,
  extensions: readonly Extension[],
  { types }: Environment,
): void {
  try {
    checkContextExtensionTypes(extensions);
    checkContextSupport(tree, extensions);
    checkExtensionsByTypes([], extensions, types);
  } catch (cause) {
    throw new UsageError("INVALID_EXTENSION", "the creator does not support these extensions", {
      rule: "mk-108",
      cause,
    });
  }
}
