/** Choosing what to commit: everything that can be, nothing that cannot. RFC 9420 §12.2, §12.4. */
import {
  evaluateProposals,
  type EvaluatedProposals,
  type Evaluation,
} from "./evaluate-proposals.ts";
import { ProposalFault, type ProposalEntry } from "./proposal-entry.ts";

/** A proposal that was left out of a Commit of ours. */
export interface UnusedProposal {
  readonly entry: ProposalEntry;
  readonly reason: unknown;
}

export interface Selection {
  readonly evaluated: EvaluatedProposals;
  readonly unused: readonly UnusedProposal[];
}

/**
 * Leaves out proposals by reference that are at fault, until the rest can be committed. Proposals by
 * value are the caller's own wish: if one of them is at fault, the call fails with its error.
 *
 * @throws MlsError
 */
export async function selectProposals(evaluation: Evaluation): Promise<Selection> {
  const unused: UnusedProposal[] = [];
  let entries = evaluation.entries;
  for (;;) {
    try {
      return { evaluated: await evaluateProposals({ ...evaluation, entries }), unused };
    } catch (error) {
      if (!(error instanceof ProposalFault)) throw error;
      const at = error.offenders.find((i) => entries[i]?.reference !== undefined);
      const entry = at === undefined ? undefined : entries[at];
      if (entry === undefined) throw error.fault;
      unused.push({ entry, reason: error.fault });
      entries = entries.filter((_, i) => i !== at);
    }
  }
}

/** The receiver's way: one proposal at fault, and the whole Commit is refused. */
export async function requireProposals(evaluation: Evaluation): Promise<EvaluatedProposals> {
  try {
    return await evaluateProposals(evaluation);
  } catch (error) {
    throw error instanceof ProposalFault ? error.fault : error;
  }
}
