/** Proposals as messages of their own: sending them, and accepting those of others. RFC 9420 §12.1. */
import { Secret } from "../crypto/index.ts";
import { InternalError } from "../errors.ts";
import {
  authenticate,
  type ContentWireFormat,
  signContent,
} from "../framing/authenticated-content.ts";
import type { Sender } from "../framing/framed-content.ts";
import { encodeMlsMessage } from "../framing/mls-message.ts";
import type { PaddingPolicy } from "../framing/padding.ts";
import { check } from "../rules.ts";
import { checkKeyPackage, keyPackageSignatures } from "../key-packages/key-package-validation.ts";
import type { Proposal } from "../messages/proposal.ts";
import type { SecretTreeChange } from "../secret-tree/secret-tree.ts";
import { checkLeafNode, type LifetimeRules } from "../tree/leaf-node-validation.ts";
import { signLeafNode, verifyJob } from "../tree/leaf-node.ts";
import { verifySignatures } from "../tree/signature-batch.ts";
import { leafIndex } from "../tree/tree-math.ts";
import type { VerifiedContent } from "./content.ts";
import {
  checkExtensionBodies,
  checkExternalSenderList,
  contextRequirements,
} from "./context-extensions.ts";
import { checkCredentials } from "./credential-checks.ts";
import type { Environment } from "./environment.ts";
import { type Epoch, groupView, type PublicEpoch } from "./epoch.ts";
import { receivedLifetimes, sentLifetimes } from "./lifetimes.ts";
import { checkOwnLeaf, leafTemplate, type LeafUpdate } from "./own-leaf.ts";
import { type CachedProposal, type OwnUpdate, proposalRef } from "./proposal-entry.ts";
import { checkProposal, checkWireFormat } from "./proposal-rules.ts";
import { protectContent } from "./protect.ts";
import { rememberRefusal } from "./refused-proposals.ts";
import { reviewProposal } from "./review.ts";
import { isVerifiedLeaf, rememberKeyPackage, rememberLeaf } from "./verified-signatures.ts";

export interface ProposalMessageOptions {
  readonly authenticatedData: Uint8Array;
  readonly wireFormat: ContentWireFormat;
  readonly padding: PaddingPolicy;
}

export interface SentProposal {
  /** A complete MLSMessage. */
  readonly bytes: Uint8Array;
  /** To be cached: our own proposals are not decryptable when they come back. */
  readonly cached: CachedProposal;
  readonly change: SecretTreeChange | undefined;
}

/** Sends a proposal by a member. What would be refused on arrival is refused here. */
export async function createProposal(
  epoch: Epoch,
  proposal: Proposal,
  options: ProposalMessageOptions,
  environment: Environment,
  ownUpdate?: OwnUpdate,
): Promise<SentProposal> {
  const sender = { type: "member", leafIndex: epoch.ownLeaf } as const;
  checkWireFormat(proposal, options.wireFormat, environment.types);
  await checkAlone(epoch, proposal, sender, environment, sentLifetimes(environment));
  const signed = await signContent(
    {
      groupId: epoch.context.groupId,
      epoch: epoch.context.epoch,
      sender,
      authenticatedData: options.authenticatedData,
      content: { contentType: "proposal", proposal },
    },
    options.wireFormat,
    epoch.contextBytes,
    epoch.signer,
  );
  const authenticated = authenticate(signed, undefined);
  const reference = proposalRef(epoch.crypto, authenticated);
  const { message, change } = protectContent(epoch, authenticated, options.padding);
  return {
    bytes: encodeMlsMessage(message),
    cached: { proposal, sender, reference, ownUpdate },
    change,
  };
}

/** An Update of our own leaf, with the private key that it stands for. RFC 9420 §12.1.2. */
export async function createUpdate(
  epoch: Epoch,
  update: LeafUpdate,
  environment: Environment,
): Promise<{ readonly proposal: Proposal; readonly ownUpdate: OwnUpdate }> {
  const { crypto, context, ownLeaf } = epoch;
  const { signer, ...template } = leafTemplate(epoch, update);
  const group = { tree: epoch.tree, extensions: context.extensions };
  await checkOwnLeaf(epoch, group, { signer, ...template }, "update", environment);
  const { publicKey, privateKey } = await crypto.generateKeyPair();
  const binding = { groupId: context.groupId, leafIndex: ownLeaf };
  const leafNode = await signLeafNode(
    crypto,
    signer,
    {
      encryptionKey: publicKey,
      signatureKey: signer.publicKey,
      origin: { source: "update" },
      ...template,
    },
    binding,
  );
  rememberLeaf(leafNode, binding);
  return {
    proposal: { type: "update", leafNode },
    ownUpdate: { leafPrivateKey: new Secret(privateKey), signer },
  };
}

/**
 * A received proposal that may be cached: its author is known, and nothing about it is wrong for
 * good. Rules valn1307, mk-64, mk-65.
 *
 * @throws ValidationError, CryptoError, PolicyError
 */
export async function acceptProposal(
  epoch: PublicEpoch,
  verified: VerifiedContent,
  environment: Environment,
): Promise<CachedProposal> {
  const { content, sender, authenticated } = verified;
  if (content.contentType !== "proposal") throw new InternalError("this content is no proposal");
  const { proposal } = content;
  const reference = proposalRef(epoch.crypto, authenticated);
  const cached: CachedProposal = { proposal, sender, reference };
  try {
    checkWireFormat(proposal, authenticated.wireFormat, environment.types);
    await checkAlone(epoch, proposal, sender, environment, receivedLifetimes(environment));
    const { authenticatedData } = authenticated.content;
    const how = { direction: "receive", committer: undefined, authenticatedData } as const;
    await reviewProposal(environment, cached, how, groupView(epoch.context, epoch.tree));
  } catch (reason) {
    rememberRefusal(epoch, reference, reason);
    throw reason;
  }
  return cached;
}

/** All that can be said of a proposal before it stands beside others in a Commit. */
export async function checkAlone(
  epoch: PublicEpoch,
  proposal: Proposal,
  sender: Sender,
  environment: Environment,
  lifetime: LifetimeRules,
): Promise<void> {
  check(
    proposal.type !== "externalInit",
    "mk-65",
    "INVALID_PROPOSAL",
    "an ExternalInit can be committed by value only",
  );
  checkProposal(epoch, proposal, sender, environment.types);
  checkExtensionBodies(proposal, environment);
  const { crypto, context, tree } = epoch;
  const { groupId } = context;
  const requirements = contextRequirements(crypto, context.extensions);
  if (proposal.type === "add") {
    const { keyPackage } = proposal;
    const { strictExtensions } = environment.limits;
    // The extensions in force may change before the Add is committed; support is judged then.
    await checkKeyPackage(keyPackage, { crypto, lifetime, strictExtensions });
    await verifySignatures(crypto, keyPackageSignatures(keyPackage));
    rememberKeyPackage(keyPackage);
    await checkCredentials(environment, [{ next: keyPackage.leafNode }], "add", groupId);
  }
  if (proposal.type === "update" && sender.type === "member") {
    const { leafNode } = proposal;
    const index = leafIndex(sender.leafIndex);
    const replaces = tree.leaf(index);
    const code = "INVALID_PROPOSAL";
    await checkLeafNode(leafNode, { code, source: "update", replaces, ...requirements });
    const binding = { groupId, leafIndex: index };
    if (!isVerifiedLeaf(leafNode, binding)) {
      await verifySignatures(crypto, [verifyJob(leafNode, binding)]);
      rememberLeaf(leafNode, binding);
    }
    const change = { current: replaces, next: leafNode };
    await checkCredentials(environment, [change], "update", groupId);
  }
  if (proposal.type === "groupContextExtensions") {
    await checkExternalSenderList(epoch, proposal.extensions, environment);
  }
}
