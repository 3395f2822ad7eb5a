/** What must not be left in a store. */
import { expect, test } from "vitest";
import { Client, type Storage } from "../../src/index.ts";
import { testGroup } from "../../src/testing/index.ts";

/** Handles of groups that have records. */
async function handles(storage: { list(prefix: string): unknown }): Promise<Set<string>> {
  const records = (await storage.list("g")) as readonly { readonly key: string }[];
  const keys = records.map(({ key }) => key).filter((key) => /^g\d+\//.test(key));
  return new Set(keys.map((key) => key.split("/")[0] ?? ""));
}

test("M-STO-15 who joins again after a removal keeps nothing of the former membership", async () => {
  const world = await testGroup({ members: 3 });
  const { client, group, storage } = world.member(2);
  const { id } = group;
  for (let round = 0; round < 3; round++) {
    const current = await client.group(id);
    const { commit } = await world.member(0).group.remove([current.ownLeafIndex]);
    await world.member(1).group.process(commit, { accept: true });
    await world.member(0).group.acceptCommit();
    expect((await current.process(commit, { accept: true })).kind).toBe("removed");
    const { bytes } = await client.createKeyPackage();
    const added = await world.member(0).group.add([bytes]);
    await world.member(1).group.process(added.commit, { accept: true });
    const { welcomes } = await world.member(0).group.acceptCommit();
    await client.join(welcomes[0]!.bytes);
    expect((await handles(storage)).size).toBe(1);
  }
});

test("M-STO-15 a group made in place of an inactive one leaves nothing of it", async () => {
  const world = await testGroup({ members: 2 });
  const { client, group, storage } = world.member(1);
  const { commit } = await world.member(0).group.remove([group.ownLeafIndex]);
  await group.process(commit, { accept: true });
  const { id } = group;
  const next = await client.createGroup({ groupId: id, replace: true });
  expect(next.memberCount).toBe(1);
  expect((await handles(storage)).size).toBe(1);
});

test("M-STO-15 an external join in place of an inactive group leaves nothing of it", async () => {
  const world = await testGroup({ members: 2 });
  const [first, second] = [world.member(0), world.member(1)];
  const { commit } = await first.group.remove([second.group.ownLeafIndex]);
  await first.group.acceptCommit();
  await second.group.process(commit, { accept: true });
  const joined = await second.client.joinExternally(await first.group.groupInfo());
  await first.group.process(joined.commit, { accept: true });
  await second.client.acceptJoin(first.group.id);
  expect((await handles(second.storage)).size).toBe(1);
  await second.client.deleteGroup(first.group.id);
  expect((await handles(second.storage)).size).toBe(0);
});

/** Member 1, who lost a resync and began another one. */
async function resyncedTwice() {
  const world = await testGroup({ members: 2 });
  const [first, second] = [world.member(0), world.member(1)];
  const groupInfo = await first.group.groupInfo();
  await second.client.joinExternally(groupInfo, { resync: true });
  const { group, commit } = await second.client.joinExternally(groupInfo, { resync: true });
  expect((await handles(second.storage)).size).toBe(3);
  return { world, first, second, group, commit };
}

test("M-FRK-06 M-STO-15 an accepted resync leaves nothing of what it and a lost one before it replaced", async () => {
  const { first, second, group, commit } = await resyncedTwice();
  await first.group.process(commit, { accept: true });
  await second.client.process(commit);
  expect(group.status).toBe("active");
  expect((await handles(second.storage)).size).toBe(1);
  // Nor does memory: whoever has the former state open is told.
  expect(() => second.group.epochAuthenticator).toThrow("the group was deleted");
});

test("M-STO-15 deleting a group during a resync leaves nothing of the states before", async () => {
  const { second, group } = await resyncedTwice();
  await second.client.deleteGroup(group.id);
  expect((await handles(second.storage)).size).toBe(0);
  expect(await second.client.groups()).toEqual([]);
});

test("M-STO-15 a refused resync goes back one step, and leaves nothing of itself", async () => {
  const { second, group } = await resyncedTwice();
  const statuses: string[] = [];
  for (let i = 0; i < 2; i++) {
    await second.client.rejectJoin(second.group.id);
    statuses.push((await second.client.group(second.group.id)).status);
  }
  expect(statuses).toEqual(["pendingJoin", "active"]);
  expect((await handles(second.storage)).size).toBe(1);
  expect(() => group.status).toThrow("the group was deleted");
});

test("M-STO-09 P-MP-02 a join is accepted or refused, never both", async () => {
  for (const accept of ["process", "acceptJoin"] as const) {
    const world = await testGroup({ members: 2 });
    const { client, storage, group } = world.member(1);
    const groupInfo = await world.member(0).group.groupInfo();
    const { commit } = await client.joinExternally(groupInfo, { resync: true });
    const results = await Promise.allSettled([
      accept === "process" ? client.process(commit) : client.acceptJoin(group.id),
      client.rejectJoin(group.id),
    ]);
    expect(results.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    const isAccepted = results[0].status === "fulfilled";
    expect([...(await handles(storage))]).toEqual([isAccepted ? "g1" : "g0"]);
    const again = await reopen(world, storage);
    expect((await again.groups()).map(({ status }) => status)).toEqual(["active"]);
  }
});

test("M-STO-09 a join that is refused while another one begins is not what that one goes back to", async () => {
  const world = await testGroup({ members: 2 });
  const { client, storage, group } = world.member(1);
  const groupInfo = await world.member(0).group.groupInfo();
  await client.joinExternally(groupInfo, { resync: true });
  await Promise.all([
    client.joinExternally(groupInfo, { resync: true }),
    client.rejectJoin(group.id),
  ]);
  for (;;) {
    const [current] = await (await reopen(world, storage)).groups();
    if (current?.status !== "pendingJoin") break;
    await (await reopen(world, storage)).rejectJoin(group.id);
  }
  expect((await handles(storage)).size).toBe(1);
  const [last] = await (await reopen(world, storage)).groups();
  expect(last?.status).toBe("active");
});

test("P-MP-02 M-STO-17 deleting and refusing read again what another process has changed", async () => {
  const world = await testGroup({ members: 2 });
  const { client, storage, group } = world.member(1);
  const other = await reopen(world, storage);
  await other.groups();
  const groupInfo = await world.member(0).group.groupInfo();
  await client.joinExternally(groupInfo, { resync: true });
  await other.groups();
  const message = await world.member(0).group.send("early");
  expect((await client.process(message.bytes)).kind).toBe("buffered");
  await other.rejectJoin(group.id);
  expect((await client.group(group.id)).status).toBe("active");

  await other.groups();
  await (await client.group(group.id)).send("raises the version");
  await other.deleteGroup(group.id);
  expect(await client.groups()).toEqual([]);
  expect((await handles(storage)).size).toBe(0);
});

function reopen(world: Awaited<ReturnType<typeof testGroup>>, storage: Storage): Promise<Client> {
  const { clock, directory: authenticationService } = world;
  return Client.open({ storage, clock, authenticationService });
}
