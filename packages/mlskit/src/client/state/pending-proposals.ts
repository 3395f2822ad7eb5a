/** Pending proposals as the application sees them. Catalogue M-PROP-14. */
import type { Credential } from "../../credentials/credential.ts";
import type { ContentWireFormat } from "../../framing/authenticated-content.ts";
import type { Sender } from "../../framing/framed-content.ts";
import type { Environment } from "../../group/environment.ts";
import { groupView } from "../../group/epoch.ts";
import { credentialOf } from "../../group/review.ts";
import type { Proposal } from "../../messages/proposal.ts";
import { committableProposals } from "./committable.ts";
import type { GroupState } from "./group-state.ts";

export interface PendingProposal {
  /** ProposalRef. */
  readonly reference: Uint8Array;
  readonly proposal: Proposal;
  readonly sender: Sender;
  /** The sender's. */
  readonly credential: Credential | undefined;
  readonly wireFormat: ContentWireFormat;
  readonly isOwn: boolean;
  /** Whether some member could commit it; only such proposals keep a group from sending. */
  readonly isValid: boolean;
}

/** In order of arrival. */
export async function describePendingProposals(
  state: GroupState,
  environment: Environment,
): Promise<readonly PendingProposal[]> {
  const valid = new Set(await committableProposals(state, environment));
  const group = groupView(state.epoch.context, state.epoch.tree);
  return [...state.proposals.values()].map((stored) => {
    const { reference, proposal, sender, bytes, wireFormat } = stored;
    return {
      reference,
      proposal,
      sender,
      credential: credentialOf(stored, group, environment),
      wireFormat,
      isOwn: bytes !== undefined,
      isValid: valid.has(stored),
    };
  });
}
