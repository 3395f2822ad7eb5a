/** What went wrong elsewhere with pre-shared keys. RFC 9420 §8.4, §8.6. */
import { describe, expect, test } from "vitest";
import { toHex, utf8 } from "../../src/codec/index.ts";
import { Secret } from "../../src/crypto/index.ts";
import { Client } from "../../src/index.ts";
import type { PreSharedKeyId } from "../../src/key-schedule/pre-shared-key.ts";
import { agree, expectRule, refuses } from "../support/assertions.ts";
import { testEnvironment } from "../support/environment.ts";
import { forgeCommit, forgeExternalCommit } from "../support/forge.ts";
import { newDesk, seat } from "../support/forge-clients.ts";
import { contents, Door } from "../support/forge-join.ts";
import { psk, pskId, refusedEverywhere, withPsks } from "../support/forge-lists.ts";
import { join, newClient } from "../support/parties.ts";
import { TestGroup } from "../support/test-group.ts";

const IDS: readonly [string, Uint8Array][] = [
  ["every value of a byte, lower half", Uint8Array.from({ length: 128 }, (_, i) => i)],
  ["every value of a byte, upper half", Uint8Array.from({ length: 128 }, (_, i) => i + 128)],
  ["invalid UTF-8", Uint8Array.of(0xff, 0xfe, 0xc0, 0x80)],
  ["nothing", new Uint8Array()],
  ["much", new Uint8Array(250).fill(0x2f)],
  ["a path", utf8("../../etc/passwd")],
];

test.each(IDS)("psk-1 an id of %s survives store, restart and Commit", async (_, id) => {
  const secret = utf8("shared");
  const environment = testEnvironment({ psks: () => new Secret(secret.slice()) });
  const group = await TestGroup.of(["alice"], { environment });
  const desk = await newDesk("bob");
  await desk.client.putPsk(id, secret);
  await desk.client.putPsk(utf8("another"), utf8("other secret"));
  const { id: groupId } = await seat(group, desk);
  const client = await Client.open(desk.options);
  expect(await client.pskIds()).toContain(toHex(id));
  const { commit } = await group.commit("alice", {
    proposals: [psk({ type: "external", pskId: id, nonce: new Uint8Array(32) })],
  });
  const b = await client.group(groupId);
  expect((await b.process(commit, { accept: true })).kind).toBe("commit");
  await client.deletePsk(id);
  expect(await client.pskIds()).toEqual([toHex(utf8("another"))]);
});

describe("psk-2 a PSK that is missing is an error, never zeros", () => {
  test("when a Commit is made, received, and joined by", async () => {
    const group = await TestGroup.of(["alice", "bob"], { environment: withPsks() });
    const [alice, bob] = [group.party("alice"), group.party("bob")];
    const proposals = [psk(pskId("secret"))];
    const zeros = await forgeCommit(alice, {
      proposals,
      psks: [{ id: pskId("secret"), secret: new Secret(new Uint8Array(32)) }],
    });
    const { keyPackage, ...keys } = await newClient("carol");
    const invited = await group.createCommit("alice", {
      proposals: [...proposals, { type: "add", keyPackage }],
    });
    const nothing = testEnvironment();
    alice.environment = nothing;
    bob.environment = nothing;
    const make = () => group.createCommit("alice", { proposals });
    await refuses(alice, make, "valn1205", { as: "STA", code: "MISSING_PSK" });
    const expected = { as: "STA", code: "MISSING_PSK" } as const;
    await refuses(bob, () => bob.receive(invited.commit), "valn1205", expected);
    await refuses(bob, () => bob.receive(zeros.bytes), "valn1205", expected);
    const carol = { keyPackage, ...keys };
    const enter = () => join(invited.welcomes[0]!.bytes, [carol], nothing);
    await refuses(carol, enter, "valn1401", expected);
    bob.environment = withPsks();
    await refuses(bob, () => bob.receive(zeros.bytes), "mk-77", { as: "CRY" });
    await bob.receive(invited.commit);
  });

  test("when somebody joins from outside", async () => {
    const group = await TestGroup.of(["alice", "bob"]);
    const carol = await newClient("carol");
    const make = () => group.createExternalJoin(carol, { psks: [pskId("secret")] });
    await refuses(carol, make, "valn1205", { as: "STA", code: "MISSING_PSK" });
    const { bytes } = await forgeExternalCommit(carol, group.party("alice"), {
      proposals: (init) => [init, psk(pskId("secret"))],
    });
    const bob = group.party("bob");
    await refuses(bob, () => bob.receive(bytes), "valn1205", { as: "STA", code: "MISSING_PSK" });
  });
});

describe("psk-3 nonce length, usage and duplicates", () => {
  test("in a Welcome", async () => {
    const door = await Door.of({ names: ["alice"] });
    await door.client.putPsk(utf8("a"), utf8("secret"));
    const secret = new Secret(utf8("secret"));
    const short = pskId("a", 31);
    const bytes = await door.forgedWelcome({ psks: [{ id: short, secret }] });
    await door.refusesWelcome(bytes, "valn0803", { code: "INVALID_WELCOME" });
    const twice = [pskId("a"), pskId("a")].map((id) => ({ id, secret }));
    const repeated = await door.forgedWelcome({ psks: twice });
    await door.refusesWelcome(repeated, "valn0307", { code: "INVALID_WELCOME" });
    await door.opens();
  });

  test("in an external commit", async () => {
    const group = await TestGroup.of(["alice", "bob"], { environment: withPsks() });
    const carol = await newClient("carol");
    for (const [rule, psks] of [
      ["valn0803", [pskId("a", 33)]],
      ["valn0307", [pskId("a"), pskId("a")]],
    ] as const) {
      await refuses(carol, () => group.createExternalJoin(carol, { psks }), rule);
      const { bytes } = await forgeExternalCommit(carol, group.party("alice"), {
        proposals: (init) => [init, ...psks.map(psk)],
      });
      await refusedEverywhere(group, "carol", bytes, rule);
    }
    await group.externalJoin("carol", carol, { psks: [pskId("a"), pskId("b")] });
    await agree(group);
  });
});

test("psk-4 resumption secrets survive a restart, from the epoch of our joining to the current one", async () => {
  const group = await TestGroup.of(["alice"]);
  const desk = await newDesk("bob");
  const { id } = await seat(group, desk);
  for (let i = 0; i < 2; i++) {
    const { commit } = await group.commit("alice");
    await (await desk.client.group(id)).process(commit);
  }
  const again = await Client.open(desk.options);
  const b = await again.group(id);
  const found: bigint[] = [];
  for (let epoch = 0n; epoch <= b.epoch; epoch++) {
    try {
      await b.commit({ resumptionPsks: [{ epoch }] });
      found.push(epoch);
      await b.discardCommit();
    } catch (error) {
      expect(error).toMatchObject({ code: "MISSING_PSK" });
    }
  }
  expect(found).toEqual([1n, 2n, 3n]);
});

test("psk-5 a PSK is found by a later join, and by no other client", async () => {
  const door = await Door.of({ names: ["alice"] });
  const id: PreSharedKeyId = pskId("early");
  const secret = new Secret(utf8("secret"));
  const bytes = await door.forgedWelcome({ psks: [{ id, secret }] });
  const other = await newDesk("somebody else");
  await other.client.putPsk(utf8("early"), secret.bytes);
  await door.refusesWelcome(bytes, "valn1401");
  await door.client.putPsk(utf8("early"), secret.bytes);
  const before = await contents(other.storage);
  await door.client.join(bytes);
  expect(await contents(other.storage)).toEqual(before);
});

test("psk-6 the order is one for Commit, Welcome and key schedule, by value and by reference", async () => {
  const secrets = new Map(["a", "b", "c", "d"].map((name) => [name, utf8(`secret ${name}`)]));
  const environment = testEnvironment({
    psks: (id) => {
      const name = id.type === "external" ? new TextDecoder().decode(id.pskId) : "";
      const bytes = secrets.get(name);
      return bytes === undefined ? undefined : new Secret(bytes.slice());
    },
  });
  const group = await TestGroup.of(["alice", "bob"], { environment });
  await group.propose("bob", psk(pskId("c")));
  await group.propose("alice", psk(pskId("a")));
  const { keyPackage, ...keys } = await newClient("carol");
  const carol = { keyPackage, ...keys };
  const made = await group.commit("alice", {
    proposals: [psk(pskId("d")), { type: "add", keyPackage }, psk(pskId("b"))],
  });
  expect(made.summary.psks).toEqual(["c", "a", "d", "b"].map((name) => pskId(name)));
  const staged = await join(made.welcomes[0]!.bytes, [carol], environment);
  expect(staged.psks).toEqual(made.summary.psks);
  expect(toHex(staged.epoch.secrets.epochAuthenticator.bytes)).toBe(
    toHex(group.party("bob").epoch.secrets.epochAuthenticator.bytes),
  );
  await agree(group);
  secrets.set("a", utf8("something else"));
  const wrong = await join(made.welcomes[0]!.bytes, [carol], environment).catch((e: unknown) => e);
  await expectRule(() => {
    throw wrong;
  }, "mk-95");
});
