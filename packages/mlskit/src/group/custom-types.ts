/** Asking the application, or a draft, about proposals of its types. RFC 9420 §13.2. */
import { StateError, UsageError, ValidationError } from "../errors.ts";
import type { Extension } from "../extensions/extension.ts";
import type { Sender } from "../framing/framed-content.ts";
import type { CustomProposal, Proposal } from "../messages/proposal.ts";
import type { CustomProposalType, RegisteredTypes } from "./environment.ts";

/** @throws MlsError if the proposal is not acceptable */
export function validateCustom(
  proposal: CustomProposal,
  sender: Sender,
  types: RegisteredTypes,
): void {
  answer(() => types.proposals.get(proposal.proposalType)?.validate?.(proposal, sender));
}

/** The leaf that a proposal of a registered type removes, if it removes one. */
export function removedByCustom(
  proposal: Proposal,
  sender: Sender,
  types: RegisteredTypes,
): number | undefined {
  if (proposal.type !== "custom") return undefined;
  return answer(() => types.proposals.get(proposal.proposalType)?.removes?.(proposal, sender));
}

/** @throws MlsError unless all types agree to these GroupContext extensions in place of those before */
export function checkExtensionsByTypes(
  before: readonly Extension[],
  after: readonly Extension[],
  types: RegisteredTypes,
): void {
  for (const type of types.proposals.values()) {
    answer(() => type.checkExtensions?.(before, after));
  }
}

/** What all proposals of this type in a Commit make of the extensions. */
export function changeExtensionsBy(
  type: CustomProposalType,
  extensions: readonly Extension[],
  proposals: readonly CustomProposal[],
): readonly Extension[] {
  return answer(() => type.changeExtensions?.(extensions, proposals)) ?? extensions;
}

/**
 * A hook's refusal speaks of the proposal, so it blames the sender even if the hook took the errors of
 * a caller: what a peer sends makes no call of ours fail. What is no MlsError is a mistake in the hook,
 * and thrown; the message can be processed again.
 */
function answer<T>(ask: () => T): T {
  try {
    return ask();
  } catch (cause) {
    if (!(cause instanceof UsageError || cause instanceof StateError)) throw cause;
    const message = "the application refuses the proposal";
    throw new ValidationError("INVALID_PROPOSAL", message, { details: cause.details, cause });
  }
}
