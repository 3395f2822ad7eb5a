/** Jobs over groups in which other things are under way: M-MD-01, M-UPD-08, P-TX-08. */
import { describe, expect, test } from "vitest";
import {
  addDevice,
  collectRetiredIdentities,
  type GroupTransport,
  type JobProgress,
  processBatches,
  removeDevice,
  rotateIdentity,
  unfinishedRotations,
} from "../../src/production/index.ts";
import { SELF_REMOVE, selfRemove, selfRemoveType } from "../../src/drafts/index.ts";
import { Client, type Group, type Identity, type RegisteredTypes } from "../../src/index.ts";
import { type TestGroup, testGroup, type TestGroupOptions } from "../../src/testing/index.ts";

/** Accepts each Commit, and tells all clients that are in the group. */
function transportOf(world: TestGroup, sender: Client): GroupTransport & { commits: number } {
  const transport: GroupTransport & { commits: number } = {
    commits: 0,
    deliver: async ({ commit }, { id }) => {
      transport.commits += 1;
      for (const { client } of world.members) {
        if (client === sender) continue;
        const group = await client.group(id).catch(() => undefined);
        await group?.process(commit, { accept: true });
      }
      return { type: "accepted" };
    },
    catchUp: () => undefined,
    propose: () => undefined,
  };
  return transport;
}

const ownKey = (group: Group) => group.members().find(({ isOwn }) => isOwn)?.signatureKey;
const names = (world: TestGroup) => world.member(1).group.members().length;

describe("a proposal of ours that waits", () => {
  async function world(options: TestGroupOptions = {}) {
    const made = await testGroup({ members: ["alice", "bob", "stolen"], ...options });
    const { client, group } = made.member(0);
    const stolen = { signatureKeys: [made.member(2).client.identity.signatureKey] };
    const progress: JobProgress["result"][] = [];
    const job = {
      transport: transportOf(made, client),
      onProgress: ({ result }: JobProgress) => progress.push(result),
    };
    return { made, client, group, stolen, progress, options: job };
  }

  test("M-MD-01: for something else keeps no stolen device in the group", async () => {
    const { made, client, group, stolen, progress, options } = await world();
    await group.proposeUpdate();
    const result = await removeDevice(client, stolen, options);
    expect([result, progress]).toEqual([{ isDone: true, done: 1, left: [] }, ["committed"]]);
    expect(names(made)).toBe(2);
  });

  test("M-MD-01 M-UPD-08: to leave is not undone by a job, and one that was dropped stops none", async () => {
    const { made, client, group, progress, options } = await world();
    const device = {
      signatureKeys: [(await made.newClient("phone")).client.identity.signatureKey],
    };
    const to = await client.addIdentity({ identity: "alice" });
    made.directory.add(to);
    const rotation = { ...options, from: client.identity, to };
    await group.leave();
    const noPackage = () => Promise.reject(new Error("none is asked for"));
    expect(await addDevice(client, device, noPackage, options)).toMatchObject({ done: 0 });
    expect(await rotateIdentity(client, rotation)).toMatchObject({ done: 0 });
    expect(progress).toEqual(["proposed", "proposed"]);
    await group.dropAllProposals();
    expect(await rotateIdentity(client, rotation)).toMatchObject({ isDone: true });
    expect(ownKey(group)).toEqual(to.signatureKey);
  });

  test("M-MD-01 M-UPD-08: neither is a SelfRemove", async () => {
    const types: RegisteredTypes = {
      proposals: new Map([[SELF_REMOVE, selfRemoveType]]),
      credentials: new Map(),
      extensions: new Set(),
    };
    const { made, client, group, progress, options } = await world({
      types,
      config: { handshake: { send: "public", accept: "both" } },
    });
    const to = await client.addIdentity({ identity: "alice" });
    made.directory.add(to);
    await group.propose(selfRemove());
    await rotateIdentity(client, { ...options, from: client.identity, to });
    expect([progress, group.epoch]).toEqual([["proposed"], 1n]);
  });

  test("M-MD-01: to remove one of its leaves is not enough for a device that has two", async () => {
    const { made, client, group, stolen, progress, options } = await world();
    const [second] = await made.add(["stolen too"]);
    const signatureKeys = [...stolen.signatureKeys, second!.client.identity.signatureKey];
    await group.proposeRemove({ signatureKey: signatureKeys[0] });
    expect((await removeDevice(client, { signatureKeys }, options)).isDone).toBe(true);
    expect([progress, names(made)]).toEqual([["committed"], 2]);
  });

  test("M-MD-01: to remove the device is left to whoever commits it", async () => {
    const { client, group, stolen, progress, options } = await world();
    await group.proposeRemove({ signatureKey: stolen.signatureKeys[0] });
    const result = await removeDevice(client, stolen, options);
    expect(result).toEqual({ isDone: false, done: 0, left: [group.id] });
    expect([progress, options.transport.commits]).toEqual([["proposed"], 0]);
  });

  test("M-MD-01: an added device takes one key package, and none while its Add waits", async () => {
    const { made, client, group, progress, options } = await world();
    await group.proposeUpdate();
    const { client: tablet } = await made.newClient("alice");
    const device = { signatureKeys: [tablet.identity.signatureKey] };
    let taken = 0;
    const keyPackage = async () => {
      taken += 1;
      return (await tablet.createKeyPackage()).bytes;
    };
    expect((await addDevice(client, device, keyPackage, options)).isDone).toBe(true);
    expect([taken, progress, names(made)]).toEqual([1, ["committed"], 4]);
    const { client: phone } = await made.newClient("alice");
    await group.proposeAdd((await phone.createKeyPackage()).bytes);
    const other = { signatureKeys: [phone.identity.signatureKey] };
    expect((await addDevice(client, other, keyPackage, options)).isDone).toBe(false);
    expect([taken, progress, options.transport.commits]).toEqual([1, ["committed", "proposed"], 1]);
  });

  test("M-UPD-08: a rotation waits for its own Update only", async () => {
    const { made, client, group, progress, options } = await world();
    const from = client.identity;
    const to = await client.addIdentity({ identity: "alice" });
    made.directory.add(to);
    await group.proposeUpdate();
    expect((await rotateIdentity(client, { from, to, ...options })).isDone).toBe(true);
    expect(progress).toEqual(["committed"]);
    expect(ownKey(group)).toEqual(to.signatureKey);
  });
});

describe("a chain of rotations", () => {
  /** A group on key A whose rotation to B failed, after which B gave way to C. */
  async function chained() {
    const world = await testGroup({ members: ["alice", "bob"] });
    const { client, group } = world.member(0);
    const transport = transportOf(world, client);
    const offline: GroupTransport = {
      ...transport,
      deliver: () => ({ type: "rejected", reason: "no network" }),
    };
    const next = async (): Promise<Identity> => {
      const identity = await client.addIdentity({ identity: "alice" });
      world.directory.add(identity);
      return identity;
    };
    const [a, b, c] = [client.identity, await next(), await next()];
    expect((await rotateIdentity(client, { from: a, to: b, transport: offline })).isDone).toBe(
      false,
    );
    expect((await rotateIdentity(client, { from: b, to: c, transport })).isDone).toBe(true);
    return { client, group, transport, a, b, c };
  }

  test("M-UPD-08: the identity that an unfinished one goes on with stays until that is done", async () => {
    const { client, group, transport, a, b, c } = await chained();
    expect(await unfinishedRotations(client)).toEqual([{ from: a, to: b }]);
    expect((await rotateIdentity(client, { from: a, to: b, transport })).isDone).toBe(true);
    expect(ownKey(group)).toEqual(b.signatureKey);
    expect((await rotateIdentity(client, { from: b, to: c, transport })).isDone).toBe(true);
    expect(ownKey(group)).toEqual(c.signatureKey);
    expect(await client.identities()).toEqual([c]);
  });

  test("M-UPD-08: one whose successor was removed is not in the way of others, and can take another", async () => {
    const { client, group, transport, a, b, c } = await chained();
    await client.removeIdentity(b);
    expect(await unfinishedRotations(client)).toEqual([]);
    expect((await rotateIdentity(client, { from: a, to: c, transport })).isDone).toBe(true);
    expect(ownKey(group)).toEqual(c.signatureKey);
    await collectRetiredIdentities(client);
    expect(await client.identities()).toEqual([c]);
  });
});

test("P-TX-08: a group that cannot be read stops no message for another one", async () => {
  const world = await testGroup({ members: 2 });
  const [sender, { client: receiver, storage }] = [world.member(0), world.member(1)];
  const { group: damaged } = await sender.client.createGroupWith([
    (await receiver.createKeyPackage()).bytes,
  ]);
  const { welcomes } = await damaged.acceptCommit();
  await receiver.join(welcomes[0]!.bytes);
  const lost = await damaged.send("lost");
  const messages = [await sender.group.send("1"), lost, lost, await sender.group.send("2")];
  const head = (await storage.get("g1/h"))!.value;
  const puts = [{ key: "g1/h", value: head.slice(0, 20) }];
  await storage.write({ puts, deletes: [], expect: [] });
  const { clock, directory: authenticationService } = world;
  const client = await Client.open({ storage, clock, authenticationService });
  const sync = processBatches(
    client,
    messages.map(({ bytes }) => bytes),
  );
  const { value: outcomes } = await sync.next();
  const unreadable = { kind: "invalid", groupId: damaged.id, error: { code: "STORAGE_FAILED" } };
  expect(outcomes).toMatchObject([
    { kind: "application" },
    unreadable,
    unreadable,
    { kind: "application" },
  ]);
});
