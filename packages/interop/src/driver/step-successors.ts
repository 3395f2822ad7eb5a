/** Steps in which a group ends and goes on under other parameters, or has a branch. */
import { EMPTY } from "../bytes.ts";
import type { ResponseOf } from "../protocol.ts";
import { checkEntered, checkEpoch } from "./checks.ts";
import {
  checkFirstPath,
  checkForm,
  checkParameters,
  checkTreeBeside,
  checkTreeIsApart,
  checkWelcome,
} from "./flags.ts";
import type { Step } from "./script.ts";
import { createKeyPackage, provokeJoiner, provokeMember } from "./step-joins.ts";
import { anotherSuite, nextGroupId } from "./step-proposals.ts";
import type { World } from "./world.ts";

type StepOf<Action extends Step["action"]> = Extract<Step, { action: Action }>;

interface Ended {
  readonly reinitId: number;
  readonly keyPackage: Uint8Array;
}

export async function reinit(world: World, step: StepOf<"reinit">): Promise<void> {
  const { proposer, committer, welcomer } = step;
  const named = [committer, welcomer, ...(proposer === undefined ? [] : [proposer])];
  const everybody = [...new Set([...named, ...step.members])];
  const proposal = await reinitProposal(world, step);
  const ended = await endGroup(world, committer, everybody, proposal);
  const others = everybody.filter((member) => member !== welcomer);
  const { reinitId } = endedOf(ended, welcomer);
  const made = await world.call(welcomer, "ReInitWelcome", {
    reinit_id: reinitId,
    key_package: others.map((member) => endedOf(ended, member).keyPackage),
    force_path: step.forcePath,
    external_tree: step.externalTree,
  });
  world.states.set(welcomer, made.state_id);
  checkTreeBeside(world, welcomer, made.ratchet_tree, step.externalTree);
  if (step.externalTree) checkTreeIsApart(world, welcomer, made.welcome, made.ratchet_tree);
  const { successor } = world;
  if (successor === undefined) throw new Error("nobody proposed a ReInit");
  // Ours welcomes to what was proposed, whatever it is.
  const asked = world.isOurs(successor.proposer) ? welcomer : successor.proposer;
  await checkParameters(world, welcomer, successor, asked);
  const authenticators = new Map([[welcomer, made.epoch_authenticator]]);
  const provoked = world.firstToProvoke(others);
  for (const member of others) {
    const request = {
      reinit_id: endedOf(ended, member).reinitId,
      welcome: made.welcome,
      ratchet_tree: step.externalTree ? made.ratchet_tree : EMPTY,
    };
    if (member === provoked) await provokeJoiner(world, member, "HandleReInitWelcome", request);
    const joined = await world.call(member, "HandleReInitWelcome", request);
    world.states.set(member, joined.state_id);
    authenticators.set(member, joined.epoch_authenticator);
  }
  if (step.forcePath) await checkFirstPath(world, welcomer, others);
  world.lastCommit = undefined;
  world.groupId = successor.groupId;
  await checkEpoch(world, [welcomer, ...others], authenticators);
}

function endedOf(all: ReadonlyMap<string, Ended>, actor: string): Ended {
  const found = all.get(actor);
  if (found === undefined) throw new Error(`${actor} has not ended the group`);
  return found;
}

async function reinitProposal(world: World, step: StepOf<"reinit">): Promise<Uint8Array> {
  const { proposer, externalProposal } = step;
  if (proposer === undefined) return world.kept(externalProposal ?? -1, "proposal");
  if (step.changeCipherSuite) world.suite = anotherSuite(world);
  const { extensions } = step;
  const groupId = nextGroupId(world, step.changeGroupId);
  world.successor = { groupId, extensions, proposer };
  const { proposal } = await world.call(proposer, "ReInitProposal", {
    state_id: world.state(proposer),
    cipher_suite: world.suite,
    group_id: groupId,
    extensions,
  });
  checkForm(world, proposer, proposal, "asConfigured");
  return proposal;
}

/** Commits the ReInit; everybody's key package for what comes next. */
async function endGroup(
  world: World,
  committer: string,
  everybody: readonly string[],
  proposal: Uint8Array,
): Promise<ReadonlyMap<string, Ended>> {
  const state_id = world.state(committer);
  const { commit } = await world.call(committer, "ReInitCommit", {
    state_id,
    by_reference: [proposal],
    by_value: [],
    force_path: false,
    external_tree: false,
  });
  checkForm(world, committer, commit, "asConfigured");
  const successors = new Map<string, Ended>();
  const authenticators = new Map<string, Uint8Array>();
  const keep = (actor: string, ended: ResponseOf<"HandleReInitCommit">): void => {
    successors.set(actor, { reinitId: ended.reinit_id, keyPackage: ended.key_package });
    authenticators.set(actor, ended.epoch_authenticator);
  };
  keep(committer, await world.call(committer, "HandlePendingReInitCommit", { state_id }));
  const others = everybody.filter((member) => member !== committer);
  const provoked = world.firstToProvoke(others);
  for (const member of others) {
    const request = { state_id: world.state(member), proposal: [proposal], commit };
    if (member === provoked) await provokeMember(world, member, commit, [proposal]);
    keep(member, await world.call(member, "HandleReInitCommit", request));
  }
  checkEntered(world, authenticators);
  return successors;
}

export async function branch(world: World, step: StepOf<"branch">): Promise<void> {
  const { actor, members, externalTree, forcePath } = step;
  const packages: Uint8Array[] = [];
  for (const member of members) packages.push(await createKeyPackage(world, member));
  world.groupId = world.draw(32);
  const made = await world.call(actor, "CreateBranch", {
    state_id: world.state(actor),
    group_id: world.groupId,
    extensions: step.extensions,
    key_packages: packages,
    force_path: forcePath,
    external_tree: externalTree,
  });
  world.states.set(actor, made.state_id);
  checkTreeBeside(world, actor, made.ratchet_tree, externalTree);
  await checkParameters(world, actor, { groupId: world.groupId, extensions: step.extensions });
  const authenticators = new Map([[actor, made.epoch_authenticator]]);
  const ratchetTree = externalTree ? made.ratchet_tree : undefined;
  const invitation = { sponsor: actor, joiners: members, welcome: made.welcome };
  const provoked = world.firstToProvoke(members);
  for (const member of members) {
    await checkWelcome(world, member, { ...invitation, ratchetTree, forcePath });
    const parent = world.state(member);
    const request = {
      state_id: parent,
      transaction_id: world.transaction(member),
      welcome: made.welcome,
      ratchet_tree: ratchetTree ?? EMPTY,
    };
    if (member === provoked) await provokeJoiner(world, member, "HandleBranch", request);
    const joined = await world.call(member, "HandleBranch", request);
    authenticators.set(member, joined.epoch_authenticator);
    world.states.set(member, joined.state_id);
    // A peer that keeps the number has given up the parent already.
    if (joined.state_id !== parent) await world.call(member, "Free", { state_id: parent });
  }
  if (forcePath) await checkFirstPath(world, actor, members);
  world.lastCommit = undefined;
  await checkEpoch(world, [actor, ...members], authenticators);
}
