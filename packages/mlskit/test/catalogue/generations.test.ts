/** Own generations as others see them: P-TX-02, P-TX-04, P-MP-04, M-STO-16. */
import { describe, expect, test } from "vitest";
import { faultStorage, testGroup } from "../../src/testing/index.ts";
import { memoryStorage } from "../../src/storage/memory.ts";

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
