/** Our own leaf, before we sign a new one. RFC 9420 §7.3. */
import type { Signer } from "../crypto/index.ts";
import type { CredentialEvent } from "../credentials/authentication-service.ts";
import type { Credential } from "../credentials/credential.ts";
import { InternalError, UsageError } from "../errors.ts";
import type { Extension } from "../extensions/extension.ts";
import {
  checkOwnCapabilities,
  checkOwnLeafExtensions,
} from "../key-packages/create-key-package.ts";
import { requiredTypes, supports } from "../tree/capabilities.ts";
import type { Capabilities, LeafNode } from "../tree/nodes.ts";
import { resyncedLeaf } from "./apply-proposals.ts";
import { contextRequirements } from "./context-extensions.ts";
import { checkCredentials } from "./credential-checks.ts";
import type { Environment } from "./environment.ts";
import type { Epoch, PublicEpoch } from "./epoch.ts";
import { checkCredentialSupport, checkSignatureKeyIsNew } from "./leaf-among-members.ts";
import type { EvaluatedProposals } from "./evaluate-proposals.ts";
import type { LeafTemplate } from "./make-commit.ts";

export function ownLeafOf({ tree, ownLeaf }: Epoch): LeafNode {
  const leaf = tree.leaf(ownLeaf);
  if (leaf === undefined) throw new InternalError("our own leaf is blank");
  return leaf;
}

/** What may change in the committer's own leaf; what is left out is carried over. */
export interface LeafUpdate {
  readonly credential?: Credential | undefined;
  readonly capabilities?: Capabilities | undefined;
  readonly extensions?: readonly Extension[] | undefined;
  /** A new signature key. The Commit itself is signed with the old one. */
  readonly signer?: Signer | undefined;
}

/** The leaf that an update of ours makes. */
export function leafTemplate(epoch: Epoch, update: LeafUpdate = {}): LeafTemplate {
  const { credential, capabilities, extensions } = ownLeafOf(epoch);
  return {
    credential: update.credential ?? credential,
    capabilities: update.capabilities ?? capabilities,
    extensions: update.extensions ?? extensions,
    signer: update.signer ?? epoch.signer,
  };
}

/** What others will check in a new leaf of ours, checked before it is built. */
export function checkOwnLeaf(
  epoch: Epoch,
  group: ResultingGroup,
  leaf: LeafTemplate,
  event: "commit" | "update",
  environment: Environment,
): Promise<void> {
  const { ownLeaf, signer } = epoch;
  const current = ownLeafOf(epoch);
  const keepsIdentity = leaf.credential === current.credential && leaf.signer === signer;
  const change = keepsIdentity ? undefined : { current, event };
  return checkNewLeaf(epoch, { ...group, committer: ownLeaf }, leaf, change, environment);
}

/** The same for the leaf of an external joiner, which may replace a former leaf of its own. */
export function checkJoinerLeaf(
  epoch: PublicEpoch,
  list: EvaluatedProposals,
  leaf: LeafTemplate,
  environment: Environment,
): Promise<void> {
  const change = { current: resyncedLeaf(list), event: "externalJoin" } as const;
  return checkNewLeaf(epoch, list, leaf, change, environment);
}

/** The group in which the leaf will stand. */
type ResultingGroup = Pick<EvaluatedProposals, "tree" | "extensions">;

async function checkNewLeaf(
  { crypto, context }: PublicEpoch,
  { tree, extensions, committer }: ResultingGroup & Pick<EvaluatedProposals, "committer">,
  leaf: LeafTemplate,
  change: { readonly current: LeafNode | undefined; readonly event: CredentialEvent } | undefined,
  environment: Environment,
): Promise<void> {
  const { credential, capabilities, signer } = leaf;
  const signatureKey = signer.publicKey;
  if (signer.scheme !== crypto.suite.signature.scheme) {
    throw new UsageError("INVALID_SIGNER", "the signer is for another cipher suite", {
      rule: "mk-23",
    });
  }
  checkOwnCapabilities(capabilities, crypto.suite.id, credential);
  checkOwnLeafExtensions(capabilities, leaf.extensions);
  checkSupport(capabilities, contextRequirements(crypto, extensions));
  checkSignatureKeyIsNew(tree, committer, signatureKey, "valn0111");
  checkCredentialSupport(tree, leaf, { leafIndex: committer });
  if (change === undefined) return;
  const { current, event } = change;
  const next = { credential, signatureKey };
  await checkCredentials(environment, [{ current, next }], event, context.groupId);
}

/** Rules valn0103, valn1210 for our own leaf. */
function checkSupport(
  capabilities: Capabilities,
  { requiredCapabilities, groupExtensionTypes = [] }: ReturnType<typeof contextRequirements>,
): void {
  const message = "our leaf would lack support that the group needs";
  for (const { kind, type } of requiredTypes(requiredCapabilities)) {
    if (supports(capabilities, kind, type)) continue;
    const details = { kind, type };
    throw new UsageError("INVALID_EXTENSION", message, { rule: "valn0103", details });
  }
  const kind = "extensions";
  for (const type of groupExtensionTypes) {
    if (supports(capabilities, kind, type)) continue;
    const details = { kind, type };
    throw new UsageError("INVALID_EXTENSION", message, { rule: "valn1210", details });
  }
}
