/** Our own leaf, before we sign a new one. RFC 9420 §7.3. */
import type { CredentialEvent } from "../credentials/authentication-service.ts";
import { InternalError, UsageError } from "../errors.ts";
import {
  checkOwnCapabilities,
  checkOwnLeafExtensions,
} from "../key-packages/create-key-package.ts";
import { supports } from "../tree/capabilities.ts";
import type { LeafNode } from "../tree/nodes.ts";
import { resyncedLeaf } from "./apply-proposals.ts";
import { contextRequirements } from "./context-extensions.ts";
import { checkCredentials, checkSuccessors } from "./credential-checks.ts";
import type { Environment } from "./environment.ts";
import type { Epoch, PublicEpoch } from "./epoch.ts";
import { checkCredentialSupport, checkSignatureKeyIsNew } from "./leaf-among-members.ts";
import { type EvaluatedProposals, identityOf } from "./evaluate-proposals.ts";
import type { LeafTemplate } from "./make-commit.ts";

export function ownLeafOf({ tree, ownLeaf }: Epoch): LeafNode {
  const leaf = tree.leaf(ownLeaf);
  if (leaf === undefined) throw new InternalError("our own leaf is blank");
  return leaf;
}

/** What others will check in the path leaf, checked before it is built. */
export function checkOwnLeaf(
  epoch: Epoch,
  list: EvaluatedProposals,
  leaf: LeafTemplate,
  environment: Environment,
): Promise<void> {
  return checkOwnLeafUnder(epoch, leaf, list, "commit", environment);
}

/** The same for an Update, under the extensions of the current epoch. */
export function checkOwnLeafNow(
  epoch: Epoch,
  leaf: LeafTemplate,
  environment: Environment,
): Promise<void> {
  const { tree, context } = epoch;
  const now = { tree, extensions: context.extensions };
  return checkOwnLeafUnder(epoch, leaf, now, "update", environment);
}

async function checkOwnLeafUnder(
  epoch: Epoch,
  leaf: LeafTemplate,
  { tree, extensions: groupExtensions }: Pick<EvaluatedProposals, "tree" | "extensions">,
  event: CredentialEvent,
  environment: Environment,
): Promise<void> {
  const { credential, capabilities, extensions } = leaf;
  checkScheme(epoch, leaf);
  checkOwnCapabilities(capabilities, epoch.crypto.suite.id, credential);
  checkOwnLeafExtensions(capabilities, extensions);
  checkSupport(leaf, contextRequirements(epoch.crypto, groupExtensions));
  checkSignatureKeyIsNew(tree, epoch.ownLeaf, leaf.signer.publicKey, "valn0111");
  checkCredentialSupport(tree, leaf, { leafIndex: epoch.ownLeaf });
  const current = identityOf(ownLeafOf(epoch));
  const next = { credential: leaf.credential, signatureKey: leaf.signer.publicKey };
  if (next.credential === ownLeafOf(epoch).credential && leaf.signer === epoch.signer) return;
  const changes = [{ current, next, position: undefined }];
  await checkCredentials(environment, changes, event, epoch.context.groupId);
  await checkSuccessors(environment, changes, event, epoch.context.groupId);
}

/** @throws UsageError `INVALID_SIGNER` if the key is for another suite */
function checkScheme({ crypto }: PublicEpoch, { signer }: LeafTemplate): void {
  if (signer.scheme === crypto.suite.signature.scheme) return;
  throw new UsageError("INVALID_SIGNER", "the signer is for another cipher suite", {
    rule: "mk-23",
  });
}

/** Rules valn0103, valn1210 for our own leaf. */
function checkSupport(
  { capabilities }: LeafTemplate,
  { requiredCapabilities, groupExtensionTypes }: ReturnType<typeof contextRequirements>,
): void {
  const lists = [
    ["extensions", requiredCapabilities?.extensionTypes ?? []],
    ["proposals", requiredCapabilities?.proposalTypes ?? []],
    ["credentials", requiredCapabilities?.credentialTypes ?? []],
  ] as const;
  const message = "our leaf would lack support that the group needs";
  for (const [kind, types] of lists) {
    const type = types.find((each) => !supports(capabilities, kind, each));
    if (type === undefined) continue;
    const details = { kind, type };
    throw new UsageError("INVALID_EXTENSION", message, { rule: "valn0103", details });
  }
  const kind = "extensions";
  const type = groupExtensionTypes?.find((each) => !supports(capabilities, kind, each));
  if (type === undefined) return;
  const details = { kind, type };
  throw new UsageError("INVALID_EXTENSION", message, { rule: "valn1210", details });
}

/** The same for the leaf of an external joiner, which may replace a former leaf of its own. */
export async function checkJoinerLeaf(
  epoch: PublicEpoch,
  list: EvaluatedProposals,
  leaf: LeafTemplate,
  environment: Environment,
): Promise<void> {
  const { credential, capabilities, extensions, signer } = leaf;
  checkScheme(epoch, leaf);
  checkOwnCapabilities(capabilities, epoch.crypto.suite.id, credential);
  checkOwnLeafExtensions(capabilities, extensions);
  checkSupport(leaf, contextRequirements(epoch.crypto, list.extensions));
  const next = { credential, signatureKey: signer.publicKey };
  checkSignatureKeyIsNew(list.tree, list.committer, signer.publicKey, "valn0111");
  checkCredentialSupport(list.tree, leaf, { leafIndex: list.committer });
  const replaced = resyncedLeaf(list);
  const current = replaced === undefined ? {} : { current: identityOf(replaced) };
  const changes = [{ next, position: undefined, ...current }];
  await checkCredentials(environment, changes, "externalJoin", epoch.context.groupId);
  await checkSuccessors(environment, changes, "externalJoin", epoch.context.groupId);
}
