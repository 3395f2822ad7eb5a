/** Carries out one script with one cast. */
import { fromUtf8, utf8 } from "../bytes.ts";
import type { Script, Step } from "./script.ts";
import { fullCommit, handleCommit, handlePendingCommit, makeCommit, race } from "./step-commits.ts";
import { createGroup, createKeyPackage, externalJoin, joinGroup } from "./step-joins.ts";
import { propose } from "./step-proposals.ts";
import { branch, reinit } from "./step-successors.ts";
import { CheckError, type RunSetting, type Tally, World } from "./world.ts";

/** How far a run came, and what was seen on the way. */
export interface RunOutcome {
  readonly tally: Tally;
  readonly observations: readonly string[];
  /** Nothing failed, but a peer left out what was asked for. */
  readonly isVacuous: boolean;
  /** Undefined if everything was right. */
  readonly failure:
    | { readonly step: number; readonly action: string; readonly error: Error }
    | undefined;
}

export async function runScript(script: Script, setting: RunSetting): Promise<RunOutcome> {
  const world = new World(setting);
  let failure: RunOutcome["failure"];
  for (const [index, step] of script.steps.entries()) {
    try {
      await runStep(world, index, step);
    } catch (thrown) {
      const error = thrown instanceof Error ? thrown : new Error(String(thrown));
      failure = { step: index, action: step.action, error };
      break;
    }
  }
  // Failing here must not hide what failed before.
  for (const [actor, state_id] of world.states) {
    try {
      await world.call(actor, "Free", { state_id });
    } catch (thrown) {
      const error = thrown instanceof Error ? thrown : new Error(String(thrown));
      failure ??= { step: script.steps.length, action: "free", error };
    }
  }
  const { tally, isVacuous } = world;
  return { tally, observations: [...world.observations], isVacuous, failure };
}

async function runStep(world: World, index: number, step: Step): Promise<void> {
  switch (step.action) {
    case "createGroup":
      return createGroup(world, step);
    case "createKeyPackage":
      return world.keep(index, "key package", await createKeyPackage(world, step.actor));
    case "joinGroup":
      return joinGroup(world, step);
    case "externalJoin":
      return externalJoin(world, index, step);
    case "installExternalPSK":
      return installPsk(world, index, step.clients);
    case "groupInfo": {
      const request = { state_id: world.state(step.actor), external_tree: step.externalTree };
      const { group_info } = await world.call(step.actor, "GroupInfo", request);
      return world.keep(index, "group info", group_info);
    }
    case "fullCommit":
      return fullCommit(world, index, step);
    case "commit":
      await makeCommit(world, index, step);
      return undefined;
    case "handleCommit":
      return handleCommit(world, step);
    case "handlePendingCommit":
      return handlePendingCommit(world, step.actor);
    case "protect":
      return protect(world, index, step);
    case "unprotect":
      return unprotect(world, step);
    case "reinit":
      return reinit(world, step);
    case "branch":
      return branch(world, step);
    case "race":
      return race(world, step);
    default:
      return propose(world, index, step);
  }
}

async function installPsk(world: World, index: number, actors: readonly string[]): Promise<void> {
  const [psk_id, psk_secret] = [world.draw(32), world.draw(32)];
  world.keep(index, "psk id", psk_id);
  world.keep(index, "psk secret", psk_secret);
  world.rememberPsk(psk_id, psk_secret);
  for (const actor of actors) {
    const id = world.states.get(actor) ?? world.transactions.get(actor) ?? 0;
    await world.call(actor, "StorePSK", { state_or_transaction_id: id, psk_id, psk_secret });
  }
}

async function protect(
  world: World,
  index: number,
  step: Extract<Step, { action: "protect" }>,
): Promise<void> {
  const [authenticated_data, plaintext] = [utf8(step.authenticatedData), utf8(step.plaintext)];
  const state_id = world.state(step.actor);
  const sent = await world.call(step.actor, "Protect", { state_id, authenticated_data, plaintext });
  world.keep(index, "ciphertext", sent.ciphertext);
  world.keep(index, "authenticated data", authenticated_data);
  world.keep(index, "plaintext", plaintext);
}

async function unprotect(
  world: World,
  { actor, ciphertext }: Extract<Step, { action: "unprotect" }>,
): Promise<void> {
  const opened = await world.call(actor, "Unprotect", {
    state_id: world.state(actor),
    ciphertext: world.kept(ciphertext, "ciphertext"),
  });
  world.tally.messages += 1;
  const data = fromUtf8(world.kept(ciphertext, "authenticated data"));
  const plaintext = fromUtf8(world.kept(ciphertext, "plaintext"));
  if (fromUtf8(opened.authenticated_data) === data && fromUtf8(opened.plaintext) === plaintext) {
    return;
  }
  throw new CheckError("a message was opened to something else", world.serversOf([actor]));
}
