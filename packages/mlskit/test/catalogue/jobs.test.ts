/** Work that competes with others and goes on after a restart: P-OWN-02, P-TX-08, M-UPD, M-MD, M-DS. */
import { describe, expect, test } from "vitest";
import { toHex, utf8 } from "../../src/codec/index.ts";
import {
  addDevice,
  commitOrPropose,
  type GroupTransport,
  type JobProgress,
  membersByIdentity,
  processBatches,
  removeDevice,
  rotateIdentity,
  unfinishedRotations,
} from "../../src/production/index.ts";
import {
  type AcceptedCommit,
  Client,
  type DeliveryAnswer,
  type Group,
  KeyDirectory,
  type Outcome,
  type PendingCommitView,
} from "../../src/index.ts";
import { memoryStorage } from "../../src/storage/memory.ts";
import type { Storage } from "../../src/storage/storage.ts";
import {
  assertAgreement,
  type FaultStorage,
  faultStorage,
  testGroup,
  VirtualDeliveryService,
} from "../../src/testing/index.ts";

const sameGroup = (id: Uint8Array) => (group: Group) => toHex(group.id) === toHex(id);

/** One order for all groups, and clients that read it. */
class Post {
  readonly service = new VirtualDeliveryService();
  readonly clients: Client[] = [];
  readonly sent: string[] = [];
  readonly #cursors = new Map<string, number>();
  /** Called before a Commit arrives. */
  beforeCommit: (group: Group) => Promise<void> = async () => undefined;

  /** Everybody but `except` reads everything. */
  async spread(id: Uint8Array, except?: Client): Promise<void> {
    for (const client of this.clients) if (client !== except) await this.read(client, id);
  }

  async read(client: Client, id: Uint8Array): Promise<Outcome[]> {
    const group = (await client.groups()).find(sameGroup(id));
    const key = `${this.clients.indexOf(client)} ${toHex(id)}`;
    const last = this.#cursors.get(key) ?? 0;
    this.#cursors.set(key, this.service.lastSequence(id));
    const outcomes: Outcome[] = [];
    if (group === undefined) return outcomes;
    for (const { bytes, epoch } of this.service.entriesAfter(id, last)) {
      if (epoch < group.epoch) continue;
      outcomes.push(await group.process(bytes, { accept: true }));
    }
    return outcomes;
  }

  transport(client: Client): GroupTransport {
    return {
      deliver: async ({ commit }, group): Promise<DeliveryAnswer> => {
        await this.beforeCommit(group);
        this.sent.push(toHex(commit));
        return { type: this.service.submit(commit).type };
      },
      catchUp: (group) => this.read(client, group.id),
      propose: ({ bytes }) => this.service.submit(bytes),
      accepted: async ({ welcomes }, group) => {
        for (const { bytes } of welcomes) {
          for (const other of this.clients) await other.join(bytes).catch(() => undefined);
        }
        await this.spread(group.id, client);
      },
    };
  }
}

/** Alice and Bob in some groups that a delivery service orders. */
async function people(groups: number) {
  const directory = new KeyDirectory();
  const post = new Post();
  const create = async (identity: string, storage: Storage = memoryStorage()) => {
    const client = await Client.create({ storage, authenticationService: directory, identity });
    directory.add(client.identity);
    post.clients.push(client);
    return client;
  };
  const storage = faultStorage(memoryStorage());
  const alice = await create("alice", storage);
  const bob = await create("bob");
  const ids: Uint8Array[] = [];
  for (let i = 0; i < groups; i++) {
    const keyPackage = (await bob.createKeyPackage()).bytes;
    const { group } = await alice.createGroupWith([keyPackage]);
    const { welcomes } = await group.acceptCommit();
    await bob.join(welcomes[0]!.bytes);
    post.service.register(group.id, 1n);
    ids.push(group.id);
  }
  const reopen = async (): Promise<Client> => {
    const again = await Client.open({
      storage: storage.reopen(),
      authenticationService: directory,
      identity: "alice",
    });
    post.clients[0] = again;
    return again;
  };
  return { directory, post, alice, bob, ids, create, reopen, storage };
}

/** Bob is always faster. */
const bobWins = (post: Post, bob: Client) => async (group: Group) => {
  const own = await bob.group(group.id);
  const { commit } = await own.update();
  post.service.submit(commit);
  await own.acceptCommit();
};

describe("own Commits in competition", () => {
  test("P-OWN-02: after three lost races in a row the wishes go out as proposals", async () => {
    const { post, alice, bob, ids, create } = await people(1);
    const carol = await create("carol");
    const keyPackage = (await carol.createKeyPackage()).bytes;
    const group = await alice.group(ids[0]!);
    const wishes = (now: Group) =>
      now.findMembers({ identity: "carol" }).length > 0 ? undefined : { add: [keyPackage] };
    post.beforeCommit = bobWins(post, bob);
    const result = await commitOrPropose(group, wishes, post.transport(alice));
    expect(post.sent).toHaveLength(3);
    expect(new Set(post.sent).size).toBe(3);
    expect(result).toMatchObject({ type: "proposed", proposals: [{ epoch: 4n }] });
    expect([group.status, group.epoch]).toEqual(["active", 4n]);
    // Bob commits what Alice proposed.
    await post.read(bob, group.id);
    const other = await bob.group(group.id);
    const { commit } = await other.commit();
    post.service.submit(commit);
    const { welcomes } = await other.acceptCommit();
    const joined = await carol.join(welcomes[0]!.bytes);
    await post.read(alice, group.id);
    assertAgreement([group, other, joined]);
    expect(await commitOrPropose(group, wishes, post.transport(alice))).toEqual({
      type: "nothingToDo",
      handOutErrors: [],
    });
  });

  test("two lost races and then a Commit; the wish for new keys becomes an Update", async () => {
    const { post, alice, bob, ids } = await people(1);
    const group = await alice.group(ids[0]!);
    let races = 0;
    post.beforeCommit = async (now) => {
      races += 1;
      if (races <= 2) await bobWins(post, bob)(now);
    };
    const won = await commitOrPropose(group, () => ({ forcePath: true }), post.transport(alice));
    expect([won.type, races]).toEqual(["committed", 3]);
    post.beforeCommit = bobWins(post, bob);
    const lost = await commitOrPropose(group, () => ({}), post.transport(alice));
    expect(lost.type).toBe("proposed");
    expect((await group.proposals()).map(({ proposal }) => proposal.type)).toEqual(["update"]);
  });
});

describe("the transport", () => {
  test("M-DS-06: accepted merges, rejected discards, retry keeps the Commit pending", async () => {
    const world = await testGroup({ members: 2 });
    const { group } = world.member(0);
    const seen: [string, Uint8Array][] = [];
    const answer =
      (reply: DeliveryAnswer) =>
      ({ commit }: PendingCommitView): DeliveryAnswer => {
        seen.push([group.status, commit]);
        return reply;
      };
    await expect(
      group.commitAndDeliver(answer({ type: "rejected", reason: "403" })),
    ).rejects.toMatchObject({ code: "TRANSPORT_REJECTED", details: { reason: "403" } });
    expect([group.status, group.epoch]).toEqual(["active", 1n]);
    await expect(
      group.commitAndDeliver(answer({ type: "retry", reason: "503" })),
    ).rejects.toMatchObject({ code: "TRANSPORT_RETRY", retryable: true });
    expect([group.status, group.epoch]).toEqual(["pendingCommit", 1n]);
    const accepted = await group.redeliver(answer({ type: "accepted" }));
    expect([group.status, group.epoch, accepted.epoch]).toEqual(["active", 2n, 2n]);
    // It was durable each time before it left, and went out again unchanged.
    expect(seen.map(([status]) => status)).toEqual(Array(3).fill("pendingCommit"));
    expect(seen[2]![1]).toEqual(seen[1]![1]);
  });

  test("a conflict keeps the Commit until the winner is processed, whose outcome has the wishes", async () => {
    const world = await testGroup({ members: 2 });
    const [a, b] = world.groups as [Group, Group];
    const winner = await b.update();
    await b.acceptCommit();
    const lost = a.commitAndDeliver(() => ({ type: "conflict" }), { extensions: [] });
    await expect(lost).rejects.toMatchObject({
      code: "TRANSPORT_REJECTED",
      details: { reason: "conflict" },
    });
    expect(a.status).toBe("pendingCommit");
    const outcome = await a.process(winner.commit, { accept: true });
    expect(a.status).toBe("active");
    if (outcome.kind !== "commit") throw new Error(outcome.kind);
    expect(outcome.discarded!.proposals.map(({ type }) => type)).toEqual([
      "groupContextExtensions",
    ]);
  });

  test("M-DS-03: a Welcome is released when its Commit is accepted, and not before", async () => {
    const { post, alice, ids, create } = await people(1);
    const carol = await create("carol");
    const keyPackage = (await carol.createKeyPackage()).bytes;
    const group = await alice.group(ids[0]!);
    const pending = await group.add([keyPackage]);
    expect(pending.welcomes).toBeUndefined();
    expect(group.pendingCommit).toMatchObject({ commit: pending.commit });
    expect("welcomes" in group.pendingCommit! && group.pendingCommit.welcomes).toBeFalsy();
    await group.discardCommit();
    const released: AcceptedCommit[] = [];
    const refused = group.commitAndDeliver(() => ({ type: "rejected", reason: "no" }), {
      add: [keyPackage],
    });
    await expect(refused.then((accepted) => released.push(accepted))).rejects.toBeDefined();
    const lost = group.commitAndDeliver(() => ({ type: "retry", reason: "?" }), {
      add: [keyPackage],
    });
    await expect(lost.then((accepted) => released.push(accepted))).rejects.toBeDefined();
    expect(released).toEqual([]);
    const accepted = await group.redeliver(({ commit }) => post.service.submit(commit) as never);
    expect(accepted.welcomes).toHaveLength(1);
    const joined = await carol.join(accepted.welcomes[0]!.bytes);
    assertAgreement([group, joined]);
    // The echo releases it as well, and only once it is merged.
    const dave = await create("dave");
    const next = await group.add([(await dave.createKeyPackage()).bytes]);
    const echo = await group.process(next.commit);
    expect(echo).toMatchObject({ kind: "ownCommit", isMerged: false, welcomes: [] });
    if (echo.kind !== "ownCommit") throw new Error(echo.kind);
    expect((await echo.accept()).welcomes).toHaveLength(1);
  });

  test("P-TX-08: inside a transaction the network is reached after the write only, for a limited time", async () => {
    const directory = new KeyDirectory();
    const storage = faultStorage(memoryStorage());
    const options = { storage, authenticationService: directory, transportTimeout: 30 };
    const client = await Client.create({ ...options, identity: "alice" });
    directory.add(client.identity);
    const group = await client.createGroup();
    const seen: unknown[] = [];
    await client.transaction(async (tx) => {
      const inside = await tx.group(group.id);
      const early = inside.commitAndDeliver(() => ({ type: "accepted" }));
      await expect(early).rejects.toMatchObject({ code: "TRANSACTION_OPEN" });
      await inside.commitImmediately();
      const writes = storage.writes;
      tx.deliver(() => {
        seen.push([storage.writes - writes, group.epoch]);
      });
    });
    expect(seen).toEqual([[1, 1n]]);
    // Nothing leaves if nothing is written.
    const aborted = client.transaction(async (tx) => {
      tx.deliver(() => seen.push("left"));
      throw new Error("no");
    });
    await expect(aborted).rejects.toThrow("no");
    expect(seen).toHaveLength(1);
    const never = new Promise<never>(() => undefined);
    const stuck = client.transaction(async (tx) => {
      await (await tx.group(group.id)).commitImmediately();
      tx.deliver(() => never);
    });
    await expect(stuck).rejects.toMatchObject({ code: "TRANSPORT_RETRY" });
    expect(group.epoch).toBe(2n);
    await expect(group.commitAndDeliver(() => never)).rejects.toMatchObject({
      code: "TRANSPORT_RETRY",
    });
    expect(group.status).toBe("pendingCommit");
  });

  test("P-TX-08: a first sync takes one transaction per 100 messages", async () => {
    const stores: FaultStorage[] = [];
    const storage = (): FaultStorage => {
      const store = faultStorage(memoryStorage());
      stores.push(store);
      return store;
    };
    const world = await testGroup({ members: 2, storage });
    const { client } = world.member(1);
    const sent = await world
      .member(0)
      .group.sendMany(Array.from({ length: 250 }, (_, i) => `${i}`));
    const writes = stores[1]!.writes;
    const sizes: [number, number][] = [];
    const messages = sent.map(({ bytes }) => bytes);
    for await (const outcomes of processBatches(client, messages, {
      onBatch: (tx, batch) => {
        tx.setCheckpoint(utf8(`${batch.length}`));
        expect(batch.every(({ kind }) => kind === "application")).toBe(true);
      },
    })) {
      sizes.push([outcomes.length, stores[1]!.writes - writes]);
    }
    expect(sizes).toEqual([
      [100, 1],
      [200 - 100, 2],
      [50, 3],
    ]);
    expect(await client.transaction((tx) => tx.checkpoint())).toEqual(utf8("50"));
  });

  test("P-TX-08: a signal aborts until the write and has no effect after it", async () => {
    const world = await testGroup({ members: 2 });
    const { client, group } = world.member(0);
    const before = new AbortController();
    const aborted = client.transaction(
      async (tx) => {
        await (await tx.group(group.id)).update();
        before.abort();
      },
      { signal: before.signal },
    );
    await expect(aborted).rejects.toThrow(/abort/i);
    expect(group.status).toBe("active");
    const after = new AbortController();
    const result = await client.transaction(
      async (tx) => {
        await (await tx.group(group.id)).update();
        tx.deliver(() => after.abort());
        return "written";
      },
      { signal: after.signal },
    );
    expect([result, group.status]).toEqual(["written", "pendingCommit"]);
    await group.acceptCommit();
    const { bytes } = await world
      .member(1)
      .group.send("x")
      .catch(() => ({ bytes: undefined }));
    const sync = processBatches(client, bytes === undefined ? [] : [bytes], {
      signal: after.signal,
    });
    await expect(sync.next()).rejects.toThrow(/abort/i);
  });
});

/** Accepts each Commit, which this client follows. */
function deliveryTo(other: Client): GroupTransport {
  return {
    deliver: async ({ commit }, group) => {
      await (await other.group(group.id)).process(commit, { accept: true });
      return { type: "accepted" };
    },
    propose: () => undefined,
    catchUp: () => undefined,
  };
}

describe("jobs over all groups", () => {
  test("M-UPD-08: a group that is entered while a rotation goes on takes part in it", async () => {
    const world = await testGroup({ members: 2 });
    const [{ client }, { client: other }] = [world.member(0), world.member(1)];
    const from = client.identity;
    const invitation = await client.createKeyPackage();
    const to = await client.addIdentity({ identity: "member 0" });
    world.directory.add(to);
    const transport = deliveryTo(other);
    const progress: (readonly [number, number])[] = [];
    const onProgress = async ({ done, total }: JobProgress) => {
      if (progress.push([done, total]) > 1) return;
      const { group } = await other.createGroupWith([invitation.bytes]);
      await client.join((await group.acceptCommit()).welcomes[0]!.bytes);
    };
    const result = await rotateIdentity(client, { from, to, transport, onProgress });
    expect(result).toEqual({ isDone: true, done: 2, left: [] });
    expect(progress).toEqual([
      [1, 1],
      [2, 2],
    ]);
    for (const group of await client.groups()) {
      expect(group.members().find(({ isOwn }) => isOwn)?.signatureKey).toEqual(to.signatureKey);
    }
    expect(await client.groups()).toHaveLength(2);
    expect(await client.identities()).toEqual([to]);
  });

  test("M-UPD-08 M-MEM-09: a rotation does not undo that we are leaving a group", async () => {
    const world = await testGroup({ members: 2 });
    const [{ client, group }, { client: other, group: theirs }] = [
      world.member(0),
      world.member(1),
    ];
    const { bytes } = await group.leave();
    const to = await client.addIdentity({ identity: "member 0" });
    world.directory.add(to);
    const rotation = { from: client.identity, to, transport: deliveryTo(other) };
    expect(await rotateIdentity(client, rotation)).toMatchObject({ isDone: false, done: 0 });
    expect([group.isLeaving, group.epoch]).toEqual([true, theirs.epoch]);
    await world.deliver(bytes, 0);
    await world.commit(1);
    expect(group.status).toBe("inactive");
    expect((await rotateIdentity(client, rotation)).isDone).toBe(true);
  });

  test("M-UPD-08: a group that is entered when a rotation stopped after its last group takes part too", async () => {
    const world = await testGroup({ members: 2 });
    const [{ client }, { client: other }] = [world.member(0), world.member(1)];
    const from = client.identity;
    const invitation = await client.createKeyPackage();
    const to = await client.addIdentity({ identity: "member 0" });
    world.directory.add(to);
    const transport = deliveryTo(other);
    const crash = () => Promise.reject(new Error("crash"));
    const first = rotateIdentity(client, { from, to, transport, onProgress: crash });
    await expect(first).rejects.toThrow("crash");
    const { group } = await other.createGroupWith([invitation.bytes]);
    const entered = await client.join((await group.acceptCommit()).welcomes[0]!.bytes);
    const result = await rotateIdentity(client, { from, to, transport });
    expect(result).toEqual({ isDone: true, done: 2, left: [] });
    expect(entered.members().find(({ isOwn }) => isOwn)?.signatureKey).toEqual(to.signatureKey);
  });

  test("M-UPD-08: rotation is one job with progress, a transaction per group, retried after a lost race", async () => {
    const { post, directory, alice, bob, ids, reopen, storage } = await people(3);
    const from = alice.identity;
    const to = await alice.addIdentity({ identity: "alice" });
    directory.add(to);
    const abort = new AbortController();
    const progress: JobProgress[] = [];
    let isRaced = false;
    post.beforeCommit = async (group) => {
      if (isRaced) return;
      isRaced = true;
      await bobWins(post, bob)(group);
    };
    const stopped = rotateIdentity(alice, {
      from,
      to,
      transport: post.transport(alice),
      signal: abort.signal,
      onProgress: (now) => {
        progress.push(now);
        abort.abort();
      },
    });
    await expect(stopped).rejects.toThrow(/abort/i);
    expect(progress).toMatchObject([{ done: 1, total: 3, result: "committed" }]);
    expect(post.sent).toHaveLength(2);
    // A Commit that is pending when the process ends is settled first.
    const pending = ids.find((id) => toHex(id) !== toHex(progress[0]!.groupId))!;
    const next = await alice.group(pending);
    await expect(
      next.commitAndDeliver(() => ({ type: "retry", reason: "?" }), { identity: to }),
    ).rejects.toMatchObject({ code: "TRANSPORT_RETRY" });
    expect(storage.writes).toBeGreaterThan(0);
    const again = await reopen();
    expect(again.identity).toEqual(to);
    expect(await unfinishedRotations(again)).toEqual([{ from, to }]);
    const result = await rotateIdentity(again, {
      from,
      to,
      transport: post.transport(again),
      onProgress: (now) => progress.push(now),
    });
    expect(result).toEqual({ isDone: true, done: 3, left: [] });
    expect(progress.map(({ done, total }) => [done, total])).toEqual([
      [1, 3],
      [2, 3],
      [3, 3],
    ]);
    for (const { groupId, result: kind } of progress) {
      expect(kind).toBe(toHex(groupId) === toHex(pending) ? "nothingToDo" : "committed");
    }
    expect(await unfinishedRotations(again)).toEqual([]);
    for (const id of ids) {
      await post.spread(id, again);
      const [mine, theirs] = [await again.group(id), await bob.group(id)];
      assertAgreement([mine, theirs]);
      const [own] = theirs.findMembers({ identity: "alice" });
      expect(own!.signatureKey).toEqual(to.signatureKey);
    }
  });

  test("a group that fails is left for the next call, the others go on", async () => {
    const { post, directory, alice, ids } = await people(2);
    const from = alice.identity;
    const to = await alice.addIdentity({ identity: "alice" });
    directory.add(to);
    let isDown = true;
    const good = post.transport(alice);
    const transport: GroupTransport = {
      ...good,
      deliver: (pending, group) => {
        if (isDown && toHex(group.id) === toHex(ids[0]!)) throw new Error("no network");
        return good.deliver(pending, group);
      },
    };
    const first = await rotateIdentity(alice, { from, to, transport });
    expect(first).toMatchObject({ isDone: false, done: 1, left: [ids[0]] });
    expect(await alice.identities()).toHaveLength(2);
    isDown = false;
    expect((await rotateIdentity(alice, { from, to, transport })).isDone).toBe(true);
  });

  test("M-UPD-07: the old signature key goes when no group and no key package uses it any more", async () => {
    const { post, directory, alice, ids, storage } = await people(2);
    const from = alice.identity;
    const { reference } = await alice.createKeyPackage();
    const to = await alice.addIdentity({ identity: "alice" });
    directory.add(to);
    const stored = async (): Promise<boolean> => {
      return (await storage.get(`identity/${toHex(from.signatureKey)}`)) !== undefined;
    };
    const seen: boolean[] = [];
    const rotate = () =>
      rotateIdentity(alice, {
        from,
        to,
        transport: post.transport(alice),
        onProgress: async () => {
          seen.push(await stored());
        },
      });
    await rotate();
    // No group uses it now, but a key package that somebody may have does.
    expect([...seen, await stored()]).toEqual([true, true, true]);
    await alice.deleteKeyPackage(reference);
    expect((await rotate()).isDone).toBe(true);
    expect(await stored()).toBe(false);
    expect(await alice.identities()).toEqual([to]);
    for (const id of ids) await (await alice.group(id)).send("with the new key");
  });

  test("M-MD-01: a device is added to all groups, and removed from them, by jobs that survive a restart", async () => {
    const { post, alice, bob, ids, create, reopen } = await people(3);
    const tablet = await create("alice");
    const device = { signatureKeys: [tablet.identity.signatureKey] };
    const keyPackage = async (): Promise<Uint8Array> => (await tablet.createKeyPackage()).bytes;
    const abort = new AbortController();
    const stopped = addDevice(alice, device, keyPackage, {
      transport: post.transport(alice),
      signal: abort.signal,
      onProgress: ({ done }) => {
        if (done === 2) abort.abort();
      },
    });
    await expect(stopped).rejects.toThrow(/abort/i);
    expect(await tablet.groups()).toHaveLength(2);
    const again = await reopen();
    const options = { transport: post.transport(again) };
    const progress: number[] = [];
    const added = await addDevice(again, device, keyPackage, {
      ...options,
      onProgress: ({ done }) => progress.push(done),
    });
    expect(added).toEqual({ isDone: true, done: 3, left: [] });
    expect(progress).toEqual([3]);
    const sizes = async (): Promise<number[][]> => {
      const found: number[][] = [];
      for (const id of ids) {
        found.push(membersByIdentity(await bob.group(id)).map((devices) => devices.length));
      }
      return found;
    };
    expect(await sizes()).toEqual([
      [2, 1],
      [2, 1],
      [2, 1],
    ]);
    for (const id of ids) {
      assertAgreement([await again.group(id), await bob.group(id), await tablet.group(id)]);
    }
    const removing = new AbortController();
    const cut = removeDevice(again, device, {
      ...options,
      signal: removing.signal,
      onProgress: ({ done }) => {
        if (done === 1) removing.abort();
      },
    });
    await expect(cut).rejects.toThrow(/abort/i);
    expect((await sizes()).filter(([alices]) => alices === 2)).toHaveLength(2);
    const last = await reopen();
    const rest: number[] = [];
    const removed = await removeDevice(last, device, {
      transport: post.transport(last),
      onProgress: ({ done }) => rest.push(done),
    });
    expect(removed).toEqual({ isDone: true, done: 3, left: [] });
    expect(rest).toEqual([2, 3]);
    expect(await sizes()).toEqual([
      [1, 1],
      [1, 1],
      [1, 1],
    ]);
    for (const group of await tablet.groups()) expect(group.status).toBe("inactive");
    const wrong = await addDevice(last, device, async () => (await bob.createKeyPackage()).bytes, {
      transport: post.transport(last),
      groups: [ids[0]!],
    });
    expect(wrong.left).toEqual([ids[0]]);
  });
});
