/** What an accepted Commit hands out, and answers that come late: M-COM-17, M-MD-01, P-OWN-01, P-CR-02. */
import { describe, expect, test } from "vitest";
import {
  type AcceptedCommit,
  Client,
  type DeliveryAnswer,
  type Group,
  type Member,
  type PendingCommitView,
} from "../../src/index.ts";
import {
  addDevice,
  commitOrPropose,
  type GroupTransport,
  removeDevice,
} from "../../src/production/index.ts";
import { testGroup } from "../../src/testing/index.ts";

type World = Awaited<ReturnType<typeof testGroup>>;

async function newcomer(world: World): Promise<{ client: Client; keyPackage: Uint8Array }> {
  const { client } = await world.newClient("newcomer");
  return { client, keyPackage: (await client.createKeyPackage()).bytes };
}

/** The member's client once more, as after a restart or in another process. */
async function reopened(world: World, id: Uint8Array = world.member(0).group.id): Promise<Group> {
  const { storage } = world.member(0);
  const { directory: authenticationService, clock } = world;
  const client = await Client.open({ storage, authenticationService, clock });
  return client.group(id);
}

/** Records in the store of the first member that keep what is to be handed out. */
const rowsOf = async (world: World): Promise<string[]> => {
  const records = await world.member(0).storage.list("g");
  return records.map(({ key }) => key).filter((key) => /\/w\d+$/.test(key));
};

describe("P-OWN-01: what is to be handed out is kept until it was", () => {
  test("M-COM-17 P-CR-03: a crash after the merge leaves the Welcomes to the next start", async () => {
    const world = await testGroup({ members: 2 });
    const { client, keyPackage } = await newcomer(world);
    const { commit } = await world.member(0).group.add([keyPackage], { groupInfo: true });
    await world.deliver(commit, 0);
    const lost = await world.member(0).group.acceptCommit();
    const group = await reopened(world);
    const [kept, ...more] = group.toHandOut;
    expect(more).toEqual([]);
    expect(kept).toMatchObject({
      epoch: lost.epoch,
      confirmationTag: group.confirmationTag,
      welcomes: lost.welcomes,
      groupInfo: lost.groupInfo,
      ratchetTree: undefined,
    });
    expect(kept!.summary.added.map(({ leafIndex }) => leafIndex)).toEqual([2]);
    const joined = await client.join(kept!.welcomes[0]!.bytes);
    expect(joined.epochAuthenticator).toEqual(group.epochAuthenticator);
    await group.handedOut(kept!);
    await group.handedOut(kept!);
    expect(group.toHandOut).toEqual([]);
    expect(await rowsOf(world)).toEqual([]);
    expect((await reopened(world)).toHandOut).toEqual([]);
  });

  test("the echo, an immediate Commit, a branch and a successor keep theirs as well", async () => {
    const world = await testGroup({ members: 1 });
    const [{ group, client }] = world.members as [World["members"][number]];
    const first = await newcomer(world);
    const { commit } = await group.add([first.keyPackage]);
    await group.process(commit, { accept: true });
    const second = await newcomer(world);
    await group.commitImmediately({ add: [second.keyPackage] });
    const again = await reopened(world);
    expect(again.toHandOut.map(({ epoch }) => epoch)).toEqual([1n, 2n]);
    await first.client.join(again.toHandOut[0]!.welcomes[0]!.bytes);
    const { welcomes } = again.toHandOut[1]!;
    await second.client.join(welcomes[0]!.bytes);
    for (const accepted of again.toHandOut) await again.handedOut(accepted);

    const branch = await client.createBranch(group.id, [
      (await first.client.createKeyPackage()).bytes,
    ]);
    expect(branch.group.toHandOut.map((one) => one.welcomes)).toEqual([branch.welcomes]);
    await branch.group.handedOut(branch);
    expect(branch.group.toHandOut).toEqual([]);
  });

  test("taken over in the transaction that accepts, nothing is written", async () => {
    const world = await testGroup({ members: 1 });
    const { client, group, storage } = world.member(0);
    await group.add([(await newcomer(world)).keyPackage]);
    await client.transaction(async (tx) => {
      const now = await tx.group(group.id);
      const accepted = await now.acceptCommit();
      tx.put("outbox", accepted.welcomes[0]!.bytes);
      await now.handedOut(accepted);
    });
    expect(group.toHandOut).toEqual([]);
    expect(await rowsOf(world)).toEqual([]);
    expect(await storage.get("app/outbox")).toBeDefined();
  });

  test("the oldest go when there are too many, and an event says so; the newest stays", async () => {
    const world = await testGroup({ members: 1, config: { handOuts: 2 } });
    const { client, group } = world.member(0);
    const dropped: unknown[] = [];
    client.on((event) => {
      if (event.type === "handOutDropped") dropped.push(event.epoch);
    });
    for (let i = 0; i < 4; i++) {
      await group.commitImmediately({ add: [(await newcomer(world)).keyPackage] });
    }
    expect(group.toHandOut.map(({ epoch }) => epoch)).toEqual([3n, 4n]);
    expect(dropped).toEqual([1n, 2n]);
    await group.configure({ handOutBytes: 10 });
    await group.commitImmediately({ add: [(await newcomer(world)).keyPackage] });
    expect(group.toHandOut.map(({ epoch }) => epoch)).toEqual([5n]);
    expect((await reopened(world)).toHandOut.map(({ epoch }) => epoch)).toEqual([5n]);
    await group.configure({ handOuts: 0 });
    expect(await rowsOf(world)).toEqual([]);
    await group.commitImmediately({ add: [(await newcomer(world)).keyPackage] });
    expect(await rowsOf(world)).toEqual([]);
  });

  test("a GroupInfo goes with its epoch, Welcomes do not", async () => {
    const world = await testGroup({ members: 2 });
    const { group } = world.member(0);
    await group.commitImmediately({ groupInfo: true });
    expect(group.toHandOut.map(({ welcomes }) => welcomes)).toEqual([[]]);
    const add = [(await newcomer(world)).keyPackage];
    await group.commitImmediately({ add, groupInfo: true });
    expect(group.toHandOut).toHaveLength(1);
    expect(group.toHandOut[0]!.groupInfo).toBeDefined();
    await group.commitImmediately();
    expect(group.toHandOut).toHaveLength(1);
    expect(group.toHandOut[0]).toMatchObject({ groupInfo: undefined });
    expect((await reopened(world)).toHandOut).toEqual(group.toHandOut);
  });

  test("whoever is removed can still hand out what it owes; with the group it goes", async () => {
    const world = await testGroup({ members: 2 });
    const { group, client: alice } = world.member(0);
    const { client, keyPackage } = await newcomer(world);
    const { commit } = await group.add([keyPackage]);
    await world.deliver(commit, 0);
    await group.acceptCommit();
    const removal = await world.member(1).group.remove([0]);
    await group.process(removal.commit, { accept: true });
    expect(group.status).toBe("inactive");
    const again = await reopened(world);
    const joined = await client.join(again.toHandOut[0]!.welcomes[0]!.bytes);
    await joined.process(removal.commit, { accept: true });
    expect(joined.memberCount).toBe(2);
    await alice.deleteGroup(group.id);
    expect(await rowsOf(world)).toEqual([]);
  });

  test("M-FRK-06: a resync takes them along", async () => {
    const world = await testGroup({ members: 2 });
    const { group, client } = world.member(0);
    const { id } = group;
    const { commit } = await group.add([(await newcomer(world)).keyPackage]);
    await world.deliver(commit, 0);
    const { welcomes } = await group.acceptCommit();
    const info = await world.member(1).group.groupInfo();
    await client.joinExternally(info, { resync: true });
    await client.acceptJoin(id);
    const now = await client.group(id);
    expect(now.toHandOut.map((one) => one.welcomes)).toEqual([welcomes]);
    expect((await reopened(world, id)).toHandOut).toEqual(now.toHandOut);
  });

  test("M-FRK-06: what leads into the branch that a resync leaves goes, and an event says so", async () => {
    const world = await testGroup({ members: 2 });
    const { group, client } = world.member(0);
    const { id } = group;
    const first = await group.add([(await newcomer(world)).keyPackage]);
    await world.deliver(first.commit, 0);
    const { epoch } = await group.acceptCommit();
    // Nobody else follows: two Commits for the epoch of the join and the one after it.
    const info = await world.member(1).group.groupInfo();
    await group.commitImmediately({ add: [(await newcomer(world)).keyPackage] });
    await group.commitImmediately({ add: [(await newcomer(world)).keyPackage] });
    const dropped: unknown[] = [];
    client.on((event) => {
      if (event.type === "handOutDropped") dropped.push(event.epoch);
    });
    await client.joinExternally(info, { resync: true });
    await client.acceptJoin(id);
    const now = await client.group(id);
    expect(now.epoch).toBe(epoch + 1n);
    expect(now.toHandOut.map((one) => one.epoch)).toEqual([epoch]);
    expect(dropped).toEqual([epoch + 1n, epoch + 2n]);
    expect(await rowsOf(world)).toHaveLength(1);
  });

  test("damage to what is kept stops nothing else, and an event says what went", async () => {
    for (const isOwn of [true, false]) {
      const world = await testGroup({ members: 2 });
      const [a, b] = world.groups as [Group, Group];
      for (let i = 0; i < 2; i++) {
        const added = await a.commitImmediately({ add: [(await newcomer(world)).keyPackage] });
        await world.deliver(added.commit, 0);
      }
      const { storage } = world.member(0);
      const [key] = (await rowsOf(world)) as [string];
      const value = (await storage.get(key))!.value.slice(0, 30);
      await storage.write({ puts: [{ key, value }], deletes: [], expect: [] });
      const { client } = await world.reopen(0, storage);
      const dropped: unknown[] = [];
      client.on((event) => {
        if (event.type === "handOutDropped") dropped.push(event.epoch);
      });
      const again = await client.group(a.id);
      const [kept, ...more] = again.toHandOut;
      expect([kept!.epoch, more]).toEqual([3n, []]);
      if (isOwn) await again.commitImmediately({ groupInfo: true });
      else await again.process((await b.commit()).commit, { accept: true });
      expect([again.epoch, dropped]).toEqual([4n, [2n]]);
      await again.handedOut(kept!);
      expect(again.toHandOut).toHaveLength(isOwn ? 1 : 0);
      expect(await rowsOf(world)).toHaveLength(isOwn ? 1 : 0);
    }
  });

  test("M-MD-01: addDevice goes on with the Welcomes that it could not hand out", async () => {
    const world = await testGroup({ members: 2 });
    const { client: tablet } = await world.newClient("member 0");
    let isDown = true;
    const handed: AcceptedCommit[] = [];
    const transport: GroupTransport = {
      deliver: async ({ commit }) => {
        await world.deliver(commit, 0);
        return { type: "accepted" };
      },
      catchUp: () => undefined,
      propose: () => undefined,
      accepted: async (accepted) => {
        if (isDown) throw new Error("the network is down");
        handed.push(accepted);
        for (const { bytes } of accepted.welcomes) await tablet.join(bytes);
      },
    };
    const device = { signatureKeys: [tablet.identity.signatureKey] };
    const keyPackage = async () => (await tablet.createKeyPackage()).bytes;
    const first = await addDevice(world.member(0).client, device, keyPackage, { transport });
    expect(first).toMatchObject({ isDone: false, left: [world.member(0).group.id] });
    isDown = false;
    const { storage } = world.member(0);
    const { directory: authenticationService, clock } = world;
    const client = await Client.open({ storage, authenticationService, clock });
    const second = await addDevice(client, device, keyPackage, { transport });
    expect(second.isDone).toBe(true);
    expect(handed).toHaveLength(1);
    const [group] = await tablet.groups();
    expect(group!.epochAuthenticator).toEqual(world.member(1).group.epochAuthenticator);
    expect(await rowsOf(world)).toEqual([]);
  });
});

describe("a Welcome that does not arrive keeps nobody from committing", () => {
  /** The first member has added somebody whom no Welcome reaches, and somebody else whom it does. */
  async function unreachable() {
    const world = await testGroup({ members: 3 });
    const { group, client } = world.member(0);
    const lost = await group.commitImmediately({ add: [(await newcomer(world)).keyPackage] });
    await world.deliver(lost.commit, 0);
    const second = await newcomer(world);
    const reached = await group.commitImmediately({ add: [second.keyPackage] });
    await world.deliver(reached.commit, 0);
    const asked: bigint[] = [];
    const notFound = new Error("404");
    const transport: GroupTransport = {
      deliver: async ({ commit }) => {
        await world.deliver(commit, 0);
        return { type: "accepted" };
      },
      catchUp: () => undefined,
      propose: () => undefined,
      accepted: async ({ epoch, welcomes }) => {
        asked.push(epoch);
        if (epoch === lost.epoch) throw notFound;
        for (const { bytes } of welcomes) await second.client.join(bytes);
      },
    };
    return { world, group, client, lost, second: second.client, transport, asked, notFound };
  }

  test("P-OWN-02: commitOrPropose commits, hands the others out, and tells what was not taken", async () => {
    const { group, lost, second, transport, asked, notFound } = await unreachable();
    const wishes = () =>
      group.findMembers({ leafIndex: 2 }).length > 0 ? { remove: [2] } : undefined;
    const removed = await commitOrPropose(group, wishes, transport);
    expect(removed).toMatchObject({ type: "committed", handOutErrors: [notFound] });
    expect(group.findMembers({ leafIndex: 2 })).toEqual([]);
    expect(await second.groups()).toHaveLength(1);
    // Once in a call, and again in the next one.
    expect(asked).toEqual([1n, 2n, 3n].map((step) => lost.epoch - 1n + step));
    const again = await commitOrPropose(group, wishes, transport);
    expect(again).toEqual({ type: "nothingToDo", handOutErrors: [notFound] });
    expect(group.toHandOut.map(({ epoch }) => epoch)).toEqual([lost.epoch]);
  });

  test("M-MD-01: removeDevice removes; it is done when somebody has taken or given up what was left", async () => {
    const { world, group, client, lost, transport, notFound } = await unreachable();
    const [{ signatureKey }] = group.findMembers({ leafIndex: 2 }) as [Member];
    const progress: unknown[] = [];
    const remove = () =>
      removeDevice(
        client,
        { signatureKeys: [signatureKey] },
        { transport, onProgress: ({ result, error }) => progress.push([result, error]) },
      );
    expect(await remove()).toMatchObject({ isDone: false, left: [group.id] });
    expect(world.member(1).group.findMembers({ leafIndex: 2 })).toEqual([]);
    expect(await remove()).toMatchObject({ isDone: false, left: [group.id] });
    await group.handedOut(lost);
    expect(await remove()).toMatchObject({ isDone: true, left: [] });
    expect(progress).toEqual([
      ["committed", notFound],
      ["nothingToDo", notFound],
      ["nothingToDo", undefined],
    ]);
  });

  test("M-MD-01: a job with a Welcome that is not taken stays, whatever `accepted` throws", async () => {
    const { client, group, lost, transport } = await unreachable();
    const stolen = group.members()[2]!;
    const remove = async (accepted: NonNullable<GroupTransport["accepted"]>) => {
      const device = { signatureKeys: [stolen.signatureKey] };
      return removeDevice(client, device, { transport: { ...transport, accepted } });
    };
    const refuse = () => Promise.reject<void>(undefined);
    for (let i = 0; i < 2; i++) {
      expect(await remove(refuse)).toMatchObject({ isDone: false, left: [group.id] });
    }
    expect(group.findMembers({ leafIndex: 2 })).toEqual([]);
    expect(group.toHandOut[0]!.epoch).toEqual(lost.epoch);
    expect(await remove(() => undefined)).toMatchObject({ isDone: true, left: [] });
    expect(group.toHandOut).toEqual([]);
  });

  test("its own Welcome: what commitOrPropose has committed is committed", async () => {
    const world = await testGroup({ members: 1 });
    const { group } = world.member(0);
    const { keyPackage } = await newcomer(world);
    const offline = new Error("offline");
    const transport: GroupTransport = {
      deliver: () => ({ type: "accepted" }),
      catchUp: () => undefined,
      propose: () => undefined,
      accepted: () => Promise.reject(offline),
    };
    const result = await commitOrPropose(group, () => ({ add: [keyPackage] }), transport);
    expect(result).toMatchObject({ type: "committed", handOutErrors: [offline] });
    expect(group.toHandOut.map(({ epoch }) => epoch)).toEqual([1n]);
  });
});

describe("P-OWN-01 P-CR-02: an answer settles the Commit that it is about, and no other", () => {
  const accepted: DeliveryAnswer = { type: "accepted" };

  test("the echo before the answer: whatever the answer is, the Commit counts", async () => {
    const answers: readonly DeliveryAnswer[] = [
      accepted,
      { type: "conflict" },
      { type: "retry", reason: "503" },
      { type: "rejected", reason: "sent twice" },
    ];
    for (const answer of answers) {
      const world = await testGroup({ members: 1 });
      const { group } = world.member(0);
      const { client, keyPackage } = await newcomer(world);
      const result = await group.commitAndDeliver(
        async ({ commit }) => {
          await group.process(commit, { accept: true });
          return answer;
        },
        { add: [keyPackage] },
      );
      expect(result).toMatchObject({ epoch: 1n, confirmationTag: group.confirmationTag });
      await client.join(result.welcomes[0]!.bytes);
      expect(group.epoch).toBe(1n);
    }
  });

  test("the echo before a time-out", async () => {
    const { members } = await testGroup({ members: 1 });
    const { group } = members[0]!;
    const result = await group.commitAndDeliver(async ({ commit }) => {
      await group.process(commit, { accept: true });
      throw new Error("connection lost");
    });
    expect(result).toMatchObject({ epoch: 1n, welcomes: [] });
  });

  test("commitOrPropose hands the Welcomes out though the echo was first", async () => {
    const world = await testGroup({ members: 2 });
    const { client, keyPackage } = await newcomer(world);
    const transport: GroupTransport = {
      deliver: async ({ commit }, group) => {
        await world.deliver(commit, 0);
        await group.process(commit, { accept: true });
        return accepted;
      },
      catchUp: () => undefined,
      propose: () => undefined,
      accepted: async ({ welcomes }) => void (await client.join(welcomes[0]!.bytes)),
    };
    const { group } = world.member(0);
    const done = await commitOrPropose(group, () => ({ add: [keyPackage] }), transport);
    expect(done.type).toBe("committed");
    expect((await client.groups())[0]!.epochAuthenticator).toEqual(group.epochAuthenticator);
    expect(group.toHandOut).toEqual([]);
  });

  test("the echo, and a Commit that was made since, which stays pending", async () => {
    for (const answer of [accepted, { type: "rejected", reason: "sent twice" } as const]) {
      const { members } = await testGroup({ members: 2 });
      const { group } = members[0]!;
      let later: PendingCommitView | undefined;
      const result = await group.commitAndDeliver(async ({ commit }) => {
        await group.process(commit, { accept: true });
        later = await group.commit();
        return answer;
      });
      expect(result.epoch).toBe(2n);
      expect(group.epoch).toBe(2n);
      expect(group.pendingCommit!.commit).toEqual(later!.commit);
    }
  });

  test("a late refusal leaves the Commit alone that was built after a lost race", async () => {
    const world = await testGroup({ members: 2 });
    const [a, b] = world.groups as [Group, Group];
    const refused = a.commitAndDeliver(async () => {
      const { commit } = await b.update();
      await b.acceptCommit();
      await a.process(commit, { accept: true });
      await a.commit();
      return { type: "rejected", reason: "403" };
    });
    await expect(refused).rejects.toMatchObject({ code: "TRANSPORT_REJECTED" });
    expect(a.pendingCommit?.epoch).toBe(3n);
  });

  test("a late acceptance of what was discarded merges nothing", async () => {
    const { members } = await testGroup({ members: 2 });
    const { group } = members[0]!;
    const late = group.commitAndDeliver(async () => {
      await group.discardCommit();
      await group.commit();
      return accepted;
    });
    await expect(late).rejects.toMatchObject({ code: "NO_PENDING_COMMIT" });
    expect(group).toMatchObject({ epoch: 1n, status: "pendingCommit" });
  });

  test("M-STO-17: redeliver sends what the store has, not what this process remembers", async () => {
    const world = await testGroup({ members: 2 });
    const { group } = world.member(0);
    await group.commit();
    const stale = await reopened(world);
    expect(stale.pendingCommit).toBeDefined();
    await group.discardCommit();
    const second = await group.commit();
    const sent: Uint8Array[] = [];
    const result = await stale.redeliver(({ commit }) => {
      sent.push(commit);
      return accepted;
    });
    expect(sent).toEqual([second.commit]);
    expect(result.confirmationTag).toEqual(second.confirmationTag);
    await expect(group.redeliver(() => accepted)).rejects.toMatchObject({
      code: "NO_PENDING_COMMIT",
    });
  });

  test("acceptCommit and discardCommit of a named Commit; accepting twice gives the same", async () => {
    const world = await testGroup({ members: 1 });
    const { group } = world.member(0);
    const lost = await group.commit();
    await group.discardCommit(lost);
    const made = await group.add([(await newcomer(world)).keyPackage]);
    await group.discardCommit(lost);
    await expect(group.acceptCommit(lost)).rejects.toMatchObject({ code: "NO_PENDING_COMMIT" });
    expect(group.status).toBe("pendingCommit");
    const first = await group.acceptCommit(made);
    const { welcomes, epoch, summary } = first;
    expect(await group.acceptCommit(made)).toMatchObject({ welcomes, epoch, summary });
    await group.handedOut(first);
    expect(await group.acceptCommit(made)).toMatchObject({ welcomes: [], epoch, summary });
    await group.discardCommit(made);
    await expect(group.acceptCommit()).rejects.toMatchObject({ code: "NO_PENDING_COMMIT" });
    expect(group.epoch).toBe(1n);
  });

  test("two calls that deliver the same Commit at the same time both succeed", async () => {
    const { members } = await testGroup({ members: 2 });
    const { group } = members[0]!;
    await group.commit();
    const results = await Promise.all([
      group.redeliver(() => accepted),
      group.redeliver(() => accepted),
    ]);
    expect(results.map(({ epoch }) => epoch)).toEqual([group.epoch, group.epoch]);
  });
});
