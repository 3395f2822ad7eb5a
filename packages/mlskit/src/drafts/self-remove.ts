/** SelfRemove: a member leaves, and even external joiners commit it. draft-ietf-mls-extensions. */
import { EMPTY_BYTES } from "../codec/index.ts";
import { UsageError } from "../errors.ts";
import type { CustomProposalType, Environment } from "../group/environment.ts";
import type { Epoch } from "../group/epoch.ts";
import {
  createProposal,
  type ProposalMessageOptions,
  type SentProposal,
} from "../group/proposal-message.ts";
import type { CustomProposal } from "../messages/proposal.ts";
import { check } from "../rules.ts";

/** The draft's code point. */
export const SELF_REMOVE = 0x000a;

/** The code point of deployments that took a private one. */
export const SELF_REMOVE_PRIVATE = 0xf003;

/** For `types.proposals`, under one code point or both; members list the same in capabilities. */
export const selfRemoveType: CustomProposalType = {
  // struct {} SelfRemove: the sender says it all.
  skip: () => undefined,
  requiresPath: true,
  fromExternalSender: false,
  inExternalCommit: "byReference",
  byReferenceOnly: true,
  publicOnly: true,
  validate: (_proposal, sender) => {
    check(
      sender.type === "member",
      "mk-115",
      "INVALID_PROPOSAL",
      "only a member can remove itself",
      { sender: sender.type },
    );
  },
  removes: (_proposal, sender) => (sender.type === "member" ? sender.leafIndex : undefined),
};

export function selfRemove(proposalType: number = SELF_REMOVE): CustomProposal {
  return { type: "custom", proposalType, body: EMPTY_BYTES };
}

/**
 * Our departure, to be sent and to be cached. The member that commits it is another.
 *
 * @throws UsageError `SELF_REMOVE_NEEDS_PUBLIC` in a group that encrypts its handshakes,
 * `UNSUPPORTED_PROPOSAL` if a member does not know the type
 */
export function createSelfRemove(
  epoch: Epoch,
  options: ProposalMessageOptions,
  environment: Environment,
  proposalType: number = SELF_REMOVE,
): Promise<SentProposal> {
  if (options.wireFormat !== "publicMessage") {
    throw new UsageError("SELF_REMOVE_NEEDS_PUBLIC", "a SelfRemove is never encrypted", {
      rule: "mk-115",
    });
  }
  if (!epoch.tree.supportedByAll("proposals", proposalType)) {
    throw new UsageError("UNSUPPORTED_PROPOSAL", "a member does not support SelfRemove", {
      rule: "valn0311",
      details: { proposalType },
    });
  }
  return createProposal(epoch, selfRemove(proposalType), options, environment);
}
