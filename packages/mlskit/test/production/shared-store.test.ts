/** Two processes that work on one store. P-MP-02. */
import { expect, test } from "vitest";
import { Client, createSigner, type Identity } from "../../src/index.ts";
import { commitOrPropose } from "../../src/production/index.ts";
import { seededProvider, type TestGroup, testGroup } from "../../src/testing/index.ts";
import { MapStorage } from "./map-storage.ts";

/** A client of member 0, and another one on the same store. */
async function sharedWorld() {
  const store = new MapStorage();
  const world = await testGroup({
    members: 2,
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
