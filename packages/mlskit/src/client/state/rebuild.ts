/** Wishes that a lost race left unfulfilled. RFC 9420 §14; catalogue M-COM-14. */
import type { Extension } from "../../extensions/extension.ts";
import type { CommitSummary } from "../../group/commit-summary.ts";
import type { Proposal } from "../../messages/proposal.ts";
import { judge, stillWanted } from "./dropped-proposals.ts";
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
  const { crypto } = state.epoch;
  const anew = proposals.map((proposal): { readonly proposal: Proposal } => {
    if (proposal.type !== "psk") return { proposal };
    const nonce = crypto.randomBytes(crypto.suite.kdf.size);
    return { proposal: { ...proposal, psk: { ...proposal.psk, nonce } } };
  });
  const then = {
    extensions: extensionsBefore,
    leaf: (index: number) => summary.removed.find(({ leafIndex }) => leafIndex === index)?.leaf,
  };
  return stillWanted(judge(anew, then, state, now));
}
