/** Two processes that work on one store. P-MP-02. */
import { expect, test } from "vitest";
import { Client, createSigner } from "../../src/index.ts";
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
