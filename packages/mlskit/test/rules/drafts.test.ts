/** Rules of section 14: SelfRemove, AppDataUpdate and last-resort key packages. draft-ietf-mls-extensions. */
import { describe, expect, test } from "vitest";
import { utf8 } from "../../src/codec/index.ts";
import {
  APP_DATA_DICTIONARY,
  APP_DATA_UPDATE,
  appDataUpdate,
  appDataUpdateType,
  createSelfRemove,
  dictionaryExtension,
  isMarkedLastResort,
  lastResortExtension,
  replacedByLast,
  SELF_REMOVE,
  selfRemove,
  selfRemoveType,
} from "../../src/drafts/index.ts";
import type { Extension } from "../../src/extensions/extension.ts";
import type { CustomProposalType, Environment } from "../../src/group/environment.ts";
import { createProposal } from "../../src/group/proposal-message.ts";
import type { CachedProposal } from "../../src/group/proposal-entry.ts";
import { PublicGroup } from "../../src/observer/public-group.ts";
import type { Proposal } from "../../src/messages/proposal.ts";
import { agree, expectRule, refuses, nothingChanges, unchanged } from "../support/assertions.ts";
import { testEnvironment } from "../support/environment.ts";
import { flipped, forgeExternalCommit, forgeKeyPackage, forgeProposal } from "../support/forge.ts";
import { bundleOf, contents, Door, newTestClient } from "../support/forge-join.ts";
import {
  acceptedList,
  CUSTOM_PROPOSAL,
  extend,
  externalSenders,
  leftOut,
  publicGroup,
  refusedEverywhere,
  refusedList,
  refusedMessage,
  remove,
  required,
} from "../support/forge-lists.ts";
import { newClient, newSigner, provider } from "../support/parties.ts";
import { MESSAGE_DEFAULTS, TestGroup } from "../support/test-group.ts";

const NAMES = ["alice", "bob", "carol"];

const proposals = new Map<number, CustomProposalType>([
  [SELF_REMOVE, selfRemoveType],
  [CUSTOM_PROPOSAL, {}],
]);
const types = { proposals, credentials: new Map(), extensions: new Set<number>() };
const environment: Environment = testEnvironment({ types });
const client = { capabilities: { proposals: [SELF_REMOVE, CUSTOM_PROPOSAL] } };

const leaving = (extensions: readonly Extension[] = []): Promise<TestGroup> =>
  TestGroup.of(NAMES, { environment, client, extensions });

/** A departure as a careless member would have cached it. */
async function departure(group: TestGroup, name: string, data = ""): Promise<CachedProposal> {
  const authenticatedData = utf8(data);
  return (await forgeProposal(group.party(name), selfRemove(), { authenticatedData })).cached;
}

describe("SelfRemove on its way", () => {
  test("mk-115 [C] is not made as a PrivateMessage", async () => {
    const group = await leaving();
    const bob = group.party("bob");
    const options = { ...MESSAGE_DEFAULTS, wireFormat: "privateMessage" } as const;
    const leave = async () => createSelfRemove(bob.epoch, options, environment);
    const error = { as: "USE", code: "SELF_REMOVE_NEEDS_PUBLIC" } as const;
    await refuses(bob, leave, "mk-115", error);
    const propose = () => createProposal(bob.epoch, selfRemove(), options, environment);
    await refuses(bob, propose, "mk-115");
  });

  test("mk-115 [R] is not taken from a PrivateMessage, nor is anything kept of it", async () => {
    const group = await leaving();
    const options = { wireFormat: "privateMessage" } as const;
    const { bytes } = await forgeProposal(group.party("bob"), selfRemove(), options);
    await refusedMessage(group, "bob", bytes, "mk-115");
    await agree(group);
  });

  test("mk-115 [RO] comes from members only", async () => {
    const signer = await newSigner();
    const group = await leaving([externalSenders(signer)]);
    const alice = group.party("alice");
    const external = await forgeProposal(alice, selfRemove(), {
      sender: { type: "external", senderIndex: 0 },
      signer,
    });
    await refusedMessage(group, "server", external.bytes, "valn1502");
    const newcomer = await forgeProposal(alice, selfRemove(), {
      sender: { type: "newMemberProposal" },
      signer,
    });
    await refusedMessage(group, "nobody", newcomer.bytes, "valn1504");
    const sender = { type: "newMemberCommit" } as const;
    await expectRule(() => selfRemoveType.validate?.(selfRemove(), sender), "mk-115");
  });

  test("mk-115 [RO] twice by one member makes a Commit invalid", async () => {
    const group = await leaving();
    const list = [await departure(group, "bob"), await departure(group, "bob", "again")];
    await refusedList(group, list, "mk-115");
  });

  test("mk-115 [C] twice by one member is committed once", async () => {
    const group = await leaving();
    const list = [await departure(group, "bob"), await departure(group, "bob", "again")];
    await leftOut(group, list, "mk-115", [1]);
    await agree(group);
  });

  test("mk-115 [O] a second one by the same member is not kept", async () => {
    const group = await leaving();
    const server = publicGroup(group);
    const first = await forgeProposal(group.party("bob"), selfRemove());
    const second = await forgeProposal(group.party("bob"), selfRemove(), {
      authenticatedData: utf8("again"),
    });
    await server.process(first.bytes, environment);
    const before = server.snapshot();
    await expectRule(() => server.process(second.bytes, environment), "mk-115");
    expect(server.snapshot()).toEqual(before);
    await server.process(first.bytes, environment);
  });

  test("mk-115 [R] a client refuses one in a PrivateMessage, and its store is as before", async () => {
    const door = await Door.of({
      group: { environment, client },
      client: { types: { proposals } },
    });
    const group = await door.opens();
    const options = { wireFormat: "privateMessage" } as const;
    const { bytes } = await forgeProposal({ epoch: door.next }, selfRemove(), options);
    const outcome = await nothingChanges(() => group.process(bytes, { accept: true }));
    expect(outcome).toMatchObject({ kind: "invalidProposal", error: { rule: "mk-115" } });
    expect(group.pendingProposals).toEqual([]);
  });

  test("mk-115 [CRO] ok: one for each member that leaves", async () => {
    const group = await leaving();
    const list = [await departure(group, "bob"), await departure(group, "carol")];
    const server = publicGroup(group);
    for (const name of ["bob", "carol"]) {
      const sent = await createSelfRemove(group.party(name).epoch, MESSAGE_DEFAULTS, environment);
      await server.process(sent.bytes, environment);
    }
    expect(server.proposals).toHaveLength(2);
    await acceptedList(group, list);
    expect(group.members.map(({ name }) => name)).toEqual(["alice"]);
  });
});

describe("SelfRemove in a Commit", () => {
  test("mk-116 [RO] by value", async () => {
    await refusedList(await leaving(), [selfRemove()], "mk-116");
  });

  test("mk-116 [RO] of the committer itself", async () => {
    const group = await leaving();
    await refusedList(group, [await departure(group, "alice")], "mk-116");
  });

  test("valn1206 [RO] without a path", async () => {
    const group = await leaving();
    const list = [await departure(group, "bob")];
    await refusedList(group, list, "valn1206", { forgery: { path: false } });
  });

  test("mk-116 [RO] beside a Remove of the same leaf, in either order", async () => {
    for (const flip of [false, true]) {
      const group = await leaving();
      const list = [await departure(group, "bob"), remove(1)];
      await refusedList(group, flip ? list.reverse() : list, "mk-116");
    }
  });

  test("valn0311 [RO] where a member that stays does not know the type", async () => {
    const group = await TestGroup.of(["alice", "bob"], { environment, client });
    await group.add("alice", new Map([["carol", await newClient("carol")]]));
    await refusedList(group, [await departure(group, "bob")], "valn0311");
  });

  test("mk-116 [C] is not committed by value, nor one's own, nor beside a Remove", async () => {
    const group = await leaving();
    const alice = group.party("alice");
    const byValue = () => group.createCommit("alice", { proposals: [selfRemove()] });
    await refuses(alice, byValue, "mk-116");
    await leftOut(group, [await departure(group, "alice")], "mk-116");
    const pending = [await departure(group, "bob")];
    const both = await unchanged(alice, () =>
      group.createCommit("alice", { pending, proposals: [remove(1)] }),
    );
    expect(both.summary.removed).toHaveLength(1);
  });

  test("mk-116 [X] nor by a joiner that removes the same leaf, nor by value", async () => {
    const group = await leaving();
    const joiner = await newClient("bob", client);
    const bob = await forgeProposal(group.party("bob"), selfRemove());
    const options = { resync: () => 1, pendingMessages: [bob.bytes] };
    await refuses(joiner, () => group.createExternalJoin(joiner, options), "mk-116");
    for (const [rule, more] of [
      ["mk-115", [selfRemove()]],
      ["mk-116", [remove(1), bob.cached]],
    ] as const) {
      const forged = await forgeExternalCommit(joiner, group.party("alice"), {
        proposals: (init) => [init, ...more],
      });
      const cached = [bob.cached];
      await refusedEverywhere(group, "joiner", forged.bytes, rule, { cached });
    }
    const made = await group.createExternalJoin(joiner, { pendingMessages: [bob.bytes] });
    expect(made.summary.removed).toHaveLength(1);
  });

  test("mk-116 [CRXO] ok: of others, by reference, beside Removes of other leaves", async () => {
    const group = await TestGroup.of([...NAMES, "dave", "erin"], { environment, client });
    await acceptedList(group, [await departure(group, "bob"), remove(3)], { forcePath: false });
    const again = await forgeProposal(group.party("erin"), selfRemove());
    for (const party of group.members) party.remember(again.cached);
    const dave = await newClient("dave", client);
    const made = await group.createExternalJoin(dave, { pendingMessages: [again.bytes] });
    for (const party of group.members) await party.receive(made.commit);
    expect(group.members.map(({ name }) => name)).toEqual(["alice", "carol"]);
  });
});

describe("SelfRemove in an external commit", () => {
  const custom: Proposal = {
    type: "custom",
    proposalType: CUSTOM_PROPOSAL,
    body: Uint8Array.of(0),
  };

  test("mk-117 [RO] a reference to a proposal of any other registered type", async () => {
    const group = await leaving();
    const { cached } = await forgeProposal(group.party("bob"), custom);
    const forged = await forgeExternalCommit(
      await newClient("dave", client),
      group.party("alice"),
      {
        proposals: (init) => [cached, init],
      },
    );
    await refusedEverywhere(group, "dave", forged.bytes, "mk-117", { cached: [cached] });
  });

  test("mk-117 [X] is not made of any other registered type, nor of the RFC's own", async () => {
    const group = await leaving();
    const dave = await newClient("dave", client);
    const { cached } = await forgeProposal(group.party("bob"), custom);
    const join = (pending: readonly CachedProposal[]) => () =>
      group.createExternalJoin(dave, { pending });
    await refuses(dave, join([cached]), "mk-117");
    const removal = await forgeProposal(group.party("bob"), remove(2));
    await refuses(dave, join([removal.cached]), "valn0406");
  });

  test("valn1301 [X] a departure whose signature is wrong, or that another signed", async () => {
    const group = await leaving();
    const dave = await newClient("dave", client);
    const bob = group.party("bob");
    for (const forgery of [
      { alterSignature: (signature: Uint8Array) => flipped(signature, 0) },
      { signer: group.party("carol").signer },
      { signedContext: utf8("another context") },
    ]) {
      const { bytes } = await forgeProposal(bob, selfRemove(), forgery);
      const join = () => group.createExternalJoin(dave, { pendingMessages: [bytes] });
      await refuses(dave, join, "valn1301");
    }
    const hidden = await forgeProposal(bob, selfRemove(), { wireFormat: "privateMessage" });
    const unreadable = () => group.createExternalJoin(dave, { pendingMessages: [hidden.bytes] });
    await expect(unreadable()).rejects.toMatchObject({ code: "NOT_A_PROPOSAL" });
  });

  test("mk-117 [XRO] ok: a departure whose membership tag no joiner can check", async () => {
    const group = await leaving();
    const dave = await newClient("dave", client);
    const honest = await forgeProposal(group.party("bob"), selfRemove());
    const untagged = await forgeProposal(group.party("bob"), selfRemove(), {
      publicly: { alterMembershipTag: (tag) => flipped(tag!, 0) },
    });
    const made = await group.createExternalJoin(dave, { pendingMessages: [untagged.bytes] });
    expect(made.summary.removed).toMatchObject([{ leafIndex: 1 }]);
    const right = await group.createExternalJoin(dave, { pendingMessages: [honest.bytes] });
    for (const party of group.members) party.remember(honest.cached);
    const server = publicGroup(group, [honest.cached]);
    await server.process(right.commit, environment);
    for (const name of ["alice", "carol"]) await group.party(name).receive(right.commit);
    expect(server.memberCount).toBe(3);
  });
});

describe("AppDataUpdate", () => {
  const TOPIC = 0x8001;
  const updates = new Map([
    [APP_DATA_UPDATE, appDataUpdateType(new Map([[TOPIC, replacedByLast]]))],
  ]);
  const governed: Environment = testEnvironment({
    types: {
      proposals: updates,
      credentials: new Map(),
      extensions: new Set([APP_DATA_DICTIONARY]),
    },
  });
  const able = {
    capabilities: { extensions: [APP_DATA_DICTIONARY], proposals: [APP_DATA_UPDATE] },
  };
  const needed = required({ proposalTypes: [APP_DATA_UPDATE] });
  const dictionary = (text: string): Extension =>
    dictionaryExtension([{ componentId: TOPIC, data: utf8(text) }]);
  /** Components 2 and 1, in this order; and component 1 twice. */
  const UNSORTED = [
    Uint8Array.of(8, 0, 2, 1, 7, 0, 1, 1, 7),
    Uint8Array.of(8, 0, 1, 1, 7, 0, 1, 1, 7),
  ].map((data) => ({ type: APP_DATA_DICTIONARY, data }));
  const group = (extensions: readonly Extension[]): Promise<TestGroup> =>
    TestGroup.of(NAMES, { environment: governed, client: able, extensions });

  test.each([
    ["another", [needed, dictionary("another")]],
    ["none", [needed]],
    ["no requirement either", []],
  ])(
    "mk-118 [CRO] a GroupContextExtensions puts %s in the dictionary's place",
    async (_, after) => {
      const members = await group([needed, dictionary("topic")]);
      const alice = members.party("alice");
      const commit = () => members.createCommit("alice", { proposals: [extend(after)] });
      await refuses(alice, commit, "mk-118", { code: "INVALID_PROPOSAL" });
      await refuses(alice, () => members.propose("alice", extend(after)), "mk-118");
      const { bytes } = await forgeProposal(alice, extend(after));
      await refusedMessage(members, "alice", bytes, "mk-118");
      await refusedList(members, [extend(after)], "mk-118");
      await agree(members);
    },
  );

  test("mk-118 [CRO] a GroupContextExtensions brings in a dictionary out of order", async () => {
    for (const unsorted of UNSORTED) {
      const members = await group([]);
      const alice = members.party("alice");
      const commit = () => members.createCommit("alice", { proposals: [extend([unsorted])] });
      await refuses(alice, commit, "mk-118");
      await refusedList(members, [extend([unsorted])], "mk-118");
    }
  });

  test("mk-118 [C] no group begins with a dictionary out of order", async () => {
    for (const unsorted of UNSORTED) {
      const { client: creator, storage } = await newTestClient("alice", {
        types: { proposals: updates, extensions: new Set([APP_DATA_DICTIONARY]) },
      });
      const before = await contents(storage);
      const create = () => creator.createGroup({ extensions: [unsorted] });
      const error = await expectRule(create, "mk-108", { code: "INVALID_EXTENSION" });
      expect(error.cause).toMatchObject({ rule: "mk-118" });
      expect(await contents(storage)).toEqual(before);
    }
  });

  test("mk-118 [CRO] updates that do not fit what is there, or each other", async () => {
    const set = (componentId: number): Proposal =>
      appDataUpdate({ componentId, operation: { op: "update", update: utf8("x") } });
    const drop = appDataUpdate({ componentId: TOPIC, operation: { op: "remove" } });
    for (const list of [[drop], [set(9)], [set(TOPIC), drop], [drop, drop]]) {
      const members = await group([needed]);
      const commit = () => members.createCommit("alice", { proposals: list });
      await refuses(members.party("alice"), commit, "mk-118");
      // What the list would lead to is beyond telling: the forger applies nothing of it.
      const forgery = { applied: [] };
      await refusedList(members, list, "mk-118", { forgery });
    }
  });

  test("mk-118 [CRO] ok: everything else may change, and updates change the dictionary", async () => {
    const members = await group([needed, dictionary("topic")]);
    const more = required({
      proposalTypes: [APP_DATA_UPDATE],
      extensionTypes: [APP_DATA_DICTIONARY],
    });
    await acceptedList(members, [extend([dictionary("topic"), more])]);
    const operation = { op: "update", update: utf8("new") } as const;
    await acceptedList(members, [appDataUpdate({ componentId: TOPIC, operation })]);
    await agree(members);
    const free = await group([dictionary("topic")]);
    await acceptedList(free, [extend([dictionary("without a requirement, anybody may")])]);
  });
});

describe("key packages of last resort", () => {
  test("mk-119 [C] are marked, and obey every other rule", async () => {
    const { client: bob, storage } = await newTestClient("bob");
    const { bytes } = await bob.createKeyPackage({ lastResort: true });
    const { keyPackage } = await bundleOf(bytes);
    expect(keyPackage.extensions).toEqual([lastResortExtension]);
    expect(isMarkedLastResort(keyPackage)).toBe(true);
    expect(await bob.keyPackages()).toMatchObject([{ isLastResort: true }]);
    expect(isMarkedLastResort((await newClient("bob")).keyPackage)).toBe(false);
    const before = await contents(storage);
    const backwards = { notBefore: 2n, notAfter: 1n };
    const make = () => bob.createKeyPackage({ lastResort: true, lifetime: backwards });
    await expectRule(make, "mk-54", { as: "USE" });
    expect(await contents(storage)).toEqual(before);
    const group = await TestGroup.of(NAMES);
    const capabilities = { extensions: [lastResortExtension.type] };
    const dave = await newClient("dave", { extensions: [lastResortExtension], capabilities });
    const broken = await forgeKeyPackage(dave, { alterSignature: (it) => flipped(it, 0) });
    await refusedList(group, [{ type: "add", keyPackage: broken.keyPackage }], "valn0203");
    await acceptedList(group, [{ type: "add", keyPackage: dave.keyPackage }]);
  });

  test("mk-119 [J] survive a join, and the next one; others do not", async () => {
    for (const lastResort of [true, false]) {
      const door = await Door.of({ keyPackage: { lastResort } });
      await door.opens();
      expect(await door.client.keyPackages()).toHaveLength(lastResort ? 1 : 0);
      const other = await TestGroup.of(["erin"]);
      const proposals = [{ type: "add", keyPackage: door.joiner.keyPackage } as const];
      const made = await other.createCommit("erin", { proposals });
      const leave = () => door.client.deleteGroup(door.next.context.groupId);
      await leave();
      const again = () => door.client.join(made.welcomes[0]!.bytes);
      if (lastResort) expect((await again()).memberCount).toBe(2);
      else await expectRule(again, "mk-93", { code: "ORPHAN_WELCOME" });
      expect(await door.client.keyPackages()).toHaveLength(lastResort ? 1 : 0);
    }
  });

  test("mk-119 [CJ] ok: a Welcome for it that cannot be used leaves it as well", async () => {
    const door = await Door.of({ keyPackage: { lastResort: true } });
    const forged = await door.forgedWelcome({ alterConfirmationTag: (tag) => flipped(tag, 0) });
    await door.refusesWelcome(forged, "valn1411");
    await door.opens();
    const groupInfo = await door.group.groupInfo("alice");
    await PublicGroup.start(provider, { groupInfo }, door.group.environment);
  });
});
