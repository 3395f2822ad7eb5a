/** Proposals of members. */
import {
  ExternalSender,
  ExternalSenders,
  ExtensionType,
  type Group,
  makeExtension,
  type Proposal,
  readExtension,
} from "mlskit";
import { type Context, fromWire, type Handlers } from "./context.ts";

type Names =
  | "AddProposal"
  | "UpdateProposal"
  | "RemoveProposal"
  | "ExternalPSKProposal"
  | "ResumptionPSKProposal"
  | "GroupContextExtensionsProposal"
  | "ReInitProposal"
  | "AddExternalSigner";

export function proposalCalls({ registry }: Context): Handlers<Names> {
  const send = async (id: number, make: (group: Group) => ReturnType<Group["propose"]>) => {
    const { bytes } = await make(registry.state(id).group);
    return { proposal: bytes };
  };
  return {
    AddProposal: ({ state_id, key_package }) =>
      send(state_id, (group) => group.proposeAdd(key_package)),
    UpdateProposal: ({ state_id }) => send(state_id, (group) => group.proposeUpdate()),
    RemoveProposal: ({ state_id, removed_id }) =>
      send(state_id, (group) => group.proposeRemove(leafOf(group, removed_id))),
    ExternalPSKProposal: ({ state_id, psk_id }) =>
      send(state_id, (group) => group.proposePsk(psk_id)),
    ResumptionPSKProposal: ({ state_id, epoch_id }) =>
      send(state_id, (group) => group.proposeResumptionPsk({ epoch: BigInt(epoch_id) })),
    GroupContextExtensionsProposal: ({ state_id, extensions }) =>
      send(state_id, (group) =>
        group.propose({ type: "groupContextExtensions", extensions: fromWire(extensions) }),
      ),
    ReInitProposal: ({ state_id, cipher_suite, group_id, extensions }) =>
      send(state_id, (group) => group.propose(reInit(group_id, cipher_suite, extensions))),
    AddExternalSigner: ({ state_id, external_sender }) =>
      send(state_id, (group) => group.propose(withSender(group.extensions, external_sender))),
  };
}

export function externalPsk(context: Context, cipherSuite: number, pskId: Uint8Array): Proposal {
  const nonce = freshNonce(context, cipherSuite);
  return { type: "psk", psk: { type: "external", pskId, nonce } };
}

export function resumptionPsk(
  context: Context,
  cipherSuite: number,
  groupId: Uint8Array,
  epoch: bigint,
): Proposal {
  const nonce = freshNonce(context, cipherSuite);
  return { type: "psk", psk: { type: "resumption", usage: "application", groupId, epoch, nonce } };
}

export function reInit(
  groupId: Uint8Array,
  cipherSuite: number,
  extensions: Parameters<typeof fromWire>[0],
): Proposal {
  return { type: "reInit", groupId, version: 1, cipherSuite, extensions: fromWire(extensions) };
}

/** The leaf of the member with this identity, which must be the only one. */
export function leafOf(group: Group, identity: Uint8Array): number {
  const [member, ...more] = group.findMembers({ identity });
  if (member === undefined || more.length > 0) {
    throw new Error(`${more.length === 0 ? "no" : "more than one"} member has this identity`);
  }
  return member.leafIndex;
}

function freshNonce({ provider }: Context, cipherSuite: number): Uint8Array {
  const crypto = provider.suite(cipherSuite);
  return crypto.randomBytes(crypto.suite.kdf.size);
}

/** One more external sender; everything else stays. */
function withSender(extensions: Group["extensions"], sender: Uint8Array): Proposal {
  const type = ExtensionType.externalSenders;
  const added = readExtension([{ type, data: sender }], type, ExternalSender);
  const known = readExtension(extensions, type, ExternalSenders) ?? [];
  const senders = [...known, ...(added === undefined ? [] : [added])];
  const others = extensions.filter((extension) => extension.type !== type);
  const all = makeExtension(type, ExternalSenders, senders);
  return { type: "groupContextExtensions", extensions: [...others, all] };
}
