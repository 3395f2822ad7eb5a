/** Own generations as others see them: P-TX-02, P-TX-04, P-MP-04, M-STO-16. */
import { describe, expect, test } from "vitest";
import { utf8 } from "../../src/codec/index.ts";
import { createSigner, type Signer } from "../../src/crypto/index.ts";
import { Client, defaultProvider, type Storage } from "../../src/index.ts";
import { faultStorage, testGroup } from "../../src/testing/index.ts";
import { memoryStorage } from "../../src/storage/memory.ts";
import { acceptAnyCredential } from "../support/environment.ts";

describe("memory does not run ahead of the store", () => {
  test("P-TX-04: after a failed write the next generation is what the store knows", async () => {
    const store = faultStorage(memoryStorage());
    const world = await testGroup({ members: 1, storage: () => store });
    const { group } = world.member(0);
    store.plan.failWrite = store.writes + 1;
    await expect(group.send("x")).rejects.toMatchObject({ code: "STORAGE_FAILED" });
    expect(group.nextGeneration).toBe(0);
    expect((await group.send("y")).generation).toBe(0);
    expect(group.nextGeneration).toBe(1);
  });

  test("P-TX-02: a generation is used for others when the transaction is written, and not if it is aborted", async () => {
    for (const config of [{ generationBlock: 1 }, { generationBlock: 16 }]) {
      const world = await testGroup({ members: 1, config });
      const { client, group } = world.member(0);
      await group.send("first");
      const seen: number[] = [];
      const run = (fails: boolean): Promise<void> =>
        client.transaction(async (tx) => {
          const inside = await tx.group(group.id);
          await inside.send("x");
          seen.push(inside.nextGeneration, group.nextGeneration);
          if (fails) throw new Error("no");
        });
      await expect(run(true)).rejects.toThrow("no");
      seen.push(group.nextGeneration);
      await run(false);
      // After an abort the rest of a block is skipped.
      const next = config.generationBlock === 1 ? 1 : 16;
      expect(seen).toEqual([2, 1, 1, next + 1, next]);
      expect(group.nextGeneration).toBe(next + 1);
    }
  });
});

test("M-STO-16: groups that are read for each call use one generation per message, whatever the block", async () => {
  const generationBlock = 16;
  const world = await testGroup({ members: 2, cache: "reload", config: { generationBlock } });
  const [a, b] = world.groups;
  const generations: number[] = [];
  for (let i = 0; i < 20; i++) {
    const { bytes, generation } = await a!.send(`${i}`);
    generations.push(generation);
    expect((await b!.process(bytes)).kind).toBe("application");
  }
  expect(generations).toEqual(Array.from({ length: 20 }, (_, i) => i));
  expect((await a!.sendMany(["x", "y"])).map(({ generation }) => generation)).toEqual([20, 21]);
});

test("P-MP-04: an epoch that begins and is used in one transaction reserves nothing that a restart would use again", async () => {
  for (const begins of ["own", "received"]) {
    const world = await testGroup({ members: 2, config: { generationBlock: 16 } });
    const { client, group, storage } = world.member(0);
    const other = world.member(1).group;
    const commit = begins === "own" ? await group.commit() : await other.commit();
    const first = await client.transaction(async (tx) => {
      const inside = await tx.group(group.id);
      if (begins === "own") await inside.acceptCommit();
      else await inside.process(commit.commit, { accept: true });
      return inside.send("with the write that begins it");
    });
    const second = await group.send("before the restart");
    const again = await Client.open({
      storage,
      authenticationService: world.directory,
      clock: world.clock,
    });
    const third = await (await again.group(group.id)).send("after the restart");
    // The rest of the block is skipped.
    const generations = [first, second, third].map(({ generation }) => generation);
    expect(generations).toEqual([0, 1, 17]);
    if (begins === "own") await other.process(commit.commit, { accept: true });
    else await other.acceptCommit();
    for (const { bytes } of [first, second, third]) {
      expect((await other.process(bytes)).kind).toBe("application");
    }
  }
});

test("P-MP-04 P-TX-04: a message that is too late for its transaction reserves nothing", async () => {
  const suite = defaultProvider().suite(1);
  const keys = createSigner(suite, await suite.generateSignatureKeyPair());
  let gate: Promise<void> | undefined;
  let open: () => void = () => undefined;
  const signer: Signer = {
    ...keys,
    sign: async (message) => {
      await gate;
      return keys.sign(message);
    },
  };
  const inner = memoryStorage();
  let late: (() => Promise<unknown>) | undefined;
  const storage: Storage = {
    get: (key) => inner.get(key),
    list: (prefix) => inner.list(prefix),
    write: async (batch) => {
      await late?.();
      await inner.write(batch);
    },
    close: () => undefined,
  };
  const options = { storage, authenticationService: acceptAnyCredential };
  const first = await Client.create({ ...options, identity: "a", signer });
  const { id } = await first.createGroup({ config: { generationBlock: 16 } });
  await (await first.group(id)).send("reserves a block");
  const client = await Client.open({ ...options, signers: [signer] });
  const group = await client.group(id);
  let ended: Promise<unknown> | undefined;
  await client.transaction(async (tx) => {
    const inside = await tx.group(id);
    gate = new Promise((resolve) => (open = resolve));
    ended = inside.send("too late").catch((error: unknown) => error);
    late = async () => {
      open();
      await ended;
    };
    tx.put("note", utf8("in time"));
  });
  [late, gate] = [undefined, undefined];
  expect(await ended).toMatchObject({ code: "TRANSACTION_CLOSED" });
  const { generation } = await group.send("next");
  const reopened = await (await Client.open({ ...options, signers: [signer] })).group(id);
  expect((await reopened.send("after a restart")).generation).toBeGreaterThan(generation);
});
