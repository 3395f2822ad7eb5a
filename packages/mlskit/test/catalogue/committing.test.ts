/** Catalogue M-COM: building, accepting and losing Commits. RFC 9420 §12.3, §12.4, §14. */
import { describe, expect, test, vi } from "vitest";
import { toHex, utf8 } from "../../src/codec/index.ts";
import { SELF_REMOVE, selfRemove, selfRemoveType } from "../../src/drafts/index.ts";
import {
  acceptDetached,
  commitDetached,
  type CommitRequest,
  createExternalProposal,
  customProposal,
  type Group,
  memoryStorage,
  type Proposal,
  type ProposalCandidate,
  type RegisteredTypes,
  type SentProposalView,
  type Storage,
} from "../../src/index.ts";
import { webCryptoProvider } from "../../src/providers/webcrypto/index.ts";
import { type TestGroup, testGroup, type TestGroupOptions } from "../../src/testing/index.ts";
import { decodeMlsMessage, type ProposalOrRef, skipOpaque, type Welcome } from "../../src/wire.ts";
import { acceptAnyCredential, testEnvironment } from "../support/environment.ts";
import { newDesk, seat } from "../support/forge-clients.ts";
import { externalSenders, pskId, updateBy } from "../support/forge-lists.ts";
import { forgeCommit, forgeExternalCommit, forgeProposal } from "../support/forge.ts";
import { newClient, newSigner } from "../support/parties.ts";
import { TestGroup as Parties } from "../support/test-group.ts";

const CUSTOM = 0xf001;
const LIGHT = 0xf002;
const [ONE, TWO] = [0xf0a1, 0xf0a2];
const TYPES: RegisteredTypes = {
  proposals: new Map([
    [CUSTOM, {}],
    [LIGHT, { requiresPath: false }],
    [SELF_REMOVE, selfRemoveType],
  ]),
  credentials: new Map(),
  extensions: new Set([ONE, TWO]),
};
const PUBLIC = { handshake: { send: "public", accept: "both" } } as const;
const PRIVATE = { handshake: { send: "private", accept: "both" } } as const;

interface World {
  readonly world: TestGroup;
  readonly a: Group;
  readonly b: Group;
  readonly c: Group;
}

async function three(options: TestGroupOptions = {}): Promise<World> {
  const world = await testGroup({ types: TYPES, config: PUBLIC, ...options });
  const [a, b, c] = world.groups as readonly [Group, Group, Group];
  for (const { client } of world.members) await client.putPsk(utf8("id"), utf8("secret"));
  return { world, a, b, c };
}

async function newKeyPackage(world: TestGroup, name: string): Promise<Uint8Array> {
  return (await (await world.newClient(name)).client.createKeyPackage()).bytes;
}

function commitIn(bytes: Uint8Array) {
  const types = { proposals: new Map([[CUSTOM, skipOpaque]]), credentials: new Map() };
  const decoded = decodeMlsMessage(bytes, types);
  if (decoded.wireFormat !== "publicMessage") throw new Error("a PublicMessage was expected");
  const { content } = decoded.message.content;
  if (content.contentType !== "commit") throw new Error("a Commit was expected");
  return content.commit;
}

const namesOf = (list: readonly ProposalOrRef[]): string[] =>
  list.map((item) => (item.type === "proposal" ? item.proposal.type : toHex(item.reference)));

function welcomeIn(bytes: Uint8Array): Welcome {
  const decoded = decodeMlsMessage(bytes);
  if (decoded.wireFormat !== "welcome") throw new Error("a Welcome was expected");
  return decoded.message;
}

const externalPsk = (id: string): Proposal => ({
  type: "psk",
  psk: { type: "external", pskId: utf8(id), nonce: crypto.getRandomValues(new Uint8Array(32)) },
});

const reInit = {
  type: "reInit",
  groupId: utf8("successor"),
  version: 1,
  cipherSuite: 1,
  extensions: [],
} as const;

/** What everybody can see of a group, and what only members can. */
async function viewOf(group: Group): Promise<unknown> {
  return {
    epoch: group.epoch,
    tree: toHex(group.ratchetTree()),
    context: toHex(group.contextBytes),
    authenticator: toHex(group.epochAuthenticator),
    proposals: await group.proposals(),
    queued: group.queuedProposals,
  };
}

test("M-COM-01: a Commit covers all pending proposals, and without any it is an empty one with path", async () => {
  const { world, a, b } = await three();
  const sent = [await b.proposeUpdate(), await b.propose(customProposal(CUSTOM, utf8("x")))];
  for (const { bytes } of sent) await world.deliver(bytes, 1);
  const { commit } = await a.commit();
  expect(namesOf(commitIn(commit).proposals)).toEqual(
    sent.map(({ reference }) => toHex(reference)),
  );
  await world.deliver(commit, 0);
  await a.acceptCommit();
  const empty = commitIn((await a.commit()).commit);
  expect(empty.proposals).toEqual([]);
  expect(empty.path).toBeDefined();
});

test("M-COM-02: one set of options says what a Commit contains and how it is sent", async () => {
  const { world, a, b, c } = await three({ members: 5 });
  const alice = world.members[0]!.client;
  const identity = await alice.addIdentity({ identity: "member 0" });
  world.directory.add(identity);
  const [taken, left] = [await b.proposeUpdate(), await c.proposeUpdate()];
  for (const { bytes } of [taken, left]) await a.process(bytes, { accept: true });
  await b.process(left.bytes, { accept: true });
  const [dave, erin] = [
    (await world.newClient("dave")).client,
    (await world.newClient("erin")).client,
  ];
  for (const client of [dave, erin]) await client.putPsk(utf8("id"), utf8("secret"));
  const groupInfoExtension = { type: 0xf0ff, data: utf8("hint") };
  const request: CommitRequest = {
    add: [(await dave.createKeyPackage()).bytes],
    swap: { remove: [4], add: [(await erin.createKeyPackage()).bytes] },
    remove: [3],
    psks: [utf8("id")],
    setExtension: { type: ONE, data: utf8("on") },
    proposals: [customProposal(CUSTOM, utf8("raw"))],
    include: [taken.reference],
    forcePath: true,
    identity,
    leaf: { extensions: [{ type: TWO, data: utf8("leaf") }] },
    authenticatedData: utf8("aad"),
    wireForm: "private",
    padding: { type: "fixed", size: 16_384 },
    groupInfo: true,
    groupInfoExtensions: [groupInfoExtension],
    ratchetTree: false,
    joinersPerWelcome: 1,
  };
  const staged = await a.commit(request);
  expect(decodeMlsMessage(staged.commit).wireFormat).toBe("privateMessage");
  expect(staged.commit.length).toBeGreaterThan(16_384);
  const seen = await b.process(staged.commit, { accept: true });
  expect(seen).toMatchObject({ kind: "commit", authenticatedData: utf8("aad") });
  const { welcomes, groupInfo, ratchetTree, summary } = await a.acceptCommit();
  expect(summary.added).toHaveLength(2);
  expect(summary.removed.map(({ leafIndex }) => leafIndex)).toEqual([4, 3]);
  expect([summary.psks.length, summary.custom.length, summary.hasPath]).toEqual([1, 1, true]);
  expect(summary.updated.map(({ leafIndex }) => leafIndex)).toEqual([1, 0]);
  expect(a.extensions).toEqual([{ type: ONE, data: utf8("on") }]);
  expect(b.members()[0]).toMatchObject({
    signatureKey: identity.signatureKey,
    extensions: [{ type: TWO, data: utf8("leaf") }],
  });
  expect(welcomes.map(({ bytes }) => welcomeIn(bytes).secrets.length)).toEqual([1, 1]);
  const info = decodeMlsMessage(groupInfo!);
  expect(info.wireFormat === "groupInfo" && info.message.extensions).toContainEqual(
    groupInfoExtension,
  );
  for (const { bytes } of welcomes) {
    const joins = [dave, erin].map((client) => client.join(bytes, { ratchetTree }));
    const joined = await Promise.any(joins);
    expect(joined.epochAuthenticator).toEqual(b.epochAuthenticator);
  }
  expect(a.epochAuthenticator).toEqual(b.epochAuthenticator);
  // What is left: leaving a proposal out, the whole list of extensions, a ReInit, no path.
  const again = await b.proposeUpdate();
  await a.process(again.bytes, { accept: true });
  const without = await a.commit({ exclude: [again.reference], extensions: [] });
  expect(without.summary).toMatchObject({ extensions: [], updated: [{ leafIndex: 0 }] });
  await a.discardCommit();
  const light = { exclude: [again.reference], psks: [utf8("id")], withoutPath: true };
  expect((await a.commit(light)).summary.hasPath).toBe(false);
  await a.discardCommit();
  await a.dropAllProposals();
  expect((await a.commit({ reInit })).summary.reInit).toEqual(reInit);
  await expect(b.commit({ swap: { remove: [2], add: [] } })).rejects.toMatchObject({
    code: "LENGTH_MISMATCH",
  });
});

test("M-COM-03: the result holds everything that follows from a Commit", async () => {
  const { world, a, b } = await three();
  const unusable = await b.propose(selfRemove());
  const update = await b.proposeUpdate();
  for (const { bytes } of [unusable, update]) await world.deliver(bytes, 1);
  const add = [await newKeyPackage(world, "dave")];
  const made = await a.commitImmediately({ add, remove: [2], groupInfo: true, ratchetTree: false });
  expect(decodeMlsMessage(made.commit).wireFormat).toBe("publicMessage");
  expect(made.welcomes).toHaveLength(1);
  expect(decodeMlsMessage(made.groupInfo!).wireFormat).toBe("groupInfo");
  expect(made.ratchetTree).toEqual(a.ratchetTree());
  expect(made.unused).toMatchObject([
    { entry: { reference: update.reference }, reason: { rule: "mk-116" } },
  ]);
  expect(made.summary).toMatchObject({
    epoch: 1n,
    hasPath: true,
    added: [{ leafIndex: 1 }],
    removed: [{ leafIndex: 1 }, { leafIndex: 2 }],
  });
  expect(made.epoch).toBe(2n);
});

test("M-COM-04: building a Commit fills the pending slot and changes nothing else", async () => {
  const { world, a, b } = await three();
  await world.deliver((await b.proposeUpdate()).bytes, 1);
  await a.queue(customProposal(CUSTOM, utf8("x")));
  const before = await viewOf(a);
  expect(a.status).toBe("active");
  await a.commit({ remove: [2] });
  expect(a.status).toBe("pendingCommit");
  expect(await viewOf(a)).toEqual(before);
});

test("M-COM-05: invalid received proposals are left out and reported, an invalid own one is an error", async () => {
  const { world, a, b } = await three();
  await world.members[1]!.client.putPsk(utf8("only here"), utf8("secret"));
  const unusable = await b.propose(externalPsk("only here"));
  const update = await b.proposeUpdate();
  for (const { bytes } of [unusable, update]) await world.deliver(bytes, 1);
  const { commit, unused } = await a.commit();
  expect(namesOf(commitIn(commit).proposals)).toEqual([toHex(update.reference)]);
  expect(unused).toMatchObject([
    { entry: { reference: unusable.reference }, reason: { code: "MISSING_PSK" } },
  ]);
  await a.discardCommit();
  const invalid: Proposal = { type: "remove", removed: 9 };
  await expect(a.commit({ proposals: [invalid] })).rejects.toMatchObject({
    code: "INVALID_PROPOSAL",
    rule: "valn0701",
  });
  expect(a.status).toBe("active");
});

test("M-COM-06: one invalid proposal rejects a received Commit", async () => {
  const parties = await Parties.of(["alice", "bob"]);
  const group = await seat(parties, await newDesk("dave"));
  const before = group.epochAuthenticator;
  const valid: Proposal = { type: "groupContextExtensions", extensions: [] };
  const invalid: Proposal = { type: "psk", psk: pskId("short nonce", 16) };
  const { bytes } = await forgeCommit(parties.party("alice"), { proposals: [valid, invalid] });
  expect(await group.process(bytes, { accept: true })).toMatchObject({
    kind: "invalid",
    error: { rule: "valn0803" },
  });
  expect(group.epochAuthenticator).toEqual(before);
});

describe("M-COM-07: conflicts are settled by fixed priorities when sending", () => {
  type Make = (world: World) => Promise<SentProposalView[]>;
  const cases: [string, Make, number, string][] = [
    [
      "the latest Update of a leaf stays",
      async ({ b }) => [await b.proposeUpdate(), await b.proposeUpdate()],
      1,
      "valn0304",
    ],
    [
      "a Remove goes before an Update",
      async ({ b, c }) => [await c.proposeRemove(1), await b.proposeUpdate()],
      0,
      "valn0304",
    ],
    [
      "of two Removes one stays",
      async ({ b, c }) => [await b.proposeRemove(3), await c.proposeRemove(3)],
      0,
      "valn0304",
    ],
    [
      "a SelfRemove goes before a Remove",
      async ({ b, c }) => [await c.proposeRemove(1), await b.propose(selfRemove())],
      1,
      "mk-116",
    ],
    [
      "of two Adds of one client the first stays",
      async ({ world, b, c }) => {
        const { client } = await world.newClient("dave");
        const [one, two] = await client.createKeyPackages(2);
        return [await b.proposeAdd(one!.bytes), await c.proposeAdd(two!.bytes)];
      },
      0,
      "valn0305",
    ],
    [
      "a ReInit is left out beside anything else",
      async ({ b, c }) => [await b.propose(reInit), await c.proposeUpdate()],
      1,
      "valn0309",
    ],
  ];
  test.each(cases)("%s", async (_, make, staying, rule) => {
    const world = await three({ members: 4 });
    const sent = await make(world);
    for (const { bytes } of sent) await world.a.process(bytes, { accept: true });
    const { commit, unused } = await world.a.commit();
    expect(namesOf(commitIn(commit).proposals)).toEqual([toHex(sent[staying]!.reference)]);
    expect(unused).toMatchObject([
      { entry: { reference: sent[1 - staying]!.reference }, reason: { rule } },
    ]);
  });

  test("an own Update is left out and forces a path", async () => {
    const { world, a } = await three();
    await a.proposeUpdate();
    const request = { add: [await newKeyPackage(world, "dave")], withoutPath: true };
    const { commit } = await a.commit(request);
    expect(namesOf(commitIn(commit).proposals)).toEqual(["add"]);
    expect(commitIn(commit).path).toBeDefined();
  });
});

test("M-COM-08: a path is sent unless it was declined and nothing demands one, and receivers insist on it", async () => {
  const { world, a, b } = await three();
  const identity = await world.members[0]!.client.addIdentity({ identity: "member 0" });
  world.directory.add(identity);
  const add = [await newKeyPackage(world, "dave")];
  const psks = [utf8("id")];
  const hasPath = async (request: CommitRequest): Promise<boolean> => {
    const { summary } = await a.commit(request);
    await a.discardCommit();
    return summary.hasPath;
  };
  const withoutPath = true;
  expect(await hasPath({ add })).toBe(true);
  expect(await hasPath({ add, withoutPath })).toBe(false);
  expect(await hasPath({ psks, withoutPath })).toBe(false);
  expect(await hasPath({ reInit, withoutPath })).toBe(false);
  const light = [customProposal(LIGHT, utf8("x"))];
  expect(await hasPath({ proposals: light, withoutPath })).toBe(false);
  const demanding: CommitRequest[] = [
    {},
    { remove: [2] },
    { extensions: [] },
    { proposals: [customProposal(CUSTOM, utf8("x"))] },
    { add, forcePath: true },
    { add, leaf: {} },
    { add, identity },
  ];
  for (const request of demanding) {
    expect(await hasPath({ ...request, withoutPath }), Object.keys(request).join()).toBe(true);
  }
  for (const proposed of [await b.proposeUpdate(), await b.propose(selfRemove())]) {
    await a.process(proposed.bytes, { accept: true });
    expect(await hasPath({ withoutPath })).toBe(true);
    await a.dropAllProposals();
  }
  // Receivers.
  const environment = testEnvironment({ types: TYPES });
  const client = { capabilities: { proposals: [CUSTOM, LIGHT, SELF_REMOVE] } };
  const parties = await Parties.of(["alice", "bob"], { environment, client });
  const group = await seat(parties, await newDesk("dave", { types: TYPES }));
  const lists: Proposal[][] = [
    [],
    [{ type: "remove", removed: 1 }],
    [{ type: "groupContextExtensions", extensions: [] }],
    [customProposal(CUSTOM, utf8("x"))],
    [customProposal(CUSTOM, utf8("x")), ...light],
  ];
  const alice = parties.party("alice");
  const rule = "valn1206";
  for (const proposals of lists) {
    const { bytes } = await forgeCommit(alice, { proposals, path: false });
    expect(await group.process(bytes)).toMatchObject({ kind: "invalid", error: { rule } });
  }
  const newcomer = add[0]!;
  const invited = decodeMlsMessage(newcomer);
  if (invited.wireFormat !== "keyPackage") throw new Error("a key package was expected");
  const none: Proposal[][] = [[reInit], light, [{ type: "add", keyPackage: invited.message }]];
  for (const proposals of none) {
    const { bytes } = await forgeCommit(alice, { proposals, path: false });
    const { kind } = await group.process(bytes, { accept: false });
    expect(kind).toBe(proposals[0] === reInit ? "reinit" : "commit");
  }
  const bob = parties.party("bob");
  const departure = await forgeProposal(bob, selfRemove());
  for (const { cached, bytes } of [await updateBy(bob), departure]) {
    await group.process(bytes, { accept: true });
    const covering = await forgeCommit(alice, { proposals: [cached], path: false });
    expect(await group.process(covering.bytes)).toMatchObject({ kind: "invalid", error: { rule } });
    await group.dropAllProposals();
  }
  // An ExternalInit stands in an external commit, which has a rule of its own for this.
  const { bytes } = await forgeExternalCommit(await newClient("erin", client), alice, {
    path: false,
  });
  expect(await group.process(bytes)).toMatchObject({
    kind: "invalid",
    error: { rule: "valn0405" },
  });
});

/** A store that counts its writes. */
function counted(): { readonly storage: Storage; writes(): number } {
  const inner = memoryStorage();
  let writes = 0;
  const storage: Storage = {
    get: (key) => inner.get(key),
    list: (prefix) => inner.list(prefix),
    write: (batch) => {
      writes += 1;
      return inner.write(batch);
    },
    close: () => inner.close(),
  };
  return { storage, writes: () => writes };
}

test("M-COM-09: accepting the pending Commit is one transaction", async () => {
  const stores = [counted(), counted(), counted()];
  let next = 0;
  const { world, a } = await three({ storage: () => stores[next++]!.storage });
  await expect(a.acceptCommit()).rejects.toMatchObject({ code: "NO_PENDING_COMMIT" });
  await expect(a.discardCommit()).rejects.toMatchObject({ code: "NO_PENDING_COMMIT" });
  const { commit } = await a.update();
  await world.deliver(commit, 0);
  const before = stores[0]!.writes();
  await a.acceptCommit();
  expect(stores[0]!.writes()).toBe(before + 1);
  world.assertAgreement();
});

test("M-COM-10: discarding a pending Commit leaves everything as before and never frees its generation", async () => {
  const { world, a, b } = await three({ config: PRIVATE });
  await world.deliver((await b.propose(customProposal(CUSTOM, utf8("x")))).bytes, 1);
  const before = await viewOf(a);
  const { commit } = await a.commit();
  await a.discardCommit();
  expect(a.status).toBe("active");
  expect(await viewOf(a)).toEqual(before);
  // Were its generation used again, the discarded Commit would now count as a replay.
  const { bytes } = await a.proposeUpdate();
  expect((await b.process(bytes)).kind).toBe("proposal");
  expect((await b.process(commit)).kind).toBe("commit");
  await a.commit();
  await world.deliver(a.pendingCommit!.commit, 0);
  const { summary } = await a.acceptCommit();
  expect(summary.custom).toHaveLength(1);
  world.assertAgreement();
});

test("M-COM-11: the pending Commit is accepted or discarded after a restart", async () => {
  const { world, a } = await three();
  const add = [await newKeyPackage(world, "dave")];
  await world.deliver((await a.add(add)).commit, 0);
  const { group } = await world.reopen(0, world.member(0).storage);
  expect(group.status).toBe("pendingCommit");
  const { welcomes } = await group.acceptCommit();
  expect(welcomes).toHaveLength(1);
  world.assertAgreement();
  await group.update();
  const again = (await world.reopen(0, world.member(0).storage)).group;
  await again.discardCommit();
  expect(again.status).toBe("active");
  await world.commit(1);
  world.assertAgreement();
});

test("M-COM-12: while a Commit is pending nothing new is proposed or committed, but messages are received", async () => {
  const { a, b } = await three();
  await a.update();
  const code = "PENDING_COMMIT";
  await expect(a.commit()).rejects.toMatchObject({ code });
  await expect(a.proposeUpdate()).rejects.toMatchObject({ code });
  await expect(a.leave()).rejects.toMatchObject({ code });
  await expect(a.queue(externalPsk("id"))).rejects.toMatchObject({ code });
  expect((await a.process((await b.send("hello")).bytes)).kind).toBe("application");
  expect((await a.process((await b.proposeUpdate()).bytes)).kind).toBe("proposal");
});

test("M-COM-13: another member's accepted Commit discards ours and names what it wanted", async () => {
  const { world, a, b } = await three();
  await a.remove([2], { psks: [utf8("id")] });
  const { commit } = await b.update();
  const staged = await a.process(commit);
  expect(a.status).toBe("pendingCommit");
  if (staged.kind !== "commit") throw new Error("a Commit was expected");
  const { discarded } = await staged.accept();
  expect(discarded?.proposals).toMatchObject([{ type: "remove", removed: 2 }, { type: "psk" }]);
  expect(discarded?.summary.removed).toMatchObject([{ leafIndex: 2 }]);
  expect(a.status).toBe("active");
  await b.acceptCommit();
  await world.groups[2]!.process(commit, { accept: true });
  world.assertAgreement();
});

test("M-COM-15: a detached Commit leaves with its sealed secrets, and is applied later, after a restart too", async () => {
  const { world, a, b } = await three({ config: PRIVATE });
  const key = new Uint8Array(32).fill(7);
  const add = [await newKeyPackage(world, "dave")];
  const before = await viewOf(a);
  const first = await commitDetached(a, key, { add });
  const second = await commitDetached(a, key);
  expect(a.status).toBe("active");
  expect(await viewOf(a)).toEqual(before);
  // The secrets are nowhere but in the sealed bytes.
  expect(first.commit).not.toEqual(second.commit);
  await world.deliver(first.commit, 0);
  const authenticator = toHex(b.epochAuthenticator);
  const records = await world.member(0).storage.list("");
  for (const bytes of [first.sealed, ...records.map(({ value }) => value)]) {
    expect(toHex(bytes)).not.toContain(authenticator);
  }

  const { group } = await world.reopen(0, world.member(0).storage);
  const wrongKey = new Uint8Array(32).fill(8);
  await expect(acceptDetached(group, wrongKey, first)).rejects.toMatchObject({
    code: "STORAGE_KEY_MISMATCH",
  });
  const damaged = { ...first, sealed: first.sealed.map((byte, i) => (i === 40 ? ~byte : byte)) };
  await expect(acceptDetached(group, key, damaged)).rejects.toMatchObject({
    code: "STORAGE_KEY_MISMATCH",
  });
  await expect(acceptDetached(group, key.subarray(1), first)).rejects.toMatchObject({
    code: "INVALID_LENGTH",
  });
  const { welcomes, summary } = await acceptDetached(group, key, first);
  expect(summary.added).toHaveLength(1);
  expect(welcomes).toHaveLength(1);
  world.assertAgreement();
  await expect(acceptDetached(group, key, second)).rejects.toMatchObject({ code: "WRONG_EPOCH" });
  expect((await b.process((await group.send("hello")).bytes)).kind).toBe("application");
});

test("M-COM-16: the echo of an own Commit is recognised, and accepted in one call or by itself", async () => {
  for (const config of [PUBLIC, PRIVATE]) {
    const { world, a } = await three({ config });
    const { commit } = await a.update();
    await world.deliver(commit, 0);
    const echo = await a.process(commit);
    expect(echo.kind).toBe("ownCommit");
    if (echo.kind !== "ownCommit") throw new Error("an echo was expected");
    expect(echo.isMerged).toBe(false);
    expect(await echo.accept()).toMatchObject({ isMerged: true });
    world.assertAgreement();
    const next = await a.update();
    await world.deliver(next.commit, 0);
    expect(await a.process(next.commit, { accept: true })).toMatchObject({ isMerged: true });
    world.assertAgreement();
  }
  // It is the confirmation tag that tells, not the bytes around it.
  const { a } = await three();
  const { commit } = await a.update();
  const changed = commit.slice();
  changed[changed.length - 1]! ^= 1;
  expect((await a.process(changed)).kind).toBe("ownCommit");
});

test("M-COM-17: the Welcome is released on acceptance, and earlier by an option that warns in its name", async () => {
  const { world, a } = await three();
  const { client } = await world.newClient("dave");
  const add = [(await client.createKeyPackage()).bytes];
  const staged = await a.commit({ add });
  expect(staged.welcomes).toBeUndefined();
  expect(a.pendingCommit?.welcomes).toBeUndefined();
  await a.discardCommit();
  const early = await a.commit({ add, dangerouslyReleaseWelcomes: true });
  expect(early.welcomes).toHaveLength(1);
  const { welcomes } = await a.acceptCommit();
  expect(welcomes).toEqual(early.welcomes);
  const joined = await client.join(early.welcomes![0]!.bytes);
  expect(joined.epochAuthenticator).toEqual(a.epochAuthenticator);
});

test("M-COM-18: a GroupInfo of the new epoch comes with the Commit", async () => {
  const { world, a } = await three();
  const { groupInfo } = await world.commit(0, { groupInfo: true });
  const { client } = await world.newClient("dave");
  const { group, commit } = await client.joinExternally(groupInfo!);
  await world.deliver(commit);
  await client.acceptJoin(group.id);
  expect(group.epochAuthenticator).toEqual(a.epochAuthenticator);
});

test("M-COM-19: the immediate mode creates and merges in one call", async () => {
  const { world, a } = await three();
  const { client } = await world.newClient("dave");
  const add = [(await client.createKeyPackage()).bytes];
  const made = await a.commitImmediately({ add });
  expect([a.status, a.epoch, made.epoch]).toEqual(["active", 2n, 2n]);
  await world.deliver(made.commit, 0);
  world.assertAgreement();
  expect((await client.join(made.welcomes[0]!.bytes)).epoch).toBe(2n);
});

test("M-COM-20: the policy sees every candidate before it goes in", async () => {
  const seen: ProposalCandidate[] = [];
  const { world, a, b } = await three({
    policy: {
      reviewProposal: (candidate) => {
        if (candidate.direction === "createCommit") seen.push(candidate);
        return candidate.proposal.type === "remove" ? { reason: "nobody is removed" } : true;
      },
    },
  });
  await world.deliver((await b.proposeUpdate()).bytes, 1);
  seen.length = 0;
  await a.commit({ psks: [utf8("id")] });
  expect(seen.map(({ proposal, byReference }) => [proposal.type, byReference])).toEqual([
    ["update", true],
    ["psk", false],
  ]);
  await a.discardCommit();
  await expect(a.remove([2])).rejects.toMatchObject({ code: "POLICY_REJECTED" });
});

test("M-COM-21: unused proposals are returned with sender and reason", async () => {
  const { world, a, b, c } = await three();
  const [update, remove] = [await b.proposeUpdate(), await c.proposeRemove(1)];
  for (const { bytes } of [update, remove]) await a.process(bytes, { accept: true });
  const { unused } = await a.commit();
  expect(unused).toMatchObject([
    {
      entry: { proposal: { type: "update" }, sender: { type: "member", leafIndex: 1 } },
      reason: { code: "INVALID_PROPOSAL", rule: "valn0304" },
    },
  ]);
  expect(world.members).toHaveLength(3);
});

test("M-COM-22: with an out-of-band tree the Welcome has none and the tree is beside it", async () => {
  const { world } = await three();
  const { client } = await world.newClient("dave");
  const add = [(await client.createKeyPackage()).bytes];
  const { welcomes, ratchetTree } = await world.commit(0, { add, ratchetTree: false });
  const welcome = welcomes[0]!.bytes;
  await expect(client.join(welcome)).rejects.toMatchObject({ code: "TREE_REQUIRED" });
  expect((await client.join(welcome, { ratchetTree: ratchetTree! })).memberCount).toBe(4);
  const { client: other } = await world.newClient("erin");
  const inside = await world.commit(0, { add: [(await other.createKeyPackage()).bytes] });
  expect(inside.ratchetTree).toBeUndefined();
  expect(inside.welcomes[0]!.bytes.length).toBeGreaterThan(welcome.length);
});

test("M-COM-23: the pending Commit can be inspected like a received one", async () => {
  const { world, a, b } = await three();
  await world.deliver((await b.proposeUpdate()).bytes, 1);
  const request = { add: [await newKeyPackage(world, "dave")], remove: [2], psks: [utf8("id")] };
  await a.commit(request);
  const { commit, summary, epoch } = a.pendingCommit!;
  const received = await b.process(commit);
  if (received.kind !== "commit") throw new Error("a Commit was expected");
  expect(summary).toEqual(received.summary);
  expect(epoch).toBe(received.summary.epoch + 1n);
});

test("M-COM-25: equal inputs and equal randomness give equal bytes, pending ones first", async () => {
  const run = async (): Promise<{ commit: Uint8Array; expected: string[] }> => {
    const { world, a, b, c } = await three({ seed: "M-COM-25" });
    const sent = [await c.proposeUpdate(), await b.proposeUpdate(), await c.propose(externalPsk0)];
    for (const { bytes } of sent) await a.process(bytes, { accept: true });
    const add = [await newKeyPackage(world, "dave")];
    const proposals = [customProposal(CUSTOM, utf8("x"))];
    const { commit } = await a.commit({ add, proposals, psks: [utf8("id")] });
    const expected = sent.map(({ reference }) => toHex(reference));
    return { commit, expected: [...expected, "add", "psk", "custom"] };
  };
  const externalPsk0 = externalPsk("id");
  const [one, two] = [await run(), await run()];
  expect(namesOf(commitIn(one.commit).proposals)).toEqual(one.expected);
  expect(toHex(one.commit)).toBe(toHex(two.commit));
});

test("M-COM-26: path and Welcome are encrypted in parallel where the provider is asynchronous", async () => {
  const { subtle } = globalThis.crypto;
  const deriveBits = subtle.deriveBits.bind(subtle);
  let [running, most] = [0, 0];
  const spy = vi.spyOn(subtle, "deriveBits").mockImplementation(async (...args) => {
    running += 1;
    most = Math.max(most, running);
    try {
      return await deriveBits(...args);
    } finally {
      running -= 1;
    }
  });
  try {
    const { world, a } = await three({ members: 5, provider: await webCryptoProvider() });
    expect(most).toBeGreaterThanOrEqual(4);
    most = 0;
    await a.update();
    expect(most).toBeGreaterThanOrEqual(2);
    await world.deliver(a.pendingCommit!.commit, 0);
    await a.acceptCommit();
    world.assertAgreement();
  } finally {
    spy.mockRestore();
  }
});

describe("M-COM-27: what a committer must not commit is refused on both sides", () => {
  const same = pskId("twice");
  const cases: [string, readonly Proposal[], string][] = [
    ["its own removal", [{ type: "remove", removed: 0 }], "valn0303"],
    ["ExternalInit", [{ type: "externalInit", kemOutput: new Uint8Array(32) }], "valn0310"],
    [
      "two lists of extensions",
      [
        { type: "groupContextExtensions", extensions: [] },
        { type: "groupContextExtensions", extensions: [] },
      ],
      "valn0308",
    ],
    ["ReInit with something else", [reInit, { type: "psk", psk: same }], "valn0309"],
    [
      "one PSK twice",
      [
        { type: "psk", psk: same },
        { type: "psk", psk: same },
      ],
      "valn0307",
    ],
    [
      "a leaf twice",
      [
        { type: "remove", removed: 1 },
        { type: "remove", removed: 1 },
      ],
      "valn0304",
    ],
  ];
  test.each(cases)("%s", async (_, proposals, rule) => {
    const { a } = await three();
    await expect(a.commit({ proposals })).rejects.toMatchObject({ rule });
    const parties = await Parties.of(["alice", "bob"]);
    const group = await seat(parties, await newDesk("dave"));
    const { bytes } = await forgeCommit(parties.party("alice"), { proposals, applied: [] });
    expect(await group.process(bytes)).toMatchObject({ kind: "invalid", error: { rule } });
  });

  test("its own Update", async () => {
    const parties = await Parties.of(["alice", "bob"]);
    const group = await seat(parties, await newDesk("dave"));
    const alice = parties.party("alice");
    const { cached, bytes } = await updateBy(alice);
    await group.process(bytes, { accept: true });
    const commit = await forgeCommit(alice, { proposals: [cached], applied: [] });
    expect(await group.process(commit.bytes)).toMatchObject({
      kind: "invalid",
      error: { rule: "valn0302" },
    });
    const own = await group.proposeUpdate();
    const { proposal } = group.pendingProposals.at(-1)!;
    await group.dropProposal(own.reference);
    await expect(group.commit({ proposals: [proposal] })).rejects.toMatchObject({
      rule: "valn0302",
    });
  });
});

test("M-COM-28: a ReInit is committed alone, and proposals from outside by reference", async () => {
  const server = await newSigner();
  const { world, a, b } = await three({
    authenticationService: acceptAnyCredential,
    extensions: [externalSenders(server)],
    policy: { reviewProposal: () => true },
  });
  const address = { groupId: a.id, epoch: a.epoch, extensions: a.extensions };
  const remove = { type: "remove", removed: 2 } as const;
  await world.deliver(await createExternalProposal(address, remove, server, TYPES));
  await world.deliver((await (await world.newClient("dave")).client.proposeJoin(address)).bytes);
  const { commit, summary } = await a.commit();
  expect(commitIn(commit).proposals.map(({ type }) => type)).toEqual(["reference", "reference"]);
  expect(summary).toMatchObject({
    removed: [{ by: { type: "external" } }],
    added: [{ by: { type: "newMemberProposal" } }],
  });
  await b.process(commit, { accept: true });
  await a.acceptCommit();
  await expect(a.commit({ reInit, psks: [utf8("id")] })).rejects.toMatchObject({
    rule: "valn0309",
  });
  const last = await a.commit({ reInit });
  expect(commitIn(last.commit).proposals).toMatchObject([{ proposal: { type: "reInit" } }]);
  expect(await b.process(last.commit, { accept: true })).toMatchObject({ kind: "reinit" });
});
