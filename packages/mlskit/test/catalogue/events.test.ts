/** Catalogue M-EVT: what a client tells the application about. */
import { describe, expect, test } from "vitest";
import {
  acknowledgeEvents,
  eventLog,
  replayEvents,
  reportExpiry,
} from "../../src/production/index.ts";
import { utf8 } from "../../src/codec/index.ts";
import type { Client, ClientEvent, Credential, Group } from "../../src/index.ts";
import { memoryStorage } from "../../src/storage/memory.ts";
import { faultStorage, testClock, testGroup } from "../../src/testing/index.ts";

const DAY = 86_400;

const named = (name: string): Credential => ({ type: "basic", identity: utf8(name) });
const alice = named("alice");

function listen(client: Client): ClientEvent[] {
  const events: ClientEvent[] = [];
  client.on((event) => events.push(event));
  return events;
}

/** As JSON tells it: a property without a value is none. */
function withoutUndefined(event: ClientEvent): object {
  return Object.fromEntries(Object.entries(event).filter(([, value]) => value !== undefined));
}

/** The events since the last call. */
const taken = (events: ClientEvent[]): ClientEvent[] => events.splice(0);

describe("events", () => {
  test("M-EVT-01: joining, leaving, epochs, messages and updates are events with types", async () => {
    const world = await testGroup({ members: ["alice", "bob"] });
    const events = listen(world.member(1).client);
    const [a, b] = world.groups as [Group, Group];
    const groupId = a.id;
    await world.add(["carol"]);
    expect(taken(events)).toEqual([
      { type: "commitAccepted", groupId, epoch: 2n, isOwn: false },
      {
        type: "memberJoined",
        groupId,
        epoch: 2n,
        leafIndex: 2,
        credential: { type: "basic", identity: utf8("carol") },
      },
      { type: "epochAdvanced", groupId, epoch: 2n, committer: 0, credential: alice },
    ]);
    await world.say(0, "hello");
    expect(taken(events)).toEqual([
      {
        type: "messageReceived",
        groupId,
        epoch: 2n,
        leafIndex: 0,
        credential: alice,
        generation: 0,
      },
    ]);
    await world.commit(1, { forcePath: true });
    expect(taken(events)).toContainEqual({ type: "ownUpdateDone", groupId, epoch: 3n });
    const { bytes } = await b.proposeUpdate();
    await world.deliver(bytes, 1);
    await world.commit(0);
    expect(taken(events)).toContainEqual({ type: "ownUpdateDone", groupId, epoch: 4n });
    await world.commit(0, { remove: [2] });
    expect(taken(events)[1]).toMatchObject({
      type: "memberRemoved",
      leafIndex: 2,
      credential: { type: "basic", identity: utf8("carol") },
      reason: expect.anything(),
    });
  });

  test("M-EVT-03: local and received changes raise the same events, with group, epochs and identities", async () => {
    const world = await testGroup({ members: ["alice", "bob", "carol"] });
    const [mine, theirs] = [listen(world.member(0).client), listen(world.member(1).client)];
    const shared = new Set(["memberJoined", "memberRemoved", "epochAdvanced"]);
    const changes = (events: ClientEvent[]): ClientEvent[] => {
      return taken(events).filter(({ type }) => shared.has(type));
    };
    const compare = (expected: readonly object[]): void => {
      const own = changes(mine).map((event) => ({ ...event, reason: undefined }));
      expect(own).toEqual(expected);
      expect(changes(theirs).map((event) => ({ ...event, reason: undefined }))).toEqual(own);
    };
    const { client: dave } = await world.newClient("dave");
    await world.commit(0, { add: [(await dave.createKeyPackage()).bytes] });
    const where = { groupId: world.member(0).group.id, reason: undefined };
    compare([
      { type: "memberJoined", epoch: 2n, leafIndex: 3, credential: named("dave"), ...where },
      { type: "epochAdvanced", epoch: 2n, committer: 0, credential: alice, ...where },
    ]);
    await world.commit(1, { remove: [2] });
    world.forget(2);
    compare([
      { type: "memberRemoved", epoch: 3n, leafIndex: 2, credential: named("carol"), ...where },
      { type: "epochAdvanced", epoch: 3n, committer: 1, credential: named("bob"), ...where },
    ]);
    await world.commit(0);
    compare([{ type: "epochAdvanced", epoch: 4n, committer: 0, credential: alice, ...where }]);
  });

  test("M-EVT-03: identities are those of the epoch that is meant, also of who came from outside or took a new one", async () => {
    const service = { validate: (all: readonly unknown[]) => all.map(() => true as const) };
    const authenticationService = { ...service, isSuccessor: () => true as const };
    const world = await testGroup({ members: ["alice", "bob", "carol"], authenticationService });
    const [a, b, c] = world.groups as [Group, Group, Group];
    const events = listen(world.member(1).client);
    const { bytes: late } = await a.send("of the epoch before");
    const other = await world.member(0).client.addIdentity({ identity: "alicia" });
    await world.commit(0, { identity: other });
    expect(taken(events)).toContainEqual(
      expect.objectContaining({ type: "epochAdvanced", credential: named("alicia") }),
    );
    await b.process(late);
    await world.say(0, "of this epoch");
    expect(taken(events).map((event) => "credential" in event && event.credential)).toEqual([
      alice,
      named("alicia"),
    ]);
    // Somebody comes from outside, and overtakes a Commit of ours.
    const { client: dave } = await world.newClient("dave");
    const { commit } = await dave.joinExternally(await a.groupInfo());
    await b.update();
    const joined = listen(dave);
    await b.process(commit, { accept: true });
    await dave.acceptJoin(a.id);
    const author = { committer: 3, credential: named("dave"), groupId: a.id, epoch: 3n };
    expect(taken(events)).toEqual(
      expect.arrayContaining([
        { type: "lostRace", ...author },
        { type: "epochAdvanced", ...author },
      ]),
    );
    const [entry, begin] = joined;
    expect(entry).toMatchObject({ type: "memberJoined", leafIndex: 3, credential: named("dave") });
    expect(begin).toEqual({ type: "epochAdvanced", ...author });
    // Removing the member who loses the race tells that member who won.
    for (const group of [a, c]) await group.process(commit, { accept: true });
    await b.update();
    taken(events);
    const removal = await c.remove([1]);
    await b.process(removal.commit, { accept: true });
    expect(taken(events)).toContainEqual({
      type: "lostRace",
      groupId: a.id,
      epoch: 4n,
      committer: 2,
      credential: named("carol"),
    });
  });

  test("M-EVT-04: they come after the write, in order, as callbacks or from an iterator", async () => {
    const store = faultStorage(memoryStorage());
    const world = await testGroup({ members: ["solo"], storage: () => store });
    const { client, group } = world.member(0);
    const abort = new AbortController();
    const iterated: ClientEvent[] = [];
    const reading = (async () => {
      for await (const event of client.events(abort.signal)) {
        iterated.push(event);
        if (event.type === "ownUpdateDone") break;
      }
    })();
    await Promise.resolve();
    client.on(() => {
      throw new Error("a handler fails");
    });
    const called: ClientEvent[] = [];
    const states: bigint[] = [];
    const stop = client.on((event) => {
      called.push(event);
      states.push(group.epoch);
    });
    store.plan.failWrite = store.writes + 1;
    await expect(group.update()).rejects.toMatchObject({ blame: "storage" });
    await group.update();
    await group.acceptCommit();
    await reading;
    expect(called.map(({ type }) => type)).toEqual([
      "commitStaged",
      "commitAccepted",
      "epochAdvanced",
      "ownUpdateDone",
    ]);
    expect(states).toEqual([0n, 1n, 1n, 1n]);
    expect(iterated).toEqual(called);
    stop();
    await group.update();
    expect(called).toHaveLength(4);
    const rest = client.events(abort.signal);
    const waiting = rest.next();
    abort.abort();
    expect((await waiting).done).toBe(true);
  });

  test("M-EVT-04: an asynchronous handler that fails disturbs nothing either", async () => {
    const unhandled: unknown[] = [];
    const note = (reason: unknown): void => void unhandled.push(reason);
    process.on("unhandledRejection", note);
    const world = await testGroup({ members: ["solo"] });
    const { client, group } = world.member(0);
    let calls = 0;
    client.on(async () => {
      calls++;
      await Promise.resolve();
      throw new Error("a handler fails later");
    });
    await group.commitImmediately();
    await new Promise((resolve) => setTimeout(resolve, 5));
    process.off("unhandledRejection", note);
    expect(calls).toBeGreaterThan(0);
    expect(unhandled).toEqual([]);
  });

  test("M-EVT-02: proposals, Commits, races, removal, ReInit and stocks are events, too", async () => {
    const world = await testGroup({ members: 3 });
    const [a, b, c] = world.groups as [Group, Group, Group];
    const events = listen(world.member(1).client);
    const seen = (): string[] => taken(events).map(({ type }) => type);
    const kept = await a.proposeUpdate();
    await world.deliver(kept.bytes, 0);
    expect(events).toMatchObject([{ type: "proposalReceived", reference: kept.reference }]);
    taken(events);
    await b.update();
    await b.discardCommit();
    expect(seen()).toEqual(["commitStaged", "commitDiscarded"]);
    await b.update();
    const winner = await c.commit({ exclude: [kept.reference] });
    await world.deliver(winner.commit, 2);
    await c.acceptCommit();
    expect(events).toContainEqual(
      expect.objectContaining({ type: "lostRace", epoch: 2n, committer: 2 }),
    );
    expect(events).toContainEqual(
      expect.objectContaining({ type: "proposalDropped", reference: kept.reference, isOwn: false }),
    );
    taken(events);
    const covered = await a.proposeUpdate();
    await world.deliver(covered.bytes, 0);
    await world.commit(2);
    expect(seen()).not.toContain("proposalDropped");
    const leave = await b.leave();
    await a.process(leave.bytes, { accept: true });
    const uncovered = await c.commit();
    await world.deliver(uncovered.commit, 2);
    await c.acceptCommit();
    expect(seen()).toContain("leaveNotCovered");
    await world.commit(0, { remove: [1] });
    expect(seen()).toEqual(["memberRemoved", "removedFromGroup"]);
    const others = listen(world.member(2).client);
    const { cipherSuite } = a;
    const reInit = { groupId: utf8("next"), version: 1, cipherSuite, extensions: [] };
    world.forget(1);
    await world.commit(0, { reInit });
    expect(others.map(({ type }) => type)).toContain("reInit");
    const { client } = await world.newClient("dave");
    const stock = listen(client);
    const made = await client.createKeyPackages(10);
    const { group } = await world.member(0).client.createGroupWith([made[0]!.bytes]);
    const { welcomes } = await group.acceptCommit();
    await client.join(welcomes[0]!.bytes);
    await new Promise((resolve) => setTimeout(resolve, 20));
    const low = { type: "keyPackagesLow", cipherSuite: 1, available: 9 };
    expect(stock).toContainEqual(expect.objectContaining(low));
  });

  test("M-EVT-02: so are credentials and proposals whose time runs out", async () => {
    const clock = testClock();
    const world = await testGroup({ members: 3, clock });
    const [a] = world.groups as [Group];
    const { client } = world.member(1);
    const events = listen(client);
    // The leaf of a key package lasts 83 days.
    const expiresAt = clock() + BigInt(83 * DAY);
    clock.advance(69 * DAY - 1);
    await reportExpiry(client);
    expect(taken(events)).toEqual([]);
    clock.advance(1);
    await reportExpiry(client);
    await reportExpiry(client);
    const expiring = { type: "credentialExpiring", groupId: a.id, epoch: 1n, expiresAt };
    expect(taken(events)).toEqual([expiring]);
    await world.commit(1, { forcePath: true });
    const { client: dave } = await world.newClient("dave");
    const lifetime = { notBefore: clock() - 1n, notAfter: clock() + 60n };
    const { bytes } = await dave.createKeyPackage({ lifetime });
    const { bytes: proposal, reference } = await a.proposeAdd(bytes);
    await world.deliver(proposal, 0);
    clock.advance(60);
    taken(events);
    await reportExpiry(client);
    expect(taken(events)).toEqual([]);
    clock.advance(1);
    await reportExpiry(client);
    await reportExpiry(client);
    expect(taken(events)).toEqual([
      { type: "proposalExpired", groupId: a.id, epoch: 2n, reference },
    ]);
  });

  test("M-EVT-02 M-STO-16: what runs out is reported once, whether groups stay in memory or not", async () => {
    for (const cache of ["keep", "reload"] as const) {
      const world = await testGroup({ members: 3, cache });
      const { clock } = world;
      const { client, group } = world.member(1);
      const events = listen(client);
      clock.advance(82 * DAY);
      const { client: dave } = await world.newClient("dave");
      const { bytes } = await dave.createKeyPackage({ lifetime: 60n });
      await group.proposeAdd(bytes);
      clock.advance(61);
      taken(events);
      for (let i = 0; i < 3; i++) await reportExpiry(client);
      const types = taken(events).map(({ type }) => type);
      expect(types, cache).toEqual(["credentialExpiring", "proposalExpired"]);
      // A new leaf is another one, and what it has comes from no key package.
      await group.commitImmediately({ forcePath: true });
      taken(events);
      await reportExpiry(client);
      expect(taken(events), cache).toEqual([]);
    }
  });

  test("M-EVT-05: a Welcome that failed is stored and numbered like everything else", async () => {
    const world = await testGroup({ members: 1, eventLog: eventLog() });
    const { client } = await world.newClient("bob");
    const heard: (bigint | undefined)[] = [];
    client.on((_, sequence) => heard.push(sequence));
    const { bytes } = await client.createKeyPackage();
    const { welcomes } = await world.member(0).group.commitImmediately({ add: [bytes] });
    const broken = welcomes[0]!.bytes.slice();
    broken[broken.length - 1]! ^= 1;
    for (let i = 0; i < 2; i++) {
      await expect(client.stageWelcome(broken)).rejects.toMatchObject({ blame: "crypto" });
    }
    const stored = await replayEvents(client);
    expect(stored.map(({ event }) => event.type)).toEqual(["welcomeFailed", "welcomeFailed"]);
    expect(heard).toEqual(stored.map(({ sequence }) => sequence));
    await client.join(welcomes[0]!.bytes);
  });

  test("M-EVT-02: and so are forks and full buffers", async () => {
    const config = { bufferedMessages: 1 };
    const world = await testGroup({ members: 3, config });
    const [a, b, c] = world.groups as [Group, Group, Group];
    const events = listen(world.member(1).client);
    const [left, right] = [await a.update(), await c.update()];
    await b.process(left.commit, { accept: true });
    await b.process(right.commit);
    expect(taken(events).map(({ type }) => type)).toContain("forkSuspected");
    await a.acceptCommit();
    await a.commitImmediately();
    for (const text of ["one", "two"]) await b.process((await a.send(text)).bytes);
    expect(taken(events).map(({ type }) => type)).toEqual(["bufferFull"]);
  });

  test("M-EVT-05: what was not heard before a crash is replayed from a stored number", async () => {
    const store = faultStorage(memoryStorage());
    const world = await testGroup({
      members: ["alice", "bob"],
      storage: (name) => (name === "bob" ? store : memoryStorage()),
      eventLog: eventLog(),
    });
    const { client, group } = world.member(1);
    const start = (await replayEvents(client)).at(-1)?.sequence ?? 0n;
    const heard: [bigint | undefined, ClientEvent][] = [];
    client.on((event, sequence) => heard.push([sequence, event]));
    await world.say(0, "heard");
    expect(heard.map(([sequence]) => sequence)).toEqual([start + 1n]);
    // The process dies right after the write: nobody hears of these.
    const { bytes } = await world.member(0).group.proposeUpdate();
    store.plan.crashAfterWrite = store.writes + 1;
    await expect(group.process(bytes, { accept: true })).rejects.toMatchObject({
      blame: "storage",
    });
    expect(heard).toHaveLength(1);
    const again = await world.reopen(1, store.reopen());
    const missed = await replayEvents(again.client, start + 1n);
    expect(missed).toMatchObject([
      { sequence: start + 2n, event: { type: "proposalReceived", groupId: group.id } },
    ]);
    // Every kind of value comes back as it was.
    const live = listen(again.client);
    await world.commit(1, {
      exclude: [missed[0]!.event.type === "proposalReceived" ? missed[0]!.event.reference : bytes],
    });
    await world.add(["carol"]);
    const logged = await replayEvents(again.client, start + 2n);
    expect(logged.map(({ event }) => event)).toEqual(live.map(withoutUndefined));
    expect(live.map(({ type }) => type)).toContain("proposalDropped");
    expect(logged.map(({ sequence }) => sequence)).toEqual(
      live.map((_, i) => start + 3n + BigInt(i)),
    );
    // No event of what was not written, and no gap where it would have been.
    const { client: now, group: inNow } = again;
    const last = logged.at(-1)!.sequence;
    const aborted = now.transaction(async (tx) => {
      await (await tx.group(inNow.id)).update();
      throw new Error("no");
    });
    await expect(aborted).rejects.toThrow("no");
    await inNow.update();
    expect(await replayEvents(now, last)).toMatchObject([
      { sequence: last + 1n, event: { type: "commitStaged" } },
    ]);
    await acknowledgeEvents(now, last);
    expect((await replayEvents(now)).map(({ sequence }) => sequence)).toEqual([last + 1n]);
  });

  test("a log keeps a limited number of events, and groups write to it side by side", async () => {
    const world = await testGroup({ members: 1, eventLog: eventLog({ limit: 5 }) });
    const { client, group } = world.member(0);
    const other = await client.createGroup();
    const heard: bigint[] = [];
    client.on((_, sequence) => heard.push(sequence!));
    for (let i = 0; i < 3; i++) {
      await Promise.all([group.commitImmediately(), other.commitImmediately()]);
    }
    expect(heard).toEqual([...heard].sort((a, b) => Number(a - b)));
    expect(new Set(heard).size).toBe(heard.length);
    const kept = await replayEvents(client);
    expect(kept.map(({ sequence }) => sequence)).toEqual(heard.slice(-5));
  });
});
