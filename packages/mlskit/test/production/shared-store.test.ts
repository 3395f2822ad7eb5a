/** Two processes that work on one store. P-MP-02. */
import { expect, test } from "vitest";
import {
  Client,
  type CommitRequest,
  createSigner,
  type GroupConfig,
  type Identity,
} from "../../src/index.ts";
import { addAgain, commitOrPropose } from "../../src/production/index.ts";
import {
  seededProvider,
  type TestGroup,
  testGroup,
  type TestMember,
} from "../../src/testing/index.ts";
import { MapStorage } from "./map-storage.ts";

/** A client of member 0, and another one on the same store. */
async function sharedWorld(config: Partial<GroupConfig> = {}, members = 2) {
  const store = new MapStorage();
  const world = await testGroup({
    members,
    config,
    storage: (name) => (name === "member 0" ? store : new MapStorage()),
  });
  const options = { storage: store, clock: world.clock, authenticationService: world.directory };
  return { world, store, mine: world.member(0).client, other: await Client.open(options) };
}

/** The other process is faster, once: it works between the reads and the next write. */
function overtake(store: MapStorage, work: () => Promise<unknown>): void {
  const write = store.write.bind(store);
  Object.assign(store, {
    write: async (batch: Parameters<typeof write>[0]) => {
      store.write = write;
      await work();
      write(batch);
    },
  });
}

const idsOf = async (client: Client) => (await client.groups()).map(({ id }) => id);
const otherGroup = (world: TestGroup) => world.member(0).group.id;

test("P-MP-02: operations that belong to no group read again when another process was faster", async () => {
  const { world, store, mine, other } = await sharedWorld();
  const groupIds = [Uint8Array.of(1), Uint8Array.of(2)] as const;
  overtake(store, () => other.createGroup({ groupId: groupIds[0] }));
  const created = await mine.createGroup({ groupId: groupIds[1] });
  await created.send("under a handle of its own");
  expect(await idsOf(mine)).toEqual(expect.arrayContaining([...groupIds, otherGroup(world)]));
  expect(await idsOf(other)).toHaveLength(3);

  const { bytes } = await mine.createKeyPackage();
  const { group } = await world.member(1).client.createGroupWith([bytes]);
  const { welcomes } = await group.acceptCommit();
  overtake(store, () => other.createGroup());
  const joined = await mine.join(welcomes[0]!.bytes);
  expect(joined.epochAuthenticator).toEqual(group.epochAuthenticator);

  // What it looked at in a group is read again as well.
  const spare = await mine.addIdentity({ identity: "spare" });
  overtake(store, async () => (await other.group(created.id)).send("overtakes"));
  await mine.removeIdentity(spare);
  expect(await mine.identities()).toHaveLength(1);
});

test("P-MP-02: a Welcome that both processes use leads one of them into the group, and the other learns so", async () => {
  const { world, store, mine, other } = await sharedWorld();
  const { bytes } = await mine.createKeyPackage();
  const { group } = await world.member(1).client.createGroupWith([bytes]);
  const welcome = (await group.acceptCommit()).welcomes[0]!.bytes;
  overtake(store, () => other.join(welcome));
  await expect(mine.join(welcome)).rejects.toMatchObject({ code: "GROUP_EXISTS" });
  expect((await mine.group(group.id)).epochAuthenticator).toEqual(group.epochAuthenticator);
});

test("P-MP-02 M-STO-16: no message is early, far or unknown because another process went on", async () => {
  const { world, mine, other } = await sharedWorld({ maximumForwardDistance: 2 });
  const [id] = await idsOf(mine);
  const [group, theirs] = [await mine.group(id!), await other.group(id!)];
  const { group: peer } = world.member(1);
  const goOn = async (): Promise<void> => {
    const { commit } = await peer.update();
    await theirs.process(commit, { accept: true });
    await peer.acceptCommit();
  };
  for (let i = 0; i < 2; i++) await goOn();
  expect((await group.process((await peer.send("two epochs on")).bytes)).kind).toBe("application");
  for (let i = 0; i < 5; i++) {
    expect((await theirs.process((await peer.send("x")).bytes)).kind).toBe("application");
  }
  const { bytes } = await peer.send("six generations on");
  expect((await group.process(bytes)).kind).toBe("application");
  expect((await theirs.process(bytes)).kind).toBe("duplicate");
  const { commit } = await theirs.update();
  expect((await group.process(commit, { accept: true })).kind).toBe("ownCommit");
  expect((await theirs.process(commit, { accept: true })).kind).toBe("duplicate");
  await peer.process(commit, { accept: true });

  // In a transaction, which only the application can repeat.
  for (let i = 0; i < 2; i++) await goOn();
  const late = (await peer.send("two epochs on again")).bytes;
  const receive = () =>
    mine.transaction(async (tx) => (await (await tx.group(id!)).process(late)).kind);
  await expect(receive()).rejects.toMatchObject({ code: "STORAGE_CONFLICT" });
  expect(await receive()).toBe("application");
  expect(group.epochAuthenticator).toEqual(peer.epochAuthenticator);
});

test("P-MP-02 M-STO-16: nothing is refused for what another process has settled", async () => {
  const { world, mine, other } = await sharedWorld();
  const [id] = await idsOf(mine);
  const [group, theirs] = [await mine.group(id!), await other.group(id!)];
  await group.update();
  await theirs.discardCommit();
  await group.update();
  await theirs.acceptCommit();
  expect(await group.needsUpdate()).toEqual([]);
  await theirs.update();
  await group.acceptCommit();
  await theirs.update();
  const answered = await group.redeliver(() => ({ type: "accepted" }));
  expect(answered.epoch).toBe(4n);
  // Nor is anything allowed that is over.
  await group.needsUpdate();
  await other.deleteGroup(id!);
  await expect(group.needsUpdate()).rejects.toMatchObject({ code: "GROUP_NOT_FOUND" });
  expect(world.members).toHaveLength(2);
});

test("P-MP-02: a leaf index of another epoch removes nobody, whoever has that leaf now", async () => {
  const { world, mine, other } = await sharedWorld({}, 3);
  const [id] = await idsOf(mine);
  const [group, theirs] = [await mine.group(id!), await other.group(id!)];
  const { group: peer } = world.member(1);
  const replace = async (): Promise<void> => {
    const { client } = await world.newClient("erin");
    for (const request of [{ remove: [2] }, { add: [(await client.createKeyPackage()).bytes] }]) {
      const { commit } = await theirs.commit(request);
      await theirs.acceptCommit();
      await peer.process(commit, { accept: true });
    }
    expect(theirs.members()[2]).toMatchObject({ leafIndex: 2 });
  };
  const refused = { code: "EPOCH_CHANGED", retryable: false };
  for (const remove of [
    () => group.remove([2]),
    () => group.proposeRemove(2),
    () => group.proposeRemove({ leafIndex: 2 }),
    () => group.removeMember({ leafIndex: 2 }),
    () => group.propose({ type: "remove", removed: 2 }),
    () => group.queue({ type: "remove", removed: 2 }),
    () => group.removeMember({ identity: "member 1" }, { remove: [2] }),
    () => group.commitAndDeliver(() => ({ type: "accepted" }), { remove: [2] }),
    () => group.commit({ extensions: [] }),
    () => group.commit({ proposals: [{ type: "remove", removed: 2 }] }),
  ]) {
    await replace();
    await expect(remove()).rejects.toMatchObject(refused);
    expect(group.epochAuthenticator).toEqual(peer.epochAuthenticator);
    expect(group.pendingCommit).toBeUndefined();
  }
  // By name nobody else can be meant, and what was looked at again is meant.
  await replace();
  const named = await group.removeMember({ identity: "erin" });
  expect(named.summary.removed).toMatchObject([{ leafIndex: 2 }]);
  await group.discardCommit();
  expect((await group.remove([2])).summary.removed).toMatchObject([{ leafIndex: 2 }]);
  // The same within one process, if a Commit comes in between.
  await group.discardCommit();
  const { commit } = await peer.update();
  const [, removed] = await Promise.allSettled([
    group.process(commit, { accept: true }),
    group.remove([1]),
  ]);
  expect(removed).toMatchObject({ status: "rejected", reason: refused });
});

test("P-MP-02: helpers that ask for key packages mean the epoch in which they began", async () => {
  const { world, mine, other } = await sharedWorld({}, 3);
  const [id] = await idsOf(mine);
  const [group, theirs] = [await mine.group(id!), await other.group(id!)];
  const keyPackage = async (): Promise<Uint8Array> => {
    const { commit } = await world.member(1).group.update();
    await theirs.process(commit, { accept: true });
    await world.member(1).group.acceptCommit();
    await mine.group(id!);
    return (await world.member(2).client.createKeyPackage()).bytes;
  };
  await expect(addAgain(group, { present: [0, 1], keyPackage })).rejects.toMatchObject({
    code: "EPOCH_CHANGED",
  });
  // Who makes wishes is asked again.
  let asked = 0;
  const wishes = async (): Promise<CommitRequest> => {
    asked++;
    if (asked === 1) await keyPackage();
    return { remove: [2] };
  };
  const result = await commitOrPropose(group, wishes, {
    deliver: () => ({ type: "accepted" }),
    catchUp: () => undefined,
    propose: () => undefined,
  });
  expect([result.type, asked]).toEqual(["committed", 2]);
});

test("P-TX-04: what a callback leaves undone when it ends is not written", async () => {
  const { mine, other } = await sharedWorld();
  const [id] = await idsOf(mine);
  const closed = { code: "TRANSACTION_CLOSED" };
  const late: Promise<unknown>[] = [];
  const { epochAuthenticator } = await mine.group(id!);
  await mine.transaction(async (tx) => {
    const group = await tx.group(id!);
    await group.needsUpdate();
    late.push(
      Promise.resolve().then(() => pause(0).then(() => tx.put("late", Uint8Array.of(1)))),
      Promise.resolve().then(() => Promise.resolve().then(() => tx.group(id!))),
    );
  });
  for (const settled of await Promise.allSettled(late)) {
    if (settled.status === "rejected") expect(settled.reason).toMatchObject(closed);
  }
  expect(await other.transaction((tx) => tx.get("late"))).toBeUndefined();
  expect((await other.group(id!)).epochAuthenticator).toEqual(epochAuthenticator);
});

test("P-MP-02 M-STO-16: what belongs to no operation on the group knows its present state as well", async () => {
  const { world, mine, other } = await sharedWorld({}, 3);
  const [id] = await idsOf(mine);
  await mine.group(id!);
  const theirs = await other.group(id!);
  const [, { group: peer }, mallory] = world.members as readonly [unknown, TestMember, TestMember];
  const { commit } = await theirs.remove([2]);
  await theirs.acceptCommit();
  await peer.process(commit, { accept: true });
  const invited = (await mallory.client.createKeyPackage()).bytes;
  await expect(mine.createBranch(id!, [invited])).rejects.toMatchObject({ blame: "validation" });
  expect((await mine.group(id!)).memberCount).toBe(2);

  const removal = await peer.remove([0]);
  await theirs.process(removal.commit, { accept: true });
  await peer.acceptCommit();
  await peer.add([(await mine.createKeyPackage()).bytes]);
  const [welcome] = (await peer.acceptCommit()).welcomes;
  const joined = await mine.join(welcome!.bytes);
  expect(joined.epochAuthenticator).toEqual(peer.epochAuthenticator);
  expect((await mine.groups()).map(({ epoch }) => epoch)).toEqual([peer.epoch]);
});

test("an identity whose key the client has already is refused at once", async () => {
  const { world, store, mine } = await sharedWorld();
  const suite = seededProvider("signer").suite(1);
  const signer = createSigner(suite, await suite.generateSignatureKeyPair());
  await mine.addIdentity({ identity: "x", signer });
  const writes = store.writes.length;
  await expect(mine.addIdentity({ identity: "y", signer })).rejects.toMatchObject({
    code: "IDENTITY_EXISTS",
  });
  expect(store.writes).toHaveLength(writes);
  expect(await mine.identities()).toHaveLength(2);
  expect(world.members).toHaveLength(2);
});

test("M-ID-10 P-MP-02: nothing begins with an identity that another process has removed, not even in that moment", async () => {
  const { world, store, mine, other } = await sharedWorld();
  const { groupId, epoch } = { groupId: Uint8Array.of(9), epoch: 0n };
  const groupInfo = await world.member(1).group.groupInfo();
  const uses: readonly ((identity: Identity) => Promise<unknown>)[] = [
    (identity) => mine.createGroup({ identity }),
    (identity) => mine.createKeyPackage({ identity }),
    (identity) => mine.proposeJoin({ groupId, epoch }, { identity }),
    (identity) => mine.joinExternally(groupInfo, { identity, resync: { leafIndex: 0 } }),
    (identity) => mine.createBranch(otherGroup(world), [], { identity }),
    async (identity) => (await mine.group(otherGroup(world))).commit({ identity }),
  ];
  for (const use of uses) {
    const before = await mine.addIdentity({ identity: "member 0" });
    const during = await mine.addIdentity({ identity: "member 0" });
    for (const identity of [before, during]) world.directory.add(identity);
    await other.removeIdentity(before);
    await expect(use(before)).rejects.toMatchObject({ code: "SIGNER_NOT_FOUND" });
    overtake(store, () => other.removeIdentity(during));
    await expect(use(during)).rejects.toMatchObject({ code: "SIGNER_NOT_FOUND" });
    expect(await mine.identities()).toHaveLength(1);
    expect(await mine.keyPackages()).toHaveLength(0);
  }
  expect(await (await reopened(world, store)).groups()).toHaveLength(1);
});

test("M-ID-10 P-MP-02: an identity stays that another process begins to use while it is removed, and takes new key packages along", async () => {
  const { world, store, mine, other } = await sharedWorld();
  const identity = await mine.addIdentity({ identity: "spare" });
  world.directory.add(identity);
  overtake(store, () => other.createKeyPackage({ identity }));
  await mine.removeIdentity(identity);
  expect(await mine.keyPackages()).toHaveLength(0);
  const second = await mine.addIdentity({ identity: "second" });
  world.directory.add(second);
  overtake(store, () => other.createGroup({ identity: second }));
  await expect(mine.removeIdentity(second)).rejects.toMatchObject({ code: "CREDENTIAL_IN_USE" });
  expect(await (await reopened(world, store)).groups()).toHaveLength(2);
});

test("P-MP-02: a key package and a group that two processes make at once leave room for more groups", async () => {
  const { world, store, mine, other } = await sharedWorld();
  overtake(store, () => other.createGroup());
  await mine.createKeyPackage();
  await other.createGroup();
  await (await reopened(world, store)).createGroup();
  expect(await idsOf(mine)).toHaveLength(4);
});

test("M-ID-10 P-MP-02: of two processes that remove the last two identities one fails", async () => {
  const { store, mine, other } = await sharedWorld();
  const spares = [
    await mine.addIdentity({ identity: "spare" }),
    await mine.addIdentity({ identity: "another" }),
  ];
  await mine.deleteGroup((await idsOf(mine))[0]!);
  await mine.removeIdentity(mine.identity);
  overtake(store, () => other.removeIdentity(spares[1]!));
  await expect(mine.removeIdentity(spares[0]!)).rejects.toMatchObject({
    code: "CREDENTIAL_IN_USE",
  });
  expect(await mine.identities()).toHaveLength(1);
});

test("M-ID-10: an identity stays that a dropped Update of ours would bring", async () => {
  const { world, store, mine } = await sharedWorld();
  const identity = await mine.addIdentity({ identity: "member 0" });
  world.directory.add(identity);
  const group = await mine.group(otherGroup(world));
  const proposed = await commitOrPropose(group, () => ({ identity, forcePath: true }), {
    deliver: () => ({ type: "conflict" }),
    catchUp: (on) => on.discardCommit(),
    propose: () => undefined,
  });
  expect(proposed.type).toBe("proposed");
  await group.dropAllProposals();
  await expect(mine.removeIdentity(identity)).rejects.toMatchObject({ code: "CREDENTIAL_IN_USE" });
  expect(await (await reopened(world, store)).groups()).toHaveLength(1);
});

test("P-MP-02 P-TX-06: what a transaction has read is what it changes, or it fails", async () => {
  const { store, mine, other } = await sharedWorld();
  const count = (client: Client) =>
    client.transaction(async (tx) => {
      const [n = 0] = (await tx.get("count")) ?? [];
      tx.put("count", Uint8Array.of(n + 1));
    });
  const advance = (client: Client, to: number) =>
    client.transaction(async (tx) => {
      const [n = 0] = (await tx.checkpoint()) ?? [];
      if (to > n) tx.setCheckpoint(Uint8Array.of(to));
    });
  for (const _ of ["absent", "present"]) {
    overtake(store, () => count(other));
    await expect(count(mine)).rejects.toMatchObject({ code: "STORAGE_CONFLICT" });
  }
  overtake(store, () => advance(other, 9));
  await expect(advance(mine, 3)).rejects.toMatchObject({ code: "STORAGE_CONFLICT" });
  const read = await mine.transaction(async (tx) => [await tx.get("count"), await tx.checkpoint()]);
  expect(read).toEqual([Uint8Array.of(2), Uint8Array.of(9)]);
});

test("P-TX-06: a transaction that only reads is not stopped by who writes", async () => {
  const { store, mine, other } = await sharedWorld();
  const writes = store.writes.length;
  const read = await mine.transaction(async (tx) => {
    const before = await tx.get("x");
    await other.transaction(async (theirs) => theirs.put("x", Uint8Array.of(1)));
    return before;
  });
  expect(read).toBeUndefined();
  expect(store.writes).toHaveLength(writes + 1);
});

test("M-STO-09: a group with its first members is one write, which fails as a whole", async () => {
  const { world, store, mine } = await sharedWorld();
  const invited = [(await world.member(1).client.createKeyPackage()).bytes];
  const groupId = Uint8Array.of(7);
  const write = store.write.bind(store);
  Object.assign(store, {
    write: () => {
      throw new Error("the disk is full");
    },
  });
  await expect(mine.createGroupWith(invited, { groupId })).rejects.toMatchObject({
    code: "STORAGE_FAILED",
  });
  Object.assign(store, { write });
  await expect(mine.createGroupWith([], { groupId })).rejects.toMatchObject({
    code: "EMPTY_INPUT",
  });
  const stranger = await (await testGroup({ members: 1 })).member(0).client.createKeyPackage();
  await expect(mine.createGroupWith([stranger.bytes], { groupId })).rejects.toMatchObject({
    blame: "policy",
  });
  expect(await mine.groups()).toHaveLength(1);

  const writes = store.writes.length;
  const { group, pending } = await mine.createGroupWith(invited, { groupId });
  expect(store.writes).toHaveLength(writes + 1);
  expect(pending.commit).toEqual(group.pendingCommit?.commit);
  const again = await (await reopened(world, store)).group(groupId);
  const { welcomes } = await again.acceptCommit();
  const joined = await world.member(1).client.join(welcomes[0]!.bytes);
  expect(joined.epochAuthenticator).toEqual(again.epochAuthenticator);
});

function reopened(world: TestGroup, storage: MapStorage): Promise<Client> {
  const { clock, directory: authenticationService } = world;
  return Client.open({ storage, clock, authenticationService });
}

const pause = (milliseconds: number): Promise<void> =>
  new Promise((resume) => setTimeout(resume, milliseconds));
