/** How much is written. */
import { expect, test } from "vitest";
import { formatStorageSizes, measureStorage } from "../../src/testing/index.ts";

test("M-STO-13 perf-3 a message writes at most 300 bytes at the median and 2 KiB at worst, at any size", async () => {
  const [pair, hundred] = [
    await measureStorage({ members: 2 }),
    await measureStorage({ members: 100 }),
  ];
  console.log(formatStorageSizes([pair, hundred]));
  for (const { sent, received, receivedLate } of [pair, hundred]) {
    expect(sent.median).toBeLessThanOrEqual(300);
    expect(received.median).toBeLessThanOrEqual(300);
    for (const { max } of [sent, received, receivedLate]) expect(max).toBeLessThanOrEqual(2048);
  }
  expect(hundred.sent.median).toBeLessThan(pair.sent.median + 32);
  expect(hundred.received.median).toBeLessThan(pair.received.median + 32);
});

test("M-STO-13 perf-4 a group takes little more than its tree", async () => {
  const { group, treeBytes } = await measureStorage({ members: 200, messages: 10, commits: 4 });
  // What does not grow with the group: configuration, secrets, past epochs, skipped keys.
  expect(group.bytes - 8192).toBeLessThan(1.2 * treeBytes);
});
