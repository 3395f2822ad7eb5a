/** Proposals from outside the group. */
import {
  type Credential,
  createExternalProposal,
  createNewMemberProposal,
  ExtensionType,
  ExternalSender,
  makeExtension,
  type Proposal,
  type RegisteredTypes,
} from "mlskit";
import { EMPTY, fromUtf8 } from "../bytes.ts";
import { findLeaf } from "../find-leaf.ts";
import { type KeyPackage, messages } from "../internals.ts";
import type { ProposalDescription } from "../protocol.ts";
import { createActor, freshSigner } from "./actors.ts";
import { type Context, fromWire, type Handlers } from "./context.ts";
import { contextOf } from "./group-calls.ts";
import { createKeyPackage } from "./key-packages.ts";
import { externalPsk, reInit, resumptionPsk } from "./proposal-calls.ts";

type Names = "NewMemberAddProposal" | "CreateExternalSigner" | "ExternalSignerProposal";

export function externalCalls(context: Context): Handlers<Names> {
  const { registry, provider, grease } = context;
  return {
    NewMemberAddProposal: async ({ group_info, identity }) => {
      const group = contextOf(group_info);
      const actor = await createActor(context, identity, group.cipherSuite);
      const { bytes, reference, keys } = await createKeyPackage(actor, grease);
      const keyPackage = keyPackageOf(bytes);
      return {
        transaction_id: registry.add({ kind: "transaction", actor, reference }),
        proposal: await createNewMemberProposal(group, keyPackage, actor.signer),
        ...keys,
      };
    },

    CreateExternalSigner: async ({ cipher_suite, identity }) => {
      const { signer } = await freshSigner(provider, cipher_suite);
      const credential: Credential = { type: "basic", identity };
      const sender: ExternalSender = { signatureKey: signer.publicKey, credential };
      const { data } = makeExtension(ExtensionType.externalSenders, ExternalSender, sender);
      const id = registry.add({ kind: "signer", signer, cipherSuite: cipher_suite });
      return { signer_id: id, external_sender: data };
    },

    // signer_index is never filled in: our place in the list is found by our key.
    ExternalSignerProposal: async ({ signer_id, group_info, ratchet_tree, description }) => {
      const { signer } = registry.signer(signer_id);
      if (description === null) throw new Error("the proposal is not described");
      const group = contextOf(group_info);
      const proposal = proposalFrom(context, group, ratchet_tree, description);
      return { proposal: await createExternalProposal(group, proposal, signer, RFC_ONLY) };
    },
  };
}

const RFC_ONLY: RegisteredTypes = {
  proposals: new Map(),
  credentials: new Map(),
  extensions: new Set(),
};

function proposalFrom(
  context: Context,
  group: ReturnType<typeof contextOf>,
  tree: Uint8Array,
  description: ProposalDescription,
): Proposal {
  const { groupId, cipherSuite } = group;
  const type = fromUtf8(description.proposal_type);
  switch (type) {
    case "add":
      return { type: "add", keyPackage: keyPackageOf(description.key_package ?? EMPTY) };
    case "remove": {
      const crypto = context.provider.suite(cipherSuite);
      const [removed] = findLeaf(crypto, tree, description.removed_id ?? EMPTY);
      return { type: "remove", removed };
    }
    case "externalPSK":
      return externalPsk(context, cipherSuite, description.psk_id ?? EMPTY);
    case "resumptionPSK":
      return resumptionPsk(context, cipherSuite, groupId, BigInt(description.epoch_id ?? "0"));
    case "groupContextExtensions":
      return { type, extensions: fromWire(description.extensions ?? []) };
    case "reinit": {
      const { group_id = EMPTY, cipher_suite = 0, extensions = [] } = description;
      return reInit(group_id, cipher_suite, extensions);
    }
    default:
      throw new Error(`a proposal of type "${type}" cannot come from an external signer`);
  }
}

function keyPackageOf(bytes: Uint8Array): KeyPackage {
  const decoded = messages.decodeMlsMessage(bytes);
  if (decoded.wireFormat !== "keyPackage") {
    throw new Error(`a key package is expected here, not a ${decoded.wireFormat}`);
  }
  return decoded.message;
}
