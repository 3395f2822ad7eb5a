/** The group's own extensions, and what they demand of its members. RFC 9420 §11.1, §12.1.7. */
import type { SuiteCrypto } from "../crypto/index.ts";
import { equalBytes } from "../codec/index.ts";
import { certifiesKey } from "../credentials/x509.ts";
import {
  type Extension,
  ExtensionType,
  findExtension,
  readExtension,
  readExternalSenders,
  RequiredCapabilities,
} from "../extensions/extension.ts";
import type { Proposal } from "../messages/proposal.ts";
import { check } from "../rules.ts";
import { isDefaultType, requiredTypes } from "../tree/capabilities.ts";
import type { LeafNodeRequirements } from "../tree/leaf-node-validation.ts";
import type { RatchetTree } from "../tree/ratchet-tree.ts";
import type { ProvisionalGroup } from "./apply-proposals.ts";
import { checkCredentials } from "./credential-checks.ts";
import { type Environment, wireTypes } from "./environment.ts";
import type { PublicEpoch } from "./epoch.ts";
import { blaming, ProposalFault, type ProposalEntry } from "./proposal-entry.ts";

/** What every leaf of a group with these extensions must support. */
export function contextRequirements(
  crypto: SuiteCrypto,
  extensions: readonly Extension[],
): Pick<LeafNodeRequirements, "crypto" | "requiredCapabilities" | "groupExtensionTypes"> {
  const { requiredCapabilities } = ExtensionType;
  return {
    crypto,
    requiredCapabilities: readExtension(extensions, requiredCapabilities, RequiredCapabilities),
    groupExtensionTypes: extensions.map(({ type }) => type),
  };
}

/** New extensions must suit everyone who stays or comes. RFC 9420 §12.1.7. */
export async function checkChangedExtensions(
  epoch: PublicEpoch,
  entries: readonly ProposalEntry[],
  group: ProvisionalGroup,
  environment: Environment,
): Promise<void> {
  for (const [at, { proposal }] of entries.entries()) {
    blaming([at], () => checkExtensionBodies(proposal, environment));
  }
  const position = group.extensionsPosition;
  if (position === undefined) return;
  const adds = [...entries.keys()].filter((i) => entries[i]?.proposal.type === "add");
  try {
    checkContextSupport(group.tree, group.extensions);
  } catch (fault) {
    // Leaving out the Adds may help as well, but the extensions are the likelier culprit.
    throw new ProposalFault(fault, [position, ...adds]);
  }
  try {
    await checkExternalSenders(epoch, group.extensions, environment);
  } catch (fault) {
    throw new ProposalFault(fault, [position]);
  }
}

/**
 * Rule mk-16: bodies of a group to come are not taken for good until it is too late. A ReInit may lead
 * to another suite, by which its keys are judged when the successor is made.
 */
export function checkExtensionBodies(proposal: Proposal, environment: Environment): void {
  if (proposal.type !== "groupContextExtensions" && proposal.type !== "reInit") return;
  const { extensions } = proposal;
  readExtension(extensions, ExtensionType.requiredCapabilities, RequiredCapabilities);
  readExternalSenders(extensions, wireTypes(environment));
}

/** Rules valn1001, mk-62: all members of the tree support what the extensions ask for. */
export function checkContextSupport(tree: RatchetTree, extensions: readonly Extension[]): void {
  const required = readExtension(
    extensions,
    ExtensionType.requiredCapabilities,
    RequiredCapabilities,
  );
  for (const { kind, type } of requiredTypes(required)) {
    check(
      tree.supportedByAll(kind, type),
      "valn1001",
      "INVALID_PROPOSAL",
      "a member lacks a capability that would be required",
      { kind, type },
    );
  }
  for (const { type } of extensions) {
    check(
      isDefaultType("extensions", type) || tree.supportedByAll("extensions", type),
      "mk-62",
      "INVALID_PROPOSAL",
      "a member does not support an extension of the group",
      { extensionType: type },
    );
  }
}

/** Rule mk-63: new or changed external senders are well formed and accepted by the application. */
async function checkExternalSenders(
  epoch: PublicEpoch,
  extensions: readonly Extension[],
  environment: Environment,
): Promise<void> {
  const before = findExtension(epoch.context.extensions, ExtensionType.externalSenders);
  const after = findExtension(extensions, ExtensionType.externalSenders);
  if (after === undefined || (before !== undefined && equalBytes(before, after))) return;
  await checkExternalSenderList(epoch, extensions, environment);
}

export async function checkExternalSenderList(
  epoch: Pick<PublicEpoch, "crypto" | "context">,
  extensions: readonly Extension[],
  environment: Environment,
): Promise<void> {
  const senders = readExternalSenders(extensions, wireTypes(environment));
  for (const { credential, signatureKey } of senders) {
    check(
      await epoch.crypto.isValidSignatureKey(signatureKey),
      "mk-63",
      "INVALID_PROPOSAL",
      "an external sender has no signature key of the group's suite",
    );
    check(
      certifiesKey(credential, signatureKey),
      "mk-17",
      "INVALID_PROPOSAL",
      "an external sender's certificate is not for its key",
    );
  }
  const changes = senders.map((next) => ({ next }));
  await checkCredentials(environment, changes, "externalSender", epoch.context.groupId);
}
