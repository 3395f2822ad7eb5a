/**
 * Commits with any proposals and any path. Key schedule, confirmation tag, signature and membership
 * tag are those that the contents lead to, so that a Commit breaks the rule under test and no other.
 * RFC 9420 §12.4.
 */
import { Secret } from "../../crypto/index.ts";
import { InternalError } from "../../errors.ts";
import type { Sender } from "../../framing/framed-content.ts";
import { applyProposals, type ProvisionalGroup } from "../../group/apply-proposals.ts";
import type { RegisteredTypes } from "../../group/environment.ts";
import { encodeContext, type PublicEpoch, provisionalContext } from "../../group/epoch.ts";
import type { KeyPackageBundle } from "../../group/join-by-welcome.ts";
import { type NextEpoch, startNextEpoch } from "../../group/next-epoch.ts";
import type { CachedProposal, ProposalEntry } from "../../group/proposal-entry.ts";
import type { Committer } from "../../group/proposal-list.ts";
import { externalKeyPair, sendExternalInit } from "../../key-schedule/external-init.ts";
import { type PreSharedKey, pskSecret } from "../../key-schedule/pre-shared-key.ts";
import type { ProposalOrRef } from "../../messages/commit.ts";
import type { Proposal } from "../../messages/proposal.ts";
import type { LeafNode, LeafNodeFields } from "../../tree/nodes.ts";
import { leafIndex } from "../../tree/tree-math.ts";
import { type Insider, RFC_ONLY } from "./insider.ts";
import { type ContentForgery, forgeEnvelope, forgeSigned } from "./message.ts";
import { type ForgedPath, forgePath, type PathForgery } from "./path.ts";

/** What is wrong with a Commit. */
export interface CommitForgery extends ContentForgery {
  /** By value, or by reference where the entry is a cached proposal; in this order. */
  readonly proposals?: readonly (Proposal | CachedProposal)[];
  /** The list on the wire. */
  readonly alterList?: (list: readonly ProposalOrRef[]) => readonly ProposalOrRef[];
  /** What is applied in truth; by default the list, as far as that is possible. */
  readonly applied?: readonly (Proposal | CachedProposal)[];
  /** The outcome of the proposals, before the path. */
  readonly alterGroup?: (group: ProvisionalGroup) => ProvisionalGroup;
  /** False for a Commit without path. */
  readonly path?: PathForgery | false;
  /** What the key schedule takes in. Default: none. */
  readonly psks?: readonly PreSharedKey[];
  /** Instead of the init secret of the epoch. */
  readonly initSecret?: Secret;
}

/** What {@link forgeCommit} makes. */
export interface ForgedCommit {
  /** A complete MLSMessage. */
  readonly bytes: Uint8Array;
  /** The epoch that members reach who accept it. */
  readonly next: NextEpoch;
  readonly path: ForgedPath | undefined;
  readonly group: ProvisionalGroup;
}

/** A Commit by a member. */
export function forgeCommit(party: Insider, forgery: CommitForgery = {}): Promise<ForgedCommit> {
  const leaf = party.epoch.tree.leaf(party.epoch.ownLeaf) as LeafNode;
  return forge(party, forgery, {
    sender: { type: "member", leafIndex: party.epoch.ownLeaf },
    committer: { type: "member", leafIndex: party.epoch.ownLeaf },
    leaf,
    initSecret: party.epoch.secrets.initSecret,
  });
}

/** What is wrong with an external commit. */
export interface ExternalCommitForgery extends Omit<CommitForgery, "proposals"> {
  /** By default the ExternalInit alone. */
  readonly proposals?: (externalInit: Proposal) => readonly (Proposal | CachedProposal)[];
  /** The leaf to be taken, instead of the leftmost blank one. */
  readonly position?: number;
}

/** An external commit by a client; `member` is any member of the group, for the epoch it knows. */
export async function forgeExternalCommit(
  client: Pick<KeyPackageBundle, "keyPackage" | "signer">,
  member: Insider,
  { proposals, position, ...forgery }: ExternalCommitForgery = {},
): Promise<ForgedCommit> {
  const { crypto, secrets } = member.epoch;
  const { publicKey } = await externalKeyPair(crypto, secrets.externalSecret);
  const { kemOutput, initSecret } = await sendExternalInit(crypto, publicKey);
  const externalInit: Proposal = { type: "externalInit", kemOutput };
  const list = proposals?.(externalInit) ?? [externalInit];
  const alterGroup = (group: ProvisionalGroup): ProvisionalGroup => {
    const placed = position === undefined ? group : { ...group, committer: leafIndex(position) };
    return forgery.alterGroup?.(placed) ?? placed;
  };
  return forge(
    member,
    { signer: client.signer, ...forgery, proposals: list, alterGroup },
    {
      sender: { type: "newMemberCommit" },
      committer: { type: "newMember" },
      leaf: client.keyPackage.leafNode,
      initSecret,
    },
  );
}

interface Identity {
  readonly sender: Sender;
  readonly committer: Committer;
  readonly leaf: Pick<LeafNodeFields, "credential" | "capabilities" | "extensions">;
  readonly initSecret: Secret;
}

async function forge(
  party: Insider,
  forgery: CommitForgery,
  identity: Identity,
): Promise<ForgedCommit> {
  const { epoch, types = RFC_ONLY } = party;
  const sender = forgery.sender ?? identity.sender;
  const proposals = forgery.proposals ?? [];
  const outcome = apply(epoch, forgery.applied ?? proposals, sender, identity.committer, types);
  const group = forgery.alterGroup?.(outcome) ?? outcome;
  const path =
    forgery.path === false
      ? undefined
      : await forgePath(
          {
            tree: group.tree,
            sender: group.committer,
            leaf: identity.leaf,
            signer: forgery.signer ?? epoch.signer,
            groupId: epoch.context.groupId,
            added: new Set(group.added.map(({ leaf }) => leaf)),
            groupContextBytes: (treeHash) => {
              const { extensions } = group;
              return encodeContext(provisionalContext(epoch, { treeHash, extensions }));
            },
          },
          forgery.path ?? {},
        );
  const list = proposals.map(toWire);
  const commit = {
    proposals: forgery.alterList?.(list) ?? list,
    path: path?.updatePath,
  };
  const signed = await forgeSigned(
    party,
    { contentType: "commit", commit },
    { ...forgery, sender },
  );
  const next = startNextEpoch({
    before: epoch,
    tree: path?.tree ?? group.tree,
    extensions: group.extensions,
    commit: signed,
    initSecret: forgery.initSecret ?? identity.initSecret,
    commitSecret: path?.commitSecret ?? new Secret(new Uint8Array(epoch.crypto.suite.kdf.size)),
    pskSecret: pskSecret(epoch.crypto, forgery.psks ?? []),
  });
  const bytes = forgeEnvelope(party, signed, next.public.confirmationTag, forgery);
  return { bytes, next, path, group };
}

/** Applies what can be applied: an illegal list is refused before its outcome matters. */
function apply(
  epoch: PublicEpoch,
  proposals: readonly (Proposal | CachedProposal)[],
  sender: Sender,
  committer: Committer,
  types: RegisteredTypes,
): ProvisionalGroup {
  const entries = proposals.map((item) => toEntry(item, sender));
  for (const candidate of [entries, entries.filter((entry) => isHarmless(epoch, entry)), []]) {
    try {
      return applyProposals(epoch, candidate, committer, types);
    } catch (error) {
      if (!(error instanceof InternalError) || candidate.length === 0) throw error;
    }
  }
  throw new InternalError("an empty list can be applied");
}

function isHarmless(epoch: PublicEpoch, { proposal }: ProposalEntry): boolean {
  return proposal.type !== "remove" || epoch.tree.leaf(leafIndex(proposal.removed)) !== undefined;
}

function toEntry(item: Proposal | CachedProposal, sender: Sender): ProposalEntry {
  return "reference" in item ? item : { proposal: item, sender, reference: undefined };
}

function toWire(item: Proposal | CachedProposal): ProposalOrRef {
  return "reference" in item
    ? { type: "reference", reference: item.reference }
    : { type: "proposal", proposal: item };
}
