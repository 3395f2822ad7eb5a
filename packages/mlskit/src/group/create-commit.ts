/** A member's Commit, with the Welcomes and the GroupInfo that go with it. RFC 9420 §12.4, §14. */
import type { Signer } from "../crypto/index.ts";
import type { Extension } from "../extensions/extension.ts";
import type { ContentWireFormat } from "../framing/authenticated-content.ts";
import { encodeMlsMessage } from "../framing/mls-message.ts";
import type { PaddingPolicy } from "../framing/padding.ts";
import type { Proposal } from "../messages/proposal.ts";
import type { SecretTreeChange } from "../secret-tree/secret-tree.ts";
import { retainPrivateKeys } from "../tree/private-keys.ts";
import { requiresPath } from "./apply-proposals.ts";
import { type CommitSummary, summarize } from "./commit-summary.ts";
import type { Environment } from "./environment.ts";
import { type Epoch, groupView, memberEpoch } from "./epoch.ts";
import type { EvaluatedProposals } from "./evaluate-proposals.ts";
import { createGroupInfo, type GroupInfoOptions } from "./group-info-creation.ts";
import { type MadeCommit, makeCommit } from "./make-commit.ts";
import { checkOwnLeaf, leafTemplate, type LeafUpdate, ownLeafOf } from "./own-leaf.ts";
import type { CachedProposal, ProposalEntry } from "./proposal-entry.ts";
import type { PskFlow } from "./proposal-rules.ts";
import { protectContent } from "./protect.ts";
import { reviewCommit } from "./review.ts";
import { selectProposals, type UnusedProposal } from "./select-proposals.ts";
import { type CreatedWelcome, createWelcomes } from "./welcome-creation.ts";

export interface CommitOptions {
  /** By value, in this order, after those by reference. */
  readonly proposals: readonly Proposal[];
  /** Candidates by reference, in order of arrival. */
  readonly pending: readonly CachedProposal[];
  /** Send a path even where none is required. */
  readonly forcePath: boolean;
  readonly leaf?: LeafUpdate | undefined;
  readonly authenticatedData: Uint8Array;
  readonly wireFormat: ContentWireFormat;
  readonly padding: PaddingPolicy;
  /** Whether Welcomes and the GroupInfo carry the tree. */
  readonly ratchetTree: boolean;
  /** Make a GroupInfo of the new epoch for the delivery service. */
  readonly groupInfo?: Pick<GroupInfoOptions, "externalPub" | "extensions"> | undefined;
  /** Extensions of the GroupInfo inside Welcomes. */
  readonly welcomeExtensions?: readonly Extension[] | undefined;
  readonly joinersPerWelcome?: number | undefined;
  readonly flow?: PskFlow | undefined;
}

/** A Commit that is ready to be sent, and the epoch that begins if it is accepted. */
export interface CreatedCommit {
  readonly commit: Uint8Array;
  readonly confirmationTag: Uint8Array;
  readonly welcomes: readonly CreatedWelcome[];
  readonly groupInfo: Uint8Array | undefined;
  readonly ratchetTree: Uint8Array | undefined;
  readonly unused: readonly UnusedProposal[];
  readonly summary: CommitSummary;
  readonly next: Epoch;
  /** The handshake generation that the bytes use up, whether the Commit is accepted or not. */
  readonly change: SecretTreeChange | undefined;
}

/** Changes nothing: the epoch stays as it is until the Commit is accepted. */
export async function createCommit(
  epoch: Epoch,
  options: CommitOptions,
  environment: Environment,
): Promise<CreatedCommit> {
  const leaf = leafTemplate(epoch, options.leaf);
  const { evaluated: list, unused } = await selectProposals({
    epoch,
    entries: candidates(epoch, options),
    committer: { type: "member", leafIndex: epoch.ownLeaf },
    flow: options.flow ?? "ordinary",
    direction: "createCommit",
    environment,
  });
  const needsPath =
    options.forcePath ||
    requiresPath(list.entries, environment.types) ||
    options.leaf !== undefined ||
    options.pending.some((entry) => isOwnUpdate(epoch, entry));
  if (needsPath) await checkOwnLeaf(epoch, list, leaf, "commit", environment);
  const made = await makeCommit({
    before: epoch,
    list,
    sender: { type: "member", leafIndex: epoch.ownLeaf },
    signer: epoch.signer,
    path: needsPath ? leaf : undefined,
    initSecret: epoch.secrets.initSecret,
    authenticatedData: options.authenticatedData,
    wireFormat: options.wireFormat,
  });
  const summary = summarize(
    epoch.context.epoch,
    list,
    false,
    ownLeafOf(epoch),
    made.path?.updatePath.leafNode,
  );
  await reviewCommit(environment, () => ({
    committer: epoch.ownLeaf,
    isExternal: false,
    proposals: list.entries,
    authenticatedData: options.authenticatedData,
    before: groupView(epoch.context, epoch.tree),
    after: groupView(made.next.public.context, made.next.public.tree),
  }));
  const next = nextOwnEpoch(epoch, made, leaf.signer);
  const attachments = await makeAttachments(next, made, list, options);
  const { message, change } = protectContent(epoch, made.authenticated, options.padding);
  return {
    commit: encodeMlsMessage(message),
    confirmationTag: made.next.public.confirmationTag,
    unused,
    summary,
    next,
    change,
    ...attachments,
  };
}

/** Order on the wire: by reference in order of arrival, then by value in call order. */
function candidates(epoch: Epoch, { pending, proposals }: CommitOptions): ProposalEntry[] {
  const sender = { type: "member", leafIndex: epoch.ownLeaf } as const;
  return [
    // Our own Updates cannot be committed by us; the path does their work. RFC 9420 §12.2.
    ...pending.filter((entry) => !isOwnUpdate(epoch, entry)),
    ...proposals.map((proposal) => ({ proposal, sender, reference: undefined })),
  ];
}

function isOwnUpdate({ ownLeaf }: Epoch, { proposal, sender }: ProposalEntry): boolean {
  return proposal.type === "update" && sender.type === "member" && sender.leafIndex === ownLeaf;
}

function nextOwnEpoch(epoch: Epoch, { next, path }: MadeCommit, signer: Signer): Epoch {
  return memberEpoch(next.public, next.secrets, {
    ownLeaf: epoch.ownLeaf,
    privateKeys: path?.privateKeys ?? retainPrivateKeys(next.public.tree, epoch.privateKeys),
    signer: path === undefined ? epoch.signer : signer,
  });
}

type Attachments = Pick<CreatedCommit, "welcomes" | "groupInfo" | "ratchetTree">;

async function makeAttachments(
  next: Epoch,
  made: MadeCommit,
  list: EvaluatedProposals,
  options: CommitOptions,
): Promise<Attachments> {
  const { ratchetTree } = options;
  const describe = (more: Omit<GroupInfoOptions, "ratchetTree">) =>
    createGroupInfo(next, next.ownLeaf, next.signer, { ratchetTree, ...more });
  let welcomes: readonly CreatedWelcome[] = [];
  if (list.added.length > 0) {
    welcomes = await createWelcomes({
      next: made.next,
      added: list.added,
      committer: list.committer,
      pathSecrets: made.path?.pathSecrets,
      psks: list.psks,
      pskSecret: list.pskSecret,
      groupInfo: await describe({ externalPub: false, extensions: options.welcomeExtensions }),
      joinersPerWelcome: options.joinersPerWelcome,
    });
  }
  made.next.joinerSecret.erase();
  for (const secret of made.path?.pathSecrets.values() ?? []) secret.erase();
  const groupInfo = options.groupInfo === undefined ? undefined : await describe(options.groupInfo);
  return {
    welcomes,
    groupInfo:
      groupInfo === undefined
        ? undefined
        : encodeMlsMessage({ wireFormat: "groupInfo", message: groupInfo }),
    ratchetTree: ratchetTree ? undefined : next.tree.encode(),
  };
}
