/** The testing kit, from the outside. */
import { describe, expect, test } from "vitest";
import { fromUtf8, toHex } from "../../../src/codec/index.ts";
import { memoryStorage } from "../../../src/storage/memory.ts";
import {
  commitAndBroadcast,
  faultStorage,
  randomWalk,
  SeededRandom,
  seededProvider,
  storageContract,
  testClock,
  testGroup,
  VirtualDeliveryService,
  VirtualNetwork,
  WALK_ACTIONS,
  type WalkAction,
} from "../../../src/testing/index.ts";

describe("groups", () => {
  test("M-TST-01 n clients are in one group, in sync, in one call", async () => {
    const world = await testGroup({ members: 5 });
    expect(world.members.map(({ group }) => group.memberCount)).toEqual([5, 5, 5, 5, 5]);
    world.assertAgreement();
    const named = await testGroup({ members: ["alice", "bob"], cipherSuite: 3 });
    expect(named.member(1).group.cipherSuite).toBe(3);
    expect(named.member(1).name).toBe("bob");
    const alone = await testGroup({ members: 1 });
    expect(alone.groups.map(({ memberCount }) => memberCount)).toEqual([1]);
  });

  test("M-TST-02 a Commit reaches all others, and its Welcome those who join", async () => {
    const world = await testGroup({ members: 3 });
    const { client } = await world.newClient("dora");
    const { bytes } = await client.createKeyPackage();
    const [first, ...others] = world.groups;
    const { joined } = await commitAndBroadcast(first!, { add: [bytes] }, others, [client]);
    expect(joined[0]!.memberCount).toBe(4);
    expect(world.groups.every(({ epoch }) => epoch === joined[0]!.epoch)).toBe(true);
    const outcomes = await world.say(1, "hello");
    expect(outcomes.map((o) => o.kind === "application" && fromUtf8(o.data))).toEqual([
      "hello",
      "hello",
    ]);
  });

  test("members that differ are reported", async () => {
    const world = await testGroup({ members: 3 });
    await world.member(0).group.commitImmediately();
    expect(() => world.assertAgreement()).toThrow("epochs");
  });
});

describe("faults", () => {
  test("M-TST-03 the n-th read or write fails, a crash falls between two writes, calls are counted", async () => {
    const stores = new Map<string, ReturnType<typeof faultStorage>>();
    const world = await testGroup({
      members: 2,
      storage: (name) => {
        const made = faultStorage(memoryStorage());
        stores.set(name, made);
        return made;
      },
    });
    const store = stores.get("member 0")!;
    const { group } = world.member(0);
    const writes = store.writes;
    expect(store.reads).toBeGreaterThan(0);
    store.plan.failWrite = writes + 1;
    await expect(group.send("x")).rejects.toMatchObject({ code: "STORAGE_FAILED" });
    store.plan.failRead = store.reads + 1;
    await expect(group.send("x")).rejects.toMatchObject({ code: "STORAGE_FAILED" });
    store.plan.crashAfterWrite = writes + 2;
    await expect(group.send("x")).rejects.toMatchObject({ code: "STORAGE_FAILED" });
    expect(store.hasCrashed).toBe(true);
    expect(store.writes).toBe(writes + 2);
    const again = await world.reopen(0, store.reopen());
    expect(again.group.nextGeneration).toBe(1);
    expect((await world.say(0, "after the crash"))[0]!.kind).toBe("application");
  });

  test("M-TST-03 the contract for stores is there for the stores of others", async () => {
    expect(storageContract.length).toBeGreaterThan(10);
    const [first] = storageContract;
    await first!.run({ open: () => memoryStorage() });
  });
});

describe("network", () => {
  const carry = (seed: number, network: Partial<VirtualNetwork["conditions"]>): string => {
    const net = new VirtualNetwork<number>(seed, network);
    for (let i = 0; i < 50; i++) net.send("a", "b", i);
    const arrived: number[] = [];
    while (net.inFlight > 0) arrived.push(...net.tick().map(({ payload }) => payload));
    return arrived.join();
  };

  test("M-TST-04 loss, duplication, delay and reordering follow from the seed", () => {
    const all = Array.from({ length: 50 }, (_, i) => i).join();
    expect(carry(1, {})).toBe(all);
    const conditions = { loss: 0.2, duplication: 0.2, delay: 5 };
    expect(carry(1, conditions)).toBe(carry(1, conditions));
    expect(carry(1, conditions)).not.toBe(carry(2, conditions));
    expect(carry(1, { loss: 0.5 }).split(",").length).toBeLessThan(40);
    expect(carry(1, { duplication: 0.5 }).split(",").length).toBeGreaterThan(60);
    const delayed = carry(1, { delay: 5 });
    expect(delayed).not.toBe(all);
    expect(delayed.split(",").length).toBe(50);
  });

  test("M-TST-04 a partition separates, and a node that is off gets nothing", () => {
    const net = new VirtualNetwork<string>(1);
    net.partition(["a", "b"], ["c"]);
    for (const [from, to] of ["ab", "ac", "as", "cs", "ca"].map((pair) => pair.split(""))) {
      net.send(from!, to!, `${from}${to}`);
    }
    expect(net.tick().map(({ payload }) => payload)).toEqual(["ab", "as", "cs"]);
    net.heal();
    net.setOnline("b", false);
    net.send("a", "b", "lost");
    net.send("a", "c", "kept");
    expect(net.tick().map(({ payload }) => payload)).toEqual(["kept"]);
    expect(net.counts).toEqual({ sent: 7, lost: 3, delivered: 4 });
  });

  test("M-DS-02 the delivery service takes one Commit per epoch, and the same one twice", async () => {
    const world = await testGroup({ members: 2 });
    const service = new VirtualDeliveryService();
    const [a, b] = world.groups;
    service.register(a!.id, a!.epoch);
    const won = await a!.update();
    const lost = await b!.update();
    expect(service.submit(won.commit)).toMatchObject({ type: "accepted", isNew: true });
    expect(service.submit(lost.commit)).toEqual({ type: "conflict", epoch: a!.epoch + 1n });
    expect(service.submit(won.commit)).toMatchObject({ type: "accepted", isNew: false });
    expect(service.isAccepted(lost.commit)).toBe(false);
    for (const { bytes } of service.entriesAfter(a!.id, 0)) {
      await a!.process(bytes, { accept: true });
      await b!.process(bytes, { accept: true });
    }
    world.assertAgreement();
    expect(b!.status).toBe("active");
  });
});

describe("reproducible", () => {
  test("M-TST-06 one seed gives one world, byte by byte", async () => {
    const run = async (seed: number): Promise<string> => {
      const world = await testGroup({ members: 3, seed });
      const { bytes } = await world.member(1).group.send("same");
      return toHex(world.member(2).group.epochAuthenticator) + toHex(bytes);
    };
    expect(await run(7)).toBe(await run(7));
    expect(await run(7)).not.toBe(await run(8));
    const [one, other] = [seededProvider("x").suite(1), seededProvider("x").suite(1)];
    expect(one.randomBytes(70)).toEqual(other.randomBytes(70));
    const random = new SeededRandom(1);
    const counts = new Array<number>(10).fill(0);
    for (let i = 0; i < 10_000; i++) counts[random.below(10)]!++;
    expect(Math.min(...counts)).toBeGreaterThan(850);
  });

  test("M-TST-06 the clock stands still until it is moved", async () => {
    const clock = testClock(1_900_000_000n);
    expect([clock(), clock()]).toEqual([1_900_000_000n, 1_900_000_000n]);
    clock.advance(60);
    expect(clock()).toBe(1_900_000_060n);
    const world = await testGroup({ members: 2, clock });
    const { expiresAt } = await world.member(0).client.createKeyPackage();
    clock.set(expiresAt + 1n);
    const [stored] = await world.member(0).client.keyPackages();
    expect(stored!.isExpired).toBe(true);
  });
});

describe("model checker", () => {
  test("M-TST-07 random walks keep all members equal, and refusals change nothing", async () => {
    const report = await randomWalk({ seed: 11, steps: 60, members: 3 });
    expect([...report.done.values()].reduce((a, b) => a + b)).toBeGreaterThan(50);
    expect(report.refused.get("remove") ?? 0).toBeGreaterThan(0);
    const again = await randomWalk({ seed: 11, steps: 60, members: 3 });
    expect(again.world.member(0).group.epochAuthenticator).toEqual(
      report.world.member(0).group.epochAuthenticator,
    );
  });

  test("M-TST-07 an action that leaves somebody behind is found, with its seed and step", async () => {
    const broken: WalkAction = {
      name: "forgets to tell",
      weight: 5,
      run: async ({ world, anybody }) => {
        await world.member(anybody()).group.commitImmediately();
      },
    };
    const actions = [...WALK_ACTIONS, broken];
    await expect(randomWalk({ seed: 3, steps: 50, actions })).rejects.toThrow(
      /seed 3, step \d+, forgets to tell: .*epochs/,
    );
  });

  test("M-TST-07 an application's own invariant is asked after every step", async () => {
    const seen: number[] = [];
    await randomWalk({
      seed: 5,
      steps: 10,
      members: 2,
      invariant: ({ step }) => void seen.push(step),
    });
    expect(seen).toHaveLength(10);
  });
});
