/** What was slow elsewhere: counted, since clocks are not to be relied on. */
import { afterEach, describe, expect, test, vi } from "vitest";
import { utf8 } from "../../src/codec/index.ts";
import type { SuiteCrypto } from "../../src/crypto/index.ts";
import { nobleProvider, nodeProvider, webCryptoProvider } from "../../src/providers/index.ts";
import { testGroup } from "../../src/testing/index.ts";
import { changedChunks } from "../../src/tree/stored-chunks.ts";
import { forgeCommit } from "../support/forge.ts";
import { provider } from "../support/parties.ts";
import { TestGroup } from "../support/test-group.ts";

const webCrypto = await webCryptoProvider();

afterEach(() => {
  vi.restoreAllMocks();
});

type Call = "hash" | "verify" | "sign" | "seal" | "open" | "aeadSeal" | "aeadOpen";

/** Calls to the cryptography by name, while something is done. */
async function callsOf(action: () => Promise<unknown>): Promise<Readonly<Record<Call, number>>> {
  const names = [
    "hash",
    "verify",
    "verifyMany",
    "sign",
    "seal",
    "open",
    "aeadSeal",
    "aeadOpen",
  ] as const;
  const prototype = Object.getPrototypeOf(provider.suite(1)) as SuiteCrypto;
  const spies = names.map((name) => [name, vi.spyOn(prototype, name)] as const);
  await action();
  const counts = spies.map(([name, spy]) => [name, spy.mock.calls.length] as const);
  vi.restoreAllMocks();
  return Object.fromEntries(counts) as Record<Call, number>;
}

function groupOf(size: number): Promise<TestGroup> {
  return TestGroup.of(Array.from({ length: size }, (_, i) => `member ${i}`));
}

describe("perf-5 hashes of the tree", () => {
  test("are computed along the path of a Commit, and once for a tree that is joined", async () => {
    const counts: number[] = [];
    for (const size of [16, 256]) {
      const group = await groupOf(size);
      const { bytes } = await forgeCommit(group.party("member 0"));
      const receiver = group.party("member 9");
      counts.push((await callsOf(() => receiver.receive(bytes))).hash);
    }
    // Twice the levels, and not sixteen times the nodes.
    expect(counts[1]).toBeLessThan(3 * counts[0]!);
    expect(counts[1]).toBeLessThan(256);
  });
});

describe("perf-6 copies of the tree", () => {
  test("a Commit changes the chunks on its path and shares all others", async () => {
    const group = await groupOf(256);
    const before = group.party("member 1").epoch.tree;
    await group.commit("member 0");
    const after = group.party("member 1").epoch.tree;
    const all = [...after.chunks()].length;
    const changed = changedChunks(after, before).length;
    expect(all).toBeGreaterThan(8);
    expect(changed).toBeLessThanOrEqual(4);
    const old = new Set([...before.chunks()].map(({ chunk }) => chunk));
    const shared = [...after.chunks()].filter(({ chunk }) => old.has(chunk)).length;
    expect(shared).toBe(all - changed);
  });
});

describe("perf-7 calls to the provider", () => {
  test.each([
    ["node", nodeProvider()],
    ["noble", nobleProvider()],
    ["WebCrypto", webCrypto],
  ] as const)("hashing, MAC, key derivation and AEAD of %s answer at once", (_, made) => {
    const crypto = made.suite(1);
    const key = new Uint8Array(16);
    const nonce = new Uint8Array(12);
    const sealed = crypto.aeadSeal(key, nonce, nonce, utf8("text"));
    const answers: readonly unknown[] = [
      crypto.hash(utf8("x")),
      crypto.hmac(key, utf8("x")),
      crypto.extract(key, utf8("x")),
      crypto.expand(new Uint8Array(32), utf8("x"), 16),
      sealed,
      crypto.aeadOpen(key, nonce, nonce, sealed),
    ];
    for (const answer of answers) expect(answer).toBeInstanceOf(Uint8Array);
  });

  test("a message and a Commit make as many as their cryptography asks for", async () => {
    const group = await groupOf(8);
    let bytes = new Uint8Array();
    const sent = await callsOf(async () => {
      bytes = (await group.send("member 0", "hello")) as never;
    });
    expect(sent).toMatchObject({ sign: 1, aeadSeal: 2, verify: 0, seal: 0, open: 0 });
    const received = await callsOf(() => group.party("member 1").receive(bytes));
    expect(received).toMatchObject({ sign: 0, verify: 1, aeadOpen: 2, seal: 0, open: 0 });
    const { bytes: commit } = await forgeCommit(group.party("member 0"));
    const followed = await callsOf(() => group.party("member 5").receive(commit));
    // Its own signature and that of the new leaf; one ciphertext is for us.
    expect(followed).toMatchObject({ sign: 0, verify: 2, open: 1, seal: 0 });
  });
});

describe("perf-9 memory", () => {
  test("long messages do not stay because of what is kept of them", async () => {
    const group = await groupOf(64);
    const { bytes } = await forgeCommit(group.party("member 0"));
    expect(bytes.length).toBeGreaterThan(5000);
    const receiver = group.party("member 9");
    const { context, confirmationTag } = receiver.epoch;
    const received = await receiver.receive(bytes);
    if (received.kind !== "commit" || received.staged.next === undefined)
      throw new Error("no Commit");
    const { tree } = received.staged.next;
    const { encoded, signatureKey } = tree.leaf(group.party("member 0").epoch.ownLeaf)!;
    const { encryptionKey } = tree.parent(tree.root)!;
    const kept = [context.groupId, confirmationTag, encoded, signatureKey, encryptionKey];
    for (const { buffer } of kept) expect(buffer.byteLength).toBeLessThan(1000);
  });

  test("is flat over many messages and epochs", { timeout: 240_000 }, async () => {
    const { setFlagsFromString } = await import("node:v8");
    const { runInNewContext } = await import("node:vm");
    setFlagsFromString("--expose-gc");
    const collect = runInNewContext("gc") as () => void;
    const world = await testGroup({ members: 2 });
    const [a, b] = world.groups;
    const live = async (epochs: number): Promise<number> => {
      for (let epoch = 0; epoch < epochs; epoch++) {
        const sent = await a!.sendMany(Array.from({ length: 10 }, (_, i) => `${i}`));
        await b!.processMany(sent.map(({ bytes }) => bytes));
        const { commit } = await a!.update();
        await b!.process(commit, { accept: true });
        await a!.acceptCommit();
      }
      collect();
      const { heapUsed, arrayBuffers } = process.memoryUsage();
      return (heapUsed + arrayBuffers) / 2 ** 20;
    };
    // Caches and remembered messages fill first.
    const before = await live(60);
    const after = await live(200);
    expect(after - before).toBeLessThan(4);
    world.assertAgreement();
  });
});
