/** Every operation of a client, in a world in which it makes sense. */
import { utf8 } from "../../src/codec/index.ts";
import { acceptDetached, commitDetached, type Group } from "../../src/index.ts";
import type { CrashWorld } from "./crash-world.ts";
import { ACCEPTING_OPERATIONS } from "./accepting-operations.ts";
import {
  bobCommits,
  everybody,
  inGroup,
  openSetBack,
  type Operation,
  others,
  PSK,
  receiving,
} from "./operation.ts";

const DETACHED_KEY = new Uint8Array(32).fill(7);

const ownOperations: readonly Operation[] = [
  {
    name: "create a client",
    prepare: async (world) => {
      await world.create("bob");
      return (now) => now.create("alice", now.stores.get("alice"));
    },
  },
  {
    name: "add an identity",
    prepare: async (world) => {
      await everybody(world);
      return (now) => now.alice.addIdentity({ identity: "alice", cipherSuite: 3 });
    },
  },
  {
    name: "create a key package",
    prepare: async (world) => {
      await everybody(world);
      return (now) => now.alice.createKeyPackage();
    },
  },
  {
    name: "create key packages",
    prepare: async (world) => {
      await everybody(world);
      return (now) => now.alice.createKeyPackages(3);
    },
  },
  {
    name: "delete a key package",
    prepare: async (world) => {
      await everybody(world);
      const { reference } = await world.alice.createKeyPackage();
      return (now) => now.alice.deleteKeyPackage(reference);
    },
  },
  {
    name: "prune key packages",
    prepare: async (world) => {
      await everybody(world);
      await world.alice.createKeyPackages(2);
      return async (now) => {
        const time = now.clock();
        now.clock.advance(200 * 86_400);
        await now.alice.pruneKeyPackages().finally(() => now.clock.set(time));
      };
    },
  },
  {
    name: "create a group",
    prepare: async (world) => {
      await everybody(world);
      return (now) => now.alice.createGroup();
    },
  },
  {
    name: "create a group with members",
    prepare: async (world) => {
      await everybody(world);
      const keyPackage = await world.keyPackage("bob");
      return (now) => now.alice.createGroupWith([keyPackage]);
    },
  },
  {
    name: "propose to join",
    prepare: async (world) => {
      await everybody(world);
      const { id, epoch } = await world.client("bob").createGroup();
      return (now) => now.alice.proposeJoin({ groupId: id, epoch });
    },
  },
  {
    name: "remove an identity",
    prepare: async (world) => {
      await everybody(world);
      const identity = await world.alice.addIdentity({ identity: "alice" });
      await world.alice.createKeyPackage({ identity });
      return (now) => now.alice.removeIdentity(identity);
    },
  },
  {
    name: "create a group from a key package of ours",
    prepare: async (world) => {
      await everybody(world);
      const { reference } = await world.alice.createKeyPackage();
      return (now) => now.alice.createGroup({ keyPackage: reference });
    },
  },
  {
    name: "store a PSK",
    prepare: async (world) => {
      await everybody(world);
      return (now) => now.alice.putPsk(PSK, PSK);
    },
  },
  {
    name: "delete a PSK",
    prepare: async (world) => {
      await everybody(world);
      await world.alice.putPsk(PSK, PSK);
      return (now) => now.alice.deletePsk(PSK);
    },
  },
];

const commitOperations: readonly Operation[] = [
  inGroup("add", async (world) => {
    const keyPackage = await world.keyPackage("dave");
    return (group) => group.add([keyPackage]);
  }),
  inGroup("remove", async () => async (group) => {
    const [carol] = group.findMembers({ identity: "carol" });
    await group.remove([carol!.leafIndex]);
  }),
  inGroup("swap", async (world) => {
    const keyPackage = await world.keyPackage("dave");
    return async (group) => {
      const [carol] = group.findMembers({ identity: "carol" });
      await group.commit({ swap: { remove: [carol!.leafIndex], add: [keyPackage] } });
    };
  }),
  inGroup("update", async () => (group) => group.update()),
  inGroup("commit with a PSK", async (world) => {
    for (const name of ["alice", "bob", "carol"] as const) {
      await world.client(name).putPsk(PSK, PSK);
    }
    return (group) => group.commit({ psks: [PSK], withoutPath: true });
  }),
  inGroup("commit with a resumption PSK", async () => (group) => {
    return group.commit({ resumptionPsks: [{ epoch: group.epoch }] });
  }),
  inGroup("continue as another identity", async (world) => {
    const identity = await world.alice.addIdentity({ identity: "alice" });
    world.directory.add(identity);
    return (group) => group.commit({ identity });
  }),
  inGroup("accept a Commit", async (world, id) => {
    const group = await world.alice.group(id);
    const { commit } = await group.add([await world.keyPackage("dave")]);
    await world.deliver(commit, id);
    return (now) => now.acceptCommit();
  }),
  inGroup("discard a Commit", async (world, id) => {
    await (await world.alice.group(id)).update();
    return (now) => now.discardCommit();
  }),
  inGroup(
    "commit immediately, with the Commit in an outbox",
    async (_, id) => async (_group, now) => {
      await now.alice.transaction(async (tx) => {
        const { commit } = await (await tx.group(id)).commitImmediately();
        tx.put("outbox", commit);
      });
    },
  ),
  inGroup("commit and deliver: accepted", async () => (group, world) => {
    return group.commitAndDeliver(async ({ commit }) => {
      await world.deliver(commit, group.id);
      return { type: "accepted" };
    });
  }),
  inGroup("commit and deliver: rejected", async () => async (group) => {
    const rejected = group.commitAndDeliver(() => ({ type: "rejected", reason: "no" }));
    await unlessRejected(rejected);
  }),
  inGroup("deliver again", async (world, id) => {
    await (await world.alice.group(id)).update();
    return (group, now) =>
      group.redeliver(async ({ commit }) => {
        await now.deliver(commit, group.id);
        return { type: "accepted" };
      });
  }),
  inGroup("try again what was kept for later", async (world, id) => {
    const bob = await world.client("bob").group(id);
    const group = await world.alice.group(id);
    const [first, second] = [await bobCommits(bob, world), await bobCommits(bob, world)];
    for (const commit of [second, first]) await group.process(commit, { accept: true });
    return (now) => now.retryBuffered({ accept: true });
  }),
  inGroup("hand out what an accepted Commit has for others", async (world, id) => {
    const { commit } = await (await world.alice.group(id)).add([await world.keyPackage("dave")]);
    await world.deliver(commit, id);
    await (await world.alice.group(id)).acceptCommit();
    return async (group, now) => {
      for (const accepted of group.toHandOut) {
        await now.handOut(accepted.welcomes);
        await group.handedOut(accepted);
      }
    };
  }),
  inGroup("rebuild a lost Commit", async (world, id) => {
    const group = await world.alice.group(id);
    await group.add([await world.keyPackage("dave")]);
    const lost = await bobCommits(await world.client("bob").group(id), world);
    const outcome = await group.process(lost, { accept: true });
    const wishes = outcome.kind === "commit" ? outcome.discarded : undefined;
    return (now) => now.rebuild(wishes!);
  }),
  inGroup("commit a ReInit", async () => (group) => {
    return group.commit({
      reInit: { groupId: utf8("next"), version: 1, cipherSuite: 1, extensions: [] },
    });
  }),
  inGroup("accept a ReInit", async (world, id) => {
    const group = await world.alice.group(id);
    const { commit } = await group.commit({
      reInit: { groupId: utf8("next"), version: 1, cipherSuite: 1, extensions: [] },
    });
    await world.deliver(commit, id);
    return (now) => now.acceptCommit();
  }),
  inGroup("commit, detached", async () => (group) => commitDetached(group, DETACHED_KEY)),
  inGroup(
    "accept a detached Commit",
    async (world, id) => {
      const detached = await commitDetached(await world.alice.group(id), DETACHED_KEY);
      await world.deliver(detached.commit, id);
      return (now) => acceptDetached(now, DETACHED_KEY, detached);
    },
    true,
  ),
];

const messageOperations: readonly Operation[] = [
  inGroup("send", async () => (group) => group.send("hello")),
  inGroup("send many", async () => (group) => group.sendMany(["one", "two", "three"])),
  inGroup("propose an update", async () => (group) => group.proposeUpdate()),
  inGroup("propose an addition", async (world) => {
    const keyPackage = await world.keyPackage("dave");
    return (group) => group.proposeAdd(keyPackage);
  }),
  inGroup("propose an extension list", async () => (group) => {
    return group.propose({ type: "groupContextExtensions", extensions: [] });
  }),
  inGroup("propose a PSK", async (world) => {
    for (const name of ["alice", "bob", "carol"] as const) {
      await world.client(name).putPsk(PSK, PSK);
    }
    return (group) => group.proposePsk(PSK);
  }),
  inGroup("propose a resumption PSK", async () => (group) => {
    return group.proposeResumptionPsk({ epoch: group.epoch });
  }),
  inGroup("queue a proposal", async () => async (group) => {
    const [carol] = group.findMembers({ identity: "carol" });
    await group.queue({ type: "remove", removed: carol!.leafIndex });
  }),
  inGroup("drop a proposal", async (world, id) => {
    const { reference } = await (await world.alice.group(id)).proposeUpdate();
    return (group) => group.dropProposal(reference);
  }),
  inGroup("drop all proposals", async (world, id) => {
    await (await world.alice.group(id)).proposeUpdate();
    return (group) => group.dropAllProposals();
  }),
  inGroup("leave", async () => (group) => group.leave()),
  inGroup("configure", async (world, id) => {
    await bobSays(world, id);
    return (group) => group.configure({ pastEpochs: 0, outOfOrderTolerance: 0 });
  }),
  inGroup("propose a removal", async () => async (group) => {
    const [carol] = group.findMembers({ identity: "carol" });
    await group.proposeRemove(carol!.leafIndex);
  }),
  inGroup("remove a member by name", async () => async (group) => {
    await group.removeMember({ identity: "carol" });
  }),
  inGroup("suspect a rollback", async (world) => {
    await world.alice.createKeyPackage();
    return (_, now) => now.alice.suspectRollback();
  }),
  inGroup(
    "open a store that seems to have been set back",
    async (world) => {
      await world.alice.createKeyPackage();
      return (_, now) => openSetBack(now);
    },
    true,
  ),
  inGroup("limit a rollback", async (world) => {
    await world.alice.suspectRollback();
    return (group) => group.limitRollback(group.epoch);
  }),
  inGroup("send within a block of generations", async (world, id) => {
    const group = await world.alice.group(id);
    await group.configure({ generationBlock: 4 });
    return async (now) => {
      for (let i = 0; i < 5; i++) await now.send("hello");
    };
  }),
  inGroup("replace a group that has ended", async (world, id) => {
    const bob = await world.client("bob").group(id);
    const [alice] = bob.findMembers({ identity: "alice" });
    const removal = await bobCommits(bob, world, { remove: [alice!.leafIndex] });
    world.log.pop();
    await (await world.alice.group(id)).process(removal, { accept: true });
    for (const name of ["bob", "carol"] as const) await world.client(name).deleteGroup(id);
    return (_, now) => now.alice.createGroup({ groupId: id, replace: true });
  }),
  inGroup("delete past epochs", async () => (group) => group.deletePastEpochs()),
  inGroup("delete the group", async () => (group, world) => world.alice.deleteGroup(group.id)),
  inGroup("transaction over two groups", async (world, id) => {
    const second = await world.alice.createGroup();
    const bob = await world.client("bob").group(id);
    const { bytes } = await bob.send("read with its key");
    await world.alice.transaction(async (tx) => tx.put("unread", bytes));
    return async (_, now) =>
      now.alice.transaction(async (tx) => {
        await (await tx.group(id)).process(bytes);
        tx.put("read", utf8("read with its key"));
        tx.delete("unread");
        await (await tx.group(second.id)).update();
        tx.setCheckpoint(utf8("cursor"));
      });
  }),
];

async function bobSays(world: CrashWorld, id: Uint8Array): Promise<void> {
  const bob = await world.client("bob").group(id);
  await bob.send("skipped");
  await (await world.alice.group(id)).process((await bob.send("read")).bytes);
}

const receiveOperations: readonly Operation[] = [
  receiving("receive an application message", async (bob) => (await bob.send("hello")).bytes),
  receiving("receive a late application message", async (bob, world) => {
    const { bytes } = await bob.send("late");
    const commit = await bobCommits(bob, world);
    await (await world.alice.group(bob.id)).process(commit, { accept: true });
    return bytes;
  }),
  receiving("receive a proposal", async (bob, world) => {
    const { bytes } = await bob.proposeUpdate();
    await others(world, bytes, bob.id);
    return bytes;
  }),
  receiving("receive a Commit", (bob, world) => bobCommits(bob, world)),
  receiving("receive a Commit that adds", async (bob, world) => {
    return bobCommits(bob, world, { add: [await world.keyPackage("dave")] });
  }),
  receiving("receive a Commit while ours waits", async (bob, world) => {
    await (await world.alice.group(bob.id)).update();
    return bobCommits(bob, world);
  }),
  receiving("receive the Commit of our Update", async (bob, world) => {
    const { bytes } = await (await world.alice.group(bob.id)).proposeUpdate();
    await bob.process(bytes, { accept: true });
    await others(world, bytes, bob.id);
    return bobCommits(bob, world);
  }),
  receiving("receive our removal", async (bob, world) => {
    const [alice] = bob.findMembers({ identity: "alice" });
    return bobCommits(bob, world, { remove: [alice!.leafIndex] });
  }),
  receiving("receive a ReInit", (bob, world) => {
    const reInit = { groupId: utf8("next"), version: 1, cipherSuite: 1, extensions: [] };
    return bobCommits(bob, world, { reInit });
  }),
  receiving("receive a message of the next epoch", async (bob, world) => {
    await bobCommits(bob, world);
    return (await bob.send("early")).bytes;
  }),
  receiving("receive an external commit", async (bob, world) => {
    const { commit } = await world.client("dave").joinExternally(await bob.groupInfo());
    await bob.process(commit, { accept: true });
    await others(world, commit, bob.id);
    await world.client("dave").acceptJoin(bob.id);
    return commit;
  }),
  receiving("receive our own Commit", async (bob, world) => {
    const { commit } = await (await world.alice.group(bob.id)).update();
    await world.deliver(commit, bob.id);
    return commit;
  }),
  inGroup(
    "process many",
    async (world, id) => {
      const bob = await world.client("bob").group(id);
      const one = (await bob.send("one")).bytes;
      const commit = await bobCommits(bob, world);
      const two = (await bob.send("two")).bytes;
      return (group) => group.processMany([two, one, commit], { accept: true });
    },
    true,
  ),
  inGroup(
    "receive the proposal that a Commit waits for",
    async (world, id) => {
      const bob = await world.client("bob").group(id);
      const { bytes } = await bob.proposeUpdate();
      const carol = await world.client("carol").group(id);
      await carol.process(bytes, { accept: true });
      const { commit } = await carol.commit();
      await carol.acceptCommit();
      await bob.process(commit, { accept: true });
      await (await world.alice.group(id)).process(commit, { accept: true });
      return (group) => group.process(bytes, { accept: true });
    },
    true,
  ),
];

/** Bob and Carol have a group that Alice comes into. */
async function bobsGroup(world: CrashWorld): Promise<Group> {
  await everybody(world);
  const bob = await world.client("bob").createGroup();
  await bob.add([await world.keyPackage("carol")]);
  const { welcomes } = await bob.acceptCommit();
  await world.client("carol").join(welcomes[0]!.bytes);
  return bob;
}

const joinOperations: readonly Operation[] = [
  {
    name: "join",
    again: true,
    prepare: async (world) => {
      const bob = await bobsGroup(world);
      const { commit } = await bob.add([await world.keyPackage("alice")]);
      const { welcomes } = await bob.acceptCommit();
      await others(world, commit, bob.id);
      return (now) => now.alice.join(welcomes[0]!.bytes);
    },
  },
  {
    name: "join again after a removal",
    again: true,
    prepare: async (world) => {
      await everybody(world);
      const id = await world.group();
      const bob = await world.client("bob").group(id);
      const [alice] = bob.findMembers({ identity: "alice" });
      const removal = await bobCommits(bob, world, { remove: [alice!.leafIndex] });
      await (await world.alice.group(id)).process(removal, { accept: true });
      const { commit } = await bob.add([await world.keyPackage("alice")]);
      const { welcomes } = await bob.acceptCommit();
      await others(world, commit, id);
      return (now) => now.alice.join(welcomes[0]!.bytes);
    },
  },
  {
    name: "join externally",
    prepare: async (world) => {
      const groupInfo = await (await bobsGroup(world)).groupInfo();
      return (now) => now.alice.joinExternally(groupInfo);
    },
  },
  {
    name: "accept an external join",
    prepare: async (world) => {
      const bob = await bobsGroup(world);
      const { commit } = await world.alice.joinExternally(await bob.groupInfo());
      await world.deliver(commit, bob.id);
      return (now) => now.alice.acceptJoin(bob.id);
    },
  },
  {
    name: "receive our own external commit",
    again: true,
    prepare: async (world) => {
      const bob = await bobsGroup(world);
      const { commit } = await world.alice.joinExternally(await bob.groupInfo());
      await world.deliver(commit, bob.id);
      return (now) => now.alice.process(commit);
    },
  },
  {
    name: "reject an external join",
    prepare: async (world) => {
      const bob = await bobsGroup(world);
      await world.alice.joinExternally(await bob.groupInfo());
      return (now) => now.alice.rejectJoin(bob.id);
    },
  },
  inGroup("resync", async (world, id) => {
    const groupInfo = await (await world.client("bob").group(id)).groupInfo();
    return (_, now) => now.alice.joinExternally(groupInfo, { resync: true });
  }),
  inGroup("accept a resync", async (world, id) => {
    const groupInfo = await (await world.client("bob").group(id)).groupInfo();
    const { commit } = await world.alice.joinExternally(groupInfo, { resync: true });
    await world.deliver(commit, id);
    return (_, now) => now.alice.acceptJoin(id);
  }),
  inGroup("accept the second of two resyncs", async (world, id) => {
    const groupInfo = await (await world.client("bob").group(id)).groupInfo();
    await world.alice.joinExternally(groupInfo, { resync: true });
    const { commit } = await world.alice.joinExternally(groupInfo, { resync: true });
    await world.deliver(commit, id);
    return (_, now) => now.alice.acceptJoin(id);
  }),
  inGroup("delete a group during a second resync", async (world, id) => {
    const groupInfo = await (await world.client("bob").group(id)).groupInfo();
    for (let i = 0; i < 2; i++) await world.alice.joinExternally(groupInfo, { resync: true });
    return (_, now) => now.alice.deleteGroup(id);
  }),
  inGroup("reject a resync", async (world, id) => {
    const groupInfo = await (await world.client("bob").group(id)).groupInfo();
    await world.alice.joinExternally(groupInfo, { resync: true });
    return (_, now) => now.alice.rejectJoin(id);
  }),
];

/** A group that a ReInit of Bob's has closed for everybody. */
export async function closedGroup(world: CrashWorld, kind: string): Promise<Group> {
  await everybody(world);
  const id = await world.group();
  const bob = await world.client("bob").group(id);
  const groupId = kind === "same" ? id : utf8("next");
  const reInit = { groupId, version: 1, cipherSuite: 1, extensions: [] };
  const commit = await bobCommits(bob, world, { reInit });
  await (await world.alice.group(id)).process(commit, { accept: true });
  return bob;
}

const successorOperations: readonly Operation[] = [
  ...["next", "same"].map(
    (kind): Operation => ({
      name: `create the successor with the ${kind} id`,
      prepare: async (world) => {
        const bob = await closedGroup(world, kind);
        const keyPackages = [await world.keyPackage("bob"), await world.keyPackage("carol")];
        return (now) => now.alice.createSuccessor(bob.id, keyPackages);
      },
    }),
  ),
  {
    name: "join the successor",
    again: true,
    prepare: async (world) => {
      const bob = await closedGroup(world, "next");
      const keyPackages = [await world.keyPackage("alice"), await world.keyPackage("carol")];
      const { welcomes } = await world.client("bob").createSuccessor(bob.id, keyPackages);
      await world.client("carol").join(welcomes[0]!.bytes);
      return (now) => now.alice.join(welcomes[0]!.bytes);
    },
  },
  inGroup("create a branch", async (world, id) => {
    const keyPackage = await world.keyPackage("bob");
    return (_, now) => now.alice.createBranch(id, [keyPackage]);
  }),
  inGroup(
    "join a branch",
    async (world, id) => {
      const keyPackage = await world.keyPackage("alice");
      const { welcomes } = await world.client("bob").createBranch(id, [keyPackage]);
      return (_, now) => now.alice.join(welcomes[0]!.bytes);
    },
    true,
  ),
];

async function unlessRejected(promise: Promise<unknown>): Promise<void> {
  try {
    await promise;
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "TRANSPORT_REJECTED")) {
      throw error;
    }
  }
}

export const OPERATIONS: readonly Operation[] = [
  ...ownOperations,
  ...commitOperations,
  ...messageOperations,
  ...receiveOperations,
  ...joinOperations,
  ...successorOperations,
  ...ACCEPTING_OPERATIONS,
];
