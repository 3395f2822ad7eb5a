/** What went wrong elsewhere with message keys and forward secrecy. RFC 9420 §9. */
import { describe, expect, test } from "vitest";
import { concat, toHex, utf8 } from "../../src/codec/index.ts";
import { Secret, type SuiteCrypto } from "../../src/crypto/index.ts";
import { deriveTreeSecret, expandWithLabel } from "../../src/crypto/labels.ts";
import { decodeMlsMessage } from "../../src/framing/mls-message.ts";
import { openSenderData } from "../../src/framing/private-message.ts";
import { DEFAULT_LIMITS } from "../../src/group/environment.ts";
import { Client, type Storage } from "../../src/index.ts";
import { newRatchet, seek, trim } from "../../src/secret-tree/hash-ratchet.ts";
import { SecretTree } from "../../src/secret-tree/secret-tree.ts";
import { agree, expectRule, refuses } from "../support/assertions.ts";
import { flipped, forgeMessage } from "../support/forge.ts";
import { newDesk, seat } from "../support/forge-clients.ts";
import { provider } from "../support/parties.ts";
import { TestGroup } from "../support/test-group.ts";

const crypto = provider.suite(1);
const START = new Uint8Array(32).fill(3);
const LIMITS = DEFAULT_LIMITS;

/** The chain of a ratchet's secrets and the keys that belong to them. */
function chain(count: number): { readonly secrets: string[]; readonly keys: string[] } {
  const [secrets, keys]: [string[], string[]] = [[], []];
  let secret: Uint8Array = START;
  for (let generation = 0; generation < count; generation++) {
    secrets.push(toHex(secret));
    keys.push(toHex(deriveTreeSecret(crypto, secret, "key", generation, 16)));
    secret = deriveTreeSecret(crypto, secret, "secret", generation, 32);
  }
  return { secrets, keys };
}

async function stored(storage: Storage): Promise<Buffer> {
  const records = await storage.list("");
  return Buffer.from(concat(...[...records].map(({ value }) => value)));
}

/** A provider that counts the steps of the key derivation. */
function counting(): { readonly crypto: SuiteCrypto; count(): number } {
  let calls = 0;
  const counted = new Proxy(crypto, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== "function") return value;
      return (...args: unknown[]): unknown => {
        if (name === "expand" || name === "extract" || name === "hmac") calls++;
        return Reflect.apply(value, target, args);
      };
    },
  });
  return { crypto: counted, count: () => calls };
}

test("st-1 skipped generations are kept as key and nonce, from which nothing follows", () => {
  const { secrets, keys } = chain(8);
  const { next } = seek(crypto, newRatchet(new Secret(START.slice())), 5, LIMITS);
  expect(next.skipped.map(({ generation }) => generation)).toEqual([0, 1, 2, 3, 4]);
  const held = [next.secret, ...next.skipped.flatMap(({ key, nonce }) => [key, nonce])];
  const strings = held.map(({ bytes }) => toHex(bytes));
  for (const secret of secrets.slice(0, 6)) expect(strings).not.toContain(secret);
  expect(strings).not.toContain(keys[5]);
  expect(strings[0]).toBe(secrets[6]);
  const derived = held.slice(1).flatMap(({ bytes }) => {
    return [4, 5, 6].map((generation) => {
      return toHex(deriveTreeSecret(crypto, bytes, "key", generation, 16));
    });
  });
  for (const key of keys) expect(derived).not.toContain(key);
});

test("st-2 the key of a message that was read is not in the store any more", async () => {
  const group = await TestGroup.of(["alice"]);
  const desk = await newDesk("bob");
  const b = await seat(group, desk);
  const { secretTree } = group.party("alice").epoch;
  const keys: Buffer[] = [];
  const sent: Uint8Array[] = [];
  for (let i = 0; i < 3; i++) {
    keys.push(Buffer.from(secretTree.prepareSend(0, "application").messageKey.key.bytes));
    sent.push(await group.send("alice", `message ${i}`));
  }
  await b.process(sent[2]!);
  const half = await stored(desk.storage);
  expect(keys.map((key) => half.includes(key))).toEqual([true, true, false]);
  await b.process(sent[0]!);
  await b.process(sent[1]!);
  const after = await stored(desk.storage);
  expect(keys.map((key) => after.includes(key))).toEqual([false, false, false]);
});

describe("st-3 a message that fails has used up nothing", () => {
  const content = { contentType: "application", applicationData: utf8("hello") } as const;
  const failures = [
    { privately: { alterCiphertext: (sealed: Uint8Array) => flipped(sealed, -1) } },
    { privately: { padding: Uint8Array.of(0, 1) } },
    { alterSignature: (signature: Uint8Array) => flipped(signature, 0) },
  ];
  test.each(failures)("case %#", async (forgery) => {
    const group = await TestGroup.of(["alice", "bob"]);
    const [alice, bob] = [group.party("alice"), group.party("bob")];
    const bad = await forgeMessage(alice, content, { wireFormat: "privateMessage", ...forgery });
    const rule = await bob.receive(bad).then(
      () => undefined,
      (error: { rule?: string }) => error.rule,
    );
    expect(["mk-29", "valn1303", "valn1304"]).toContain(rule);
    await refuses(bob, () => bob.receive(bad), rule as "mk-29");
    const good = await forgeMessage(alice, content, { wireFormat: "privateMessage" });
    expect((await bob.receive(good)).kind).toBe("application");
  });
});

test("st-4 a ciphertext that comes twice has a code of its own, and later ones are read", async () => {
  const group = await TestGroup.of(["alice", "bob"]);
  const bob = group.party("bob");
  const first = await group.send("alice", "one");
  await bob.receive(first);
  await refuses(bob, () => bob.receive(first), "mk-36", { code: "ALREADY_CONSUMED" });
  await bob.receive(await group.send("alice", "two"));
  await refuses(bob, () => bob.receive(first), "mk-36", { code: "ALREADY_CONSUMED" });
  await agree(group);
});

test("st-5 the last generation of a fresh epoch is refused before anything is derived", async () => {
  const counted = counting();
  const encryption = new Secret(START.slice());
  const tree = SecretTree.fromEncryptionSecret(counted.crypto, 1024, encryption);
  for (const generation of [LIMITS.maximumForwardDistance + 1, 0xffff_fffe, 0xffff_ffff]) {
    const attempt = () => tree.prepareReceive(700, "application", generation, LIMITS);
    await expectRule(attempt, "mk-37", { as: "STA", code: "GENERATION_TOO_FAR" });
  }
  expect(counted.count()).toBe(0);
  tree.prepareReceive(700, "application", 0, LIMITS);
  expect(counted.count()).toBeGreaterThan(0);
});

test("st-6 skipped keys are bounded for each sender and in total, and the oldest go", () => {
  const limits = { ...LIMITS, outOfOrderTolerance: 4, maximumSkippedKeys: 10 };
  const tree = SecretTree.fromEncryptionSecret(crypto, 16, new Secret(START.slice()));
  for (let round = 1; round <= 5; round++) {
    for (let leaf = 0; leaf < 16; leaf++) {
      const { change } = tree.prepareReceive(leaf, "application", round * 9, limits);
      tree.apply(change);
      expect(tree.skippedKeyCount).toBeLessThanOrEqual(10);
    }
  }
  for (const { leaf, ratchet } of tree.ratchets()) {
    const kept = ratchet.skipped.map(({ generation }) => generation);
    expect(kept.length).toBeLessThanOrEqual(4);
    expect(kept).toEqual([41, 42, 43, 44].slice(4 - kept.length));
    if (leaf === 15 && kept.length > 0) expect(kept).toHaveLength(4);
  }
});

test("st-7 shrinking keeps the newest entries, however full the store is", () => {
  for (let skipped = 0; skipped <= 6; skipped++) {
    const { next } = seek(crypto, newRatchet(new Secret(START.slice())), skipped, LIMITS);
    const all = next.skipped.map(({ generation }) => generation);
    for (let limit = 0; limit <= 7; limit++) {
      const kept = trim(next, limit).skipped.map(({ generation }) => generation);
      expect(kept).toEqual(limit === 0 ? [] : all.slice(-limit));
    }
  }
});

test("st-8 handshake and application ratchets move on their own, also out of order", async () => {
  const group = await TestGroup.of(["alice", "bob", "carol"]);
  const bob = group.party("bob");
  const said = [await group.send("alice", "0"), await group.send("alice", "1")];
  const remove = { type: "remove", removed: 2 } as const;
  await group.propose("alice", remove, { wireFormat: "privateMessage" });
  said.push(await group.send("alice", "2"));
  for (const at of [2, 0, 1]) {
    expect(await bob.receive(said[at]!)).toMatchObject({
      kind: "application",
      content: { content: { applicationData: utf8(`${at}`) } },
    });
  }
  await group.commit("bob", { wireFormat: "privateMessage" });
  await agree(group);
});

test("st-9 no pair of key and nonce comes twice: a private Commit that is made again, and parallel sends", async () => {
  const group = await TestGroup.of(["alice"]);
  const desk = await newDesk("bob");
  const b = await seat(group, desk);
  const { epoch } = group.party("alice");
  const generationOf = (bytes: Uint8Array): string => {
    const message = decodeMlsMessage(bytes);
    if (message.wireFormat !== "privateMessage") throw new Error("a PrivateMessage was expected");
    const { senderDataSecret } = epoch.secrets;
    const { generation } = openSenderData(epoch.crypto, message.message, senderDataSecret);
    return `${message.message.contentType === "application" ? "a" : "h"}${generation}`;
  };
  const seen: string[] = [];
  for (let i = 0; i < 3; i++) {
    seen.push(generationOf((await b.update()).commit));
    await b.discardCommit();
    const again = await (await Client.open(desk.options)).group(b.id);
    seen.push(generationOf((await again.proposeUpdate()).bytes));
    await again.dropAllProposals();
    const sends = Array.from({ length: 5 }, (_, at) => again.send(`${at}`));
    for (const { bytes } of await Promise.all(sends)) seen.push(generationOf(bytes));
  }
  expect(new Set(seen).size).toBe(seen.length);
});

test("st-10 what was derived from is gone, and only copath nodes remain", () => {
  const tree = SecretTree.fromEncryptionSecret(crypto, 8, new Secret(START.slice()));
  expect([...tree.nodes()].map(([node]) => node)).toEqual([7]);
  const held = (): number[] => [...tree.nodes()].map(([node]) => node).sort((a, b) => a - b);
  const open = (leaf: number): void => {
    tree.apply(tree.prepareReceive(leaf, "application", 0, LIMITS).change);
  };
  open(2);
  expect(held()).toEqual([1, 6, 11]);
  open(7);
  expect(held()).toEqual([1, 6, 9, 12]);
  for (const leaf of [0, 1, 3, 4, 5, 6]) open(leaf);
  expect(held()).toEqual([]);
});

test.each([1, 2, 3, 5, 6, 7, 9])(
  "st-11 a group of %i uses the secrets of the full tree",
  async (size) => {
    const names = Array.from({ length: size }, (_, i) => `member ${i}`);
    await agree(await TestGroup.of(names));
    let leaves = 1;
    while (leaves < size) leaves *= 2;
    const tree = SecretTree.fromEncryptionSecret(crypto, leaves, new Secret(START.slice()));
    /** The secret of the leaf, derived as the RFC draws it. */
    const naive = (leaf: number): Uint8Array => {
      let secret: Uint8Array = START;
      let [low, count] = [0, leaves];
      while (count > 1) {
        const isLeft = leaf < low + count / 2;
        secret = expandWithLabel(crypto, secret, "tree", utf8(isLeft ? "left" : "right"), 32);
        if (!isLeft) low += count / 2;
        count /= 2;
      }
      return secret;
    };
    for (let leaf = 0; leaf < size; leaf++) {
      const first = expandWithLabel(crypto, naive(leaf), "application", new Uint8Array(), 32);
      const { messageKey } = tree.prepareReceive(leaf, "application", 0, LIMITS);
      expect(toHex(messageKey.key.bytes)).toBe(
        toHex(deriveTreeSecret(crypto, first, "key", 0, 16)),
      );
    }
  },
);

test("st-12 late messages are read after merges, the secrets of their epoch being gone", async () => {
  const group = await TestGroup.of(["alice"]);
  const desk = await newDesk("bob");
  const b = await seat(group, desk);
  const late = [await group.send("alice", "0"), await group.send("alice", "1")];
  const old = group.party("alice").epoch.secrets;
  const gone = [old.initSecret, old.exporterSecret, old.epochAuthenticator, old.externalSecret];
  const before = gone.map(({ bytes }) => Buffer.from(bytes));
  const secrets = await stored(desk.storage);
  for (const secret of before) expect(secrets.includes(secret)).toBe(true);
  for (let i = 0; i < 2; i++) {
    const { commit } = await group.commit("alice");
    await b.process(commit);
    expect((await b.process(late[i]!)).kind).toBe("application");
    const left = await stored(desk.storage);
    for (const secret of before) expect(left.includes(secret)).toBe(false);
  }
});

test("st-13 a removed member keeps no secret of its last epoch", async () => {
  const group = await TestGroup.of(["alice"]);
  const desk = await newDesk("bob");
  const b = await seat(group, desk);
  const { secrets } = group.party("alice").epoch;
  const last = Object.values(secrets).map(({ bytes }) => Buffer.from(bytes));
  const { commit } = await group.commit("alice", { proposals: [{ type: "remove", removed: 1 }] });
  expect((await b.process(commit)).kind).toBe("removed");
  const left = await stored(desk.storage);
  for (const secret of last) expect(left.includes(secret)).toBe(false);
  await expectRule(() => b.export("x", new Uint8Array(), 32), "mk-110", { as: "STA" });
  await expectRule(() => b.send("x"), "mk-46");
});
