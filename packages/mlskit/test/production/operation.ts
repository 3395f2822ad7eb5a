/** How the operations of a client are described, and what brings a world to the moment before. */
import { utf8 } from "../../src/codec/index.ts";
import type { Group } from "../../src/index.ts";
import type { Storage } from "../../src/storage/storage.ts";
import type { CrashWorld } from "./crash-world.ts";

export type Run = (world: CrashWorld) => Promise<unknown>;

export interface Operation {
  readonly name: string;
  /** Brings the world to the moment before; the result is the operation itself. */
  prepare(world: CrashWorld): Promise<Run>;
  /** What comes again after a crash, before Alice goes on. */
  readonly again?: boolean;
  /** Goes on with other groups when one fails, so that what is left out is for the next time. */
  readonly goesOn?: boolean;
}

export const PSK = utf8("an external PSK");

export async function everybody(world: CrashWorld): Promise<void> {
  for (const name of ["alice", "bob", "carol", "dave"] as const) await world.create(name);
}

/** With Alice, Bob and Carol in a group; the operation gets Alice's view of it. */
export function inGroup(
  name: string,
  prepare: (
    world: CrashWorld,
    id: Uint8Array,
  ) => Promise<(group: Group, world: CrashWorld) => Promise<unknown>>,
  again = false,
): Operation {
  return {
    name,
    again,
    async prepare(world) {
      await everybody(world);
      const id = await world.group();
      const run = await prepare(world, id);
      return async (now) => run(await now.alice.group(id), now);
    },
  };
}

/** A message of Bob's that everybody else has, and Alice gets. */
export function receiving(
  name: string,
  make: (bob: Group, world: CrashWorld) => Promise<Uint8Array>,
): Operation {
  return inGroup(
    name,
    async (world, id) => {
      const bob = await world.client("bob").group(id);
      const bytes = await make(bob, world);
      return (group) => group.process(bytes, { accept: true });
    },
    true,
  );
}

export async function others(world: CrashWorld, bytes: Uint8Array, id: Uint8Array): Promise<void> {
  const carol = await world.client("carol").group(id);
  await carol.process(bytes, { accept: true });
}

/** A Commit of Bob's, accepted by him and Carol. */
export async function bobCommits(
  bob: Group,
  world: CrashWorld,
  request: Parameters<Group["commit"]>[0] = {},
): Promise<Uint8Array> {
  const { commit } = await bob.commit(request);
  const { welcomes } = await bob.acceptCommit();
  await others(world, commit, bob.id);
  await world.handOut(welcomes);
  world.log.push(commit);
  return commit;
}

/** Alice finds that her store seems to be a backup. */
export async function openSetBack(world: CrashWorld): Promise<void> {
  const inner = world.stores.get("alice") as Storage;
  await world.open("alice", {
    get: (key) => inner.get(key),
    list: (prefix) => inner.list(prefix),
    write: (batch) => inner.write(batch),
    close: () => inner.close(),
    rollback: "suspected",
    acceptRollback: () => undefined,
  });
  world.stores.set("alice", inner);
}
