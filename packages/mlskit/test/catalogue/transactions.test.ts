/** Rules P-TX: several operations in one write. */
import { describe, expect, test } from "vitest";
import { fromUtf8, utf8 } from "../../src/codec/index.ts";
import { type ClientTransaction, type Group, type Outcome } from "../../src/index.ts";
import { eventLog } from "../../src/production/index.ts";
import { fileStorage } from "../../src/storage/file.ts";
import { memoryStorage } from "../../src/storage/memory.ts";
import type { Storage, WriteBatch } from "../../src/storage/storage.ts";
import { testGroup } from "../../src/testing/index.ts";
import { dump, faultyWorld, kinds, listen } from "../support/faulty-world.ts";
import { temporaryDirectories } from "../unit/storage/directories.ts";

const newDirectory = temporaryDirectories();

/** Notes the keys of each batch when it is written. */
class OrderedStorage implements Storage {
  readonly log: (readonly string[])[] = [];
  readonly #inner: Storage;

  constructor(inner: Storage) {
    this.#inner = inner;
  }

  get(key: string) {
    return this.#inner.get(key);
  }

  list(prefix: string) {
    return this.#inner.list(prefix);
  }

  async write(batch: WriteBatch): Promise<void> {
    await this.#inner.write(batch);
    this.log.push(batch.puts.map(({ key }) => key));
  }

  close() {
    return this.#inner.close();
  }
}

const stores: Record<string, () => Storage | Promise<Storage>> = {
  memory: () => memoryStorage(),
  file: () => fileStorage(newDirectory(), { dangerouslyUnencrypted: true }),
};

/** Resolves when the loop has turned a few times. */
const soon = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5));

describe("transactions", () => {
  test("P-TX-01: calls grouped in a transaction are one write, and a throw drops them all", async () => {
    const { world, store } = await faultyWorld();
    const { client, group } = world.member(0);
    const writes = store(0).writes;
    await client.transaction(async (tx) => {
      const inside = await tx.group(group.id);
      await inside.send("one");
      await inside.send("two");
      tx.put("note", utf8("three"));
    });
    expect(store(0).writes).toBe(writes + 1);
    expect(group.nextGeneration).toBe(2);
    const before = await dump(store(0));
    const failure = client.transaction(async (tx) => {
      await (await tx.group(group.id)).update();
      tx.put("note", utf8("four"));
      throw new Error("the application changed its mind");
    });
    await expect(failure).rejects.toThrow("changed its mind");
    expect(await dump(store(0))).toBe(before);
    await group.send("a call of its own is a transaction of its own");
    expect(store(0).writes).toBe(writes + 2);
  });

  test("P-TX-02: a transaction reads its own writes, and nobody else does before its end", async () => {
    const world = await testGroup({ members: 2 });
    const { client, group, storage } = world.member(0);
    const before = await dump(storage);
    await client.transaction(async (tx) => {
      const inside = await tx.group(group.id);
      await inside.update();
      tx.put("note", utf8("x"));
      tx.setCheckpoint(utf8("y"));
      expect(inside.status).toBe("pendingCommit");
      expect(await tx.get("note")).toEqual(utf8("x"));
      expect(await tx.checkpoint()).toEqual(utf8("y"));
      expect((await tx.group(group.id)).status).toBe("pendingCommit");
      expect(group.status).toBe("active");
      expect(await dump(storage)).toBe(before);
    });
    expect(group.status).toBe("pendingCommit");
  });

  test("P-TX-03: writers wait in order, also those outside of transactions", async () => {
    const world = await testGroup({ members: 2 });
    const { client, group } = world.member(0);
    const order: string[] = [];
    const transaction = (name: string): Promise<void> =>
      client.transaction(async (tx) => {
        order.push(`${name} begins`);
        await (await tx.group(group.id)).send(name);
        await soon();
        order.push(`${name} ends`);
      });
    const first = transaction("first");
    await Promise.all([
      first,
      transaction("second"),
      transaction("third"),
      first.then(() => group.send("outside")),
    ]);
    expect(order).toEqual(
      ["first", "second", "third"].flatMap((name) => [`${name} begins`, `${name} ends`]),
    );
    expect(group.nextGeneration).toBe(4);
  });

  test("P-TX-03: a transaction over another group prepares while the first one is slow", async () => {
    const world = await testGroup({ members: 2 });
    const { client, group } = world.member(0);
    const other = await client.createGroup();
    let release = (): void => undefined;
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    const slow = client.transaction(async (tx) => {
      await (await tx.group(group.id)).send("slow");
      await gate;
    });
    await soon();
    await other.update();
    release();
    await slow;
    expect(other.status).toBe("pendingCommit");
    expect(group.nextGeneration).toBe(1);
  });

  for (const [name, open] of Object.entries(stores)) {
    test(`P-TX-03: transactions over different groups prepare in parallel and are written one after the other (${name})`, async () => {
      const watched = new OrderedStorage(await open());
      const world = await testGroup({
        members: 2,
        storage: (member) => (member === "member 0" ? watched : memoryStorage()),
      });
      const { client, group } = world.member(0);
      const groups = [group, await client.createGroup(), await client.createGroup()];
      let inside = 0;
      let release = (): void => undefined;
      const allInside = new Promise<void>((resolve) => {
        release = resolve;
      });
      const finished: number[] = [];
      const turns = [soon(), soon().then(soon), soon().then(soon).then(soon)];
      const before = watched.log.length;
      // The last one is ready first: from there on they queue for the store.
      const run = (i: number): Promise<void> =>
        client
          .transaction(
            async (tx) => {
              const own = await tx.group(groups[i]!.id);
              if (i === 0) await own.send("one of the group with two members");
              else await own.update();
              tx.put("last", utf8(`${i}`));
              tx.put(`of ${i}`, utf8("x"));
              if (++inside === groups.length) release();
              await allInside;
              await turns[groups.length - 1 - i];
            },
            { groups: [groups[i]!.id] },
          )
          .then(() => void finished.push(i));
      await Promise.all([run(0), run(1), run(2)]);
      expect(inside).toBe(3);
      expect(finished).toEqual([2, 1, 0]);
      expect(
        watched.log.slice(before).map((keys) => keys.find((key) => key.includes("of "))),
      ).toEqual(["app/of 2", "app/of 1", "app/of 0"]);
      // Each batch came on top of the one before.
      const last = await watched.get("app/last");
      expect([fromUtf8(last!.value), last!.version]).toEqual(["0", 3]);
      expect([groups[0]!.nextGeneration, groups[1]!.status, groups[2]!.status]).toEqual([
        1,
        "pendingCommit",
        "pendingCommit",
      ]);
      await client.close();
    });
  }

  test.each([true, false])(
    "P-TX-02: a group that is asked for twice at once is one (named: %s)",
    async (isNamed) => {
      const world = await testGroup({ members: 2 });
      const { client, group } = world.member(0);
      await client.transaction(
        async (tx) => {
          const [one, two] = await Promise.all([tx.group(group.id), tx.group(group.id)]);
          await one.send("one");
          await two.send("two");
        },
        isNamed ? { groups: [group.id] } : {},
      );
      expect(group.nextGeneration).toBe(2);
    },
    10_000,
  );

  test("P-TX-03: transactions that name groups wait for those with the same group, in the order of the calls", async () => {
    const world = await testGroup({ members: 2 });
    const { client, group } = world.member(0);
    const other = await client.createGroup();
    const order: string[] = [];
    const run = (name: string, groups: readonly Group[] | undefined): Promise<void> => {
      const ids = groups?.map(({ id }) => id);
      return client.transaction(
        async (tx) => {
          for (const id of [...(ids ?? [group.id])].reverse()) await tx.group(id);
          order.push(`${name} begins`);
          await soon();
          order.push(`${name} ends`);
        },
        { groups: ids },
      );
    };
    // No order of names, and no transaction without them, makes a circle.
    await Promise.all([
      run("one", [group, other]),
      run("two", [other, group, other]),
      run("unnamed", undefined),
      run("three", [group, other]),
    ]);
    expect(order).toEqual(
      ["one", "two", "unnamed", "three"].flatMap((name) => [`${name} begins`, `${name} ends`]),
    );
    const outside = client.transaction(async (tx) => tx.group(other.id), { groups: [group.id] });
    await expect(outside).rejects.toMatchObject({ code: "GROUP_NOT_NAMED", blame: "usage" });
    const unknown = client.transaction(async () => undefined, { groups: [utf8("nowhere")] });
    await expect(unknown).rejects.toMatchObject({ code: "GROUP_NOT_FOUND" });
    // And no lock is left behind.
    await group.send("on time");
    await other.update();
  });

  for (const isNamed of [false, true]) {
    const how = isNamed ? "named" : "not named";
    test(`P-TX-03: a transaction that waits while a join is refused gets the group as it is then (${how})`, async () => {
      const world = await testGroup({ members: 2 });
      const { client } = world.member(1);
      const { id } = world.member(1).group;
      const info = await world.member(0).group.groupInfo();
      await client.joinExternally(info, { resync: true });
      const rejected = client.rejectJoin(id);
      const options = isNamed ? { groups: [id] } : {};
      const epochs = client.transaction(async (tx) => {
        const first = await tx.group(id);
        await first.send("on time");
        return [first.epoch, (await tx.group(id)).nextGeneration];
      }, options);
      await rejected;
      const group = await client.group(id);
      expect(await epochs).toEqual([group.epoch, 1]);
      expect(group.nextGeneration).toBe(1);
    });
  }

  test("P-TX-03 P-TX-07: of transactions over different groups that count in one record, one is told to start over", async () => {
    const { client, group } = (await testGroup({ members: 1 })).member(0);
    const other = await client.createGroup();
    const count = ({ id }: Group): Promise<void> =>
      client.transaction(
        async (tx) => {
          const counted = (await tx.get("counted"))?.[0] ?? 0;
          await soon();
          tx.put("counted", Uint8Array.of(counted + 1));
        },
        { groups: [id] },
      );
    const results = await Promise.allSettled([count(group), count(other)]);
    expect(results).toMatchObject([
      { status: "fulfilled" },
      { status: "rejected", reason: { code: "STORAGE_CONFLICT", retryable: true } },
    ]);
    await count(other);
    expect(await client.transaction(async (tx) => tx.get("counted"))).toEqual(Uint8Array.of(2));
  });

  test("P-TX-03: an abort leaves no lock behind, also of a transaction whose turn has not come", async () => {
    const { client, group } = (await testGroup({ members: 2 })).member(0);
    const controller = new AbortController();
    let hasBegun = false;
    let finish = (): void => undefined;
    const first = client.transaction(() => new Promise<void>((resolve) => (finish = resolve)), {
      groups: [group.id],
    });
    const second = client.transaction(
      async () => {
        hasBegun = true;
      },
      { groups: [group.id], signal: controller.signal },
    );
    await soon();
    controller.abort();
    await expect(second).rejects.toMatchObject({ name: "AbortError" });
    finish();
    await first;
    await group.send("on time");
    await soon();
    await client.close();
    expect(hasBegun).toBe(false);
  });

  test("P-TX-04: a transaction that has ended is closed, for its groups and its records", async () => {
    const world = await testGroup({ members: 2 });
    const { client, group } = world.member(0);
    let leaked: ClientTransaction | undefined;
    let inside: Group | undefined;
    await client.transaction(async (tx) => {
      leaked = tx;
      inside = await tx.group(group.id);
    });
    const closed = { code: "TRANSACTION_CLOSED" };
    await expect(leaked!.group(group.id)).rejects.toMatchObject(closed);
    await expect(leaked!.get("note")).rejects.toMatchObject(closed);
    expect(() => leaked!.put("note", utf8("x"))).toThrow(expect.objectContaining(closed));
    await expect(inside!.send("late")).rejects.toMatchObject(closed);
    await expect(inside!.dropAllProposals()).rejects.toMatchObject(closed);
    // And no lock is left behind.
    await group.send("on time");
  });

  test("P-TX-04: after a failed write the group is what the store says", async () => {
    const { world, store } = await faultyWorld();
    const { client, group } = world.member(0);
    const before = await dump(store(0));
    const failNext = (): void => {
      store(0).plan.failWrite = store(0).writes + 1;
    };
    failNext();
    await expect(group.send("lost")).rejects.toMatchObject({ blame: "storage" });
    failNext();
    await expect(group.update()).rejects.toMatchObject({ blame: "storage" });
    failNext();
    const failed = client.transaction(async (tx) => (await tx.group(group.id)).send("lost too"));
    await expect(failed).rejects.toMatchObject({ blame: "storage" });
    expect(await dump(store(0))).toBe(before);
    const sent = await group.send("kept");
    expect(sent.generation).toBe(0);
    expect(group.status).toBe("active");
    expect(kinds(await world.deliver(sent.bytes, 0))).toEqual(["application"]);
  });

  test("P-TX-05: events wait for the write, keep their order, and vanish with what was aborted", async () => {
    const world = await testGroup({ members: 2 });
    const { client, group } = world.member(0);
    const events = listen(client);
    await client.transaction(async (tx) => {
      const inside = await tx.group(group.id);
      await inside.update();
      await inside.acceptCommit();
      expect(events).toEqual([]);
    });
    expect(events.map(({ type }) => type)).toEqual([
      "commitStaged",
      "commitAccepted",
      "epochAdvanced",
      "ownUpdateDone",
    ]);
    events.length = 0;
    const aborted = client.transaction(async (tx) => {
      await (await tx.group(group.id)).update();
      throw new Error("no");
    });
    await expect(aborted).rejects.toThrow("no");
    expect(events).toEqual([]);
  });

  test("P-TX-05: what failed after it had begun takes the transaction with it", async () => {
    const inner = memoryStorage();
    let isFailing = false;
    const storage: Storage = {
      get: (key) => {
        if (isFailing && key.startsWith("psk/")) throw new Error("no disk");
        return inner.get(key);
      },
      list: (prefix) => inner.list(prefix),
      write: (batch) => inner.write(batch),
      close: () => undefined,
    };
    const world = await testGroup({
      members: 3,
      storage: (name) => (name === "member 2" ? storage : memoryStorage()),
    });
    const [a, b, c] = world.groups as [Group, Group, Group];
    const psk = utf8("psk");
    for (const { client } of world.members) await client.putPsk(psk, new Uint8Array(32));
    const { commit } = await a.update();
    await b.process(commit, { accept: true });
    await a.acceptCommit();
    await c.process((await b.commit({ psks: [psk] })).commit);
    const { client } = world.member(2);
    const events = listen(client);
    const before = await dump(inner);
    let failure: unknown;
    const work = client.transaction(async (tx) => {
      const inside = await tx.group(c.id);
      // The replay of the second Commit finds the store failing.
      isFailing = true;
      await inside.process(commit, { accept: true }).catch((error: unknown) => (failure = error));
      isFailing = false;
    });
    await expect(work).rejects.toMatchObject({ code: "TRANSACTION_CLOSED" });
    expect(failure).toMatchObject({ message: "no disk" });
    expect([events, await dump(inner), c.epoch]).toEqual([[], before, 1n]);
    expect(c.export("label", utf8("context"), 16)).toHaveLength(16);
    expect((await c.process(commit, { accept: true })).kind).toBe("commit");
  });

  for (const kept of ["no events", "events"] as const) {
    test(`P-TX-04: what ends while its transaction is written leaves no trace (${kept} are kept)`, async () => {
      const inner = memoryStorage();
      let late: (() => Promise<unknown>) | undefined;
      let gate: Promise<void> | undefined;
      let open: () => void = () => undefined;
      const storage: Storage = {
        get: async (key) => {
          // The number of the first event is asked for when the groups were written down already.
          if (key === "event-head") await late?.();
          return inner.get(key);
        },
        list: (prefix) => inner.list(prefix),
        write: async (batch) => {
          await late?.();
          await inner.write(batch);
        },
        close: () => undefined,
      };
      const world = await testGroup({
        members: 2,
        storage: (name) => (name === "member 0" ? storage : memoryStorage()),
        ...(kept === "events" ? { eventLog: eventLog() } : {}),
        policy: { commitDefaults: async () => (await gate, {}) },
      });
      const { client, group } = world.member(0);
      let ended: Promise<unknown> | undefined;
      const other = await client.createGroup();
      await client.transaction(async (tx) => {
        const inside = await tx.group(group.id);
        await inside.proposeUpdate();
        await (await tx.group(other.id)).update();
        gate = new Promise((resolve) => (open = resolve));
        ended = inside.commit({ wireForm: "public" }).catch((error: unknown) => error);
        // It goes on when the transaction is being written.
        late = async () => {
          open();
          await ended;
        };
      });
      late = undefined;
      expect(await ended).toMatchObject({ code: "TRANSACTION_CLOSED" });
      const { group: reopened } = await world.reopen(0, storage);
      expect([group.pendingCommit, reopened.pendingCommit]).toEqual([undefined, undefined]);
      expect(group.pendingProposals).toHaveLength(1);
    });
  }

  test("P-TX-06: the checkpoint changes together with the groups, or not at all", async () => {
    const { world, store } = await faultyWorld();
    const { group } = world.member(1);
    const { client: receiver, group: receiving } = world.member(0);
    const sent = await group.send("one");
    const receive = (): Promise<Outcome> =>
      receiver.transaction(async (tx) => {
        tx.setCheckpoint(utf8("cursor 1"));
        return (await tx.group(receiving.id)).process(sent.bytes);
      });
    store(0).plan.failWrite = store(0).writes + 1;
    await expect(receive()).rejects.toMatchObject({ blame: "storage" });
    expect(await receiver.transaction((tx) => tx.checkpoint())).toBeUndefined();
    expect((await receive()).kind).toBe("application");
    const reopened = await world.reopen(0, store(0).reopen());
    expect(await reopened.client.transaction((tx) => tx.checkpoint())).toEqual(utf8("cursor 1"));
    // Processed, but perhaps not acknowledged: coming again it is told apart.
    expect((await reopened.group.process(sent.bytes)).kind).toBe("duplicate");
  });

  test("P-TX-07: plaintext is stored in the write that uses up its key", async () => {
    const { world, store } = await faultyWorld();
    const { client, group } = world.member(0);
    const sent = await world.member(1).group.send("precious");
    const receive = (): Promise<void> =>
      client.transaction(async (tx) => {
        const outcome = await (await tx.group(group.id)).process(sent.bytes);
        if (outcome.kind === "application") tx.put("inbox 1", outcome.data);
      });
    store(0).plan.crashAfterWrite = store(0).writes + 1;
    await expect(receive()).rejects.toMatchObject({ blame: "storage" });
    const { client: again, group: reopened } = await world.reopen(0, store(0).reopen());
    const kept = await again.transaction((tx) => tx.get("inbox 1"));
    expect(fromUtf8(kept!)).toBe("precious");
    expect((await reopened.process(sent.bytes)).kind).toBe("duplicate");
    await again.transaction(async (tx) => tx.delete("inbox 1"));
    expect(await again.transaction((tx) => tx.get("inbox 1"))).toBeUndefined();
  });
});
