/** Proposals from outside the group. RFC 9420 §12.1.8. */
import type { Signer } from "../crypto/index.ts";
import { EMPTY_BYTES, equalBytes } from "../codec/index.ts";
import { UsageError } from "../errors.ts";
import { readExternalSenders } from "../extensions/extension.ts";
import { authenticate, signContent } from "../framing/authenticated-content.ts";
import type { Sender } from "../framing/framed-content.ts";
import { encodeMlsMessage } from "../framing/mls-message.ts";
import type { KeyPackage } from "../key-packages/key-package.ts";
import type { GroupContext } from "../key-schedule/group-context.ts";
import type { Proposal } from "../messages/proposal.ts";
import { proposalTypeOf } from "../messages/proposal.ts";
import {
  DEFAULT_LIMITS,
  type DecodingRules,
  type Environment,
  type RegisteredTypes,
  wireTypes,
} from "./environment.ts";
import type { PublicEpoch } from "./epoch.ts";
import { sentLifetimes } from "./lifetimes.ts";
import { checkAlone } from "./proposal-message.ts";
import { mayComeFromExternalSender } from "./proposal-rules.ts";

/** The group as an outsider needs to name it. */
export type GroupAddress = Pick<GroupContext, "groupId" | "epoch">;

type ListingGroup = GroupAddress & Pick<GroupContext, "extensions">;

/**
 * A proposal by a sender that the group lists in external_senders. Its index is found by its key. The
 * proposal is not checked against a group that is not at hand: {@link createCheckedProposal} does.
 *
 * @throws UsageError `INVALID_SIGNER`, `INVALID_PROPOSAL`
 */
export async function createExternalProposal(
  group: ListingGroup,
  proposal: Proposal,
  signer: Signer,
  types: RegisteredTypes,
  authenticatedData: Uint8Array = EMPTY_BYTES,
): Promise<Uint8Array> {
  const sender = listedSender(group, proposal, signer, { types, limits: DEFAULT_LIMITS });
  return send(group, sender, proposal, signer, authenticatedData);
}

/**
 * Like {@link createExternalProposal}, with the group at hand: what its members would refuse on arrival
 * is refused here. Rule mk-58.
 *
 * @throws UsageError, ValidationError, CryptoError, PolicyError
 */
export async function createCheckedProposal(
  epoch: PublicEpoch,
  proposal: Proposal,
  signer: Signer,
  environment: Environment,
  authenticatedData: Uint8Array,
): Promise<Uint8Array> {
  const sender = listedSender(epoch.context, proposal, signer, environment);
  await checkAlone(epoch, proposal, sender, environment, sentLifetimes(environment));
  return send(epoch.context, sender, proposal, signer, authenticatedData);
}

function listedSender(
  { extensions }: ListingGroup,
  proposal: Proposal,
  signer: Signer,
  rules: DecodingRules,
): Sender {
  if (!mayComeFromExternalSender(proposal, rules.types)) {
    throw new UsageError("INVALID_PROPOSAL", "external senders may not send this type", {
      rule: "valn1502",
      details: { proposalType: proposalTypeOf(proposal) },
    });
  }
  const senders = readExternalSenders(extensions, wireTypes(rules));
  const senderIndex = senders.findIndex((sender) => {
    return equalBytes(sender.signatureKey, signer.publicKey);
  });
  if (senderIndex === -1) {
    throw new UsageError("INVALID_SIGNER", "the group does not list this external sender", {
      rule: "mk-33",
    });
  }
  return { type: "external", senderIndex };
}

/** A client's proposal to be added itself, signed with the key of its key package. */
export async function createNewMemberProposal(
  group: GroupAddress,
  keyPackage: KeyPackage,
  signer: Signer,
  authenticatedData: Uint8Array = EMPTY_BYTES,
): Promise<Uint8Array> {
  if (!equalBytes(keyPackage.leafNode.signatureKey, signer.publicKey)) {
    throw new UsageError("INVALID_SIGNER", "the signer is not that of the key package", {
      rule: "mk-23",
    });
  }
  const proposal: Proposal = { type: "add", keyPackage };
  return send(group, { type: "newMemberProposal" }, proposal, signer, authenticatedData);
}

async function send(
  { groupId, epoch }: GroupAddress,
  sender: Sender,
  proposal: Proposal,
  signer: Signer,
  authenticatedData: Uint8Array,
): Promise<Uint8Array> {
  const signed = await signContent(
    { groupId, epoch, sender, authenticatedData, content: { contentType: "proposal", proposal } },
    "publicMessage",
    EMPTY_BYTES,
    signer,
  );
  const { content, auth } = authenticate(signed, undefined);
  const message = { content, auth, membershipTag: undefined };
  return encodeMlsMessage({ wireFormat: "publicMessage", message });
}
