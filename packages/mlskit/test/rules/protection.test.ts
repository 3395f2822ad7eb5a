/** Rules of section 3 about keys that are used once: sender data, padding, ratchets. RFC 9420 §6.3, §9. */
import { describe, expect, test } from "vitest";
import { concat, EMPTY_BYTES, encode, fromHex, toHex, utf8 } from "../../src/codec/index.ts";
import { Secret } from "../../src/crypto/index.ts";
import { decodeMlsMessage, type PrivateMessage } from "../../src/framing/mls-message.ts";
import { contentBody, type Content } from "../../src/framing/framed-content.ts";
import { openSenderData } from "../../src/framing/private-message.ts";
import { protectApplicationData } from "../../src/group/application-message.ts";
import { DEFAULT_LIMITS } from "../../src/group/environment.ts";
import { GENERATION_LIMIT, newRatchet } from "../../src/secret-tree/hash-ratchet.ts";
import { SecretTree } from "../../src/secret-tree/secret-tree.ts";
import { agree, expectRule, refusedByAll, refuses } from "../support/assertions.ts";
import { snapshot } from "../support/snapshot.ts";
import { testEnvironment } from "../support/environment.ts";
import { flipped, forgeCommit, forgeMessage, type PrivateForgery } from "../support/forge.ts";
import { newSigner, type Party, provider } from "../support/parties.ts";
import { TestGroup } from "../support/test-group.ts";

const NAMES = ["alice", "bob", "carol"];
const APPLICATION: Content = { contentType: "application", applicationData: utf8("hello") };

/** An application message of a party; its ratchet does not move. */
function say(party: Pick<Party, "epoch">, privately: PrivateForgery = {}): Promise<Uint8Array> {
  return forgeMessage(party, APPLICATION, { wireFormat: "privateMessage", privately });
}

describe("opening", () => {
  test.each([1, 2, 4, 5])(
    "valn1306 [R] sender data naming a blank or missing leaf, of %i",
    async (size) => {
      const names = [...NAMES, "dave", "erin", "frank"].slice(0, size + 1);
      const group = await TestGroup.of(names);
      const removed = size;
      await group.commit("alice", { proposals: [{ type: "remove", removed }] });
      const alice = group.party("alice");
      for (const leafIndex of [removed, 8, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff]) {
        const bytes = await say(alice, { leafIndex });
        for (const party of group.members) {
          await refuses(party, () => party.receive(bytes), "valn1306");
        }
        const hidden = await forgeCommit(alice, {
          wireFormat: "privateMessage",
          privately: { leafIndex },
        });
        await refusedByAll(group, "alice", hidden.bytes, "valn1306");
      }
      if (size > 1) await agree(group);
    },
  );

  test("valn1306 [R] ok: the first and the last leaf", async () => {
    await agree(await TestGroup.of(NAMES));
  });

  test("mk-27 [R] what we sent in private and gets back to us is not decrypted", async () => {
    const group = await TestGroup.of(NAMES);
    const [alice, bob] = [group.party("alice"), group.party("bob")];
    const own = [
      await group.send("alice", "mine"),
      await say(alice),
      await say(bob, { leafIndex: 0 }),
    ];
    const before = snapshot(alice);
    for (const bytes of own) expect(await alice.receive(bytes)).toEqual({ kind: "own" });
    expect(snapshot(alice)).toEqual(before);
  });

  const DAMAGE: readonly [string, PrivateForgery][] = [
    ["its ciphertext", { alterCiphertext: (sealed) => flipped(sealed, 40) }],
    ["its tag", { alterCiphertext: (sealed) => flipped(sealed, -1) }],
    [
      "the sample for its sender data",
      { alterMessage: (m) => ({ ...m, ciphertext: flipped(m.ciphertext, 0) }) },
    ],
    [
      "its sender data",
      { alterMessage: (m) => ({ ...m, encryptedSenderData: flipped(m.encryptedSenderData, 3) }) },
    ],
    [
      "its authenticated data",
      { alterMessage: (m) => ({ ...m, authenticatedData: utf8("other") }) },
    ],
    ["its content type", { alterMessage: (m) => ({ ...m, contentType: "proposal" }) }],
    [
      "everything",
      {
        alterMessage: (m) => ({ ...m, ciphertext: EMPTY_BYTES, encryptedSenderData: EMPTY_BYTES }),
      },
    ],
    ["its ratchet", { ratchetOf: 1 }],
    ["its generation", { generation: 7 }],
  ];

  test.each(DAMAGE)("mk-29 [R] a message damaged in %s uses up nothing", async (_, damage) => {
    const group = await TestGroup.of(NAMES);
    const [alice, carol] = [group.party("alice"), group.party("carol")];
    const error = await refuses(
      carol,
      async () => carol.receive(await say(alice, damage)),
      "mk-29",
    );
    expect([error.code, error.message]).toEqual([
      "DECRYPTION_FAILED",
      "the message cannot be decrypted",
    ]);
    expect((await carol.receive(await say(alice))).kind).toBe("application");
  });

  test("mk-29 valn1304 [R] ok: the message as it was sent, authenticated data and all", async () => {
    const group = await TestGroup.of(NAMES);
    const bytes = await group.send("alice", "hello", utf8("header"));
    const received = await group.party("bob").receive(bytes);
    if (received.kind !== "application") throw new Error("an application message was expected");
    expect(received.content.authenticated.content.authenticatedData).toEqual(utf8("header"));
  });

  test("valn1303 [R] padding that is not all zero", async () => {
    const group = await TestGroup.of(NAMES);
    const alice = group.party("alice");
    for (const padding of ["01", "000001", "0000000100"]) {
      const bytes = await say(alice, { padding: fromHex(padding) });
      for (const name of ["bob", "carol"]) {
        const party = group.party(name);
        await refuses(party, () => party.receive(bytes), "valn1303");
      }
    }
    await agree(group);
  });

  test("valn1303 [S] whatever length the policy asks for, what we add is zeros", async () => {
    const group = await TestGroup.of(NAMES);
    const { epoch } = group.party("alice");
    for (const padding of [() => 500, (length: number) => length + 1, () => 0]) {
      const { messageKey } = epoch.secretTree.prepareSend(0, "application");
      const options = { data: utf8("hello"), authenticatedData: EMPTY_BYTES, padding };
      const message = privateMessage((await protectApplicationData(epoch, options)).bytes);
      const senderData = openSenderData(epoch.crypto, message, epoch.secrets.senderDataSecret);
      const nonce = messageKey.nonce.bytes.slice();
      for (const [i, byte] of senderData.reuseGuard.entries()) nonce[i] = nonce[i]! ^ byte;
      const { groupId, context } = { groupId: message.groupId, context: epoch.context };
      const aad = concat(
        Uint8Array.of(groupId.length),
        groupId,
        fromHex(context.epoch.toString(16).padStart(16, "0")),
        fromHex("0100"),
      );
      const key = messageKey.key.bytes;
      const plain = epoch.crypto.aeadOpen(key, nonce, aad, message.ciphertext);
      const body = encode(contentBody("application"), APPLICATION).length + 66;
      expect(plain.subarray(body).every((byte) => byte === 0)).toBe(true);
      expect(plain.length).toBe(Math.max(padding(body), body));
    }
  });

  test("valn1303 [SR] ok: no padding, and much of it", async () => {
    const group = await TestGroup.of(NAMES);
    const [bob, carol] = [group.party("bob"), group.party("carol")];
    const padded = await say(group.party("alice"), { padding: new Uint8Array(70_000) });
    expect((await bob.receive(padded)).kind).toBe("application");
    const bare = await say(group.party("alice"));
    expect((await carol.receive(bare)).kind).toBe("application");
    for (const name of ["bob", "carol"]) await group.send("alice", `for ${name}`);
    await agree(group);
  });

  test("valn1304 [R] a message that opens but is signed by somebody else", async () => {
    const group = await TestGroup.of(NAMES);
    const [alice, carol] = [group.party("alice"), group.party("carol")];
    for (const forgery of [
      { signer: group.party("bob").signer },
      { signer: await newSigner() },
      { alterSignature: (signature: Uint8Array) => flipped(signature, 1) },
    ]) {
      const bytes = await forgeMessage(alice, APPLICATION, {
        ...forgery,
        wireFormat: "privateMessage",
      });
      await refuses(carol, () => carol.receive(bytes), "valn1304", { code: "SIGNATURE_INVALID" });
    }
    expect((await carol.receive(await say(alice))).kind).toBe("application");
  });
});

describe("generations", () => {
  test("mk-36 [R] a message that comes twice", async () => {
    const group = await TestGroup.of(NAMES);
    const bob = group.party("bob");
    const sent: Uint8Array[] = [];
    for (let i = 0; i < 4; i++) sent.push(await group.send("alice", `message ${i}`));
    for (const at of [2, 0]) await bob.receive(sent[at]!);
    for (const at of [2, 0]) {
      await refuses(bob, () => bob.receive(sent[at]!), "mk-36", { code: "ALREADY_CONSUMED" });
    }
    for (const at of [1, 3]) await bob.receive(sent[at]!);
    await agree(group);
  });

  test("mk-37 [R] a generation beyond the limit, before anything is derived", async () => {
    const group = await TestGroup.of(NAMES);
    const [alice, bob] = [group.party("alice"), group.party("bob")];
    bob.environment = testEnvironment({ limits: { ...DEFAULT_LIMITS, maximumForwardDistance: 5 } });
    for (const generation of [6, 1000, 0x7fff_ffff, 0xffff_fffe, 0xffff_ffff]) {
      const bytes = await say(alice, { generation });
      const start = performance.now();
      await refuses(bob, () => bob.receive(bytes), "mk-37", { code: "GENERATION_TOO_FAR" });
      expect(performance.now() - start).toBeLessThan(1000);
    }
  });

  test("mk-36 mk-37 [R] ok: as far ahead as is allowed, and everything before it", async () => {
    const group = await TestGroup.of(NAMES);
    const bob = group.party("bob");
    bob.environment = testEnvironment({ limits: { ...DEFAULT_LIMITS, maximumForwardDistance: 5 } });
    const sent: Uint8Array[] = [];
    for (let i = 0; i < 6; i++) sent.push(await group.send("alice", `message ${i}`));
    for (const bytes of [...sent].reverse())
      expect((await bob.receive(bytes)).kind).toBe("application");
  });

  test("mk-38 [R] a generation that was skipped too long ago has a code of its own", async () => {
    const group = await TestGroup.of(NAMES);
    const bob = group.party("bob");
    bob.environment = testEnvironment({ limits: { ...DEFAULT_LIMITS, outOfOrderTolerance: 2 } });
    const sent: Uint8Array[] = [];
    for (let i = 0; i < 6; i++) sent.push(await group.send("alice", `message ${i}`));
    await bob.receive(sent[5]!);
    for (const at of [0, 1, 2]) {
      await refuses(bob, () => bob.receive(sent[at]!), "mk-38", { code: "GENERATION_TOO_OLD" });
    }
  });

  test("mk-38 [R] ok: the oldest generation that is still kept", async () => {
    const group = await TestGroup.of(NAMES);
    const bob = group.party("bob");
    bob.environment = testEnvironment({ limits: { ...DEFAULT_LIMITS, outOfOrderTolerance: 2 } });
    const sent: Uint8Array[] = [];
    for (let i = 0; i < 6; i++) sent.push(await group.send("alice", `message ${i}`));
    for (const at of [5, 3, 4]) await bob.receive(sent[at]!);
  });

  test("mk-39 [R] skipped keys are few, newest first, and no secret is kept with them", async () => {
    const group = await TestGroup.of(NAMES);
    const [bob, carol] = [group.party("bob"), group.party("carol")];
    const limits = { ...DEFAULT_LIMITS, outOfOrderTolerance: 8, maximumSkippedKeys: 10 };
    bob.environment = testEnvironment({ limits });
    for (const name of ["alice", "carol"]) {
      for (let i = 0; i < 20; i++) {
        const bytes = await group.send(name, `message ${i}`);
        if (i === 19) await bob.receive(bytes);
      }
    }
    const { secretTree } = bob.epoch;
    expect(secretTree.skippedKeyCount).toBe(10);
    const kept = [...secretTree.ratchets()].map(({ leaf, ratchet }) => [
      leaf,
      ratchet.skipped.map(({ generation }) => generation),
    ]);
    expect(kept).toContainEqual([carol.leaf, [11, 12, 13, 14, 15, 16, 17, 18]]);
    expect(kept).toContainEqual([0, [17, 18]]);
    const first = [...secretTree.ratchets()].flatMap(({ ratchet }) => ratchet.skipped)[0]!;
    expect(Object.keys(first).sort()).toEqual(["generation", "key", "nonce"]);
  });

  test("mk-40 [R] nothing moves before AEAD, padding and signature were all in order", async () => {
    const group = await TestGroup.of(NAMES);
    const [alice, bob] = [group.party("alice"), group.party("bob")];
    const failures = [
      [await say(alice, { alterCiphertext: (sealed) => flipped(sealed, 50) }), "mk-29"],
      [await say(alice, { padding: fromHex("01") }), "valn1303"],
      [await say({ epoch: { ...alice.epoch, signer: await newSigner() } }), "valn1304"],
    ] as const;
    for (const [bytes, rule] of failures) await refuses(bob, () => bob.receive(bytes), rule);
    const before = JSON.stringify(snapshot(bob), stringify);
    await bob.receive(await say(alice));
    expect(JSON.stringify(snapshot(bob), stringify)).not.toBe(before);
  });

  test("mk-42 [S] each encryption draws a reuse guard, which changes the ciphertext", async () => {
    const group = await TestGroup.of(NAMES);
    const { epoch } = group.party("alice");
    const guards = new Set<string>();
    const ciphertexts = new Set<string>();
    for (let i = 0; i < 20; i++) {
      // The same key each time, since its use is not made final.
      const options = { data: utf8("x"), authenticatedData: EMPTY_BYTES, padding: () => 0 };
      const message = privateMessage((await protectApplicationData(epoch, options)).bytes);
      const data = openSenderData(epoch.crypto, message, epoch.secrets.senderDataSecret);
      expect(data).toMatchObject({ leafIndex: 0, generation: 0 });
      expect(data.reuseGuard).toHaveLength(4);
      guards.add(toHex(data.reuseGuard));
      ciphertexts.add(toHex(message.ciphertext));
    }
    expect([guards.size, ciphertexts.size]).toEqual([20, 20]);
  });

  const atGeneration = (generation: number, kind: "handshake" | "application"): SecretTree => {
    const secret = (): Secret => new Secret(new Uint8Array(32).fill(3));
    const ratchet = { ...newRatchet(secret()), generation };
    const other = { ...newRatchet(secret()), generation: 0 };
    const otherKind = kind === "handshake" ? "application" : "handshake";
    return SecretTree.restore(
      provider.suite(1),
      4,
      [],
      [
        { leaf: 0, kind, ratchet },
        { leaf: 0, kind: otherKind, ratchet: other },
      ],
    );
  };

  test("mk-43 [S] a ratchet at its end sends nothing more", async () => {
    const group = await TestGroup.of(NAMES);
    const { epoch } = group.party("alice");
    const secretTree = atGeneration(GENERATION_LIMIT, "application");
    const spent = { ...epoch, secretTree };
    const options = { data: utf8("x"), authenticatedData: EMPTY_BYTES, padding: () => 0 };
    const send = () => protectApplicationData(spent, options);
    await refuses(spent, send, "mk-43", { code: "RATCHET_EXHAUSTED" });
  });

  test("mk-43 [S] ok: the last generation, and the other ratchet", async () => {
    const last = atGeneration(GENERATION_LIMIT - 1, "application");
    expect(last.prepareSend(0, "application").messageKey.generation).toBe(GENERATION_LIMIT - 1);
    const spent = atGeneration(GENERATION_LIMIT, "application");
    expect(spent.prepareSend(0, "handshake").messageKey.generation).toBe(0);
    const group = await TestGroup.of(NAMES);
    const { epoch } = group.party("alice");
    await expectRule(() => spent.prepareSend(0, "application"), "mk-43");
    expect(epoch.secretTree.nextGeneration(0, "application")).toBe(0);
  });

  test("mk-44 [R] a late message is held against the keys and members of its epoch", async () => {
    const group = await TestGroup.of(NAMES);
    const alice = group.party("alice");
    const { epoch } = alice;
    const signer = await newSigner();
    const genuine = await say({ epoch });
    await group.commit("alice", { leaf: { signer } });
    const forged = await say({ epoch: { ...epoch, signer } });
    const carol = group.party("carol");
    await refuses(carol, () => carol.receive(forged), "valn1304");
    expect((await carol.receive(genuine)).kind).toBe("application");
  });

  test("mk-44 [R] ok: from a member that has left, and before somebody took its leaf", async () => {
    const group = await TestGroup.of(NAMES);
    const carol = group.party("carol");
    const late = await group.send("bob", "my last words");
    const key = group.party("bob").signer.publicKey;
    await group.commit("alice", { proposals: [{ type: "remove", removed: 1 }] });
    const received = await carol.receive(late);
    if (received.kind !== "application") throw new Error("an application message was expected");
    expect(received.content.sender).toEqual({ type: "member", leafIndex: 1 });
    expect(carol.past[0]!.member(1)?.signatureKey).toEqual(key);
    expect(carol.epoch.tree.memberCount).toBe(2);
  });
});

function privateMessage(bytes: Uint8Array): PrivateMessage {
  const message = decodeMlsMessage(bytes);
  if (message.wireFormat !== "privateMessage") throw new Error("a PrivateMessage was expected");
  return message.message;
}

function stringify(_: string, value: unknown): unknown {
  return typeof value === "bigint" ? value.toString() : value;
}
