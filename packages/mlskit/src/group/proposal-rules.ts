/** What a proposal must satisfy on its own, given who sent it. RFC 9420 §12.1, §12.1.8. */
import { check, violation } from "../rules.ts";
import type { ContentWireFormat } from "../framing/authenticated-content.ts";
import type { Sender } from "../framing/framed-content.ts";
import type { PreSharedKeyId } from "../key-schedule/pre-shared-key.ts";
import { type Proposal, proposalTypeOf } from "../messages/proposal.ts";
import { ExtensionType, type Extension } from "../extensions/extension.ts";
import { leafIndex } from "../tree/tree-math.ts";
import { checkExtensionsByTypes, removedByCustom, validateCustom } from "./custom-types.ts";
import type { RegisteredTypes } from "./environment.ts";
import type { PublicEpoch } from "./epoch.ts";
import { type CachedProposal, cacheKey, type ProposalCache } from "./proposal-entry.ts";

/** Which PSK usages a Commit may name: those of the flow it belongs to. RFC 9420 §12.1.4. */
export type PskFlow = "ordinary" | "reinit" | "branch";

/** Checks that need nothing but the proposal, its sender and the epoch. */
export function checkProposal(
  epoch: PublicEpoch,
  proposal: Proposal,
  sender: Sender,
  types: RegisteredTypes,
  flow: PskFlow = "ordinary",
): void {
  checkSender(proposal, sender, types);
  switch (proposal.type) {
    case "add":
    case "update":
      return;
    case "remove":
      return checkRemoveTarget(epoch, proposal.removed);
    case "psk":
      return checkPskId(epoch, proposal.psk, types, flow);
    case "reInit":
      check(
        proposal.version >= epoch.context.version,
        "valn0901",
        "INVALID_PROPOSAL",
        "a ReInit may not lower the protocol version",
        { version: proposal.version },
      );
      return checkContextExtensionTypes(proposal.extensions);
    case "externalInit":
      return;
    case "groupContextExtensions":
      checkContextExtensionTypes(proposal.extensions);
      return checkExtensionsByTypes(epoch.context.extensions, proposal.extensions, types);
    case "custom": {
      validateCustom(proposal, sender, types);
      const leaf = removedByCustom(proposal, sender, types);
      return leaf === undefined ? undefined : checkRemoveTarget(epoch, leaf);
    }
  }
}

function checkSender(proposal: Proposal, sender: Sender, types: RegisteredTypes): void {
  const type = proposalTypeOf(proposal);
  switch (sender.type) {
    case "member":
      return;
    case "external":
      check(
        mayComeFromExternalSender(proposal, types),
        "valn1502",
        "INVALID_PROPOSAL",
        "external senders may not send this type of proposal",
        { proposalType: type },
      );
      return;
    case "newMemberProposal":
      check(
        proposal.type === "add",
        "valn1504",
        "INVALID_PROPOSAL",
        "a new member may propose nothing but its own Add",
        { proposalType: type },
      );
      return;
    case "newMemberCommit":
      return;
  }
}

export function mayComeFromExternalSender(proposal: Proposal, types: RegisteredTypes): boolean {
  switch (proposal.type) {
    case "add":
    case "remove":
    case "psk":
    case "reInit":
    case "groupContextExtensions":
      return true;
    case "update":
    case "externalInit":
      return false;
    case "custom":
      return types.proposals.get(proposal.proposalType)?.fromExternalSender === true;
  }
}

function checkRemoveTarget({ tree }: PublicEpoch, removed: number): void {
  const isLeaf = Number.isInteger(removed) && removed >= 0 && removed < tree.leafCount;
  check(
    isLeaf && tree.leaf(leafIndex(removed)) !== undefined,
    "valn0701",
    "INVALID_PROPOSAL",
    "there is no member at the leaf to be removed",
    { leafIndex: removed },
  );
}

/** Some types are for readers outside the group as well, and must not be encrypted. */
export function checkWireFormat(
  proposal: Proposal,
  wireFormat: ContentWireFormat,
  types: RegisteredTypes,
): void {
  if (proposal.type !== "custom") return;
  check(
    wireFormat === "publicMessage" ||
      types.proposals.get(proposal.proposalType)?.publicOnly !== true,
    "mk-115",
    "INVALID_PROPOSAL",
    "this type of proposal travels as PublicMessage only",
    { proposalType: proposal.proposalType },
  );
}

/** A member announces its departure once in an epoch; for proposals that arrive one by one. */
export function checkNotRepeated(
  { proposal, sender, reference }: CachedProposal,
  cache: ProposalCache,
  types: RegisteredTypes,
): void {
  if (cache.has(cacheKey(reference))) return;
  const leaf = removedByCustom(proposal, sender, types);
  if (leaf === undefined) return;
  for (const other of cache.values()) {
    check(
      removedByCustom(other.proposal, other.sender, types) !== leaf,
      "mk-115",
      "INVALID_PROPOSAL",
      "a member proposes to leave twice in one epoch",
      { leafIndex: leaf },
    );
  }
}

/** RFC 9420 §8.4, §12.1.4. */
function checkPskId(
  epoch: PublicEpoch,
  id: PreSharedKeyId,
  types: RegisteredTypes,
  flow: PskFlow,
): void {
  // Received ids do not even decode then; this keeps us from sending what nobody could read.
  check(
    id.type !== "custom" || types.psks?.has(id.pskType) === true,
    "mk-07",
    "INVALID_PROPOSAL",
    "this type of PSK is not registered",
  );
  check(
    id.nonce.length === epoch.crypto.suite.kdf.size,
    "valn0803",
    "INVALID_PROPOSAL",
    "a PSK nonce must be as long as the KDF's output",
    { length: id.nonce.length },
  );
  if (id.type !== "resumption" || id.usage === "application") return;
  if (id.usage === "reinit") {
    check(
      flow === "reinit",
      "valn0801",
      "INVALID_PROPOSAL",
      "PSK usage reinit does not belong here",
    );
  } else {
    check(
      flow === "branch",
      "valn0802",
      "INVALID_PROPOSAL",
      "PSK usage branch does not belong here",
    );
  }
}

/** RFC extension types that belong elsewhere. RFC 9420 §17.3. */
const NOT_IN_GROUP_CONTEXT: readonly number[] = [
  ExtensionType.applicationId,
  ExtensionType.ratchetTree,
  ExtensionType.externalPub,
];

export function checkContextExtensionTypes(extensions: readonly Extension[]): void {
  for (const { type } of extensions) {
    if (NOT_IN_GROUP_CONTEXT.includes(type)) {
      throw violation(
        "valn1603",
        "INVALID_PROPOSAL",
        "this extension type does not belong into a GroupContext",
        { extensionType: type },
      );
    }
  }
}
