/** What went wrong elsewhere with the key schedule and the exporter. RFC 9420 §8. */
import { describe, expect, test } from "vitest";
import { concat, EMPTY_BYTES, toHex, utf8 } from "../../src/codec/index.ts";
import { Secret, type SuiteCrypto } from "../../src/crypto/index.ts";
import { deriveSecret, deriveTreeSecret, expandWithLabel } from "../../src/crypto/labels.ts";
import { ExternalPub, ExtensionType, readExtension } from "../../src/extensions/extension.ts";
import { decodeMlsMessage } from "../../src/framing/mls-message.ts";
import type { Epoch } from "../../src/group/epoch.ts";
import { Client } from "../../src/index.ts";
import { exportSecret } from "../../src/key-schedule/exporter.ts";
import {
  epochSecrets,
  joinerSecret,
  memberSecret,
  secretsOf,
} from "../../src/key-schedule/key-schedule.ts";
import { pskSecret } from "../../src/key-schedule/pre-shared-key.ts";
import { agree, expectRule, refusedByAll } from "../support/assertions.ts";
import { acceptAnyCredential } from "../support/environment.ts";
import { forgeCommit, groupInfoMessage } from "../support/forge.ts";
import { newDesk, seat } from "../support/forge-clients.ts";
import { Door, newTestClient } from "../support/forge-join.ts";
import { pskId, reInit } from "../support/forge-lists.ts";
import { newClient, provider } from "../support/parties.ts";
import { TestGroup } from "../support/test-group.ts";

describe("ks-1 a new group has entropy of its own", () => {
  const all = ({ secrets }: Epoch): string[] =>
    Object.values(secrets).map(({ bytes }) => toHex(bytes));

  /** All secrets that follow from an epoch's public data and from zeros or known secrets. */
  function guesses(crypto: SuiteCrypto, inits: readonly Uint8Array[], context: Uint8Array) {
    const zeros = new Uint8Array(crypto.suite.kdf.size);
    const found = [secretsOf(crypto, new Secret(zeros.slice()))];
    for (const init of inits) {
      const joiner = joinerSecret(crypto, new Secret(init), new Secret(zeros.slice()), context);
      for (const secret of [joiner, new Secret(zeros.slice())]) {
        const member = memberSecret(crypto, secret, pskSecret(crypto, []));
        found.push(epochSecrets(crypto, member, context));
        found.push(secretsOf(crypto, member));
      }
    }
    return found;
  }

  test.each([true, false])("whether the first Commit has a path: %s", async (forcePath) => {
    const group = await TestGroup.of(["alice"]);
    const zero = group.party("alice").epoch;
    const secrets0 = all(zero);
    await group.add("alice", new Map([["bob", await newClient("bob")]]), { forcePath });
    const one = group.party("bob").epoch;
    const { crypto } = one;
    const zeros = new Uint8Array(crypto.suite.kdf.size);
    const first = guesses(crypto, [zeros], zero.contextBytes);
    const inits = [zeros, ...first.map(({ initSecret }) => initSecret.bytes)];
    const second = guesses(crypto, inits, one.contextBytes);
    const guessed = new Set(
      [...first, ...second].flatMap((secrets) => {
        return Object.values(secrets).map(({ bytes }: Secret) => toHex(bytes));
      }),
    );
    for (const secret of [...secrets0, ...all(one)]) expect(guessed.has(secret)).toBe(false);
    // The same way leads to the right secrets from the right beginning, without a path.
    const right = guesses(crypto, [zero.secrets.initSecret.bytes], one.contextBytes);
    const found = right.some(({ initSecret }) => {
      return toHex(initSecret.bytes) === toHex(one.secrets.initSecret.bytes);
    });
    expect(found).toBe(!forcePath);
  });
});

test.each([1, 2, 5, 7])("ks-2 the exporter follows its formula, in suite %i", async (suite) => {
  const group = await TestGroup.of(["alice", "bob"], { suite });
  const [a, b] = [group.party("alice").epoch, group.party("bob").epoch];
  const { crypto } = a;
  const { size } = crypto.suite.kdf;
  for (const length of [0, 1, size, 255 * size]) {
    const secret = deriveSecret(crypto, a.secrets.exporterSecret.bytes, "label");
    const context = crypto.hash(utf8("context"));
    const expected = expandWithLabel(crypto, secret, "exported", context, length);
    for (const { secrets } of [a, b]) {
      const bytes = exportSecret(crypto, secrets.exporterSecret, "label", utf8("context"), length);
      expect(bytes).toEqual(expected);
    }
  }
  const tooLong = () =>
    exportSecret(crypto, a.secrets.exporterSecret, "label", EMPTY_BYTES, 255 * size + 1);
  await expectRule(tooLong, "mk-110");
});

test.each([4, 5, 7])("ks-3 after a reload suite %i still has its own hash", async (suite) => {
  const group = await TestGroup.of(["alice"], { suite });
  const { client, storage } = await newTestClient("bob", { cipherSuite: suite });
  const message = decodeMlsMessage((await client.createKeyPackage()).bytes);
  if (message.wireFormat !== "keyPackage") throw new Error("a key package was expected");
  const proposals = [{ type: "add", keyPackage: message.message } as const];
  const { welcomes } = await group.commit("alice", { proposals });
  const { id } = await client.join(welcomes[0]!.bytes);
  const alice = group.party("alice");
  for (let i = 0; i < 2; i++) {
    const options = { storage, authenticationService: acceptAnyCredential };
    const b = await (await Client.open(options)).group(id);
    const { commit } = await group.commit("alice");
    expect((await b.process(commit, { accept: true })).kind).toBe("commit");
    const exported = exportSecret(
      alice.epoch.crypto,
      alice.epoch.secrets.exporterSecret,
      "x",
      utf8("y"),
      40,
    );
    expect(b.export("x", utf8("y"), 40)).toEqual(exported);
    const own = await b.update({}, {});
    await b.acceptCommit();
    await alice.receive(own.commit);
    group.observer.enter(alice.epoch);
  }
});

test("ks-4 external_pub in a GroupInfo is that of the epoch it describes", async () => {
  const group = await TestGroup.of(["alice", "bob"]);
  const made = await group.createCommit("alice", { groupInfo: { externalPub: true } });
  const message = decodeMlsMessage(made.groupInfo!);
  if (message.wireFormat !== "groupInfo") throw new Error("a GroupInfo was expected");
  const groupInfo = message.message;
  const announced = readExtension(groupInfo.extensions, ExtensionType.externalPub, ExternalPub);
  const { crypto, secrets } = made.next;
  const { publicKey } = await crypto.deriveKeyPair(secrets.externalSecret.bytes);
  expect(announced).toEqual(publicKey);
  const { epoch } = group.party("alice");
  const before = await crypto.deriveKeyPair(epoch.secrets.externalSecret.bytes);
  expect(announced).not.toEqual(before.publicKey);
  await group.deliver(made.commit, "alice");
  group.party("alice").enter(made.next);
  group.observer.enter(made.next);
  await group.externalJoin("carol", await newClient("carol"), { groupInfo });
  await agree(group);
});

test("ks-5 epoch 0 has a tag and a transcript hash, from which epoch 1 follows for all", async () => {
  const group = await TestGroup.of(["alice"]);
  const { confirmationTag, interimTranscriptHash, context } = group.party("alice").epoch;
  expect(confirmationTag).toHaveLength(32);
  expect(interimTranscriptHash).toHaveLength(32);
  expect(context.confirmedTranscriptHash).toEqual(EMPTY_BYTES);
  await group.add("alice", new Map([["bob", await newClient("bob")]]));
  await agree(group);
});

describe("ks-6 versions that are lower, equal and higher", () => {
  test.each([0, 2, 0xffff])("%i in a GroupContext is not ours", async (version) => {
    const door = await Door.of({ names: ["alice"] });
    const forgery = { context: { version } };
    await door.refusesWelcome(await door.forgedWelcome(forgery), "mk-08", { as: "UNS" });
    const info = groupInfoMessage(await door.forgedInfo(forgery));
    await door.refusesInfo(info, "mk-08", { as: "UNS" });
    await door.opens();
  });

  test("a ReInit may keep the version or raise it, and not lower it", async () => {
    const group = await TestGroup.of(["alice", "bob"]);
    const { bytes } = await forgeCommit(group.party("alice"), { proposals: [reInit(0)] });
    await refusedByAll(group, "alice", bytes, "valn0901");
    for (const version of [1, 2, 0xffff]) {
      const made = await group.createCommit("alice", { proposals: [reInit(version)] });
      expect(made.summary.reInit?.version).toBe(version);
    }
  });
});

test("ks-7 psk_secret is zero for none, and depends on order, number and ids", () => {
  const crypto = provider.suite(1);
  const key = (name: string) => ({ id: pskId(name), secret: new Secret(utf8(`secret ${name}`)) });
  const results = [
    [],
    [key("a")],
    [key("b")],
    [key("a"), key("b")],
    [key("b"), key("a")],
    [key("a"), key("b"), key("c")],
    [{ ...key("a"), id: pskId("another") }],
  ].map((psks) => toHex(pskSecret(crypto, psks).bytes));
  expect(results[0]).toBe("00".repeat(32));
  expect(new Set(results).size).toBe(results.length);
});

test.each([0, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_fffe])(
  "ks-8 generation %i is an unsigned number of four bytes in the ratchet",
  (generation) => {
    const crypto = provider.suite(1);
    const secret = new Uint8Array(32).fill(5);
    const context = [24, 16, 8, 0].map((shift) => Math.floor(generation / 2 ** shift) % 256);
    const expected = expandWithLabel(crypto, secret, "key", Uint8Array.from(context), 16);
    expect(deriveTreeSecret(crypto, secret, "key", generation, 16)).toEqual(expected);
  },
);

test("ks-9 what leads from epoch to epoch is not in the store once it has done its work", async () => {
  const group = await TestGroup.of(["alice", "bob"]);
  const desk = await newDesk("carol");
  const carol = await seat(group, desk);
  const alice = group.party("alice");
  const { crypto } = alice.epoch;
  const initBefore = alice.epoch.secrets.initSecret.bytes.slice();
  const { bytes, next, path } = await forgeCommit(alice);
  const gone: Uint8Array[] = [initBefore];
  for (const { bytes: secret } of [next.joinerSecret, path!.commitSecret]) {
    gone.push(secret.slice());
  }
  const member = memberSecret(crypto, next.joinerSecret, pskSecret(crypto, []));
  const size = crypto.suite.kdf.size;
  gone.push(member.bytes.slice());
  gone.push(expandWithLabel(crypto, member.bytes, "epoch", next.public.contextBytes, size));
  const stored = async (): Promise<Buffer> => {
    const records = await desk.storage.list("");
    return Buffer.from(concat(...[...records].map(({ value }) => value)));
  };
  expect((await stored()).includes(Buffer.from(initBefore))).toBe(true);
  expect((await carol.process(bytes, { accept: true })).kind).toBe("commit");
  const after = await stored();
  for (const secret of gone) expect(after.includes(Buffer.from(secret))).toBe(false);
  expect(after.includes(Buffer.from(next.secrets.initSecret.bytes))).toBe(true);
});
