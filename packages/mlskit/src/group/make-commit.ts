/**
 * Building a Commit. RFC 9420 §12.4.1. Members and external joiners go the same way; they differ in
 * who signs, where the init secret comes from, and how the result is wrapped.
 */
import type { Secret, Signer } from "../crypto/index.ts";
import { Secret as SecretBytes } from "../crypto/index.ts";
import {
  type AuthenticatedContent,
  authenticate,
  type ContentWireFormat,
  signContent,
} from "../framing/authenticated-content.ts";
import type { Sender } from "../framing/framed-content.ts";
import type { Credential } from "../credentials/credential.ts";
import type { Extension } from "../extensions/extension.ts";
import type { ProposalOrRef } from "../messages/commit.ts";
import type { Capabilities } from "../tree/nodes.ts";
import { createUpdatePath, type CreatedUpdatePath } from "../tree/update-path.ts";
import { encodeContext, provisionalContext, type PublicEpoch } from "./epoch.ts";
import type { EvaluatedProposals } from "./evaluate-proposals.ts";
import { checkEpochLeft, type NextEpoch, startNextEpoch } from "./next-epoch.ts";

/** What the committer's new leaf says; its keys are made on the way. */
export interface LeafTemplate {
  readonly credential: Credential;
  readonly capabilities: Capabilities;
  readonly extensions: readonly Extension[];
  /** Holds the key that the new leaf names. */
  readonly signer: Signer;
}

export interface CommitPlan {
  readonly before: PublicEpoch;
  readonly list: EvaluatedProposals;
  readonly sender: Sender;
  /** Signs the Commit: the key of the old leaf, or for an external commit of the new one. */
  readonly signer: Signer;
  /** Undefined for a Commit without a path. */
  readonly path: LeafTemplate | undefined;
  readonly initSecret: Secret;
  readonly authenticatedData: Uint8Array;
  readonly wireFormat: ContentWireFormat;
}

export interface MadeCommit {
  readonly authenticated: AuthenticatedContent;
  readonly next: NextEpoch;
  readonly path: CreatedUpdatePath | undefined;
}

export async function makeCommit(plan: CommitPlan): Promise<MadeCommit> {
  const { before, list, sender } = plan;
  checkEpochLeft(before);
  const path = plan.path === undefined ? undefined : await makePath(plan, plan.path);
  const proposals = list.entries.map(({ reference, proposal }): ProposalOrRef => {
    return reference === undefined
      ? { type: "proposal", proposal }
      : { type: "reference", reference };
  });
  const commit = await signContent(
    {
      groupId: before.context.groupId,
      epoch: before.context.epoch,
      sender,
      authenticatedData: plan.authenticatedData,
      content: { contentType: "commit", commit: { proposals, path: path?.updatePath } },
    },
    plan.wireFormat,
    before.contextBytes,
    plan.signer,
  );
  const next = startNextEpoch({
    before,
    tree: path?.tree ?? list.tree,
    extensions: list.extensions,
    commit,
    initSecret: plan.initSecret,
    commitSecret: path?.commitSecret ?? zeroSecret(before),
    pskSecret: list.pskSecret,
  });
  path?.commitSecret.erase();
  return { authenticated: authenticate(commit, next.public.confirmationTag), next, path };
}

/** The commit_secret of a Commit without a path. RFC 9420 §12.4.1. */
export function zeroSecret({ crypto }: PublicEpoch): Secret {
  return new SecretBytes(new Uint8Array(crypto.suite.kdf.size));
}

function makePath(plan: CommitPlan, { signer, ...leaf }: LeafTemplate): Promise<CreatedUpdatePath> {
  const { before, list } = plan;
  return createUpdatePath({
    tree: list.tree,
    sender: list.committer,
    leaf,
    signer,
    groupId: before.context.groupId,
    excludedLeaves: new Set(list.added.map((change) => change.leaf)),
    groupContextBytes: (treeHash) =>
      encodeContext(provisionalContext(before, { treeHash, extensions: list.extensions })),
  });
}
