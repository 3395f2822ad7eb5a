/** Following somebody else's Commit. RFC 9420 §12.4.2. */
import { type Checked, sealed } from "../checked.ts";
import { equalBytes, equalSecrets } from "../codec/index.ts";
import { Secret } from "../crypto/index.ts";
import { CryptoError, InternalError, StateError } from "../errors.ts";
import type { Commit } from "../messages/commit.ts";
import { receiveExternalInit } from "../key-schedule/external-init.ts";
import { check } from "../rules.ts";
import { checkLeafNode, type ValidationNotice } from "../tree/leaf-node-validation.ts";
import { verifyJob } from "../tree/leaf-node.ts";
import type { UpdatePath } from "../tree/nodes.ts";
import { type PrivateKeys, retainPrivateKeys } from "../tree/private-keys.ts";
import type { PathStep, RatchetTree } from "../tree/ratchet-tree.ts";
import { verifySignatures } from "../tree/signature-batch.ts";
import { type LeafIndex, leafIndex, nodeOfLeaf } from "../tree/tree-math.ts";
import { decryptUpdatePath, type MergedUpdatePath, mergeUpdatePath } from "../tree/update-path.ts";
import { requiresPath, resyncedLeaf } from "./apply-proposals.ts";
import { type CommitSummary, summarize } from "./commit-summary.ts";
import type { VerifiedContent } from "./content.ts";
import { contextRequirements } from "./context-extensions.ts";
import { checkCredentials } from "./credential-checks.ts";
import type { Environment } from "./environment.ts";
import {
  type Epoch,
  encodeContext,
  groupView,
  memberEpoch,
  provisionalContext,
  type PublicEpoch,
} from "./epoch.ts";
import type { EvaluatedProposals } from "./evaluate-proposals.ts";
import { checkLeafAmongMembers } from "./leaf-among-members.ts";
import { zeroSecret } from "./make-commit.ts";
import { checkEpochLeft, startNextEpoch } from "./next-epoch.ts";
import type { Committer } from "./proposal-list.ts";
import type { ProposalCache } from "./proposal-entry.ts";
import type { PskFlow } from "./proposal-rules.ts";
import { resolveProposals } from "./resolve-proposals.ts";
import { reviewCommit } from "./review.ts";
import { requireProposals } from "./select-proposals.ts";

/** A Commit that was found good; the group has not moved yet. */
export type StagedCommit = Checked<Staged, "processCommit">;

interface Staged {
  readonly summary: CommitSummary;
  readonly confirmationTag: Uint8Array;
  /** The epoch that begins when the Commit is merged; undefined if it removes us. */
  readonly next: Epoch | undefined;
  /** The group as everybody sees it afterwards, also for a member that was removed. */
  readonly group: Pick<PublicEpoch, "tree">;
  /** What is odd but no reason to refuse, such as expired leaves that come in. */
  readonly notices: readonly ValidationNotice[];
}

/** The part of a Commit that needs no secrets; what an observer does and nothing more. */
export type PublicCommit = Checked<Accepted, "processPublicCommit">;

interface Accepted {
  readonly commit: Commit;
  readonly list: EvaluatedProposals;
  readonly committer: Committer;
  /** After proposals and path. */
  readonly tree: RatchetTree;
  /** The committer's filtered direct path, if it sent new keys for it. */
  readonly path: readonly PathStep[];
  readonly summary: CommitSummary;
  readonly authenticatedData: Uint8Array;
}

export async function processCommit(
  epoch: Epoch,
  verified: VerifiedContent,
  cache: ProposalCache,
  environment: Environment,
  flow: PskFlow = "ordinary",
): Promise<StagedCommit> {
  const { sender } = verified;
  if (sender.type === "member" && sender.leafIndex === epoch.ownLeaf) {
    throw new StateError("OWN_COMMIT_MISMATCH", "a Commit of ours that is not the pending one", {
      rule: "mk-79",
    });
  }
  const accepted = await processPublicCommit(
    epoch,
    verified,
    cache,
    environment,
    flow,
    epoch.ownLeaf,
  );
  const { list, tree, summary } = accepted;
  const confirmationTag = tagOf(verified);
  const group = { tree };
  if (list.removed.some(({ leaf }) => leaf === epoch.ownLeaf)) {
    // Rule mk-78: path and tag are out of a removed member's reach.
    await reviewPublicCommit(epoch, accepted, environment);
    return sealed({ summary, confirmationTag, next: undefined, group, notices: list.notices });
  }
  const next = await followCommit(epoch, verified, accepted);
  await reviewPublicCommit(epoch, accepted, environment);
  return sealed({ summary, confirmationTag, next, group, notices: list.notices });
}

/** Shared with observers, who have no leaf: everything that can be judged without secrets. */
export async function processPublicCommit(
  epoch: PublicEpoch,
  verified: VerifiedContent,
  cache: ProposalCache,
  environment: Environment,
  flow: PskFlow,
  ownLeaf: LeafIndex | undefined,
): Promise<PublicCommit> {
  checkEpochLeft(epoch);
  const commit = commitOf(verified);
  const committer = committerOf(verified);
  const list = await requireProposals({
    epoch,
    entries: resolveProposals(epoch, commit, verified, cache, environment),
    committer,
    flow,
    direction: "receiveCommit",
    environment,
    follower: { ownLeaf },
  });
  checkPathPresence(commit, list, committer, environment);
  const isExternal = committer.type === "newMember";
  const before = isExternal ? undefined : epoch.tree.leaf(list.committer);
  let merged: MergedUpdatePath = { tree: list.tree, path: [] };
  if (commit.path !== undefined) {
    const { leafNode } = commit.path;
    await checkPathLeaf(epoch, list, commit.path, isExternal, environment);
    merged = await mergePath(list, commit.path);
    const binding = { groupId: epoch.context.groupId, leafIndex: list.committer };
    await verifySignatures(epoch.crypto, [verifyJob(leafNode, binding)]);
  }
  const { epoch: number } = epoch.context;
  const summary = summarize(number, list, isExternal, before, commit.path?.leafNode);
  const { authenticatedData } = verified.authenticated.content;
  return sealed({ commit, list, committer, ...merged, summary, authenticatedData });
}

function commitOf({ content }: VerifiedContent): Commit {
  if (content.contentType !== "commit") throw new InternalError("this content is no Commit");
  return content.commit;
}

function committerOf({ sender }: VerifiedContent): Committer {
  switch (sender.type) {
    case "member":
      return { type: "member", leafIndex: sender.leafIndex };
    case "newMemberCommit":
      return { type: "newMember" };
    default:
      throw new InternalError("this sender cannot commit");
  }
}

export function tagOf({ authenticated }: VerifiedContent): Uint8Array {
  const { confirmationTag } = authenticated.auth;
  if (confirmationTag === undefined) throw new InternalError("a decoded Commit has a tag");
  return confirmationTag;
}

function checkPathPresence(
  { path }: Commit,
  list: EvaluatedProposals,
  committer: Committer,
  { types }: Environment,
): void {
  if (path !== undefined) return;
  check(
    committer.type === "member",
    "valn0405",
    "INVALID_COMMIT",
    "an external commit needs a path",
  );
  check(
    !requiresPath(list.entries, types),
    "valn1206",
    "INVALID_COMMIT",
    "a Commit with these proposals needs a path",
  );
}

/** The committer's new leaf, by the rules for leaves. RFC 9420 §7.3, §12.4.2. */
async function checkPathLeaf(
  epoch: PublicEpoch,
  list: EvaluatedProposals,
  { leafNode }: UpdatePath,
  isExternal: boolean,
  environment: Environment,
): Promise<void> {
  const { committer } = list;
  const replaced = isExternal ? resyncedLeaf(list) : epoch.tree.leaf(committer);
  if (isExternal && replaced !== undefined) {
    check(
      !equalBytes(replaced.encryptionKey, leafNode.encryptionKey),
      "mk-86",
      "INVALID_COMMIT",
      "an external commit keeps the encryption key of the leaf that it removes",
      { leafIndex: committer },
    );
  }
  await checkLeafNode(leafNode, {
    code: "INVALID_COMMIT",
    source: "commit",
    replaces: replaced,
    leafIndex: committer,
    ...contextRequirements(epoch.crypto, list.extensions),
  });
  checkLeafAmongMembers(list.tree, committer, leafNode, "valn0111");
  const event = isExternal ? "externalJoin" : "commit";
  const change = { current: replaced, next: leafNode };
  await checkCredentials(environment, [change], event, epoch.context.groupId);
}

function mergePath(list: EvaluatedProposals, updatePath: UpdatePath): Promise<MergedUpdatePath> {
  return mergeUpdatePath({
    tree: list.tree,
    sender: list.committer,
    updatePath,
    excludedLeaves: leavesAdded(list),
  });
}

function leavesAdded({ added }: EvaluatedProposals): ReadonlySet<number> {
  return new Set(added.map(({ leaf }) => leaf));
}

/** The secret half: path, key schedule, confirmation tag. */
async function followCommit(
  epoch: Epoch,
  verified: VerifiedContent,
  { commit, list, tree, path }: PublicCommit,
): Promise<Epoch> {
  const { privateKeys: ours, signer } = keysAfterProposals(epoch, list);
  let privateKeys = retainPrivateKeys(list.tree, ours);
  let commitSecret = zeroSecret(epoch);
  if (commit.path !== undefined) {
    const context = provisionalContext(epoch, {
      treeHash: tree.treeHash(),
      extensions: list.extensions,
    });
    const decrypted = await decryptUpdatePath({
      tree,
      treeBefore: list.tree,
      path,
      updatePath: commit.path,
      ownLeaf: epoch.ownLeaf,
      privateKeys,
      excludedLeaves: leavesAdded(list),
      groupContextBytes: encodeContext(context),
    });
    ({ commitSecret, privateKeys } = decrypted);
    decrypted.pathSecret.erase();
  }
  const { content, auth, wireFormat } = verified.authenticated;
  const next = startNextEpoch({
    before: epoch,
    tree,
    extensions: list.extensions,
    commit: { wireFormat, content, signature: auth.signature },
    initSecret: await initSecretFor(epoch, list),
    commitSecret,
    pskSecret: list.pskSecret,
  });
  commitSecret.erase();
  next.joinerSecret.erase();
  if (!equalSecrets(next.public.confirmationTag, tagOf(verified))) {
    throw new CryptoError("TAG_INVALID", "the confirmation tag is wrong", { rule: "mk-77" });
  }
  return memberEpoch(next.public, next.secrets, { ownLeaf: epoch.ownLeaf, privateKeys, signer });
}

/** If the Commit applies an Update of ours, its key and signer take the place of the old ones. */
function keysAfterProposals(
  epoch: Epoch,
  list: EvaluatedProposals,
): { readonly privateKeys: PrivateKeys; readonly signer: Epoch["signer"] } {
  const update = list.updated.find(({ leaf }) => leaf === epoch.ownLeaf);
  if (update === undefined) return epoch;
  const own = update.entry.ownUpdate;
  if (own === undefined) {
    throw new StateError("UNKNOWN_PROPOSAL", "the private key of this Update of ours is gone", {
      rule: "mk-83",
    });
  }
  const privateKeys = new Map(epoch.privateKeys);
  // The proposal may be dropped, and its key overwritten, before the Commit is accepted.
  privateKeys.set(nodeOfLeaf(epoch.ownLeaf), Secret.copyOf(own.leafPrivateKey.bytes));
  return { privateKeys, signer: own.signer };
}

async function initSecretFor(epoch: Epoch, { externalInit }: EvaluatedProposals): Promise<Secret> {
  const { initSecret, externalSecret } = epoch.secrets;
  if (externalInit === undefined) return initSecret;
  return receiveExternalInit(epoch.crypto, externalSecret, externalInit);
}

/** Asks the policy, as the last step before a Commit is accepted. */
export function reviewPublicCommit(
  epoch: PublicEpoch,
  { list, committer, tree, authenticatedData }: PublicCommit,
  environment: Environment,
): Promise<void> {
  return reviewCommit(environment, () => {
    const after = provisionalContext(epoch, {
      treeHash: tree.treeHash(),
      extensions: list.extensions,
    });
    return {
      committer: leafIndex(list.committer),
      isExternal: committer.type === "newMember",
      proposals: list.entries,
      authenticatedData,
      before: groupView(epoch.context, epoch.tree),
      after: groupView(after, tree),
    };
  });
}
