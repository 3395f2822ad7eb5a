/** Operations in two steps: what arrived is looked at, and accepted afterwards. */
import { bobCommits, inGroup, type Operation } from "./operation.ts";

export const ACCEPTING_OPERATIONS: readonly Operation[] = [
  inGroup(
    "stage a Commit and accept it",
    async (world, id) => {
      const commit = await bobCommits(await world.client("bob").group(id), world);
      return async (group) => {
        const outcome = await group.process(commit, { accept: false });
        if (outcome.kind === "commit") await outcome.accept();
      };
    },
    true,
  ),
  inGroup(
    "stage our own Commit by its echo and accept it",
    async (world, id) => {
      const { commit } = await (await world.alice.group(id)).update();
      await world.deliver(commit, id);
      return async (group) => {
        const outcome = await group.process(commit, { accept: false });
        if (outcome.kind === "ownCommit") await outcome.accept();
      };
    },
    true,
  ),
  inGroup(
    "look at a proposal and accept it",
    async (world, id) => {
      const { bytes } = await (await world.client("bob").group(id)).proposeUpdate();
      await (await world.client("carol").group(id)).process(bytes, { accept: true });
      return async (group) => {
        const outcome = await group.process(bytes, { accept: false });
        if (outcome.kind === "proposal") await outcome.accept();
      };
    },
    true,
  ),
];
