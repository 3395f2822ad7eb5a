/** Operations of mlskit/production: stock, jobs, batches, stored events. */
import { vi } from "vitest";
import {
  addAgain,
  acknowledgeEvents,
  addDevice,
  applyRetention,
  collectRetiredIdentities,
  commitOrPropose,
  continueSuccession,
  declineWelcome,
  type GroupTransport,
  keepKeyPackages,
  maintainKeyPackages,
  processBatches,
  proposeAgain,
  removeDevice,
  reportExpiry,
  rotateIdentity,
} from "../../src/production/index.ts";
import { fromUtf8, utf8 } from "../../src/codec/index.ts";
import { MlsError } from "../../src/errors.ts";
import { exportClient, importClient } from "../../src/index.ts";
import type { CrashWorld } from "./crash-world.ts";
import { moveRegistry } from "./move-registry.ts";
import { bobCommits, everybody, inGroup, type Operation } from "./operation.ts";

const MOVE_KEY = new Uint8Array(32).fill(6);
const NO_DIRECTORY = { publish: () => undefined, withdraw: () => undefined };

/** The delivery service takes whatever Alice sends. */
function transport(world: CrashWorld): GroupTransport {
  return {
    deliver: async ({ commit }, group) => {
      await world.deliver(commit, group.id);
      return { type: "accepted" };
    },
    catchUp: () => undefined,
    propose: ({ bytes }, group) => world.deliver(bytes, group.id),
    accepted: ({ welcomes }) => world.handOut(welcomes),
  };
}

/** A month after the last Commit. */
function overdue(
  name: string,
  run: (now: CrashWorld, id: Uint8Array) => Promise<unknown>,
): Operation {
  return {
    name,
    again: true,
    prepare: async (world) => {
      await everybody(world);
      const id = await world.group();
      const commit = await bobCommits(await world.client("bob").group(id), world);
      await (await world.alice.group(id)).process(commit, { accept: true });
      return async (now) => {
        const time = now.clock();
        now.clock.advance(30 * 86_400);
        await run(now, id).finally(() => now.clock.set(time));
      };
    },
  };
}

export const PRODUCTION_OPERATIONS: readonly Operation[] = [
  {
    name: "fill the stock of key packages",
    again: true,
    prepare: async (world) => {
      await everybody(world);
      return (now) => maintainKeyPackages(now.alice, NO_DIRECTORY, { target: 3, threshold: 3 });
    },
  },
  {
    name: "look after the stock of key packages while the application runs",
    again: true,
    prepare: async (world) => {
      await everybody(world);
      return async (now) => {
        const failures: unknown[] = [];
        const stop = keepKeyPackages(now.alice, NO_DIRECTORY, {
          target: 3,
          threshold: 3,
          every: () => () => undefined,
          onError: (error) => failures.push(error),
        });
        await stop();
        if (failures.length > 0) throw failures[0];
      };
    },
  },
  {
    name: "replace and delete key packages",
    again: true,
    prepare: async (world) => {
      await everybody(world);
      const options = { target: 2, threshold: 2 };
      await maintainKeyPackages(world.alice, NO_DIRECTORY, options);
      const [first] = await world.alice.keyPackages();
      const { group } = await world.client("bob").createGroupWith([first!.bytes]);
      const { welcomes } = await group.acceptCommit();
      await declineWelcome(world.alice, welcomes[0]!.bytes);
      await maintainKeyPackages(world.alice, NO_DIRECTORY, options);
      return async (now) => {
        const time = now.clock();
        now.clock.advance(200 * 86_400);
        await maintainKeyPackages(now.alice, NO_DIRECTORY, options).finally(() => {
          now.clock.set(time);
        });
      };
    },
  },
  {
    name: "decline a Welcome",
    prepare: async (world) => {
      await everybody(world);
      const { group } = await world
        .client("bob")
        .createGroupWith([await world.keyPackage("alice")]);
      const { welcomes } = await group.acceptCommit();
      return (now) => declineWelcome(now.alice, welcomes[0]!.bytes);
    },
  },
  {
    name: "report a Welcome that failed",
    prepare: async (world) => {
      await everybody(world);
      const { group } = await world
        .client("bob")
        .createGroupWith([await world.keyPackage("alice")]);
      const { welcomes } = await group.acceptCommit();
      const broken = welcomes[0]!.bytes.slice();
      broken[broken.length - 1]! ^= 1;
      return (now) =>
        now.alice.stageWelcome(broken).catch(async (error: unknown) => {
          if (!(error instanceof MlsError) || error.blame !== "crypto") throw error;
          // Its own error comes first, whatever became of the report: only the store tells that.
          await now.stores.get("alice")?.get("meta");
        });
    },
  },
  inGroup(
    "rotate an identity",
    async (world) => {
      const from = world.alice.identity;
      const to = await world.alice.addIdentity({ identity: "alice" });
      world.directory.add(to);
      return (_, now) => rotateIdentity(now.alice, { from, to, transport: transport(now) });
    },
    true,
  ),
  inGroup("add lost members again", async (world) => {
    const add = await world.keyPackage("bob");
    return (group) => {
      const [bob] = group.findMembers({ identity: "bob" });
      const others = group.members().filter(({ leafIndex }) => leafIndex !== bob!.leafIndex);
      const present = others.map(({ leafIndex }) => leafIndex);
      return addAgain(group, { present, keyPackage: () => add });
    };
  }),
  inGroup(
    "add a device",
    async (world) => {
      const device = { signatureKeys: [world.client("dave").identity.signatureKey] };
      const keyPackage = await world.keyPackage("dave");
      return (_, now) => {
        return addDevice(now.alice, device, () => keyPackage, { transport: transport(now) });
      };
    },
    true,
  ),
  inGroup(
    "remove a device",
    async (world) => {
      const device = { signatureKeys: [world.client("carol").identity.signatureKey] };
      return (_, now) => removeDevice(now.alice, device, { transport: transport(now) });
    },
    true,
  ),
  inGroup("commit or propose: committed", async () => (group, now) => {
    return commitOrPropose(group, () => ({ forcePath: true }), transport(now));
  }),
  inGroup("commit or propose: another Commit wins, and the wishes are proposed", async (world) => {
    const add = [await world.keyPackage("dave")];
    return (group, now) => {
      const beaten: GroupTransport = {
        ...transport(now),
        deliver: () => ({ type: "conflict" }),
        catchUp: async () => {
          if (group.pendingCommit !== undefined) await group.discardCommit();
        },
      };
      return commitOrPropose(group, () => ({ add, forcePath: true }), beaten, { attempts: 1 });
    };
  }),
  {
    name: "collect an identity that was replaced",
    again: true,
    prepare: async (world) => {
      await everybody(world);
      const id = await world.group();
      const from = world.alice.identity;
      const to = await world.alice.addIdentity({ identity: "alice" });
      world.directory.add(to);
      // A key package of the old identity is in the way until it is deleted.
      const { reference } = await world.alice.createKeyPackage();
      await rotateIdentity(world.alice, { from, to, transport: transport(world) });
      await world.alice.group(id);
      await world.alice.deleteKeyPackage(reference);
      return (now) => collectRetiredIdentities(now.alice);
    },
  },
  {
    name: "import a client",
    prepare: async (world) => {
      await everybody(world);
      await world.group();
      const source = world.stores.get("alice")!;
      const sealed = await exportClient(source, MOVE_KEY);
      const moves = moveRegistry();
      world.clients.delete("alice");
      await source.write({ puts: [], deletes: ["moved"], expect: [] });
      return async (now) => {
        const storage = now.stores.get("alice")!;
        // The only thing that is drawn: the name of the target, which is to be found again.
        const random = vi.spyOn(crypto, "getRandomValues").mockImplementation((bytes) => bytes);
        const { claim } = moves;
        await importClient({ sealed, key: MOVE_KEY, storage, claim }).finally(() => {
          random.mockRestore();
        });
        await now.open("alice", storage);
      };
    },
  },
  {
    name: "apply retention",
    again: true,
    goesOn: true,
    prepare: async (world) => {
      await everybody(world);
      const id = await world.group();
      const bob = await world.client("bob").group(id);
      await bob.send("skipped");
      await (await world.alice.group(id)).process(await bobCommits(bob, world), { accept: true });
      const ended = await world.client("bob").createGroup();
      await ended.add([await world.keyPackage("alice")]);
      const { welcomes } = await ended.acceptCommit();
      const left = await world.alice.join(welcomes[0]!.bytes);
      const { commit } = await ended.remove([left.ownLeafIndex]);
      await ended.acceptCommit();
      await left.process(commit, { accept: true });
      return async (now) => {
        const time = now.clock();
        now.clock.advance(500 * 86_400);
        await applyRetention(now.alice).finally(() => now.clock.set(time));
      };
    },
  },
  overdue("open a group whose old keys are overdue", (now, id) => now.alice.group(id)),
  overdue("report what expires", (now) => reportExpiry(now.alice)),
  inGroup("propose what was dropped again", async (world, id) => {
    const group = await world.alice.group(id);
    await group.proposeUpdate();
    const commit = await bobCommits(await world.client("bob").group(id), world);
    const outcome = await group.process(commit, { accept: true });
    const dropped = outcome.kind === "commit" ? outcome.dropped : [];
    return (now) => proposeAgain(now, dropped[0]!);
  }),
  {
    name: "go on with a succession",
    again: true,
    prepare: async (world) => {
      await everybody(world);
      const id = await world.group();
      const reInit = { groupId: utf8("next"), version: 1, cipherSuite: 1, extensions: [] };
      const commit = await bobCommits(await world.client("bob").group(id), world, { reInit });
      await (await world.alice.group(id)).process(commit, { accept: true });
      const packages = new Map<string, Uint8Array>();
      for (const name of ["bob", "carol"] as const) {
        packages.set(name, await world.keyPackage(name));
      }
      return (now) =>
        continueSuccession(now.alice, id, {
          keyPackage: ({ identity }) => packages.get(fromUtf8(identity!)),
          deliver: ({ welcomes }) => now.handOut(welcomes),
          patience: 0,
        });
    },
  },
  inGroup("acknowledge events", async () => (_, now) => acknowledgeEvents(now.alice, 3n)),
  inGroup("sync in batches", async (world, id) => {
    const bob = await world.client("bob").group(id);
    const sent = await bob.sendMany(["one", "two", "three"]);
    const messages = sent.map(({ bytes }) => bytes);
    return async (_, now) => {
      const batches = processBatches(now.alice, messages, {
        batch: 2,
        onBatch: (tx, { length }) => tx.setCheckpoint(utf8(`${length}`)),
      });
      for await (const outcomes of batches) if (outcomes.length === 0) throw new Error("empty");
    };
  }),
  inGroup("deliver from a transaction", async (_, id) => (_group, now) => {
    return now.alice.transaction(async (tx) => {
      const { commit } = await (await tx.group(id)).update();
      tx.deliver(() => now.deliver(commit, id));
    });
  }),
];
