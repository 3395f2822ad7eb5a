/** Joining without an invitation, from a published GroupInfo. RFC 9420 §12.4.3.2. */
import type { SuiteCrypto } from "../crypto/index.ts";
import { ExternalPub, ExtensionType, readExtension } from "../extensions/extension.ts";
import { encodeMlsMessage } from "../framing/mls-message.ts";
import { protectPublic } from "../framing/public-message.ts";
import { sendExternalInit } from "../key-schedule/external-init.ts";
import type { PreSharedKeyId } from "../key-schedule/pre-shared-key.ts";
import type { GroupInfo } from "../messages/group-info.ts";
import type { Proposal } from "../messages/proposal.ts";
import { check } from "../rules.ts";
import type { RatchetTree } from "../tree/ratchet-tree.ts";
import type { ValidationNotice } from "../tree/leaf-node-validation.ts";
import { type CommitSummary, summarize } from "./commit-summary.ts";
import type { Environment } from "./environment.ts";
import { type Epoch, groupView, memberEpoch } from "./epoch.ts";
import { checkJoinerLeaf } from "./own-leaf.ts";
import { type LeafTemplate, makeCommit } from "./make-commit.ts";
import type { CachedProposal, ProposalEntry } from "./proposal-entry.ts";
import { acceptPublicProposals } from "./public-proposal.ts";
import { reviewCommit } from "./review.ts";
import { requireProposals } from "./select-proposals.ts";
import { validateGroupInfo } from "./validate-group-info.ts";

export interface ExternalJoinOptions {
  readonly crypto: SuiteCrypto;
  readonly groupInfo: GroupInfo;
  /** The tree, unless it is in the GroupInfo. */
  readonly ratchetTree?: Uint8Array | undefined;
  readonly leaf: LeafTemplate;
  /** Finds the former leaf of ours that the Commit removes, in the tree once it was validated. */
  readonly resync?: ((tree: RatchetTree) => number | undefined) | undefined;
  readonly psks: readonly PreSharedKeyId[];
  /** Proposals that external commits may carry by reference, already verified. */
  readonly pending: readonly CachedProposal[];
  /** The same as they came with the GroupInfo: PublicMessages, verified here. */
  readonly pendingMessages?: readonly Uint8Array[] | undefined;
  readonly authenticatedData: Uint8Array;
}

export interface ExternalJoin {
  readonly commit: Uint8Array;
  readonly confirmationTag: Uint8Array;
  /** Begins if the Commit is accepted. */
  readonly next: Epoch;
  readonly summary: CommitSummary;
  readonly notices: readonly ValidationNotice[];
}

export async function joinByExternalCommit(
  options: ExternalJoinOptions,
  environment: Environment,
): Promise<ExternalJoin> {
  const { crypto, groupInfo, leaf } = options;
  const externalPub = readExtension(groupInfo.extensions, ExtensionType.externalPub, ExternalPub);
  check(
    externalPub !== undefined,
    "mk-87",
    "INVALID_GROUP_INFO",
    "the group does not publish a key for external joins",
  );
  check(
    await crypto.isValidPublicKey(externalPub),
    "mk-87",
    "INVALID_GROUP_INFO",
    "the group's key for external joins is malformed",
  );
  const validated = await validateGroupInfo(crypto, groupInfo, environment, options);
  const before = validated.epoch;
  const messages = options.pendingMessages ?? [];
  const received = await acceptPublicProposals(before, messages, environment);
  const pending = [...options.pending, ...received];
  const { kemOutput, initSecret } = await sendExternalInit(crypto, externalPub);
  const list = await requireProposals({
    epoch: before,
    entries: proposalsOf({ ...options, pending }, kemOutput, options.resync?.(before.tree)),
    committer: { type: "newMember" },
    flow: "ordinary",
    direction: "createCommit",
    environment,
  });
  await checkJoinerLeaf(before, list, leaf, environment);
  const made = await makeCommit({
    before,
    list,
    sender: { type: "newMemberCommit" },
    signer: leaf.signer,
    path: leaf,
    initSecret,
    authenticatedData: options.authenticatedData,
    wireFormat: "publicMessage",
  });
  initSecret.erase();
  made.next.joinerSecret.erase();
  const after = made.next.public;
  await reviewCommit(environment, () => ({
    committer: list.committer,
    isExternal: true,
    proposals: list.entries,
    authenticatedData: options.authenticatedData,
    before: groupView(before.context, before.tree),
    after: groupView(after.context, after.tree),
  }));
  const message = protectPublic(crypto, made.authenticated, undefined);
  const pathLeaf = made.path?.updatePath.leafNode;
  return {
    commit: encodeMlsMessage({ wireFormat: "publicMessage", message }),
    confirmationTag: after.confirmationTag,
    next: memberEpoch(after, made.next.secrets, {
      ownLeaf: list.committer,
      privateKeys: made.path?.privateKeys ?? new Map(),
      signer: leaf.signer,
    }),
    summary: summarize(before.context.epoch, list, true, undefined, pathLeaf),
    notices: validated.notices,
  };
}

function proposalsOf(
  options: ExternalJoinOptions,
  kemOutput: Uint8Array,
  removed: number | undefined,
): ProposalEntry[] {
  const byValue: Proposal[] = [{ type: "externalInit", kemOutput }];
  if (removed !== undefined) byValue.push({ type: "remove", removed });
  for (const psk of options.psks) byValue.push({ type: "psk", psk });
  const sender = { type: "newMemberCommit" } as const;
  const inline = byValue.map((proposal) => ({ proposal, sender, reference: undefined }));
  return [...options.pending, ...inline];
}
