/** How much is written. */
import { expect, test } from "vitest";
import type { CryptoProvider, SealJob, SuiteCrypto } from "../../src/crypto/index.ts";
import { defaultProvider } from "../../src/index.ts";
import { formatStorageSizes, measureStorage, type StorageSizes } from "../../src/testing/index.ts";

function expectSmallMessages(...sizes: readonly StorageSizes[]): void {
  console.log(formatStorageSizes(sizes));
  for (const { sent, received, receivedLate } of sizes) {
    expect(sent.median).toBeLessThanOrEqual(300);
    expect(received.median).toBeLessThanOrEqual(300);
    for (const { max } of [sent, received, receivedLate]) expect(max).toBeLessThanOrEqual(2048);
  }
}

test("M-STO-13 perf-3 a message writes at most 300 bytes at the median and 2 KiB at worst, at any size", async () => {
  const [pair, hundred] = [
    await measureStorage({ members: 2 }),
    await measureStorage({ members: 100 }),
  ];
  expectSmallMessages(pair, hundred);
  expect(hundred.sent.median).toBeLessThan(pair.sent.median + 32);
  expect(hundred.received.median).toBeLessThan(pair.received.median + 32);
});

/**
 * For members who say nothing: nobody's signature is looked at, and only the first keys of a list,
 * of those who do talk, get what is sealed for them. Nothing becomes smaller or larger by that.
 */
function hollowProvider(): CryptoProvider {
  const real = defaultProvider();
  const crypto = real.suite(1);
  const sealMany = async (info: Uint8Array, jobs: readonly SealJob[]) => {
    const sealed = await crypto.sealMany(info, jobs.slice(0, 8));
    return jobs.map((_, i) => sealed[Math.min(i, sealed.length - 1)]!);
  };
  const hollow: Partial<SuiteCrypto> = {
    verify: () => true,
    verifyMany: (jobs) => jobs.map(() => true),
    sealMany,
  };
  const suite = new Proxy(crypto, {
    get(target, name) {
      const value: unknown = Reflect.get(hollow, name) ?? Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  return { name: real.name, suites: [1], suite: () => suite };
}

test("M-STO-13 perf-3 a message among 2,000 members writes no more than one between two", async () => {
  const few = { messages: 10, commits: 1, provider: hollowProvider() };
  const pair = await measureStorage({ ...few, members: 2 });
  const crowd = await measureStorage({ ...few, members: 2000 });
  expectSmallMessages(pair, crowd);
  expect(crowd.sent.median).toBeLessThan(pair.sent.median + 32);
  expect(crowd.received.median).toBeLessThan(pair.received.median + 32);
  // The tree is written once in an epoch, and of it what has changed.
  expect(crowd.treeBytes).toBeGreaterThan(300_000);
  expect(crowd.receivedCommit.max).toBeLessThan(8192);
}, 120_000);

test("M-STO-13 perf-4 a group takes little more than its tree", async () => {
  const { group, treeBytes } = await measureStorage({ members: 200, messages: 10, commits: 4 });
  // What does not grow with the group: configuration, secrets, past epochs, skipped keys.
  expect(group.bytes - 8192).toBeLessThan(1.2 * treeBytes);
});
