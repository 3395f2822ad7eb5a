/** Describing an epoch to joiners. RFC 9420 §12.4.3. */

import type { Signer } from "../crypto/index.ts";
import { UsageError } from "../errors.ts";
import {
  type Extension,
  ExtensionType,
  ExternalPub,
  makeExtension,
} from "../extensions/extension.ts";
import { externalKeyPair } from "../key-schedule/external-init.ts";
import { type GroupInfo, signGroupInfo } from "../messages/group-info.ts";
import type { Secret } from "../crypto/index.ts";
import type { LeafIndex } from "../tree/tree-math.ts";
import type { PublicEpoch } from "./epoch.ts";

export interface GroupInfoOptions {
  /** Put the tree inside. Otherwise joiners get it by other means. */
  readonly ratchetTree: boolean;
  /** Publish external_pub, so that outsiders may join by an external commit. */
  readonly externalPub: boolean;
  /** More extensions; the two above cannot be given here. */
  readonly extensions?: readonly Extension[] | undefined;
}

/** The GroupInfo of an epoch, signed by the member at `ownLeaf`. */
export async function createGroupInfo(
  epoch: PublicEpoch & { readonly secrets: { readonly externalSecret: Secret } },
  ownLeaf: LeafIndex,
  signer: Signer,
  options: GroupInfoOptions,
): Promise<GroupInfo> {
  const extensions: Extension[] = [];
  if (options.ratchetTree) {
    extensions.push({ type: ExtensionType.ratchetTree, data: epoch.tree.encode() });
  }
  if (options.externalPub) {
    const { publicKey } = await externalKeyPair(epoch.crypto, epoch.secrets.externalSecret);
    extensions.push(makeExtension(ExtensionType.externalPub, ExternalPub, publicKey));
  }
  for (const extension of options.extensions ?? []) {
    checkGroupInfoExtension(extension);
    extensions.push(extension);
  }
  return signGroupInfo(
    {
      groupContext: epoch.context,
      extensions,
      confirmationTag: epoch.confirmationTag,
      signer: ownLeaf,
    },
    signer,
  );
}

/** RFC 9420 §17.3: the RFC's types for a GroupInfo are put in by us, its other types elsewhere. */
function checkGroupInfoExtension({ type }: Extension): void {
  const known: readonly number[] = [1, 2, 3, 4, 5];
  if (known.includes(type)) {
    throw new UsageError("INVALID_EXTENSION", "this extension cannot be added to a GroupInfo", {
      rule: "valn1602",
      details: { extensionType: type },
    });
  }
}
