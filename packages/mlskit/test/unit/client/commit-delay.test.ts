/** The delay before committing what others could commit as well. */
import { expect, test } from "vitest";
import { commitDelay } from "../../../src/client/state/commit-delay.ts";
import { SELF_REMOVE, selfRemove, selfRemoveType } from "../../../src/drafts/index.ts";
import { testGroup } from "../../../src/testing/index.ts";

const delays = (members: number, epoch: bigint): number[] =>
  Array.from({ length: members }, (_, rank) => commitDelay(members, rank, epoch));

test("P-OWN-05 M-DS-09: members wait in turn, and in another order in every epoch", () => {
  expect(delays(10, 1n)).toEqual([15, 30, 60, 87, 109, 127, 143, 157, 170, 0]);
  expect(delays(3, 0n)).toEqual([0, 15, 30]);
  expect(delays(4, 6n)).toEqual([30, 60, 0, 15]);
  expect(delays(5, 2n ** 64n - 1n)).toEqual([0, 15, 30, 60, 87]);
  expect([50, 100, 1000, 10_000].map((position) => commitDelay(10_000, position - 1, 0n))).toEqual([
    363, 446, 722, 999,
  ]);
  expect([0, 1].map((rank) => commitDelay(2, rank, 2n))).toEqual([0, 15]);
});

test("P-OWN-05: who is being removed, or leaves, does not wait, and is not counted among those who do", async () => {
  const types = { proposals: new Map([[SELF_REMOVE, selfRemoveType]]) };
  const handshake = { send: "public", accept: "both" } as const;
  const world = await testGroup({ members: 3, types, config: { handshake } });
  await world.commit(1);
  const waits = () => world.groups.map((group) => group.commitDelay);
  expect(world.member(0).group.epoch).toBe(2n);
  expect(waits()).toEqual([undefined, undefined, undefined]);
  const { bytes } = await world.member(1).group.proposeRemove(0);
  await world.deliver(bytes, 1);
  expect(waits()).toEqual([undefined, 0, 15]);
  for (const group of world.groups) await group.dropAllProposals();
  const left = await world.member(0).group.propose(selfRemove());
  await world.deliver(left.bytes, 0);
  expect(waits()).toEqual([undefined, 0, 15]);
  // A merge cancels the waiting.
  await world.commit(1);
  expect(waits().slice(1)).toEqual([undefined, undefined]);
});
