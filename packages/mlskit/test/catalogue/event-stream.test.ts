/** Events one after the other, and none lost: M-EVT-02 to M-EVT-05. */
import { describe, expect, test } from "vitest";
import { Client, type ClientEvent, type Group } from "../../src/index.ts";
import { eventLog, replayEvents } from "../../src/production/index.ts";
import { testGroup } from "../../src/testing/index.ts";
import { memoryStorage } from "../../src/storage/memory.ts";

const OVER = { done: true, value: undefined };

describe("the iterator over events", () => {
  test("M-EVT-04: it hears what happens from the call on, not from the first read on", async () => {
    const world = await testGroup({ members: 1 });
    const { client, group } = world.member(0);
    const events = client.events();
    await group.update();
    await group.discardCommit();
    const types = [(await events.next()).value?.type, (await events.next()).value?.type];
    expect(types).toEqual(["commitStaged", "commitDiscarded"]);
    const waiting = [events.next(), events.next()];
    await group.update();
    await group.acceptCommit();
    const both = await Promise.all(waiting);
    expect(both.map(({ value }) => value?.type)).toEqual(["commitStaged", "commitAccepted"]);
  });

  test("M-EVT-04: closing the client ends it, after what was heard until then", async () => {
    const world = await testGroup({ members: 1 });
    const { client, group } = world.member(0);
    const [read, unread] = [client.events(), client.events()];
    const first = read.next();
    await group.update();
    expect((await first).value?.type).toBe("commitStaged");
    const waiting = read.next();
    await client.close();
    expect(await waiting).toEqual(OVER);
    const left: ClientEvent[] = [];
    for await (const event of unread) left.push(event);
    expect(left.map(({ type }) => type)).toEqual(["commitStaged"]);
  });

  test("M-EVT-04: one that waits can be ended, and so can one whose signal is aborted already", async () => {
    const world = await testGroup({ members: 1 });
    const { client, group } = world.member(0);
    const events = client.events();
    const waiting = events.next();
    expect(await events.return?.()).toEqual(OVER);
    expect(await waiting).toEqual(OVER);
    const aborted = client.events(AbortSignal.abort());
    await group.update();
    expect(await Promise.all([events.next(), aborted.next()])).toEqual([OVER, OVER]);
  });
});

test("M-EVT-05: the event of a failed Welcome survives that another process was faster", async () => {
  const storage = memoryStorage();
  let isBehind = false;
  const slow = {
    ...storage,
    get: storage.get.bind(storage),
    list: storage.list.bind(storage),
    close: storage.close.bind(storage),
    write: async (batch: Parameters<typeof storage.write>[0]) => {
      if (isBehind) {
        isBehind = false;
        await expect(other.stageWelcome(broken)).rejects.toMatchObject({ blame: "crypto" });
      }
      return storage.write(batch);
    },
  };
  const world = await testGroup({ members: 1 });
  const options = { authenticationService: world.directory, clock: world.clock };
  const log = { eventLog: eventLog() };
  const client = await Client.create({ ...options, ...log, storage: slow, identity: "bob" });
  world.directory.add(client.identity);
  const { bytes } = await client.createKeyPackage();
  const { welcomes } = await world.member(0).group.commitImmediately({ add: [bytes] });
  const broken = welcomes[0]!.bytes.slice();
  broken[broken.length - 1]! ^= 1;
  const other = await Client.open({ ...options, ...log, storage });
  const heard: unknown[] = [];
  client.on((event) => heard.push(event.type));
  isBehind = true;
  await expect(client.stageWelcome(broken)).rejects.toMatchObject({ blame: "crypto" });
  expect(heard).toEqual(["welcomeFailed"]);
  const stored = await replayEvents(client);
  expect(stored.map(({ event }) => event.type)).toEqual(["welcomeFailed", "welcomeFailed"]);
});

describe("what comes from others", () => {
  test("M-EVT-02: a Commit that waits is staged, and accepted when it is merged; so is one that is merged at once", async () => {
    const world = await testGroup({ members: 2 });
    const [a, b] = world.groups as [Group, Group];
    const types: unknown[] = [];
    world.member(1).client.on((event) => {
      if (event.type.startsWith("commit") || event.type === "epochAdvanced") {
        types.push([event.type, "epoch" in event && event.epoch, "isOwn" in event && event.isOwn]);
      }
    });
    const { commit } = await a.update();
    await a.acceptCommit();
    const staged = await b.process(commit);
    expect(types).toEqual([["commitStaged", 1n, false]]);
    if (staged.kind === "commit") await staged.accept();
    const next = await a.commitImmediately();
    await b.process(next.commit, { accept: true });
    await b.update();
    await b.acceptCommit();
    expect(types.slice(1)).toEqual([
      ["commitAccepted", 2n, false],
      ["epochAdvanced", 2n, false],
      ["commitAccepted", 3n, false],
      ["epochAdvanced", 3n, false],
      ["commitStaged", 3n, true],
      ["commitAccepted", 4n, true],
      ["epochAdvanced", 4n, false],
    ]);
  });

  test("M-EVT-03: entering by a Welcome or by an external commit, we join and an epoch begins", async () => {
    const world = await testGroup({ members: 1 });
    const { group } = world.member(0);
    const { client } = await world.newClient("bob");
    const events: ClientEvent[] = [];
    client.on((event) => {
      if (event.type !== "keyPackageUsed" && event.type !== "keyPackagesLow") events.push(event);
    });
    const { bytes } = await client.createKeyPackage();
    const { welcomes } = await group.commitImmediately({ add: [bytes] });
    await client.join(welcomes[0]!.bytes);
    const groupId = group.id;
    const { credential } = client.identity;
    const joined = { type: "memberJoined", groupId, leafIndex: 1, credential };
    const began = { type: "epochAdvanced", groupId };
    expect(events).toMatchObject([
      { ...joined, epoch: 1n },
      { ...began, epoch: 1n, committer: 0 },
    ]);
    await client.joinExternally(await group.groupInfo(), { resync: true });
    expect(events).toHaveLength(2);
    await client.acceptJoin(groupId);
    expect(events.slice(2)).toMatchObject([
      { ...joined, epoch: 2n },
      { ...began, epoch: 2n, committer: 1 },
    ]);
  });
});
