/** The group that results from a list of proposals. RFC 9420 §12.3. */
import type { Extension } from "../extensions/extension.ts";
import type { KeyPackage } from "../key-packages/key-package.ts";
import type { PreSharedKeyId } from "../key-schedule/pre-shared-key.ts";
import type { CustomProposal, ReInit } from "../messages/proposal.ts";
import type { LeafNode } from "../tree/nodes.ts";
import type { RatchetTree } from "../tree/ratchet-tree.ts";
import { type LeafIndex, leafIndex } from "../tree/tree-math.ts";
import { changeExtensionsBy, removedByCustom } from "./custom-types.ts";
import type { RegisteredTypes } from "./environment.ts";
import type { PublicEpoch } from "./epoch.ts";
import type { Committer } from "./proposal-list.ts";
import { blaming, type ProposalEntry } from "./proposal-entry.ts";

/** One leaf that changes; `position` is that of the proposal in the list. */
export interface LeafChange {
  readonly leaf: LeafIndex;
  /** What stood there. */
  readonly before: LeafNode | undefined;
  readonly entry: ProposalEntry;
  readonly position: number;
}

export interface UpdatedLeaf extends LeafChange {
  readonly after: LeafNode;
}

export interface AddedLeaf extends UpdatedLeaf {
  readonly keyPackage: KeyPackage;
}

/** The next epoch as far as the proposals determine it: everything but path and key schedule. */
export interface ProvisionalGroup {
  readonly tree: RatchetTree;
  /** GroupContext extensions of the new epoch. */
  readonly extensions: readonly Extension[];
  /** Position of the proposal that changes them, if one does. */
  readonly extensionsPosition: number | undefined;
  readonly added: readonly AddedLeaf[];
  readonly updated: readonly UpdatedLeaf[];
  readonly removed: readonly LeafChange[];
  /** In list order. */
  readonly psks: readonly PreSharedKeyId[];
  readonly reInit: ReInit | undefined;
  readonly externalInit: Uint8Array | undefined;
  /** Where the committer sits; for an external commit the leaf it takes. */
  readonly committer: LeafIndex;
}

/**
 * Applies a list that `checkProposalList` accepted, in the order of RFC 9420 §12.3: extensions,
 * Updates, Removes, Adds in list order.
 */
export function applyProposals(
  epoch: PublicEpoch,
  entries: readonly ProposalEntry[],
  committer: Committer,
  types: RegisteredTypes,
): ProvisionalGroup {
  const changes = collectChanges(epoch, entries, types);
  const additions = entries.some(({ proposal }) => proposal.type === "add");
  const isEdited = additions || changes.updated.length > 0 || changes.removed.length > 0;
  const { tree, added } = isEdited
    ? editTree(epoch.tree, changes, entries)
    : { tree: epoch.tree, added: [] };
  return {
    added,
    tree,
    committer:
      committer.type === "member" ? leafIndex(committer.leafIndex) : tree.leftmostBlankLeaf(),
    ...changes,
  };
}

function editTree(
  before: RatchetTree,
  { updated, removed }: Changes,
  entries: readonly ProposalEntry[],
): Pick<ProvisionalGroup, "tree" | "added"> {
  const editor = before.edit();
  for (const { leaf, after } of updated) editor.updateLeaf(leaf, after);
  for (const { leaf } of removed) editor.removeLeaf(leaf);
  const added: AddedLeaf[] = [];
  for (const [position, entry] of entries.entries()) {
    if (entry.proposal.type !== "add") continue;
    const { keyPackage } = entry.proposal;
    const after = keyPackage.leafNode;
    const leaf = editor.addLeaf(after);
    added.push({ leaf, before: undefined, after, keyPackage, entry, position });
  }
  return { tree: editor.finish(), added };
}

type Changes = Omit<ProvisionalGroup, "tree" | "added" | "committer">;

function collectChanges(
  epoch: PublicEpoch,
  entries: readonly ProposalEntry[],
  types: RegisteredTypes,
): Changes {
  let extensions = epoch.context.extensions;
  let extensionsPosition: number | undefined;
  const updated: UpdatedLeaf[] = [];
  const removed: LeafChange[] = [];
  const psks: PreSharedKeyId[] = [];
  let reInit: ReInit | undefined;
  let externalInit: Uint8Array | undefined;
  const remove = (at: number, entry: ProposalEntry, position: number): void => {
    const leaf = leafIndex(at);
    removed.push({ leaf, before: epoch.tree.leaf(leaf), entry, position });
  };
  for (const [position, entry] of entries.entries()) {
    const { proposal, sender } = entry;
    switch (proposal.type) {
      case "add":
        break;
      case "update":
        if (sender.type === "member") {
          const leaf = leafIndex(sender.leafIndex);
          const before = epoch.tree.leaf(leaf);
          updated.push({ leaf, before, after: proposal.leafNode, entry, position });
        }
        break;
      case "remove":
        remove(proposal.removed, entry, position);
        break;
      case "psk":
        psks.push(proposal.psk);
        break;
      case "reInit":
        reInit = proposal;
        break;
      case "externalInit":
        externalInit = proposal.kemOutput;
        break;
      case "groupContextExtensions":
        extensions = proposal.extensions;
        extensionsPosition = position;
        break;
      case "custom": {
        const leaf = removedByCustom(proposal, sender, types);
        if (leaf !== undefined) remove(leaf, entry, position);
        break;
      }
    }
  }
  const changed = changeExtensions(entries, extensions, types);
  return {
    extensions: changed.extensions,
    extensionsPosition: extensionsPosition ?? changed.position,
    updated,
    removed,
    psks,
    reInit,
    externalInit,
  };
}

/** Registered types may change extensions as well, after the RFC's own. */
function changeExtensions(
  entries: readonly ProposalEntry[],
  before: readonly Extension[],
  types: RegisteredTypes,
): { readonly extensions: readonly Extension[]; readonly position: number | undefined } {
  let extensions = before;
  let position: number | undefined;
  for (const [proposalType, type] of types.proposals) {
    if (type.changeExtensions === undefined) continue;
    const positions: number[] = [];
    const proposals: CustomProposal[] = [];
    for (const [at, { proposal }] of entries.entries()) {
      if (proposal.type !== "custom" || proposal.proposalType !== proposalType) continue;
      positions.push(at);
      proposals.push(proposal);
    }
    if (proposals.length === 0) continue;
    // Which of them is to blame is hard to say; the last one goes first.
    const current = extensions;
    extensions = blaming([...positions].reverse(), () =>
      changeExtensionsBy(type, current, proposals),
    );
    position ??= positions[0];
  }
  return { extensions, position };
}

/** The former leaf that an external commit removes, if it is a resync. Others may leave beside it. */
export function resyncedLeaf({ removed }: Pick<ProvisionalGroup, "removed">): LeafNode | undefined {
  return removed.find(({ entry }) => entry.proposal.type === "remove")?.before;
}

/**
 * Whether a Commit with this list must have a path: an empty list, or any proposal other than Add,
 * PreSharedKey and ReInit. The union of RFC 9420 §12.4 and §12.4.2.
 */
export function requiresPath(entries: readonly ProposalEntry[], types: RegisteredTypes): boolean {
  if (entries.length === 0) return true;
  return entries.some(({ proposal }) => {
    switch (proposal.type) {
      case "add":
      case "psk":
      case "reInit":
        return false;
      case "custom":
        return types.proposals.get(proposal.proposalType)?.requiresPath !== false;
      default:
        return true;
    }
  });
}
