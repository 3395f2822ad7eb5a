/** One group that cannot be read holds up nothing else. M-STO-15, P-MP-06, M-ID-10. */
import { expect, test } from "vitest";
import { Client } from "../../src/index.ts";
import {
  applyRetention,
  type GroupTransport,
  reportExpiry,
  rotateIdentity,
  unfinishedRotations,
} from "../../src/production/index.ts";
import { testGroup } from "../../src/testing/index.ts";

/** Member 0 after a restart, with a group whose head is cut. */
async function damagedWorld() {
  const world = await testGroup({ members: 2 });
  const { client, storage, group } = world.member(0);
  const damaged = await client.createGroup();
  const head = (await storage.get("g1/h"))!.value;
  const cut = [{ key: "g1/h", value: head.slice(0, 20) }];
  await storage.write({ puts: cut, deletes: [], expect: [] });
  const { clock, directory: authenticationService } = world;
  const open = () => Client.open({ storage, clock, authenticationService });
  const repair = () =>
    storage.write({ puts: [{ key: "g1/h", value: head }], deletes: [], expect: [] });
  return { world, storage, group, damagedId: damaged.id, client: await open(), open, repair };
}

test("M-STO-15 a damaged group is told apart from others, which go on, and can be deleted", async () => {
  const { storage, group, damagedId, client } = await damagedWorld();
  expect((await client.groups()).map(({ id }) => id)).toEqual([group.id]);
  expect(await client.unreadableGroups()).toMatchObject([
    { groupId: damagedId, error: { code: "STORAGE_FAILED" } },
  ]);
  await reportExpiry(client);
  expect(await applyRetention(client)).toMatchObject({ failed: [{ groupId: damagedId }] });
  await expect(client.group(damagedId)).rejects.toMatchObject({ code: "STORAGE_FAILED" });
  await client.deleteGroup(damagedId);
  expect(await storage.list("g1/")).toEqual([]);
  expect(await client.unreadableGroups()).toEqual([]);
  expect(await client.groups()).toHaveLength(1);
});

test("P-MP-06 a group that cannot be read is frozen as well, should it be readable later", async () => {
  const { group, damagedId, client, open, repair } = await damagedWorld();
  await client.suspectRollback();
  expect((await client.group(group.id)).isFrozen).toBe(true);
  await repair();
  const again = await (await open()).group(damagedId);
  await expect(again.send("no")).rejects.toMatchObject({ code: "ROLLBACK_SUSPECTED" });
});

test("M-ID-10 M-UPD-08 a rotation leaves what it cannot read for later, and the identity that may be needed there", async () => {
  const { world, client, damagedId, repair, open } = await damagedWorld();
  const other = world.member(1).group;
  const transport: GroupTransport = {
    deliver: async ({ commit }, group) => {
      if (group.memberCount > 1) await other.process(commit, { accept: true });
      return { type: "accepted" };
    },
    propose: () => undefined,
    catchUp: () => undefined,
  };
  const from = client.identity;
  const to = await client.addIdentity({ identity: "member 0" });
  world.directory.add(to);
  const first = await rotateIdentity(client, { from, to, transport });
  expect(first).toEqual({ isDone: false, done: 1, left: [damagedId] });
  await expect(client.removeIdentity(from)).rejects.toMatchObject({ code: "CREDENTIAL_IN_USE" });
  await repair();
  const again = await open();
  const [unfinished] = await unfinishedRotations(again);
  const second = await rotateIdentity(again, { ...unfinished!, transport });
  expect(second).toEqual({ isDone: true, done: 2, left: [] });
  expect((await again.identities()).map(({ signatureKey }) => signatureKey)).toEqual([
    to.signatureKey,
  ]);
});
