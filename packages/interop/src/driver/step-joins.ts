/** Steps by which actors enter groups. */
import { EMPTY, utf8 } from "../bytes.ts";
import type { RequestOf } from "../protocol.ts";
import { checkEpoch } from "./checks.ts";
import {
  checkExternalCommit,
  checkForm,
  checkGroupInfo,
  checkTreeBeside,
  checkWelcome,
} from "./flags.ts";
import type { Invitation } from "./invitation.ts";
import type { Step } from "./script.ts";
import { refused, tamperings } from "./tampering.ts";
import type { World } from "./world.ts";

type StepOf<Action extends Step["action"]> = Extract<Step, { action: Action }>;

export async function createGroup(
  world: World,
  { actor, members }: StepOf<"createGroup">,
): Promise<void> {
  world.groupId = world.draw(32);
  const { state_id } = await world.call(actor, "CreateGroup", {
    group_id: world.groupId,
    cipher_suite: world.suite,
    encrypt_handshake: world.setting.encrypt,
    identity: world.identity(actor),
  });
  world.states.set(actor, state_id);
  world.members = [actor];
  if (members.length === 0) return;
  const packages: Uint8Array[] = [];
  for (const member of members) packages.push(await createKeyPackage(world, member));
  const { commit, welcome, ratchet_tree } = await world.call(actor, "Commit", {
    state_id,
    by_reference: [],
    by_value: packages.map((key_package) => ({
      proposal_type: utf8("add"),
      key_package,
    })),
    force_path: false,
    external_tree: false,
  });
  checkForm(world, actor, commit, "asConfigured");
  checkTreeBeside(world, actor, ratchet_tree, false);
  const pending = await world.call(actor, "HandlePendingCommit", { state_id });
  world.states.set(actor, pending.state_id);
  world.lastCommit = commit;
  const authenticators = new Map([[actor, pending.epoch_authenticator]]);
  await joinAll(world, { sponsor: actor, joiners: members, welcome, commit }, authenticators);
  await checkEpoch(world, [actor, ...members], authenticators);
}

export async function createKeyPackage(world: World, actor: string): Promise<Uint8Array> {
  const made = await world.call(actor, "CreateKeyPackage", {
    cipher_suite: world.suite,
    identity: world.identity(actor),
  });
  world.transactions.set(actor, made.transaction_id);
  world.showedKeys(actor, { keyPackage: made.key_package, initKey: made.init_priv });
  return made.key_package;
}

/** All joiners of one Welcome. */
export async function joinAll(
  world: World,
  invitation: Invitation,
  authenticators: Map<string, Uint8Array>,
): Promise<void> {
  const provoked = world.firstToProvoke(invitation.joiners);
  for (const joiner of invitation.joiners) {
    await checkWelcome(world, joiner, invitation);
    const request = {
      transaction_id: world.transaction(joiner),
      welcome: invitation.welcome,
      encrypt_handshake: world.setting.encrypt,
      identity: world.identity(joiner),
      ratchet_tree: invitation.ratchetTree ?? EMPTY,
    };
    if (joiner === provoked) await provokeJoiner(world, joiner, "JoinGroup", request);
    const joined = await world.call(joiner, "JoinGroup", request);
    world.states.set(joiner, joined.state_id);
    authenticators.set(joiner, joined.epoch_authenticator);
  }
}

type Joining = "JoinGroup" | "HandleReInitWelcome" | "HandleBranch";

/** Gives a joiner, before it gets the real ones, Welcomes and trees that it must refuse. */
export async function provokeJoiner<Name extends Joining>(
  world: World,
  joiner: string,
  name: Name,
  request: RequestOf<Name>,
): Promise<void> {
  const { welcome } = request;
  // Not in the middle: that may be the part of another joiner, which is none of this one's business.
  for (const bad of tamperings(welcome).slice(0, 2)) {
    const what = "a Welcome with a flipped bit";
    await refused(world, joiner, name, { ...request, welcome: bad }, what);
  }
  await refuseTrees(world, joiner, name, request);
}

async function refuseTrees<Name extends Joining | "ExternalJoin">(
  world: World,
  joiner: string,
  name: Name,
  request: RequestOf<Name>,
): Promise<void> {
  if (request.ratchet_tree.length === 0) return;
  for (const ratchet_tree of tamperings(request.ratchet_tree)) {
    const what = "a tree with a flipped bit";
    await refused(world, joiner, name, { ...request, ratchet_tree }, what);
  }
}

export async function joinGroup(
  world: World,
  { actor, welcome }: StepOf<"joinGroup">,
): Promise<void> {
  const joined = await world.call(actor, "JoinGroup", {
    transaction_id: world.transaction(actor),
    welcome: world.kept(welcome, "welcome"),
    encrypt_handshake: world.setting.encrypt,
    identity: world.identity(actor),
    ratchet_tree: EMPTY,
  });
  world.states.set(actor, joined.state_id);
}

export async function externalJoin(
  world: World,
  index: number,
  step: StepOf<"externalJoin">,
): Promise<void> {
  const { actor, joiner, members, externalTree } = step;
  const { group_info, ratchet_tree } = await world.call(actor, "GroupInfo", {
    state_id: world.state(actor),
    external_tree: externalTree,
  });
  checkTreeBeside(world, actor, ratchet_tree, externalTree);
  checkGroupInfo(world, actor, group_info, externalTree);
  const request = {
    group_info,
    ratchet_tree,
    encrypt_handshake: world.setting.encrypt,
    identity: world.identity(joiner),
    remove_prior: step.removePrior,
    psks: step.psks.map((psk) => ({
      psk_id: world.kept(psk, "psk id"),
      psk_secret: world.kept(psk, "psk secret"),
    })),
  };
  for (const bad of tamperings(group_info)) {
    const what = "a GroupInfo with a flipped bit";
    await refused(world, joiner, "ExternalJoin", { ...request, group_info: bad }, what);
  }
  await refuseTrees(world, joiner, "ExternalJoin", request);
  const joined = await world.call(joiner, "ExternalJoin", request);
  world.states.set(joiner, joined.state_id);
  const { commit } = joined;
  checkForm(world, joiner, commit, "public");
  checkExternalCommit(world, joiner, commit, step);
  world.keep(index, "commit", commit);
  const authenticators = new Map([[joiner, joined.epoch_authenticator]]);
  const others = [...members.filter((member) => member !== joiner && member !== actor), actor];
  const provoked = world.firstToProvoke(others);
  for (const member of others) {
    if (member === provoked) await provokeMember(world, member, commit, []);
    await followCommit(world, member, commit, authenticators);
  }
  world.lastCommit = commit;
  await checkEpoch(world, [...others, joiner], authenticators);
}

/** A member processes a Commit that covers nothing by reference. */
export async function followCommit(
  world: World,
  member: string,
  commit: Uint8Array,
  authenticators: Map<string, Uint8Array>,
): Promise<void> {
  const request = { state_id: world.state(member), proposal: [], commit };
  const handled = await world.call(member, "HandleCommit", request);
  world.states.set(member, handled.state_id);
  authenticators.set(member, handled.epoch_authenticator);
}

/** Gives a member, before it gets the real one, Commits and proposals that it must refuse. */
export async function provokeMember(
  world: World,
  member: string,
  commit: Uint8Array,
  proposals: readonly Uint8Array[],
): Promise<void> {
  const request = { state_id: world.state(member), proposal: proposals, commit };
  for (const bad of tamperings(commit)) {
    const what = "a Commit with a flipped bit";
    await refused(world, member, "HandleCommit", { ...request, commit: bad }, what);
  }
  const [first, ...rest] = proposals;
  if (first !== undefined) {
    const [bad = first] = tamperings(first);
    const proposal = [bad, ...rest];
    const what = "a proposal with a flipped bit";
    await refused(world, member, "HandleCommit", { ...request, proposal }, what);
  }
  if (world.lastCommit === undefined) return;
  const stale = { ...request, proposal: [], commit: world.lastCommit };
  await refused(world, member, "HandleCommit", stale, "a Commit of another epoch");
}
