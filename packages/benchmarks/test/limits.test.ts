/** The limits promise to count only what cannot be avoided. */
import { describe, expect, test } from "vitest";
import { forgeGroup } from "../src/forged-group.ts";
import { GROUPS } from "../src/groups.ts";
import { messages, providers } from "../src/internals.ts";
import { limitsOf } from "../src/limit-inputs.ts";
import { LIMITS } from "../src/limits.ts";
import { LowLevelLibrary } from "../src/low-level.ts";
import { coldFixture, type Fixture, RUNS, warmFixture } from "../src/operations.ts";
import { Primitives } from "../src/primitives.ts";
import { callsOf } from "../src/results.ts";
import type { Invitation } from "../src/boundary.ts";
import { CallCounter, type Counts } from "./call-counter.ts";

const counter = new CallCounter();

async function fixtureOf(
  suite: number,
  size: number,
  tree: "cold" | "warm",
): Promise<Fixture<Invitation>> {
  const library = new LowLevelLibrary(() => counter.wrap(providers.nodeProvider()), suite);
  if (tree === "cold") {
    return (await coldFixture(library, size)) as unknown as Fixture<Invitation>;
  }
  const group = await forgeGroup(providers.nodeProvider(), suite, size - 2);
  const guests = [await library.invitation("guest 1"), await library.invitation("guest 2")];
  const { welcome } = await group.invite(guests.map(({ keyPackage }) => keyPackage));
  const fixture = await warmFixture(library, size, guests, welcome);
  return fixture as unknown as Fixture<Invitation>;
}

/** Calls that mlskit makes, by operation. */
async function made(group: string, fixture: Fixture<Invitation>): Promise<Record<string, Counts>> {
  const counts: Record<string, Counts> = {};
  await RUNS[group]?.(
    fixture,
    async (operation, work) => {
      let result: Awaited<ReturnType<typeof work>> | undefined;
      counts[operation] = await counter.count(async () => {
        result = await work();
      });
      return result as Awaited<ReturnType<typeof work>>;
    },
    () => undefined,
  );
  return counts;
}

describe.each([
  [1, "cold"],
  [1, "warm"],
  [2, "warm"],
] as const)("suite %i, %s tree", (suite, tree) => {
  const groups = GROUPS.filter(({ trees }) => trees.includes(tree)).map(({ name }) => name);

  test.each([3, 8, 13])(
    "the limit of no operation counts a call that mlskit does without, %i members",
    async (size) => {
      const fixture = await fixtureOf(suite, size, tree);
      for (const group of groups) {
        // The first time may meet a state that later times do not.
        await made(group, fixture);
        const needed = await limitsOf(group, fixture);
        const calls = await made(group, fixture);
        for (const [operation, steps] of Object.entries(needed)) {
          for (const [primitive, count] of Object.entries(callsOf(steps))) {
            const actual = calls[operation]?.[primitive as keyof Counts] ?? 0;
            expect(count, `${primitive} of ${operation}`).toBeLessThanOrEqual(actual);
          }
        }
      }
    },
  );
});

test("a bare Commit and the proposal before it are PrivateMessages, as its limit says", async () => {
  const library = new LowLevelLibrary(() => providers.nodeProvider(), 3);
  const { sender, receiver } = await coldFixture(library, 4);
  const proposal = await sender.proposeAdd((await library.invitation("guest")).keyPackage);
  const { commit } = await sender.commit({ bare: true });
  const formats = [proposal, commit].map((bytes) => messages.decodeMlsMessage(bytes).wireFormat);
  expect(formats).toEqual(["privateMessage", "privateMessage"]);
  await receiver.process(proposal);
  await receiver.process(commit);
  expect(receiver.authenticator()).toEqual(sender.authenticator());
});

test("every operation but storing and loading has a limit", () => {
  const operations = GROUPS.flatMap((group) => group.operations);
  const without = operations.filter((operation) => LIMITS[operation] === undefined);
  expect(without).toEqual(["store", "load"]);
});

test("the calls of a limit are the calls that are made to measure it", async () => {
  const fixture = await fixtureOf(1, 8, "warm");
  const shared = new Primitives(providers.nodeProvider().suite(1));
  for (const group of ["join", "commit", "message", "membership", "bareAdd", "externalJoin"]) {
    for (const [operation, steps] of Object.entries(await limitsOf(group, fixture))) {
      const { run: perform } = await shared.prepare(steps);
      const crypto = counter.wrap(providers.nodeProvider()).suite(1);
      const counts = await counter.count(() => perform(crypto));
      expect(counts, operation).toEqual(callsOf(steps));
    }
  }
});
