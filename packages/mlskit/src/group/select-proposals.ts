/** Choosing what to commit: everything that can be, nothing that cannot. RFC 9420 §12.2, §12.4. */
import { MlsError } from "../errors.ts";
import { violation } from "../rules.ts";
import type { GroupLimits } from "./environment.ts";
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
      const evaluated = await evaluateProposals({ ...evaluation, entries });
      checkLimits(entries, evaluation.environment.limits);
      const alone =
        entries.length === 0
          ? unused.findIndex(({ reason }) => MlsError.is(reason) && reason.rule === "valn0309")
          : -1;
      if (alone === -1) return { evaluated, unused };
      entries = unused.splice(alone, 1).map(({ entry }) => entry);
    } catch (error) {
      if (!(error instanceof ProposalFault)) throw error;
      const { fault, offenders, surplus } = error;
      const left = offenders.filter((i) => entries[i]?.reference !== undefined).slice(0, surplus);
      if (left.length < surplus) throw fault;
      entries = entries.filter((entry, i) => {
        const stays = !left.includes(i);
        if (!stays) unused.push({ entry, reason: fault });
        return stays;
      });
    }
  }
}

/** Rule mk-14: no more than receivers accept. Those that came last are left out. */
function checkLimits(
  entries: readonly ProposalEntry[],
  { maximumProposalsPerCommit, maximumPsks }: GroupLimits,
): void {
  const latestFirst = [...entries.keys()].reverse();
  const psks = latestFirst.filter((i) => entries[i]?.proposal.type === "psk");
  checkCount(psks, maximumPsks);
  checkCount(latestFirst, maximumProposalsPerCommit);
}

function checkCount(positions: readonly number[], limit: number): void {
  const surplus = positions.length - limit;
  if (surplus <= 0) return;
  const message = "a Commit has more proposals than are accepted";
  throw new ProposalFault(violation("mk-14", "INVALID_COMMIT", message), positions, surplus);
}

/** The receiver's way: one proposal at fault, and the whole Commit is refused. */
export async function requireProposals(evaluation: Evaluation): Promise<EvaluatedProposals> {
  try {
    return await evaluateProposals(evaluation);
  } catch (error) {
    throw error instanceof ProposalFault ? error.fault : error;
  }
}
