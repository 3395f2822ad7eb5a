/** Events one after the other, and none lost: M-EVT-04, M-EVT-05. */
import { describe, expect, test } from "vitest";
import { Client, type ClientEvent } from "../../src/index.ts";
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
