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
import { hex } from "../bytes.ts";
import { type Context, fromWire, type Handlers } from "./context.ts";
import type { State } from "./registry.ts";

type Names =
  | "AddProposal"
  | "UpdateProposal"
  | "RemoveProposal"
  | "ExternalPSKProposal"
  | "ResumptionPSKProposal"
  | "GroupContextExtensionsProposal"
  | "ReInitProposal"
  | "AddExternalSigner";

type Sent = Awaited<ReturnType<Group["propose"]>>;

export function proposalCalls(context: Context): Handlers<Names> {
  const { registry } = context;
  /** Remembers what was sent: in its encrypted form we could not read it again. */
  const send = async (id: number, make: (state: State) => Promise<Sent>) => {
    const state = registry.state(id);
    const { bytes, reference } = await make(state);
    state.proposals.set(hex(bytes), reference);
    return { proposal: bytes };
  };
  const propose = (id: number, make: (group: Group) => Proposal) =>
    send(id, ({ group }) => group.propose(make(group)));
  return {
    AddProposal: ({ state_id, key_package }) =>
      send(state_id, ({ group }) => group.proposeAdd(key_package)),
    UpdateProposal: ({ state_id }) => send(state_id, ({ group }) => group.proposeUpdate()),
    RemoveProposal: ({ state_id, removed_id }) =>
      send(state_id, ({ group }) => group.proposeRemove(leafOf(group, removed_id))),
    ExternalPSKProposal: ({ state_id, psk_id }) =>
      propose(state_id, (group) => externalPsk(context, group.cipherSuite, psk_id)),
    ResumptionPSKProposal: ({ state_id, epoch_id }) =>
      propose(state_id, ({ id, cipherSuite }) =>
        resumptionPsk(context, cipherSuite, id, BigInt(epoch_id)),
      ),
    GroupContextExtensionsProposal: ({ state_id, extensions }) =>
      propose(state_id, () => {
        return { type: "groupContextExtensions", extensions: fromWire(extensions) };
      }),
    ReInitProposal: ({ state_id, cipher_suite, group_id, extensions }) =>
      propose(state_id, () => reInit(group_id, cipher_suite, extensions)),
    AddExternalSigner: ({ state_id, external_sender }) =>
      propose(state_id, ({ extensions }) => withSender(extensions, external_sender)),
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
