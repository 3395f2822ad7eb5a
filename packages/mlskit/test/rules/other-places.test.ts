/** Rules that are checked in several places: the places that tests of the usual way pass by. */
import { describe, expect, test } from "vitest";
import { keyPackageObstacles, compareBeacon, createBeacon } from "../../src/production/index.ts";
import { compareGroupInfo } from "../../src/production/index.ts";
import { decode, EMPTY_BYTES, encode, utf8 } from "../../src/codec/index.ts";
import { Credential } from "../../src/credentials/credential.ts";
import {
  APP_DATA_UPDATE,
  appDataUpdate,
  appDataUpdateType,
  createSelfRemove,
  replacedByLast,
  SELF_REMOVE,
  selfRemoveType,
} from "../../src/drafts/index.ts";
import { Extensions } from "../../src/extensions/extension.ts";
import { encodeMlsMessage } from "../../src/framing/mls-message.ts";
import { DEFAULT_LIMITS, wireTypes } from "../../src/group/environment.ts";
import { createExternalProposal, type Group } from "../../src/index.ts";
import { PublicGroup } from "../../src/observer/public-group.ts";
import { testGroup } from "../../src/testing/index.ts";
import { expectRule, nothingChanges, refuses } from "../support/assertions.ts";
import { testEnvironment } from "../support/environment.ts";
import {
  forgeExternalCommit,
  forgeGroupInfo,
  forgeKeyPackage,
  forgeMessage,
  forgeProposal,
  groupInfoMessage,
} from "../support/forge.ts";
import { Door } from "../support/forge-join.ts";
import {
  CUSTOM_PROPOSAL,
  externalSenders,
  goesOn,
  publicGroup,
  refusedEverywhere,
  refusedList,
} from "../support/forge-lists.ts";
import { newClient, newSigner, provider } from "../support/parties.ts";
import { MESSAGE_DEFAULTS, TestGroup } from "../support/test-group.ts";

const APPLICATION = { contentType: "application", applicationData: utf8("hello") } as const;

describe("what belongs to another group", () => {
  test("mk-24 [O] a PrivateMessage, of which an observer reads the outside only", async () => {
    const group = await TestGroup.of(["alice", "bob"]);
    const server = publicGroup(group);
    const options = { wireFormat: "privateMessage", groupId: utf8("another group") } as const;
    const bytes = await forgeMessage(group.party("alice"), APPLICATION, options);
    await expectRule(() => server.process(bytes, group.environment), "mk-24");
    await goesOn(group);
  });

  test("mk-24 [O] a GroupInfo from which an observer is to go on", async () => {
    const group = await TestGroup.of(["alice"]);
    const server = publicGroup(group);
    const { epoch } = group.party("alice");
    for (const groupId of [utf8("another group"), epoch.context.groupId]) {
      const context = { groupId, epoch: 5n };
      const groupInfo = groupInfoMessage(await forgeGroupInfo(epoch, { context }));
      const rebase = () => server.rebase({ groupInfo }, group.environment);
      if (groupId === epoch.context.groupId) await rebase();
      else await expectRule(rebase, "mk-24", { code: "INVALID_GROUP_INFO" });
    }
  });

  test("mk-24 mk-26 [R] a beacon, or one of nobody; and a GroupInfo to compare with", async () => {
    const world = await testGroup({ members: 2 });
    const [a, b] = world.groups as [Group, Group];
    const other = (await testGroup({ members: 1 })).groups[0]!;
    const beacon = await createBeacon(other);
    await expectRule(() => compareBeacon(a, beacon), "mk-24");
    const info = await other.groupInfo();
    await expectRule(() => compareGroupInfo(a, info), "mk-24");
    const gone = await createBeacon(b);
    await world.commit(0, { remove: [1] });
    await expectRule(() => compareBeacon(a, gone), "mk-26");
  });
});

describe("what a client asks of itself", () => {
  test("valn0303 [C] it does not remove itself", async () => {
    const world = await testGroup({ members: 2 });
    const [a] = world.groups as [Group];
    const own = [a.ownLeafIndex];
    const error = { as: "USE", code: "CANNOT_REMOVE_SELF" } as const;
    await expectRule(() => a.remove(own), "valn0303", error);
    const { client } = await world.newClient("carol");
    const add = [(await client.createKeyPackage()).bytes];
    await expectRule(() => a.commit({ swap: { remove: own, add } }), "valn0303", error);
  });

  test("valn0701 [C] it removes nobody who is not there", async () => {
    const [a] = (await testGroup({ members: 2 })).groups as [Group];
    for (const leaf of [2, 99, -1, 0.5]) {
      const error = { as: "STA", code: "MEMBER_NOT_FOUND" } as const;
      await expectRule(() => a.remove([leaf]), "valn0701", error);
    }
  });

  test("mk-43 [S] it sends nothing beyond its own limit", async () => {
    const world = await testGroup({ members: 2, limits: { maximumGenerations: 1 } });
    const [a] = world.groups as [Group];
    await a.send("one");
    await expectRule(() => a.send("two"), "mk-43", { code: "RATCHET_EXHAUSTED" });
    await a.proposeUpdate();
    await expectRule(() => a.proposeUpdate(), "mk-43", { code: "RATCHET_EXHAUSTED" });
  });

  test("mk-55 [C] it makes no key package that lasts longer than it allows", async () => {
    const allowing = (days: bigint) => {
      return testGroup({ members: 1, limits: { maximumLifetime: days * 86_400n } });
    };
    await (await allowing(84n)).member(0).client.createKeyPackage();
    await expectRule(() => allowing(83n), "mk-55", { as: "USE" });
  });

  test("mk-60 [J] it starts no group from a key package that it does not have", async () => {
    const { client } = (await testGroup({ members: 1 })).member(0);
    const keyPackage = new Uint8Array(32);
    await expectRule(() => client.createGroup({ keyPackage }), "mk-60");
    const { reference } = await client.createKeyPackage();
    await client.createGroup({ keyPackage: reference });
    await expectRule(() => client.createGroup({ keyPackage: reference }), "mk-60");
  });

  test("valn1403 [J] it enters no epoch twice, though the key package may be used again", async () => {
    const door = await Door.of({ keyPackage: { lastResort: true } });
    const { id } = await door.client.join(door.welcome);
    await door.client.deleteGroup(id);
    await expectRule(() => door.client.join(door.welcome), "valn1403", { code: "GROUP_EXISTS" });
  });

  test("mk-23 [C] a leaf takes no signer of another suite", async () => {
    const group = await TestGroup.of(["alice", "bob"]);
    const signer = await newSigner(2);
    const alice = group.party("alice");
    const commit = () => group.createCommit("alice", { leaf: { signer } });
    await refuses(alice, commit, "mk-23", { code: "INVALID_SIGNER" });
    const update = () => group.proposeUpdate("alice", { signer });
    await refuses(alice, update, "mk-23", { code: "INVALID_SIGNER" });
  });

  test("mk-33 [R] nobody proposes from outside with a key that the group does not list", async () => {
    const listed = await newSigner();
    const group = await TestGroup.of(["alice", "bob"], { extensions: [externalSenders(listed)] });
    const { groupId, epoch, extensions } = group.party("alice").epoch.context;
    const address = { groupId, epoch, extensions };
    const { types } = group.environment;
    const remove = { type: "remove", removed: 1 } as const;
    const stranger = await newSigner();
    const propose = () => createExternalProposal(address, remove, stranger, types);
    await expectRule(propose, "mk-33", { as: "USE", code: "INVALID_SIGNER" });
    await group.deliver(await createExternalProposal(address, remove, listed, types), "server");
  });
});

describe("types that are committed by reference only", () => {
  const proposals = new Map([
    [SELF_REMOVE, selfRemoveType],
    [CUSTOM_PROPOSAL, { byReferenceOnly: true, inExternalCommit: "byReference" } as const],
  ]);
  const types = { proposals, credentials: new Map(), extensions: new Set<number>() };
  const environment = testEnvironment({ types });
  const client = { capabilities: { proposals: [SELF_REMOVE, CUSTOM_PROPOSAL] } };
  const custom = { type: "custom", proposalType: CUSTOM_PROPOSAL, body: utf8("\u0001x") } as const;

  test("mk-116 [C R O] one that removes nobody", async () => {
    const group = await TestGroup.of(["alice", "bob"], { environment, client });
    const commit = () => group.createCommit("alice", { proposals: [custom] });
    await refuses(group.party("alice"), commit, "mk-116");
    await refusedList(group, [custom], "mk-116");
  });

  test("mk-116 [R O] in an external commit, too", async () => {
    const group = await TestGroup.of(["alice", "bob"], { environment, client });
    const dave = await newClient("dave", client);
    const { bytes } = await forgeExternalCommit(dave, group.party("alice"), {
      proposals: (init) => [init, custom],
      applied: [],
    });
    await refusedEverywhere(group, "dave", bytes, "mk-116");
    await goesOn(group);
  });

  test("valn0311 [C] nobody announces a departure that a member does not understand", async () => {
    const group = await TestGroup.of(["alice", "bob"], { environment });
    const { epoch } = group.party("bob");
    const leave = async () => createSelfRemove(epoch, MESSAGE_DEFAULTS, environment);
    await expectRule(leave, "valn0311", { as: "USE", code: "UNSUPPORTED_PROPOSAL" });
  });
});

describe("ceilings", () => {
  const limits = { ...DEFAULT_LIMITS, maximumExtensions: 2, maximumCertificates: 2 };
  const rules = wireTypes(testEnvironment({ limits }));

  test("mk-14 [D] of lists, while they are read", async () => {
    const extension = (type: number) => ({ type, data: EMPTY_BYTES });
    const three = encode(Extensions, [1, 2, 3].map(extension));
    await expectRule(() => decode(Extensions, three, "extensions", rules), "mk-14");
    expect(decode(Extensions, three)).toHaveLength(3);
    const two = encode(Extensions, [1, 2].map(extension));
    expect(decode(Extensions, two, "extensions", rules)).toHaveLength(2);
    const chain = (length: number): Uint8Array =>
      encode(Credential, { type: "x509", certificates: Array(length).fill(EMPTY_BYTES) });
    await expectRule(() => decode(Credential, chain(3), "a credential", rules), "mk-14");
    decode(Credential, chain(3));
    decode(Credential, chain(2), "a credential", rules);
  });

  test("mk-14 [D] of the bytes of a message", async () => {
    const [a, b] = (await testGroup({ members: 2 })).groups as [Group, Group];
    await b.configure({ maximumMessageSize: 100 });
    const { bytes } = await a.send(new Uint8Array(3000));
    const outcome = await nothingChanges(() => b.process(bytes));
    expect(outcome).toMatchObject({ kind: "invalid", error: { rule: "mk-14", blame: "decode" } });
    await b.configure({ maximumMessageSize: 1000 });
    expect((await b.process(bytes)).kind).toBe("application");
  });
});

test("valn1405 [O] a stored observer is not restored with another tree", async () => {
  const group = await TestGroup.of(["alice", "bob"]);
  const server = publicGroup(group);
  const small = server.snapshot({ withTree: false });
  const [right, wrong] = [server.ratchetTree(), (await TestGroup.of(["carol"])).observer];
  const restore = (ratchetTree: Uint8Array) =>
    PublicGroup.restore(provider, small, group.environment, { ratchetTree });
  await expectRule(() => restore(wrong.epoch.tree.encode()), "valn1405");
  expect(restore(right).snapshot()).toEqual(server.snapshot());
});

test("mk-118 [R O] an update of an unknown component is refused on arrival", async () => {
  const known = appDataUpdateType(new Map([[0x8001, replacedByLast]]));
  const proposals = new Map([[APP_DATA_UPDATE, known]]);
  const types = { proposals, credentials: new Map(), extensions: new Set<number>() };
  const group = await TestGroup.of(["alice", "bob"], {
    environment: testEnvironment({ types }),
    client: { capabilities: { proposals: [APP_DATA_UPDATE] } },
  });
  for (const componentId of [0x8002, 0x8001]) {
    const update = { componentId, operation: { op: "update", update: utf8("x") } } as const;
    const { bytes } = await forgeProposal(group.party("alice"), appDataUpdate(update));
    if (componentId === 0x8001) await group.deliver(bytes, "alice");
    else await refusedEverywhere(group, "alice", bytes, "mk-118");
  }
});

test("mk-18 valn0112 [C] what stands against a key package is named before it is added", async () => {
  const [a] = (await testGroup({ members: 1 })).groups as [Group];
  const { encryptionKey } = a.members()[0]!;
  const dave = await newClient("dave");
  const cases = [
    ["mk-18", await forgeKeyPackage(dave, { fields: { initKey: new Uint8Array(31) } })],
    ["valn0112", await forgeKeyPackage(dave, { leaf: { encryptionKey } })],
    [undefined, dave],
  ] as const;
  for (const [rule, { keyPackage }] of cases) {
    const bytes = encodeMlsMessage({ wireFormat: "keyPackage", message: keyPackage });
    const obstacles = await nothingChanges(() => keyPackageObstacles(a, bytes));
    const found = obstacles.map((error) => error.rule);
    if (rule === undefined) expect(found).not.toContain("mk-18");
    else expect(found).toContain(rule);
  }
});
