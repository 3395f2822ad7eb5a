/** Catalogue M-APP: application messages and the ratchets under them. RFC 9420 §6.3, §9, §15. */
import { expect, test, vi } from "vitest";
import { toHex, utf8 } from "../../src/codec/index.ts";
import { Secret } from "../../src/crypto/index.ts";
import {
  DEFAULT_LIMITS,
  defaultProvider,
  type Group,
  memoryStorage,
  type Padding,
} from "../../src/index.ts";
import { openSenderData } from "../../src/framing/private-message.ts";
import { noPadding } from "../../src/framing/padding.ts";
import { protectApplicationData } from "../../src/group/application-message.ts";
import { newRatchet, seek, step } from "../../src/secret-tree/hash-ratchet.ts";
import {
  faultStorage,
  type TestGroup,
  testGroup,
  type TestGroupOptions,
} from "../../src/testing/index.ts";
import { decodeMlsMessage, type PrivateMessage } from "../../src/wire.ts";
import { acceptAnyCredential } from "../support/environment.ts";
import { newDesk, seat } from "../support/forge-clients.ts";
import { forgeMessage } from "../support/forge.ts";
import { TestGroup as Parties } from "../support/test-group.ts";

interface World {
  readonly world: TestGroup;
  readonly a: Group;
  readonly b: Group;
  readonly c: Group;
}

async function three(options: TestGroupOptions = {}): Promise<World> {
  const world = await testGroup(options);
  const [a, b, c] = world.groups as readonly [Group, Group, Group];
  return { world, a, b, c };
}

function privateIn(bytes: Uint8Array): PrivateMessage {
  const decoded = decodeMlsMessage(bytes);
  if (decoded.wireFormat !== "privateMessage") throw new Error("a PrivateMessage was expected");
  return decoded.message;
}

const kindsOf = async (group: Group, messages: readonly Uint8Array[]): Promise<string[]> =>
  (await group.processMany(messages)).map(({ kind }) => kind);

test("M-APP-01: the step of the ratchet is durable before a message is handed out", async () => {
  const storage = faultStorage(memoryStorage());
  let made = 0;
  const { world, a, b } = await three({
    storage: () => (++made === 1 ? storage : memoryStorage()),
  });
  const sent = await a.send("hello");
  expect(privateIn(sent.bytes).contentType).toBe("application");
  storage.plan.failWrite = storage.writes + 1;
  await expect(a.send("never sent")).rejects.toMatchObject({ code: "STORAGE_FAILED" });
  const { group } = await world.reopen(0, storage);
  const next = await group.send("after a restart");
  expect([sent.generation, next.generation]).toEqual([0, 1]);
  expect(await kindsOf(b, [sent.bytes, next.bytes])).toEqual(["application", "application"]);
});

test("M-APP-02: authenticated data belongs to one message, and is neither reused nor stored", async () => {
  const { world, a, b } = await three();
  const authenticatedData = utf8("for this message alone");
  const first = await a.send("one", { authenticatedData });
  const second = await a.send("two");
  expect(privateIn(first.bytes).authenticatedData).toEqual(authenticatedData);
  expect(await b.process(first.bytes)).toMatchObject({ authenticatedData });
  expect(await b.process(second.bytes)).toMatchObject({ authenticatedData: new Uint8Array() });
  for (const { storage } of world.members) {
    for (const { value } of await storage.list("")) {
      expect(toHex(value)).not.toContain(toHex(authenticatedData));
    }
  }
  const third = (await a.send("three", { authenticatedData })).bytes;
  const at = toHex(third).indexOf(toHex(authenticatedData)) / 2;
  const changed = third.slice();
  changed[at]! ^= 1;
  expect((await b.process(changed)).kind).toBe("invalid");
});

test("M-APP-03: proposals and Commits take authenticated data, too", async () => {
  const { a, b } = await three();
  const authenticatedData = utf8("aad");
  const { bytes } = await a.proposeUpdate({}, { authenticatedData });
  expect(await b.process(bytes)).toMatchObject({ kind: "proposal", authenticatedData });
  await a.dropAllProposals();
  const { commit } = await a.commit({ authenticatedData });
  expect(await b.process(commit)).toMatchObject({ kind: "commit", authenticatedData });
});

test("M-APP-04: the padding of one message may deviate from the group's", async () => {
  const { a } = await three({ config: { padding: { type: "none" } } });
  const [plain, padded] = [
    await a.send("x"),
    await a.send("x", { padding: { type: "fixed", size: 4096 } }),
  ];
  expect(padded.bytes.length - plain.bytes.length).toBeGreaterThan(3900);
  expect((await a.send("x")).bytes.length).toBe(plain.bytes.length);
});

test("M-APP-05: padding is none, multiple, fixed, stepwise or padmé, and anything but zeros is refused", async () => {
  const lengths = async (padding: Padding): Promise<number> => {
    const { a, b } = await three({ config: { padding } });
    const sizes = new Set<number>();
    for (const length of [1, 50, 100]) {
      const { bytes } = await a.send(new Uint8Array(length).fill(7));
      expect(await b.process(bytes)).toMatchObject({ data: new Uint8Array(length).fill(7) });
      sizes.add(bytes.length);
    }
    return sizes.size;
  };
  expect(await lengths({ type: "none" })).toBe(3);
  expect(await lengths({ type: "multiple", size: 512 })).toBe(1);
  expect(await lengths({ type: "fixed", size: 512 })).toBe(1);
  expect(await lengths({ type: "steps", sizes: [130, 512] })).toBe(2);
  expect(await lengths({ type: "padme", floor: 512 })).toBe(1);
  const parties = await Parties.of(["alice", "bob"]);
  const group = await seat(parties, await newDesk("dave"));
  const content = { contentType: "application", applicationData: utf8("x") } as const;
  const padded = (padding: Uint8Array): Promise<Uint8Array> =>
    forgeMessage(parties.party("alice"), content, {
      wireFormat: "privateMessage",
      privately: { padding },
    });
  expect((await group.process(await padded(Uint8Array.of(0, 0, 1)))).kind).toBe("invalid");
  expect((await group.process(await padded(Uint8Array.of(0, 0, 0)))).kind).toBe("application");
});

test("M-APP-06: an own message cannot be decrypted, also after a restart", async () => {
  const { world, a } = await three();
  const { bytes } = await a.send("keep the text yourself");
  expect(await a.process(bytes)).not.toHaveProperty("data");
  const { group } = await world.reopen(0, world.member(0).storage);
  expect((await group.process(bytes)).kind).toBe("ownMessage");
});

test("M-APP-07: messages out of order decrypt within the tolerance", async () => {
  const { a, b } = await three({ config: { outOfOrderTolerance: 3 } });
  const sent = (await a.sendMany(["0", "1", "2", "3", "4"])).map(({ bytes }) => bytes);
  expect(await kindsOf(b, [sent[4]!, sent[2]!, sent[1]!, sent[3]!, sent[0]!])).toEqual([
    "application",
    "application",
    "application",
    "application",
    "generationTooOld",
  ]);
});

test("M-APP-09: lost messages are bridged up to the forward limit", async () => {
  const { a, b, c } = await three({ config: { maximumForwardDistance: 5 } });
  const sent = (await a.sendMany(Array(8).fill("x") as string[])).map(({ bytes }) => bytes);
  expect(await kindsOf(b, [sent[5]!])).toEqual(["application"]);
  expect(await kindsOf(c, [sent[6]!, sent[2]!, sent[7]!])).toEqual([
    "generationTooFar",
    "application",
    "application",
  ]);
});

test("M-APP-10: messages of kept epochs decrypt, with replay protection of their own", async () => {
  const { world, a, b } = await three();
  const sent = [];
  for (let i = 0; i < 3; i++) {
    sent.push((await a.send(`in epoch ${a.epoch}`)).bytes);
    await world.commit(0);
  }
  expect(await kindsOf(b, [...sent, ...sent])).toEqual([
    ...(Array(3).fill("application") as string[]),
    ...(Array(3).fill("duplicate") as string[]),
  ]);
  expect((await a.send("now")).epoch).toBe(4n);
});

test("M-APP-11: merging deletes epochs beyond the number to be kept", async () => {
  const { world, a, b } = await three({ config: { pastEpochs: 2 } });
  const late = (await a.sendMany(["one", "two", "three"])).map(({ bytes }) => bytes);
  await world.commit(0);
  await world.commit(0);
  expect(await kindsOf(b, [late[0]!])).toEqual(["application"]);
  await world.commit(0);
  expect(await kindsOf(b, [late[1]!])).toEqual(["epochTooOld"]);
  const { group } = await world.reopen(1, world.member(1).storage);
  expect(await kindsOf(group, [late[2]!])).toEqual(["epochTooOld"]);
});

test("M-APP-12: past epochs are deleted by age, before a time, or all on request", async () => {
  const late = async (work: (world: World) => Promise<void>): Promise<string[]> => {
    const world = await three({ config: { pastEpochLifetime: 100 } });
    const { a, b } = world;
    const sent = [(await a.send("one")).bytes];
    await world.world.commit(0);
    world.world.clock.advance(60);
    sent.push((await a.send("two")).bytes);
    await world.world.commit(0);
    await work(world);
    return kindsOf(b, sent);
  };
  expect(await late(async () => undefined)).toEqual(["application", "application"]);
  expect(await late(({ b }) => b.deletePastEpochs())).toEqual(["epochTooOld", "epochTooOld"]);
  expect(await late(({ b, world }) => b.deletePastEpochs(world.clock() - 30n))).toEqual([
    "epochTooOld",
    "application",
  ]);
  const aged = late(async ({ world }) => {
    world.clock.advance(50);
    await world.commit(2);
  });
  expect(await aged).toEqual(["epochTooOld", "application"]);
});

test("M-APP-13: a late message shows its sender as it was, whatever became of the leaf", async () => {
  const { world, a, b, c } = await three();
  const late = await c.send("before I was removed");
  const { credential, signatureKey } = a.members()[2]!;
  await world.commit(0, { remove: [2] });
  world.forget(2);
  await world.add(["dave"]);
  expect(b.members()[2]?.signatureKey).not.toEqual(signatureKey);
  expect(await b.process(late.bytes)).toMatchObject({
    kind: "application",
    epoch: 1n,
    sender: { leafIndex: 2, credential, signatureKey },
  });
});

test("M-APP-13: a late message shows the identity that its sender had before a rotation", async () => {
  const { world, b, c } = await three({ authenticationService: acceptAnyCredential });
  const late = await c.send("before I rotated");
  const { credential, signatureKey } = b.members()[2]!;
  const identity = await world.member(2).client.addIdentity({ identity: "another name" });
  await world.commit(2, { identity });
  const rotated = { credential: identity.credential, signatureKey: identity.signatureKey };
  expect(b.members()[2]).toMatchObject(rotated);
  expect(rotated).not.toEqual({ credential, signatureKey });
  // With the identity of its epoch; the ones that follow come with the new one.
  const rightly = {
    kind: "application",
    epoch: 1n,
    sender: { leafIndex: 2, credential, signatureKey },
  };
  expect(await b.process(late.bytes)).toMatchObject(rightly);
  expect(await b.process((await c.send("after")).bytes)).toMatchObject({
    kind: "application",
    epoch: 2n,
    sender: { leafIndex: 2, ...rotated },
  });
});

test("M-APP-14: a received message comes with sender, identity, epoch, generation and authenticated data", async () => {
  const { a, b } = await three();
  await a.send("lost");
  const authenticatedData = utf8("aad");
  expect(await b.process((await a.send("x", { authenticatedData })).bytes)).toMatchObject({
    sender: { type: "member", leafIndex: 0, credential: { identity: utf8("member 0") } },
    epoch: 1n,
    generation: 1,
    authenticatedData,
  });
});

test("M-APP-15: no generation decrypts twice, after a restart neither", async () => {
  const { world, a, b, c } = await three();
  const [one, two] = (await a.sendMany(["one", "two"])).map(({ bytes }) => bytes);
  expect(await kindsOf(b, [two!, one!, two!])).toEqual(["application", "application", "duplicate"]);
  const { group } = await world.reopen(1, world.member(1).storage);
  expect(await kindsOf(group, [one!, two!])).toEqual(["duplicate", "duplicate"]);
  // The same number of another sender is another generation.
  expect(await kindsOf(group, [(await c.send("one")).bytes])).toEqual(["application"]);
});

test("M-APP-16: a sending ratchet ends at the limit, handshake and application apart, and a lower one can be set", async () => {
  const { world, a } = await three({ limits: { maximumGenerations: 2 } });
  const code = "RATCHET_EXHAUSTED";
  for (const text of ["one", "two"]) await a.send(text);
  await expect(a.send("three")).rejects.toMatchObject({ code, rule: "mk-43" });
  for (let i = 0; i < 2; i++) await a.proposeUpdate();
  await expect(a.proposeUpdate()).rejects.toMatchObject({ code });
  await a.dropAllProposals();
  await expect(a.commit()).rejects.toMatchObject({ code });
  await world.commit(1);
  expect((await a.send("in the next epoch")).generation).toBe(0);
  // Without a lower one it is the last number that fits.
  expect(DEFAULT_LIMITS.maximumGenerations).toBe(2 ** 32 - 1);
  const suite = defaultProvider().suite(1);
  const last = { ...newRatchet(new Secret(new Uint8Array(32))), generation: 2 ** 32 - 2 };
  const { messageKey, next } = step(suite, last);
  expect(messageKey.generation).toBe(2 ** 32 - 2);
  expect(() => step(suite, next)).toThrow(expect.objectContaining({ code }) as Error);
});

test("M-APP-17: valid pending proposals block sending until the epoch changes, invalid ones never do", async () => {
  const { world, a, b } = await three();
  await world.members[1]!.client.putPsk(utf8("only here"), utf8("secret"));
  const pskId = utf8("only here");
  const psk = { type: "external", pskId, nonce: new Uint8Array(32) } as const;
  await a.process((await b.propose({ type: "psk", psk })).bytes, { accept: true });
  await a.send("not blocked");
  const sent = await b.proposeUpdate();
  await a.process(sent.bytes, { accept: true });
  await expect(a.send("blocked")).rejects.toMatchObject({
    code: "COMMIT_REQUIRED",
    details: { proposals: [sent.reference] },
  });
  await a.commitImmediately();
  await a.send("not blocked any more");
});

test("M-APP-18: sending goes on in the old epoch while an own Commit is pending", async () => {
  const { a, b } = await three();
  const { commit } = await a.update();
  const { bytes, epoch } = await a.send("still in the old epoch");
  expect(epoch).toBe(1n);
  await b.process(commit, { accept: true });
  expect((await b.process(bytes)).kind).toBe("application");
});

test("M-APP-19: parallel sends take generations of their own, in one process and in two on one store", async () => {
  const { world, a, b } = await three();
  const { group: other } = await world.reopen(0, world.member(0).storage);
  const sends = Array.from({ length: 12 }, (_, i) => (i % 2 === 0 ? a : other).send(`${i}`));
  const sent = await Promise.all(sends);
  const generations = sent.map(({ generation }) => generation).sort((x, y) => x - y);
  expect(generations).toEqual(Array.from({ length: 12 }, (_, i) => i));
  const kinds = await kindsOf(
    b,
    sent.map(({ bytes }) => bytes),
  );
  expect(new Set(kinds)).toEqual(new Set(["application"]));
});

test("M-APP-21: the next generation can be peeked at, and a received message carries its own", async () => {
  const { a, b } = await three();
  await a.send("lost");
  const { nextGeneration } = a;
  expect(nextGeneration).toBe(1);
  const { bytes, generation } = await a.send(`signed with generation ${nextGeneration}`);
  expect(generation).toBe(nextGeneration);
  expect(await b.process(bytes)).toMatchObject({ generation });
});

test("M-APP-22: empty messages are legal, as are long ones up to a configurable limit of 1 MiB", async () => {
  const { a, b } = await three();
  expect(await b.process((await a.send(new Uint8Array())).bytes)).toMatchObject({
    data: new Uint8Array(),
  });
  const longest = new Uint8Array(2 ** 20).fill(1);
  const { bytes } = await a.send(longest);
  const outcome = await b.process(bytes);
  expect(outcome.kind === "application" && outcome.data.length).toBe(2 ** 20);
  const code = "INVALID_LENGTH";
  await expect(a.send(new Uint8Array(2 ** 20 + 1))).rejects.toMatchObject({ code });
  await a.configure({ maximumMessageSize: 10 });
  await expect(a.send(new Uint8Array(11))).rejects.toMatchObject({ code });
});

test("M-APP-08: of a skipped generation key and nonce are kept, and nothing that a used key follows from", () => {
  const crypto = defaultProvider().suite(1);
  const start = crypto.randomBytes(32);
  const hex = ({ bytes }: Secret): string => toHex(bytes);
  const secrets: string[] = [];
  const keys: { generation: number; key: string; nonce: string }[] = [];
  let chain = newRatchet(Secret.copyOf(start));
  for (let generation = 0; generation < 5; generation++) {
    secrets.push(hex(chain.secret));
    const { messageKey, next } = step(crypto, chain);
    keys.push({ generation, key: hex(messageKey.key), nonce: hex(messageKey.nonce) });
    chain = next;
  }

  const { messageKey, next } = seek(crypto, newRatchet(new Secret(start)), 3, DEFAULT_LIMITS);
  expect(hex(messageKey.key)).toBe(keys[3]?.key);
  const skipped = next.skipped.map((kept) => {
    expect(Object.keys(kept).sort()).toEqual(["generation", "key", "nonce"]);
    return { generation: kept.generation, key: hex(kept.key), nonce: hex(kept.nonce) };
  });
  expect(skipped).toEqual(keys.slice(0, 3));
  // The one ratchet secret that is held leads to later keys only.
  expect(hex(next.secret)).toBe(secrets[4]);
  const second = seek(crypto, next, 1, DEFAULT_LIMITS);
  expect(second.next.skipped.map(({ generation }) => generation)).toEqual([0, 2]);
  expect(second.next.secret).toBe(next.secret);
});

test("M-APP-23: each message draws four random bytes as its reuse guard", async () => {
  const { parties } = await Parties.of(["alice", "bob"]);
  const [alice, bob] = [parties.get("alice")!, parties.get("bob")!];
  const draws = vi.spyOn(alice.epoch.crypto, "randomBytes");
  const guards: string[] = [];
  for (let i = 0; i < 3; i++) {
    draws.mockClear();
    const { bytes, change } = await protectApplicationData(alice.epoch, {
      data: utf8("the same text"),
      authenticatedData: utf8(""),
      padding: noPadding,
    });
    alice.epoch.secretTree.apply(change);
    expect(draws.mock.calls).toEqual([[4]]);
    const { senderDataSecret } = bob.epoch.secrets;
    const opened = openSenderData(bob.epoch.crypto, privateIn(bytes), senderDataSecret);
    expect(opened.reuseGuard).toEqual(draws.mock.results[0]?.value);
    guards.push(toHex(opened.reuseGuard));
  }
  draws.mockRestore();
  expect(new Set(guards).size).toBe(3);
});
