/** Wishes that a lost race left unfulfilled. RFC 9420 §14; catalogue M-COM-14. */
import { equalBytes } from "../../codec/index.ts";
import { type Extension, findExtension, withExtension } from "../../extensions/extension.ts";
import type { CommitSummary } from "../../group/commit-summary.ts";
import type { Proposal } from "../../messages/proposal.ts";
import { reasonOf } from "./dropped-proposals.ts";
import type { GroupState } from "./group-state.ts";

/** What a Commit of ours wanted, when another one won. */
export interface LostCommit {
  readonly summary: CommitSummary;
  /** By value, in call order. */
  readonly proposals: readonly Proposal[];
  /** GroupContext extensions of the epoch that it was made for. */
  readonly extensionsBefore: readonly Extension[];
}

/** The proposals that still make sense in the group as it is now. */
export function remainingProposals(
  state: GroupState,
  { summary, proposals, extensionsBefore }: LostCommit,
  now: bigint,
): Proposal[] {
  const { crypto, context } = state.epoch;
  const anew = proposals.map((proposal): Proposal => {
    switch (proposal.type) {
      case "psk": {
        const nonce = crypto.randomBytes(crypto.suite.kdf.size);
        return { ...proposal, psk: { ...proposal.psk, nonce } };
      }
      case "groupContextExtensions": {
        const extensions = rebase(proposal.extensions, extensionsBefore, context.extensions);
        return { ...proposal, extensions };
      }
      default:
        return proposal;
    }
  });
  const meant = (leaf: number) => summary.removed.find((one) => one.leafIndex === leaf)?.leaf;
  return anew.filter((proposal) => reasonOf(proposal, meant, state, now) === "notCommitted");
}

/** The list of now with what was to change in the one before: what others changed stays. */
function rebase(
  wanted: readonly Extension[],
  before: readonly Extension[],
  now: readonly Extension[],
): readonly Extension[] {
  const changed = wanted.filter(({ type, data }) => {
    const old = findExtension(before, type);
    return old === undefined || !equalBytes(old, data);
  });
  const gone = before.filter(({ type }) => findExtension(wanted, type) === undefined);
  const kept = now.filter(({ type }) => findExtension(gone, type) === undefined);
  return changed.reduce<readonly Extension[]>(withExtension, kept);
}
