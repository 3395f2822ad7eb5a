/** The delay before committing what others could commit as well. */
import { expect, test } from "vitest";
import { commitDelay } from "../../../src/client/commit-delay.ts";

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
