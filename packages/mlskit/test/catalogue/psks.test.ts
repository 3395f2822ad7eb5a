/** Catalogue M-PSK: pre-shared keys. RFC 9420 §8.4, §12.1.4. */
import { expect, test } from "vitest";
import { equalBytes, toHex, utf8 } from "../../src/codec/index.ts";
import { Secret } from "../../src/crypto/index.ts";
import type { Group, Proposal } from "../../src/index.ts";
import type { PreSharedKeyId } from "../../src/key-schedule/pre-shared-key.ts";
import type { RuleId } from "../../src/rules.ts";
import { type TestGroup, testGroup, type TestGroupOptions } from "../../src/testing/index.ts";
import { newDesk, seat } from "../support/forge-clients.ts";
import { refuses } from "../support/assertions.ts";
import { psk, pskId, resumption, withPsks } from "../support/forge-lists.ts";
import {
  forgeCommit,
  forgeExternalCommit,
  forgeProposal,
  forgeWelcome,
  treeOfLeaves,
} from "../support/forge.ts";
import { join, newClient } from "../support/parties.ts";
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

test("M-PSK-01: external PSKs are put, used, listed and deleted by id", async () => {
  const { world, a, b } = await three();
  const id = utf8("id");
  for (const { client } of world.members) await client.putPsk(id, utf8("secret"));
  const { client } = world.member(0);
  expect(await client.pskIds()).toEqual([toHex(id)]);
  // Under the id alone: every use has a nonce of its own.
  await world.commit(0, { psks: [id] });
  await world.commit(0, { psks: [id] });
  world.assertAgreement();
  expect(await client.psk(id)).toEqual(utf8("secret"));
  await client.deletePsk(id);
  expect(await client.pskIds()).toEqual([]);
  expect(await client.psk(id)).toBeUndefined();
  await expect(a.commit({ psks: [id] })).rejects.toMatchObject({ code: "MISSING_PSK" });
  expect(b.epoch).toBe(3n);
});

test("M-PSK-02: PSKs may come from an asynchronous callback", async () => {
  const asked: string[] = [];
  const { world } = await three({
    psk: async (id) => {
      await new Promise((resolve) => setTimeout(resolve, 1));
      asked.push(id.type);
      return new Secret(utf8("from a vault"));
    },
  });
  await world.commit(0, { psks: [utf8("id")] });
  world.assertAgreement();
  expect(asked).toEqual(["external", "external", "external"]);
});

test("M-PSK-03: PSKs enter Commits and Welcomes in the order of their proposals", async () => {
  const { world, a } = await three();
  const dave = (await world.newClient("dave")).client;
  const ids = ["one", "two", "three"].map((name) => utf8(name));
  for (const client of [dave, ...world.members.map((member) => member.client)]) {
    for (const id of ids) await client.putPsk(id, id);
  }
  const order = [ids[2]!, ids[0]!, ids[1]!];
  const add = [(await dave.createKeyPackage()).bytes];
  const { summary, welcomes } = await world.commit(0, { add, psks: order });
  expect(summary.psks.map((id) => id.type === "external" && toHex(id.pskId))).toEqual(
    order.map((id) => toHex(id)),
  );
  world.assertAgreement();
  const joined = await dave.join(welcomes[0]!.bytes);
  expect(joined.epochAuthenticator).toEqual(a.epochAuthenticator);
});

test("M-PSK-04: nonces are random and of the KDF's length, any other length is invalid", async () => {
  const { world, a } = await three();
  for (const { client } of world.members) await client.putPsk(utf8("id"), utf8("secret"));
  const { psks } = (await world.commit(0, { psks: [utf8("id"), utf8("id")] })).summary;
  const [one, two] = psks.map(({ nonce }) => nonce);
  expect([one!.length, two!.length]).toEqual([32, 32]);
  expect(equalBytes(one!, two!)).toBe(false);
  await expect(a.propose(psk(pskId("id", 31)))).rejects.toMatchObject({ rule: "valn0803" });
  const parties = await Parties.of(["alice", "bob"]);
  const group = await seat(parties, await newDesk("dave"));
  for (const length of [0, 31, 33]) {
    const { bytes } = await forgeProposal(parties.party("alice"), psk(pskId("id", length)));
    expect(await group.process(bytes)).toMatchObject({ error: { rule: "valn0803" } });
  }
});

test("M-PSK-05: no PreSharedKeyID occurs twice in a Commit", async () => {
  const { a } = await three();
  const proposals = [psk(pskId("id")), psk(pskId("id"))];
  await expect(a.commit({ proposals })).rejects.toMatchObject({ rule: "valn0307" });
  const parties = await Parties.of(["alice", "bob"]);
  const group = await seat(parties, await newDesk("dave"));
  const { bytes } = await forgeCommit(parties.party("alice"), { proposals, applied: [] });
  expect(await group.process(bytes)).toMatchObject({ error: { rule: "valn0307" } });
});

test("M-PSK-06: usages reinit and branch belong to their flows", async () => {
  const { a } = await three();
  const parties = await Parties.of(["alice", "bob"]);
  const group = await seat(parties, await newDesk("dave"));
  for (const [usage, rule] of [
    ["reinit", "valn0801"],
    ["branch", "valn0802"],
  ] as const) {
    const proposals: Proposal[] = [psk(resumption(usage))];
    await expect(a.commit({ proposals })).rejects.toMatchObject({ rule });
    const { bytes } = await forgeCommit(parties.party("alice"), { proposals, applied: [] });
    expect(await group.process(bytes)).toMatchObject({ error: { rule } });
  }
});

test("M-PSK-06: a Welcome has one PSK of usage reinit or branch at most, and an external commit none", async () => {
  const environment = withPsks();
  const parties = await Parties.of(["alice"], { environment });
  const alice = parties.party("alice");
  const bob = await newClient("bob");
  const nodes = treeOfLeaves([alice.bundle, bob].map(({ keyPackage }) => keyPackage.leafNode));
  const invite = async (ids: readonly PreSharedKeyId[], epoch: bigint): Promise<Uint8Array> => {
    const psks = ids.map((id) => ({ id, secret: new Secret(utf8(`the ${id.type} secret`)) }));
    const context = { epoch };
    return (await forgeWelcome(alice.epoch, { joiners: [bob], nodes, psks, context })).bytes;
  };
  const other = new Uint8Array(32).fill(8);
  const cases: readonly [RuleId, readonly PreSharedKeyId[], bigint][] = [
    ["valn1401", [resumption("reinit"), resumption("branch")], 1n],
    ["valn1401", [resumption("reinit"), { ...resumption("reinit"), nonce: other }], 1n],
    ["valn1401", [resumption("branch"), { ...resumption("branch"), nonce: other }], 1n],
    // Outside of their flows, which begin a group.
    ["valn1412", [resumption("reinit")], 2n],
    ["valn1412", [resumption("branch")], 2n],
  ];
  for (const [rule, ids, epoch] of cases) {
    const bytes = await invite(ids, epoch);
    const enter = () => join(bytes, [bob], environment);
    await refuses(bob, enter, rule, { as: "VAL", code: "INVALID_WELCOME" });
  }
  for (const ids of [
    [resumption("branch"), pskId("id"), resumption("application")],
    [resumption("reinit"), pskId("id")],
  ]) {
    expect((await join(await invite(ids, 1n), [bob], environment)).psks).toEqual(ids);
  }
  for (const [usage, rule] of [
    ["reinit", "valn0801"],
    ["branch", "valn0802"],
  ] as const) {
    const { bytes } = await forgeExternalCommit(bob, alice, {
      proposals: (init) => [init, psk(resumption(usage))],
    });
    await refuses(alice, () => alice.receive(bytes), rule);
  }
});

test("M-PSK-07: resumption secrets are kept up to a limit and belong to one group and client", async () => {
  const { world, a } = await three({ config: { resumptionPsks: 2 } });
  for (let i = 0; i < 3; i++) await world.commit(0);
  expect(a.epoch).toBe(4n);
  for (const [epoch, isKept] of [
    [1n, false],
    [2n, true],
    [3n, true],
    [4n, true],
  ] as const) {
    const commit = a.commit({ resumptionPsks: [{ epoch }] });
    if (!isKept) await expect(commit).rejects.toMatchObject({ code: "MISSING_PSK" });
    else await commit.then(() => a.discardCommit());
  }
  const stranger = (await world.newClient("dave")).client;
  const other = await stranger.createGroup();
  await expect(
    other.commit({ resumptionPsks: [{ epoch: 3n, groupId: a.id }] }),
  ).rejects.toMatchObject({ code: "MISSING_PSK" });
});

test("M-PSK-08: resumption secrets of another own group work in Commits and in Welcomes", async () => {
  const { world, a } = await three();
  const [first, ...others] = world.members.map(({ client }) => client);
  const side = await first!.createGroup();
  const add = [];
  for (const client of others.slice(0, 1)) add.push((await client.createKeyPackage()).bytes);
  await side.add(add);
  const started = await side.acceptCommit();
  const joined = await others[0]!.join(started.welcomes[0]!.bytes);
  // The third member is in the main group and joins the side group with its secret.
  const psks = [{ epoch: a.epoch, groupId: a.id }];
  const keyPackage = (await others[1]!.createKeyPackage()).bytes;
  const made = await side.commitImmediately({ add: [keyPackage], resumptionPsks: psks });
  await joined.process(made.commit, { accept: true });
  const third = await others[1]!.join(made.welcomes[0]!.bytes);
  for (const group of [joined, third]) {
    expect(group.epochAuthenticator).toEqual(side.epochAuthenticator);
  }
});

test("M-PSK-09: missing keys are all named before anything changes, and the message can be processed later", async () => {
  const { world, a, b } = await three();
  const ids = [utf8("one"), utf8("two")];
  const { client } = world.member(0);
  for (const id of ids) await client.putPsk(id, id);
  const { commit } = await a.commit({ psks: ids });
  const before = b.epochAuthenticator;
  await expect(b.process(commit, { accept: true })).rejects.toMatchObject({
    code: "MISSING_PSK",
    details: { missing: ids.map((id) => ({ type: "external", pskId: id })) },
  });
  expect(b.epochAuthenticator).toEqual(before);
  for (const id of ids) await world.member(1).client.putPsk(id, id);
  expect((await b.process(commit, { accept: true })).kind).toBe("commit");
  await a.acceptCommit();
  expect(b.epochAuthenticator).toEqual(a.epochAuthenticator);
});
