/** What must not be left in a store. */
import { expect, test } from "vitest";
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
