/** Steps that make proposals. */
import { EMPTY, utf8 } from "../bytes.ts";
import type { ProposalDescription } from "../protocol.ts";
import { checkForm } from "./flags.ts";
import type { Description, Step } from "./script.ts";
import type { World } from "./world.ts";

type ProposalStep = Extract<
  Step,
  {
    action:
      | "addProposal"
      | "updateProposal"
      | "removeProposal"
      | "externalPSKProposal"
      | "resumptionPSKProposal"
      | "groupContextExtensionsProposal"
      | "newMemberAddProposal"
      | "addExternalSigner"
      | "externalSignerProposal";
  }
>;

export async function propose(world: World, index: number, step: ProposalStep): Promise<void> {
  const proposal = await make(world, step);
  const isExternal =
    step.action === "newMemberAddProposal" || step.action === "externalSignerProposal";
  const author = step.action === "newMemberAddProposal" ? step.joiner : step.actor;
  checkForm(world, author, proposal, isExternal ? "public" : "asConfigured");
  world.keep(index, "proposal", proposal);
}

async function make(world: World, step: ProposalStep): Promise<Uint8Array> {
  const { actor } = step;
  const state = (): { state_id: number } => ({ state_id: world.state(actor) });
  switch (step.action) {
    case "addProposal": {
      const key_package = world.kept(step.keyPackage, "key package");
      return proposalOf(world.call(actor, "AddProposal", { ...state(), key_package }));
    }
    case "updateProposal":
      return proposalOf(world.call(actor, "UpdateProposal", state()));
    case "removeProposal": {
      const removed_id = world.identity(step.removed);
      return proposalOf(world.call(actor, "RemoveProposal", { ...state(), removed_id }));
    }
    case "externalPSKProposal": {
      const psk_id = world.kept(step.pskId, "psk id");
      return proposalOf(world.call(actor, "ExternalPSKProposal", { ...state(), psk_id }));
    }
    case "resumptionPSKProposal": {
      const epoch_id = String(step.epochId);
      return proposalOf(world.call(actor, "ResumptionPSKProposal", { ...state(), epoch_id }));
    }
    case "groupContextExtensionsProposal": {
      const request = { ...state(), extensions: step.extensions };
      return proposalOf(world.call(actor, "GroupContextExtensionsProposal", request));
    }
    case "newMemberAddProposal":
      return newMember(world, actor, step.joiner);
    case "addExternalSigner":
      return addSigner(world, actor, step.signer);
    case "externalSignerProposal":
      return fromSigner(world, actor, step.member, step.description);
  }
}

async function proposalOf(answer: Promise<{ readonly proposal: Uint8Array }>): Promise<Uint8Array> {
  return (await answer).proposal;
}

async function newMember(world: World, actor: string, joiner: string): Promise<Uint8Array> {
  const { group_info } = await world.call(actor, "GroupInfo", {
    state_id: world.state(actor),
    external_tree: false,
  });
  const identity = world.identity(joiner);
  const made = await world.call(joiner, "NewMemberAddProposal", { group_info, identity });
  world.transactions.set(joiner, made.transaction_id);
  return made.proposal;
}

async function addSigner(world: World, actor: string, signer: string): Promise<Uint8Array> {
  const { signer_id, external_sender } = await world.call(signer, "CreateExternalSigner", {
    cipher_suite: world.suite,
    identity: world.identity(signer),
  });
  // A new sender goes to the end of the list.
  world.signers.set(signer, { id: signer_id, index: world.signers.size });
  const state_id = world.state(actor);
  return proposalOf(world.call(actor, "AddExternalSigner", { state_id, external_sender }));
}

async function fromSigner(
  world: World,
  signer: string,
  member: string,
  description: Description,
): Promise<Uint8Array> {
  const described = describe(world, description);
  if (description.type === "reinit") {
    const { group_id: groupId = EMPTY, extensions = [] } = described;
    world.successor = { groupId, extensions, proposer: signer };
  }
  const known = world.signers.get(signer);
  if (known === undefined) throw new Error(`${signer} is no external signer`);
  const group = await world.call(member, "GroupInfo", {
    state_id: world.state(member),
    external_tree: true,
  });
  const made = await world.call(signer, "ExternalSignerProposal", {
    signer_id: known.id,
    signer_index: known.index,
    ...group,
    description: described,
  });
  return made.proposal;
}

/** A description as a server reads it. */
export function describe(world: World, description: Description): ProposalDescription {
  const { type, keyPackage, removed, pskId, epochId, extensions } = description;
  const { changeGroupId, changeCipherSuite } = description;
  if (changeCipherSuite) world.suite = anotherSuite(world);
  const isReInit = type === "reinit";
  return {
    proposal_type: utf8(type),
    key_package: keyPackage === undefined ? EMPTY : world.kept(keyPackage, "key package"),
    removed_id: removed === undefined ? EMPTY : world.identity(removed),
    psk_id: pskId === undefined ? EMPTY : world.kept(pskId, "psk id"),
    epoch_id: String(epochId ?? 0),
    extensions,
    group_id: isReInit ? nextGroupId(world, changeGroupId) : EMPTY,
    cipher_suite: isReInit ? world.suite : 0,
  };
}

/** The next of the suites that all servers of the cast carry. */
export function anotherSuite(world: World): number {
  const servers = [...new Set(world.setting.cast.values())];
  const [first, ...rest] = servers.map(({ description }) => description.suites);
  const common = (first ?? []).filter((suite) => rest.every((suites) => suites.includes(suite)));
  const at = common.indexOf(world.suite);
  const next = common[(at + 1) % common.length];
  if (next === undefined || next === world.suite) {
    throw new Error("the servers have only one suite in common");
  }
  return next;
}

export function nextGroupId(world: World, change: boolean): Uint8Array {
  return change ? new Uint8Array([...world.groupId, 1]) : world.groupId;
}
