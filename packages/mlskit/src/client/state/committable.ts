/** Which pending proposals somebody could commit. RFC 9420 §12.4; rule mk-45. */
import type { Environment } from "../../group/environment.ts";
import { evaluateProposals } from "../../group/evaluate-proposals.ts";
import type { Epoch } from "../../group/epoch.ts";
import { ProposalFault } from "../../group/proposal-entry.ts";
import { leafChange } from "../../group/proposal-list.ts";
import type { GroupState, StoredProposal } from "./group-state.ts";

/** Judged anew only when proposals come or go. */
const known = new WeakMap<GroupState["proposals"], readonly StoredProposal[]>();

/**
 * Proposals that are valid on their own, whoever commits them. What can never be committed must not
 * keep a group from sending.
 */
export async function committableProposals(
  { epoch, proposals }: Pick<GroupState, "epoch" | "proposals">,
  environment: Environment,
): Promise<readonly StoredProposal[]> {
  if (proposals.size === 0) return [];
  const cached = known.get(proposals);
  if (cached !== undefined) return cached;
  const committable: StoredProposal[] = [];
  for (const stored of proposals.values()) {
    if (await isCommittable(epoch, stored, environment)) committable.push(stored);
  }
  known.set(proposals, committable);
  return committable;
}

async function isCommittable(
  epoch: Epoch,
  stored: StoredProposal,
  environment: Environment,
): Promise<boolean> {
  try {
    await evaluateProposals({
      epoch,
      entries: [stored],
      committer: { type: "member", leafIndex: anotherMember(epoch, stored, environment) },
      flow: "ordinary",
      direction: "createCommit",
      environment,
    });
    return true;
  } catch (error) {
    if (error instanceof ProposalFault) return false;
    throw error;
  }
}

/** A member that the proposal does not concern, or a place where there is none. */
function anotherMember(
  { tree }: Epoch,
  stored: StoredProposal,
  { types }: Pick<Environment, "types">,
): number {
  const concerned = leafChange(stored, types)?.leaf;
  for (const [leaf] of tree.members()) if (leaf !== concerned) return leaf;
  return tree.leafCount;
}
