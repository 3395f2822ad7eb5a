/** What an epoch ended without, once more. Catalogue M-PROP-19. */
import { equalBytes } from "../codec/index.ts";
import { UsageError } from "../errors.ts";
import type { DroppedProposal } from "../client/state/dropped-proposals.ts";
import { accessOf, type Group } from "../client/group.ts";
import {
  type ProposeOptions,
  sendProposal,
  type SentProposalView,
} from "../client/sending/propose.ts";
import type { GroupSession } from "../client/session/session.ts";

/** The same wish in the current epoch: a new proposal, with new keys where it had some. */
export function proposeAgain(
  group: Group,
  dropped: Pick<DroppedProposal, "proposal" | "isOwn">,
  options: ProposeOptions = {},
): Promise<SentProposalView> {
  return accessOf(group).operate((session) => propose(session, dropped, options));
}

async function propose(
  session: GroupSession,
  { proposal, isOwn }: Pick<DroppedProposal, "proposal" | "isOwn">,
  options: ProposeOptions,
): Promise<SentProposalView> {
  const { crypto } = session.state.epoch;
  switch (proposal.type) {
    case "update": {
      if (!isOwn) {
        throw new UsageError("INVALID_PROPOSAL", "the Update of another member is its own matter");
      }
      const { credential, capabilities, extensions, signatureKey } = proposal.leafNode;
      const isSameKey = equalBytes(signatureKey, session.state.epoch.signer.publicKey);
      const signer = isSameKey ? undefined : await session.signer(signatureKey);
      const leaf = { credential, capabilities, extensions, signer };
      return sendProposal(session, { leaf }, options);
    }
    case "psk": {
      const psk = { ...proposal.psk, nonce: crypto.randomBytes(crypto.suite.kdf.size) };
      return sendProposal(session, { ...proposal, psk }, options);
    }
    default:
      return sendProposal(session, proposal, options);
  }
}
