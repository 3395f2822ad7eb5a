/** Steps with Commits. */
import { EMPTY } from "../bytes.ts";
import type { RequestOf, ResponseOf } from "../protocol.ts";
import { checkEpoch } from "./checks.ts";
import { checkForm, checkPath, checkTreeBeside, watchPath } from "./flags.ts";
import type { Step } from "./script.ts";
import { followCommit, joinAll, provokeMember } from "./step-joins.ts";
import { describe } from "./step-proposals.ts";
import { refused } from "./tampering.ts";
import { CheckError, type World } from "./world.ts";

type StepOf<Action extends Step["action"]> = Extract<Step, { action: Action }>;

/** A Commit by one member, taken in by the others, and the joiners that it welcomes. */
export async function fullCommit(
  world: World,
  index: number,
  step: StepOf<"fullCommit">,
): Promise<void> {
  const { actor, members, joiners, leavers, forcePath, externalTree } = step;
  const { request, made } = await makeCommit(world, index, step);
  const { commit, welcome } = made;
  checkWelcomeIsThere(world, actor, welcome, joiners);
  const { by_reference: proposals } = request;
  // Peers may have no answer for somebody who leaves; the harness never asks.
  const told = leavers.filter((leaver) => world.isOurs(leaver));
  const receivers = [...members, ...told].map((member) => {
    return [member, { state_id: world.state(member), proposal: proposals, commit }] as const;
  });
  const authenticators = new Map<string, Uint8Array>();
  const checkHiddenPath = forcePath ? await watchPath(world, actor, members, commit) : undefined;
  await acceptOwn(world, actor, authenticators);
  const provoked = world.firstToProvoke(members);
  for (const [member, handle] of receivers) {
    if (member === provoked) await provokeMember(world, member, commit, proposals);
    const handled = await world.call(member, "HandleCommit", handle);
    world.states.set(member, handled.state_id);
    if (leavers.includes(member)) checkLeft(world, member, handled.epoch_authenticator);
    else authenticators.set(member, handled.epoch_authenticator);
    if (member !== provoked) continue;
    const again = { ...handle, state_id: handled.state_id };
    await refused(world, member, "HandleCommit", again, "a replayed Commit");
  }
  await checkHiddenPath?.();
  world.lastCommit = commit;
  const ratchetTree = externalTree ? made.ratchet_tree : undefined;
  const invitation = { sponsor: actor, joiners, welcome, commit, ratchetTree, forcePath };
  await joinAll(world, invitation, authenticators);
  await checkEpoch(world, [actor, ...members, ...joiners], authenticators);
}

export async function makeCommit(
  world: World,
  index: number,
  step: StepOf<"fullCommit" | "commit">,
): Promise<{ request: RequestOf<"Commit">; made: ResponseOf<"Commit"> }> {
  const { actor, byReference, byValue, forcePath, externalTree } = step;
  const request = {
    state_id: world.state(actor),
    by_reference: byReference.map((at) => world.kept(at, "proposal")),
    by_value: byValue.map((description) => describe(world, description)),
    force_path: forcePath,
    external_tree: externalTree,
  };
  const made = await world.call(actor, "Commit", request);
  checkForm(world, actor, made.commit, "asConfigured");
  checkPath(world, actor, made.commit, forcePath);
  checkTreeBeside(world, actor, made.ratchet_tree, externalTree);
  world.keep(index, "commit", made.commit);
  world.keep(index, "welcome", made.welcome);
  return { request, made };
}

async function acceptOwn(
  world: World,
  actor: string,
  authenticators: Map<string, Uint8Array>,
): Promise<void> {
  const state_id = world.state(actor);
  const pending = await world.call(actor, "HandlePendingCommit", { state_id });
  world.states.set(actor, pending.state_id);
  authenticators.set(actor, pending.epoch_authenticator);
}

function checkWelcomeIsThere(
  world: World,
  actor: string,
  welcome: Uint8Array,
  joiners: readonly string[],
): void {
  if (joiners.length > 0 && welcome.length === 0) {
    throw new CheckError("a Commit that adds members made no Welcome", world.serversOf([actor]));
  }
}

/** Who was removed has no part in the new epoch. */
function checkLeft(world: World, member: string, authenticator: Uint8Array): void {
  const complaint = "was removed and has an authenticator of the new epoch";
  world.report(member, authenticator.length === 0, complaint);
}

export async function handleCommit(world: World, step: StepOf<"handleCommit">): Promise<void> {
  const handled = await world.call(step.actor, "HandleCommit", {
    state_id: world.state(step.actor),
    proposal: step.byReference.map((at) => world.kept(at, "proposal")),
    commit: world.kept(step.commit, "commit"),
  });
  world.states.set(step.actor, handled.state_id);
}

export async function handlePendingCommit(world: World, actor: string): Promise<void> {
  await acceptOwn(world, actor, new Map());
}

/** Several members make a Commit of the same epoch; all others, and the losers, follow the first. */
export async function race(world: World, step: StepOf<"race">): Promise<void> {
  const { actor, rivals, members } = step;
  const plain = { by_reference: [], by_value: [], force_path: true, external_tree: false };
  const commits: Uint8Array[] = [];
  for (const racer of [actor, ...rivals]) {
    const request = { state_id: world.state(racer), ...plain };
    commits.push((await world.call(racer, "Commit", request)).commit);
  }
  const [commit = EMPTY, lost = EMPTY] = commits;
  const authenticators = new Map<string, Uint8Array>();
  await acceptOwn(world, actor, authenticators);
  for (const member of [...rivals, ...members]) {
    await followCommit(world, member, commit, authenticators);
  }
  world.lastCommit = commit;
  const late = { state_id: world.state(actor), proposal: [], commit: lost };
  await refused(world, actor, "HandleCommit", late, "the Commit that lost");
  for (const rival of rivals) {
    const request = { state_id: world.state(rival) };
    await refused(world, rival, "HandlePendingCommit", request, "a Commit of its own that lost");
  }
  await checkEpoch(world, [actor, ...rivals, ...members], authenticators);
}
