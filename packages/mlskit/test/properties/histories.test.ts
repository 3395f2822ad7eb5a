/** Random histories of a group over a network that loses, repeats and reorders. Catalogue M-SEC-19. */
import fc from "fast-check";
import { test } from "vitest";
import { History, LARGEST, type Operation, OPERATIONS } from "./history.ts";

const place = fc.nat(LARGEST - 1);
const circumstances = fc.record({
  first: place,
  second: place,
  speakers: fc.array(place, { maxLength: 3 }),
});

type Step = readonly [Operation, { first: number; second: number; speakers: number[] }];

async function live(seed: number, steps: readonly Step[]): Promise<void> {
  const history = await History.begin(seed);
  for (const [kind, { first, second, speakers }] of steps) {
    const expected: string[] = [];
    for (const speaker of speakers) await history.send(speaker, expected);
    await history.settle(await history.act(kind, first, second), expected);
  }
}

test("M-SEC-19 cc-1: random histories over a bad network end in agreement", async () => {
  const steps = fc.array(fc.tuple(fc.constantFrom(...OPERATIONS), circumstances), {
    minLength: 1,
    maxLength: 7,
  });
  await fc.assert(fc.asyncProperty(fc.nat(), steps, live), { numRuns: 20 });
});

test("M-SEC-19: a history with every operation, in any order, ends in agreement", async () => {
  const everything = fc.shuffledSubarray([...OPERATIONS], { minLength: OPERATIONS.length });
  const { length } = OPERATIONS;
  const each = fc.array(circumstances, { minLength: length, maxLength: length });
  await fc.assert(
    fc.asyncProperty(fc.nat(), everything, each, (seed, kinds, all) =>
      live(
        seed,
        kinds.map((kind, i) => [kind, all[i]!]),
      ),
    ),
    { numRuns: 5 },
  );
});
