/** What a Commit does, in the application's terms. */
import type { ReInit } from "../messages/proposal.ts";
import type { Extension } from "../extensions/extension.ts";
import type { Sender } from "../framing/framed-content.ts";
import type { PreSharedKeyId } from "../key-schedule/pre-shared-key.ts";
import type { CustomProposal } from "../messages/proposal.ts";
import type { LeafNode } from "../tree/nodes.ts";
import type { EvaluatedProposals } from "./evaluate-proposals.ts";

export interface AddedMember {
  readonly leafIndex: number;
  readonly leaf: LeafNode;
  /** Who proposed it. */
  readonly by: Sender;
}

export interface RemovedMember {
  readonly leafIndex: number;
  /** The leaf as it was. */
  readonly leaf: LeafNode;
  readonly by: Sender;
}

export interface UpdatedMember {
  readonly leafIndex: number;
  readonly before: LeafNode;
  readonly after: LeafNode;
}

export interface CommitSummary {
  /** The epoch that the Commit ends. */
  readonly epoch: bigint;
  /** Leaf of the committer; for an external commit the leaf it takes. */
  readonly committer: number;
  readonly isExternal: boolean;
  readonly hasPath: boolean;
  readonly added: readonly AddedMember[];
  readonly removed: readonly RemovedMember[];
  /** By Update proposals, and the committer if the Commit has a path. */
  readonly updated: readonly UpdatedMember[];
  readonly psks: readonly PreSharedKeyId[];
  /** The new list, if a GroupContextExtensions proposal was committed. */
  readonly extensions: readonly Extension[] | undefined;
  readonly reInit: ReInit | undefined;
  readonly custom: readonly { readonly proposal: CustomProposal; readonly sender: Sender }[];
}

/** `pathLeaf` is the committer's new leaf. */
export function summarize(
  epoch: bigint,
  list: EvaluatedProposals,
  isExternal: boolean,
  committerBefore: LeafNode | undefined,
  pathLeaf: LeafNode | undefined,
): CommitSummary {
  const added: AddedMember[] = list.added.map(({ leaf, after, entry }) => {
    return { leafIndex: leaf, leaf: after, by: entry.sender };
  });
  const removed: RemovedMember[] = [];
  for (const { leaf, before, entry } of list.removed) {
    if (before !== undefined) removed.push({ leafIndex: leaf, leaf: before, by: entry.sender });
  }
  const updated: UpdatedMember[] = [];
  for (const { leaf, before, after } of list.updated) {
    if (before !== undefined) updated.push({ leafIndex: leaf, before, after });
  }
  if (pathLeaf !== undefined && committerBefore !== undefined && !isExternal) {
    updated.push({ leafIndex: list.committer, before: committerBefore, after: pathLeaf });
  }
  if (isExternal && pathLeaf !== undefined) {
    added.push({ leafIndex: list.committer, leaf: pathLeaf, by: { type: "newMemberCommit" } });
  }
  const custom: CommitSummary["custom"][number][] = [];
  for (const { proposal, sender } of list.entries) {
    if (proposal.type === "custom") custom.push({ proposal, sender });
  }
  return {
    epoch,
    committer: list.committer,
    isExternal,
    hasPath: pathLeaf !== undefined,
    added,
    removed,
    updated,
    psks: list.psks,
    extensions: list.extensionsPosition === undefined ? undefined : list.extensions,
    reInit: list.reInit,
    custom,
  };
}
