/** Rules P-CR, P-BUF, P-OWN: what a client needs on top of the protocol. */
import { describe, expect, test } from "vitest";
import { toHex, utf8 } from "../../src/codec/index.ts";
import { Client, commitDelay, customProposal, type Group, type Outcome } from "../../src/index.ts";
import { assertAgreement, testClock, testGroup } from "../../src/testing/index.ts";
import { dump, faultyWorld, kinds, listen } from "../support/faulty-world.ts";

function replayedOf(outcome: Outcome): readonly Outcome[] {
  if (outcome.kind !== "commit" && outcome.kind !== "ownCommit") throw new Error(outcome.kind);
  return outcome.replayed;
}

describe("crash safety", () => {
  test("P-CR-01: neither a discarded Commit nor an unsent message gives back its generation", async () => {
    const { world, store } = await faultyWorld();
    const { group } = world.member(0);
    const first = await group.update();
    await group.discardCommit();
    expect((await group.send("never sent")).generation).toBe(0);
    const { group: again } = await world.reopen(0, store(0).reopen());
    const second = await again.update();
    expect(toHex(second.commit)).not.toBe(toHex(first.commit));
    expect(again.nextGeneration).toBe(1);
    // The receiver saw the first one's generation: the second must have another.
    const other = world.member(1).group;
    await other.process(first.commit);
    expect((await other.process(second.commit, { accept: true })).kind).toBe("commit");
    await again.acceptCommit();
    world.assertAgreement();
  });

  test("P-CR-02: a time-out keeps the pending Commit, and the same bytes go out again", async () => {
    const world = await testGroup({ members: 2 });
    const { group } = world.member(0);
    const sent: Uint8Array[] = [];
    const lost = group.commitAndDeliver(({ commit }) => {
      sent.push(commit);
      throw new Error("connection lost");
    });
    await expect(lost).rejects.toMatchObject({ code: "TRANSPORT_RETRY", retryable: true });
    expect(group.status).toBe("pendingCommit");
    const unknown = group.redeliver(({ commit }) => {
      sent.push(commit);
      return { type: "retry", reason: "504" };
    });
    await expect(unknown).rejects.toMatchObject({ code: "TRANSPORT_RETRY" });
    expect(group.status).toBe("pendingCommit");
    await group.redeliver(async ({ commit }) => {
      sent.push(commit);
      await world.deliver(commit, 0);
      return { type: "accepted" };
    });
    expect(new Set(sent.map(toHex)).size).toBe(1);
    world.assertAgreement();
  });
});

describe("buffering", () => {
  test("P-BUF-01: what is early by one epoch, lacks its proposal, or precedes a join is kept", async () => {
    const world = await testGroup({ members: 3 });
    const [a, b, c] = world.groups as [Group, Group, Group];
    const update = await a.update();
    await b.process(update.commit, { accept: true });
    await a.acceptCommit();
    const early = await a.send("early");
    const next = await b.update();
    await a.process(next.commit, { accept: true });
    await b.acceptCommit();
    const tooEarly = await a.send("too early");
    expect(await c.process(early.bytes)).toMatchObject({ kind: "future", isBuffered: true });
    expect(await c.process(tooEarly.bytes)).toMatchObject({ kind: "farFuture", isBuffered: false });
    const merged = await c.process(update.commit, { accept: true });
    expect(kinds(replayedOf(merged))).toEqual(["application"]);
    await c.process(next.commit, { accept: true });
    world.assertAgreement();

    const proposal = await a.proposeUpdate();
    await b.process(proposal.bytes, { accept: true });
    const commit = await b.commit();
    await a.process(commit.commit, { accept: true });
    await b.acceptCommit();
    expect(await c.process(commit.commit, { accept: true })).toMatchObject({
      kind: "missingProposal",
      missing: [proposal.reference],
    });
    expect((await c.process(proposal.bytes, { accept: true })).kind).toBe("commit");
    world.assertAgreement();

    const { client } = await world.newClient("dave");
    const join = await client.joinExternally(await a.groupInfo());
    await world.deliver(join.commit);
    const greeting = await a.send("welcome");
    expect(await join.group.process(greeting.bytes)).toMatchObject({
      kind: "buffered",
      isBuffered: true,
    });
    const joined = await join.group.process(join.commit);
    expect(kinds(replayedOf(joined))).toEqual(["application"]);
  });

  test("P-BUF-02: the oldest of 256 early messages make room, with an event", async () => {
    const world = await testGroup({ members: 2 });
    const [a, b] = world.groups as [Group, Group];
    const events = listen(world.member(1).client);
    const { commit } = await a.update();
    await a.acceptCommit();
    const sent = await a.sendMany(Array.from({ length: 258 }, (_, i) => `${i}`));
    await b.processMany(sent.map(({ bytes }) => bytes));
    expect(events.filter(({ type }) => type === "bufferFull")).toHaveLength(2);
    const replayed = replayedOf(await b.process(commit, { accept: true }));
    expect(replayed).toHaveLength(256);
    expect(replayed[0]).toMatchObject({ kind: "application", generation: 2 });
    const missed = await b.process(sent[0]!.bytes);
    expect(missed.kind).toBe("application");
  });

  test("P-BUF-02: a group keeps 4 MiB, and the oldest make room", async () => {
    const world = await testGroup({ members: 2, config: { padding: { type: "none" } } });
    const [a, b] = world.groups as [Group, Group];
    const events = listen(world.member(1).client);
    const { commit } = await a.update();
    await a.acceptCommit();
    const data = new Uint8Array(2 ** 20 - 1000);
    const sent = await a.sendMany(Array(5).fill(data));
    const early = sent.map(({ bytes }) => bytes);
    for (const bytes of early.slice(0, 4)) await b.process(bytes);
    expect(events).toEqual([]);
    expect(await b.process(early[4]!)).toMatchObject({ kind: "future", isBuffered: true });
    expect(events).toEqual([{ type: "bufferFull", groupId: a.id, epoch: 1n }]);
    const replayed = replayedOf(await b.process(commit, { accept: true }));
    expect(replayed).toMatchObject([1, 2, 3, 4].map((generation) => ({ generation })));
  });

  test("P-BUF-02: a client keeps 64 MiB in all groups, and the oldest of all make room", async () => {
    const clock = testClock();
    const world = await testGroup({ members: 2, clock, config: { padding: { type: "none" } } });
    const [alice, bob] = world.members.map(({ client }) => client) as [Client, Client];
    const storage = world.member(1).storage;
    const data = new Uint8Array(2 ** 20 - 1000);
    const groups: { id: Uint8Array; commit: Uint8Array; early: readonly Uint8Array[] }[] = [];
    for (let i = 0; i < 17; i++) {
      const { group } = await alice.createGroupWith([(await bob.createKeyPackage()).bytes]);
      const { welcomes } = await group.acceptCommit();
      await bob.join(welcomes[0]!.bytes);
      const { commit } = await group.update();
      await group.acceptCommit();
      const sent = await group.sendMany(Array(i < 16 ? 4 : 2).fill(data));
      groups.push({ id: group.id, commit, early: sent.map(({ bytes }) => bytes) });
    }
    const events = listen(bob);
    const inOrder = groups.flatMap(({ early }) => early);
    for (const bytes of inOrder.slice(0, 64)) {
      clock.advance(1);
      await bob.process(bytes);
    }
    expect(events).toEqual([]);
    clock.advance(1);
    expect(await bob.process(inOrder[64]!)).toMatchObject({ kind: "future", isBuffered: true });
    const [first, second] = groups as [(typeof groups)[0], (typeof groups)[0]];
    expect(events).toEqual([{ type: "bufferFull", groupId: first.id, epoch: 1n }]);
    const kept = await storage.list("g");
    const size = kept.reduce(
      (sum, { key, value }) => sum + (/^g\d+\/b/.test(key) ? value.length : 0),
      0,
    );
    expect(size).toBeGreaterThan(63 * 2 ** 20);
    expect(size).toBeLessThanOrEqual(64 * 2 ** 20);
    // Going on with the group that lost a message: it is as after a change by another process.
    const group = await bob.group(first.id);
    const replayed = replayedOf(await group.process(first.commit, { accept: true }));
    expect(replayed).toMatchObject([1, 2, 3].map((generation) => ({ generation })));
    await group.send("still there");
    const other = await bob.group(second.id);
    expect(replayedOf(await other.process(second.commit, { accept: true }))).toHaveLength(4);
    // Room was made: nothing has to go now.
    events.length = 0;
    await bob.process(inOrder[65]!);
    expect(events.filter(({ type }) => type === "bufferFull")).toEqual([]);
  });

  test("P-BUF-02 P-TX-04: a group that is in the same transaction and has to make room is read again", async () => {
    const clock = testClock();
    const world = await testGroup({ members: 2, clock, bufferedBytes: 1000 });
    const [alice, bob] = world.members.map(({ client }) => client) as [Client, Client];
    const made: { id: Uint8Array; commit: Uint8Array; early: Uint8Array }[] = [];
    for (let i = 0; i < 2; i++) {
      const { group } = await alice.createGroupWith([(await bob.createKeyPackage()).bytes]);
      const { welcomes } = await group.acceptCommit();
      await bob.join(welcomes[0]!.bytes);
      const { commit } = await group.update();
      await group.acceptCommit();
      const { bytes: early } = await group.send("x".repeat(450));
      made.push({ id: group.id, commit, early });
    }
    const [first, second] = made as [(typeof made)[0], (typeof made)[0]];
    await bob.process(first.early);
    clock.advance(1);
    await bob.transaction(async (tx) => {
      await (await tx.group(first.id)).configure({ pastEpochs: 2 });
      await (await tx.group(second.id)).process(second.early);
    });
    const group = await bob.group(first.id);
    expect(replayedOf(await group.process(first.commit, { accept: true }))).toEqual([]);
    const other = await bob.group(second.id);
    expect(replayedOf(await other.process(second.commit, { accept: true }))).toHaveLength(1);
  });

  test("P-BUF-02: group, epoch and size are checked before anything is stored", async () => {
    const world = await testGroup({ members: 2, config: { bufferedBytes: 5000 } });
    const [a, b] = world.groups as [Group, Group];
    const { client, storage } = world.member(1);
    const stranger = await testGroup({ members: 1 });
    const foreign = (await stranger.member(0).group.send("x")).bytes;
    const ended = (await a.update()).commit;
    await a.acceptCommit();
    const large = (await a.send(new Uint8Array(5000))).bytes;
    const ahead = (await a.update()).commit;
    await a.acceptCommit();
    const tooFar = (await a.send("two epochs ahead")).bytes;
    const before = await dump(storage);
    expect((await client.process(foreign)).kind).toBe("unknownGroup");
    expect((await b.process(foreign)).kind).toBe("wrongGroup");
    expect(await b.process(tooFar)).toMatchObject({ kind: "farFuture", isBuffered: false });
    expect(await b.process(large)).toMatchObject({ kind: "future", isBuffered: false });
    expect(await dump(storage)).toBe(before);
    // The same while a join waits: what comes before it, or long after, could never be read.
    const { client: carol, storage: carols } = await world.newClient("carol");
    const { group: waiting } = await carol.joinExternally(await a.groupInfo());
    const pending = await dump(carols);
    expect(await waiting.process(ended)).toMatchObject({ kind: "stale", isBuffered: false });
    expect(await waiting.process(tooFar)).toMatchObject({ kind: "epochTooOld", isBuffered: false });
    expect(await dump(carols)).toBe(pending);
    await b.process(ended, { accept: true });
    await b.process(ahead, { accept: true });
    expect(await b.process(tooFar)).toMatchObject({ kind: "application" });
  });

  test("P-BUF-02: early messages wait for seven days and no longer", async () => {
    const clock = testClock();
    const world = await testGroup({ members: 2, clock });
    const [a, b] = world.groups as [Group, Group];
    const { commit } = await a.update();
    await a.acceptCommit();
    const [expired, kept] = [await a.send("expired"), await a.send("kept")];
    await b.process(expired.bytes);
    clock.advance(1);
    await b.process(kept.bytes);
    clock.advance(7 * 86_400);
    const replayed = replayedOf(await b.process(commit, { accept: true }));
    expect(replayed).toMatchObject([{ kind: "application", generation: 1 }]);
  });

  test("P-BUF-02: what is over goes also in groups that hear of nothing", async () => {
    const clock = testClock();
    const world = await testGroup({ members: 2, clock });
    const [alice, bob] = world.members.map(({ client }) => client) as [Client, Client];
    const { storage } = world.member(1);
    const { group } = await alice.createGroupWith([(await bob.createKeyPackage()).bytes]);
    const { welcomes } = await group.acceptCommit();
    await bob.join(welcomes[0]!.bytes);
    await group.commitImmediately();
    const quiet = (await group.send("quiet")).bytes;
    await bob.process(quiet);
    expect(await dump(storage)).toContain(toHex(quiet));
    clock.advance(7 * 86_400 + 1);
    const [a, b] = world.groups as [Group, Group];
    await a.commitImmediately();
    const early = (await a.send("early")).bytes;
    expect(await b.process(early)).toMatchObject({ isBuffered: true });
    expect(await dump(storage)).not.toContain(toHex(quiet));
    expect(await dump(storage)).toContain(toHex(early));
  });

  test("P-BUF-03: the replay takes messages, proposals and Commits in turn and survives bad ones", async () => {
    const world = await testGroup({ members: 3, config: { autoAccept: true } });
    const [a, b, c] = world.groups as [Group, Group, Group];
    const first = await a.update();
    await b.process(first.commit);
    await a.acceptCommit();
    const message = await a.send("hello");
    const damaged = (await a.send("damaged")).bytes.slice();
    damaged[damaged.length - 1]! ^= 1;
    const proposal = await a.proposeUpdate();
    await b.process(proposal.bytes);
    const second = await b.commit();
    for (const bytes of [second.commit, proposal.bytes, damaged, message.bytes]) {
      expect(await c.process(bytes)).toMatchObject({ kind: "future", isBuffered: true });
    }
    const replayed = replayedOf(await c.process(first.commit));
    // The Commit needs the proposal, whose outcome it replaces: it came first and was tried last.
    expect(kinds(replayed)).toEqual(["invalid", "application", "commit"]);
    expect(replayed[2]).toMatchObject({ isMerged: true, replayed: [] });
    await a.process(second.commit);
    await b.acceptCommit();
    world.assertAgreement();
    // Nothing is left to be replayed again.
    const third = await a.update();
    expect(replayedOf(await c.process(third.commit))).toEqual([]);
  });

  test("P-BUF-03: a replayed Commit makes the rest readable without a replay inside", async () => {
    const world = await testGroup({ members: 2, config: { autoAccept: true } });
    const [a] = world.groups as [Group];
    const { client } = await world.newClient("carol");
    const join = await client.joinExternally(await a.groupInfo());
    await world.deliver(join.commit);
    const { commit } = await a.update();
    await a.acceptCommit();
    const later = await a.send("in the epoch after");
    await join.group.process(later.bytes);
    await join.group.process(commit);
    const replayed = replayedOf(await join.group.process(join.commit));
    expect(kinds(replayed)).toEqual(["commit", "application"]);
    expect(replayed[0]).toMatchObject({ replayed: [] });
    assertAgreement([a, join.group]);
  });

  test("P-BUF-04: a waiting Commit is tried after each proposal that it might have waited for", async () => {
    const world = await testGroup({ members: 4 });
    const [a, b, c, d] = world.groups as [Group, Group, Group, Group];
    const proposals = [await a.proposeUpdate(), await b.proposeUpdate()];
    for (const { bytes } of proposals) {
      for (const group of [a, b, c]) await group.process(bytes, { accept: true });
    }
    const { commit } = await c.commit();
    expect(await d.process(commit)).toMatchObject({ kind: "missingProposal" });
    expect((await d.process(proposals[0]!.bytes, { accept: true })).kind).toBe("proposal");
    const last = await d.process(proposals[1]!.bytes, { accept: true });
    expect(last).toMatchObject({ kind: "commit", isMerged: true });
    for (const group of [a, b]) await group.process(commit, { accept: true });
    await c.acceptCommit();
    world.assertAgreement();
  });

  test("P-BUF-03: what cannot be decoded any more after a restart is dropped, and Commits go on", async () => {
    const config = { handshake: { send: "public", accept: "both" } } as const;
    const proposals = new Map([[0xf001, {}]]);
    const types = { proposals, credentials: new Map(), extensions: new Set([0xf0a1]) };
    const world = await testGroup({ members: 3, config, types });
    const [a, b] = world.groups as [Group, Group];
    const next = async (): Promise<Uint8Array> => {
      const { commit } = await a.update();
      await b.process(commit, { accept: true });
      await a.acceptCommit();
      return commit;
    };
    const commits = [await next()];
    const early = await a.propose(customProposal(0xf001, utf8("x")));
    const group = world.member(2).group;
    expect(await group.process(early.bytes)).toMatchObject({ kind: "future", isBuffered: true });
    await a.dropAllProposals();
    // The application forgot the type.
    const { storage, name } = world.member(2);
    const client = await Client.open({
      authenticationService: world.directory,
      clock: world.clock,
      storage,
      identity: name,
    });
    const reopened = await client.group(group.id);
    const merged = await reopened.process(commits[0]!, { accept: true });
    expect(merged).toMatchObject({ kind: "commit", isMerged: true, replayed: [] });
    commits.push(await next());
    const own = await reopened.process(commits[1]!, { accept: true });
    expect(own).toMatchObject({ kind: "commit", isMerged: true });
    expect(reopened.epochAuthenticator).toEqual(a.epochAuthenticator);
  });

  test("P-BUF-03: nor does a lower limit keep our own Commit from being accepted", async () => {
    const config = { handshake: { send: "public", accept: "both" } } as const;
    const world = await testGroup({ members: 2, config });
    const { group, storage, name } = world.member(1);
    const [a] = world.groups as [Group];
    await a.update();
    await a.acceptCommit();
    const dave = (await world.newClient("dave")).client;
    const early = await a.proposeAdd((await dave.createKeyPackage({ lastResort: true })).bytes);
    expect(await group.process(early.bytes)).toMatchObject({ kind: "future", isBuffered: true });
    const client = await Client.open({
      authenticationService: world.directory,
      clock: world.clock,
      limits: { maximumExtensions: 0 },
      storage,
      identity: name,
    });
    const reopened = await client.group(group.id);
    await reopened.update();
    expect((await reopened.acceptCommit()).replayed).toEqual([]);
    expect(reopened.epoch).toBe(2n);
  });

  test("P-BUF-05: being removed wipes the buffer", async () => {
    const world = await testGroup({ members: 3 });
    const [a, b, c] = world.groups as [Group, Group, Group];
    const { storage } = world.member(2);
    const { commit } = await a.remove([c.ownLeafIndex]);
    await b.process(commit, { accept: true });
    await a.acceptCommit();
    const early = await a.send("not for you");
    expect((await c.process(early.bytes)).kind).toBe("future");
    const hidden = toHex(early.bytes);
    expect(await dump(storage)).toContain(hidden);
    expect((await c.process(commit, { accept: true })).kind).toBe("removed");
    expect(await dump(storage)).not.toContain(hidden);
  });
});

describe("own Commits", () => {
  test("P-OWN-01: a Commit is merged when it is accepted or echoed, and by nothing else", async () => {
    const world = await testGroup({ members: 2 });
    const [a, b] = world.groups as [Group, Group];
    const first = await a.update();
    await b.process((await b.send("something else")).bytes);
    await a.process((await b.send("and more")).bytes, { accept: true });
    expect([a.status, a.epoch]).toEqual(["pendingCommit", 1n]);
    await b.process(first.commit, { accept: true });
    await a.acceptCommit();
    const second = await b.update();
    await a.process(second.commit, { accept: true });
    const echo = await b.process(second.commit, { accept: true });
    expect(echo).toMatchObject({ kind: "ownCommit", isMerged: true });
    const third = await a.update();
    const seen = await a.process(third.commit);
    expect(seen).toMatchObject({ kind: "ownCommit", isMerged: false });
    expect(a.status).toBe("pendingCommit");
    await b.process(third.commit, { accept: true });
    if (seen.kind === "ownCommit") await seen.accept();
    world.assertAgreement();
  });

  test("P-OWN-03: a pending proposal blocks data until the member whose turn it is commits", async () => {
    const world = await testGroup({ members: 3 });
    const proposal = await world.member(0).group.proposeUpdate();
    await world.deliver(proposal.bytes, 0);
    const turns = world.groups.map(({ commitDelay: delay }) => delay);
    expect(new Set(turns).size).toBe(3);
    for (const group of world.groups) {
      await expect(group.send("x")).rejects.toMatchObject({ code: "COMMIT_REQUIRED" });
    }
    const first = turns.indexOf(0);
    await world.commit(first === 0 ? 1 : first);
    await world.say(0, "unblocked");
    expect(world.groups.map(({ commitDelay: delay }) => delay)).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
    expect(commitDelay(10, 9, 1n)).toBe(0);
  });

  test("P-OWN-04: duplicates are told by generation, by reference, and by hash, also after a restart", async () => {
    const { world, store } = await faultyWorld(3);
    const [a, b] = world.groups as [Group, Group];
    const message = await a.send("once");
    const proposal = await a.proposeUpdate();
    for (const bytes of [message.bytes, proposal.bytes]) await world.deliver(bytes, 0);
    const { commit } = await b.commit();
    expect((await b.process(proposal.bytes)).kind).toBe("duplicate");
    expect((await a.process(proposal.bytes)).kind).toBe("ownProposal");
    await world.deliver(commit, 1);
    await b.process(commit, { accept: true });
    for (const again of [false, true]) {
      if (again) {
        for (const index of [0, 1, 2]) await world.reopen(index, store(index).reopen());
      }
      for (const [index, { group }] of world.members.entries()) {
        expect((await group.process(message.bytes)).kind).toBe(
          index === 0 ? "ownMessage" : "duplicate",
        );
        expect((await group.process(commit)).kind).toBe("duplicate");
      }
    }
    world.assertAgreement();
  });
});
