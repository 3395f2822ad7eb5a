/** Commits that lose the race for their epoch, in groups of clients. RFC 9420 §14; pitfall com-1. */
import { describe, expect, test } from "vitest";
import { utf8 } from "../../src/codec/index.ts";
import { type Group, memoryStorage, type PendingCommitView } from "../../src/index.ts";
import { type TestGroup, testGroup } from "../../src/testing/index.ts";

type WireForm = "public" | "private";

/** The client of a member over a copy of its records, as after a restart. */
async function restart(world: TestGroup, index: number): Promise<Group> {
  const copy = memoryStorage();
  const records = await world.member(index).storage.list("");
  const puts = records.map(({ key, value }) => ({ key, value }));
  await copy.write({ puts, deletes: [], expect: [] });
  return (await world.reopen(index, copy)).group;
}

/** Everybody can commit, and everybody can be read by everybody. */
async function goesOn(world: TestGroup, first: number): Promise<void> {
  for (const by of [first, (first + 1) % world.groups.length]) {
    await world.commit(by);
    world.assertAgreement();
  }
  for (const from of world.groups.keys()) {
    const outcomes = await world.say(from, `from ${from}`);
    expect(outcomes.map(({ kind }) => kind)).toEqual(outcomes.map(() => "application"));
  }
}

/** What became of the loser's own Commit before the winner's arrived. */
const FATES = ["kept pending", "discarded first", "made again"] as const;

const cases = [2, 3, 9].flatMap((size) =>
  [false, true].flatMap((restarted) =>
    (["public", "private"] as const).map((wireForm) => [size, restarted, wireForm] as const),
  ),
);

describe("com-1 the loser of a race", () => {
  test.each(cases)(
    "goes on in a group of %i, with a restart in between: %s, %s",
    async (size, restarted, wireForm) => {
      for (const fate of FATES) {
        const world = await testGroup({ members: size });
        const [winner, loser] = [0, size - 1];
        // The loser has an Update of its own under way as well.
        const update = await world.member(loser).group.proposeUpdate();
        await world.deliver(update.bytes, loser);
        const lost = await race(world, { winner, loser, fate, restarted, wireForm });
        world.assertAgreement();
        // Nobody takes the lost Commit any more.
        for (const group of world.groups) {
          const { kind } = await group.process(lost.commit, { accept: true });
          expect(["stale", "duplicate"]).toContain(kind);
        }
        world.assertAgreement();
        await goesOn(world, loser);
      }
    },
    60_000,
  );

  test.each([2, 3, 9])(
    "in a group of %i gets back what it asked for, after a restart too",
    async (size) => {
      for (const restarted of [false, true]) {
        const world = await testGroup({ members: size });
        const loser = size - 1;
        for (const { client } of world.members) await client.putPsk(utf8("psk"), utf8("secret"));
        await world.member(loser).group.commit({ psks: [utf8("psk")] });
        const { commit } = await world.member(0).group.update();
        const own = restarted ? await restart(world, loser) : world.member(loser).group;
        const outcome = await own.process(commit, { accept: true });
        if (outcome.kind !== "commit") throw new Error("a Commit was expected");
        await world.member(0).group.acceptCommit();
        for (const [i, group] of world.groups.entries()) {
          if (i !== 0 && i !== loser) await group.process(commit, { accept: true });
        }
        world.assertAgreement();
        const { discarded } = outcome;
        if (discarded === undefined) throw new Error("our own Commit lost");
        const again = await own.rebuild(discarded);
        if (again === undefined) throw new Error("there is something left to do");
        await world.deliver(again.commit, loser);
        await own.acceptCommit();
        expect(again.summary.psks.map(({ type }) => type)).toEqual(["external"]);
        await goesOn(world, loser);
      }
    },
    60_000,
  );
});

interface Race {
  readonly winner: number;
  readonly loser: number;
  readonly fate: (typeof FATES)[number];
  readonly restarted: boolean;
  readonly wireForm: WireForm;
}

/** Both commit in one epoch, and the delivery service takes the winner's. @returns The lost one */
async function race(
  world: TestGroup,
  { winner, loser, fate, restarted, wireForm }: Race,
): Promise<PendingCommitView> {
  const options = { wireForm } as const;
  const first = world.member(loser).group;
  let lost = await first.update({}, options);
  if (fate !== "kept pending") await first.discardCommit();
  if (fate === "made again") lost = await first.update({}, options);
  const { commit } = await world.member(winner).group.update({}, options);
  const own = restarted ? await restart(world, loser) : first;
  expect(own.status).toBe(fate === "discarded first" ? "active" : "pendingCommit");
  for (const [i, group] of world.groups.entries()) {
    if (i === winner) await group.acceptCommit();
    else expect((await group.process(commit, { accept: true })).kind).toBe("commit");
  }
  expect(own.status).toBe("active");
  return lost;
}
