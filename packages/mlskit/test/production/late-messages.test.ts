/** Messages that come when much has happened since. */
import { expect, test } from "vitest";
import { MapStorage } from "./map-storage.ts";
import { reportExpiry } from "../../src/production/index.ts";
import { testGroup } from "../../src/testing/index.ts";

test("after a restart, who was removed still reads what was said before by one who went as well", async () => {
  const stores = new Map<string, MapStorage>();
  const world = await testGroup({
    members: 4,
    storage: (name) => {
      const store = new MapStorage();
      stores.set(name, store);
      return store;
    },
  });
  const { bytes } = await world.member(2).group.send("late");
  await world.commit(0);
  const [, , second, third] = world.members;
  const leaves = [second!, third!].map(({ group }) => group.ownLeafIndex);
  await world.commit(0, { remove: leaves });
  expect(third!.group.status).toBe("inactive");
  const again = await world.reopen(3, stores.get("member 3")!);
  expect((await again.group.process(bytes)).kind).toBe("application");
});

test("what came while a join waited is replayed when the join is accepted", async () => {
  const world = await testGroup({ members: 2 });
  const [alice, bob] = world.groups;
  const { client } = await world.newClient("carol");
  const { group, commit } = await client.joinExternally(await alice!.groupInfo());
  for (const member of [alice!, bob!]) await member.process(commit, { accept: true });
  const said = await alice!.send("welcome");
  const renewal = await bob!.update();
  await alice!.process(renewal.commit, { accept: true });
  await bob!.acceptCommit();
  for (const bytes of [renewal.commit, said.bytes]) {
    expect(await group.process(bytes)).toMatchObject({ kind: "buffered", isBuffered: true });
  }
  const replayed = await client.acceptJoin(group.id);
  expect(replayed.map(({ kind }) => kind)).toEqual(["application", "commit"]);
  const [, next] = replayed;
  if (next?.kind === "commit") await next.accept();
  world.assertAgreement();
  expect(group.epochAuthenticator).toEqual(alice!.epochAuthenticator);
});

test("in a group of which nothing is heard, what is over goes with the daily call, also after a removal", async () => {
  const world = await testGroup({ members: 3 });
  const [alice, , carol] = world.members;
  await world.commit(1);
  await world.commit(1, { remove: [2] });
  const kept = async (index: number): Promise<string[]> => {
    const records = await world.member(index).storage.list("g");
    return records.map(({ key }) => key).filter((key) => /^g\d+\/[xb]/.test(key));
  };
  const { commit } = await world.member(1).group.update();
  await world.member(1).group.acceptCommit();
  const early = await world.member(1).group.send("early");
  expect((await alice!.group.process(early.bytes)).kind).toBe("future");
  expect([(await kept(0)).length, (await kept(2)).length]).toEqual([4, 1]);
  world.clock.advance(7 * 86_400);
  for (const { client } of [alice!, carol!]) await reportExpiry(client);
  expect([(await kept(0)).length, (await kept(2)).length]).toEqual([4, 1]);
  world.clock.advance(1);
  for (const { client } of [alice!, carol!]) await reportExpiry(client);
  expect([await kept(0), await kept(2)]).toEqual([[], []]);
  expect((await alice!.group.process(commit, { accept: true })).kind).toBe("commit");
});

test("P-BUF-01 the Commit that wins against a resync is not acknowledged, for the former state needs it", async () => {
  const world = await testGroup({ members: 3 });
  const { client, group } = world.member(2);
  const { id } = group;
  await client.joinExternally(await world.member(0).group.groupInfo(), { resync: true });
  const winner = (await world.member(1).group.update()).commit;
  await world.member(0).group.process(winner, { accept: true });
  await world.member(1).group.acceptCommit();
  const early = await client.process(winner, { accept: true });
  expect(early).toMatchObject({ kind: "buffered", isBuffered: false });
  await client.rejectJoin(id);
  const former = await client.group(id);
  expect((await former.process(winner, { accept: true })).kind).toBe("commit");
  expect(former.epochAuthenticator).toEqual(world.member(0).group.epochAuthenticator);
});
