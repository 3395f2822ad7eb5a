/** Catalogue M-PROP: proposals of every type, by value and by reference. RFC 9420 §12.1, §12.2. */
import { expect, test } from "vitest";
import { proposeAgain } from "../../src/production/index.ts";
import { toHex, utf8 } from "../../src/codec/index.ts";
import { SELF_REMOVE, selfRemove, selfRemoveType } from "../../src/drafts/index.ts";
import {
  type ClientEvent,
  createExternalProposal,
  customProposal,
  type Group,
  type Proposal,
  type ReInit,
  type RegisteredTypes,
} from "../../src/index.ts";
import type { KeyPackage } from "../../src/key-packages/key-package.ts";
import { type TestGroup, testGroup, type TestGroupOptions } from "../../src/testing/index.ts";
import { decodeMlsMessage, type ProposalOrRef, skipOpaque } from "../../src/wire.ts";
import { acceptAnyCredential } from "../support/environment.ts";
import { newDesk, seat } from "../support/forge-clients.ts";
import { externalSenders, required } from "../support/forge-lists.ts";
import { forgeProposal } from "../support/forge.ts";
import { newSigner } from "../support/parties.ts";
import { TestGroup as Parties } from "../support/test-group.ts";

const CUSTOM = 0xf001;
const TYPES: RegisteredTypes = {
  proposals: new Map([[CUSTOM, {}]]),
  credentials: new Map(),
  extensions: new Set([0xf0a1, 0xf0a2]),
};
const PUBLIC = { handshake: { send: "public", accept: "both" } } as const;

interface Three {
  readonly world: TestGroup;
  readonly a: Group;
  readonly b: Group;
  readonly c: Group;
}

/** Alice, Bob and Carol, whose handshakes can be read. */
async function three(options: TestGroupOptions = {}): Promise<Three> {
  const world = await testGroup({ types: TYPES, config: PUBLIC, ...options });
  const [a, b, c] = world.groups as readonly [Group, Group, Group];
  return { world, a, b, c };
}

function listIn(commit: Uint8Array): readonly ProposalOrRef[] {
  const decoded = decodeMlsMessage(commit, {
    proposals: new Map([[CUSTOM, skipOpaque]]),
    credentials: new Map(),
  });
  if (decoded.wireFormat !== "publicMessage") throw new Error("a PublicMessage was expected");
  const { content } = decoded.message.content;
  if (content.contentType !== "commit") throw new Error("a Commit was expected");
  return content.commit.proposals;
}

function keyPackageIn(bytes: Uint8Array): KeyPackage {
  const decoded = decodeMlsMessage(bytes);
  if (decoded.wireFormat !== "keyPackage") throw new Error("a key package was expected");
  return decoded.message;
}

const addressOf = (group: Group) => ({
  groupId: group.id,
  epoch: group.epoch,
  extensions: group.extensions,
});

const reInit = (changes: Partial<ReInit> = {}): ReInit => ({
  type: "reInit",
  groupId: utf8("successor"),
  version: 1,
  cipherSuite: 1,
  extensions: [],
  ...changes,
});

const externalPsk = (id: string): Proposal => ({
  type: "psk",
  psk: { type: "external", pskId: utf8(id), nonce: crypto.getRandomValues(new Uint8Array(32)) },
});

test("M-PROP-01: an Add goes by value, and by reference from a member, an external sender and the joiner", async () => {
  const server = await newSigner();
  const { world, a, b } = await three({
    authenticationService: acceptAnyCredential,
    extensions: [externalSenders(server)],
    policy: { reviewProposal: () => true },
  });
  const joiners = [];
  for (const name of ["dave", "erin", "frank", "grace"]) joiners.push(await world.newClient(name));
  const [dave, erin, frank, grace] = joiners.map(({ client }) => client);
  await world.deliver((await b.proposeAdd((await erin!.createKeyPackage()).bytes)).bytes, 1);
  const keyPackage = keyPackageIn((await frank!.createKeyPackage()).bytes);
  const proposal = { type: "add", keyPackage } as const;
  await world.deliver(await createExternalProposal(addressOf(a), proposal, server, TYPES));
  await world.deliver((await grace!.proposeJoin(addressOf(a))).bytes);
  const made = await world.commit(0, { add: [(await dave!.createKeyPackage()).bytes] });
  expect(made.summary.added.map(({ by }) => by.type)).toEqual([
    "member",
    "external",
    "newMemberProposal",
    "member",
  ]);
  for (const client of [dave, erin, frank, grace]) {
    const group = await client!.join(made.welcomes[0]!.bytes);
    expect(group.memberCount).toBe(7);
    expect(group.epochAuthenticator).toEqual(a.epochAuthenticator);
  }
});

test("M-PROP-02: an Update renews the sender's own leaf, by reference only", async () => {
  const { world, a, b, c } = await three();
  const before = c.members()[1]!.encryptionKey;
  const sent = await b.proposeUpdate();
  const outcome = await c.process(sent.bytes);
  if (outcome.kind !== "proposal") throw new Error("a proposal was expected");
  const { proposal } = outcome;
  // Neither by value, nor for a leaf of another, nor from outside the group.
  await expect(a.commit({ proposals: [proposal] })).rejects.toMatchObject({ rule: "valn0302" });
  await expect(a.propose(proposal)).rejects.toMatchObject({ code: "SIGNATURE_INVALID" });
  const outside = createExternalProposalOrThrow(a, proposal);
  await expect(outside).rejects.toMatchObject({ code: "INVALID_PROPOSAL", rule: "valn1502" });
  await world.deliver(sent.bytes, 1);
  const { summary } = await world.commit(2);
  expect(summary.updated.map(({ leafIndex }) => leafIndex)).toEqual([1, 2]);
  expect(a.members()[1]!.encryptionKey).not.toEqual(before);
  world.assertAgreement();
  expect((await world.say(1, "with new keys")).map(({ kind }) => kind)).toEqual([
    "application",
    "application",
  ]);
});

async function createExternalProposalOrThrow(group: Group, proposal: Proposal) {
  return createExternalProposal(addressOf(group), proposal, await newSigner(), TYPES);
}

test("M-PROP-03: a Remove goes by value, and by reference from a member and an external sender", async () => {
  const server = await newSigner();
  const { world, a, b } = await three({
    members: 5,
    authenticationService: acceptAnyCredential,
    extensions: [externalSenders(server)],
  });
  await world.deliver((await b.proposeRemove(2)).bytes, 1);
  const proposal = { type: "remove", removed: 3 } as const;
  await world.deliver(await createExternalProposal(addressOf(a), proposal, server, TYPES));
  const { commit } = await a.remove([4]);
  expect(listIn(commit).map(({ type }) => type)).toEqual(["reference", "reference", "proposal"]);
  await b.process(commit, { accept: true });
  const { summary } = await a.acceptCommit();
  expect(summary.removed.map(({ leafIndex, by }) => [leafIndex, by.type])).toEqual([
    [2, "member"],
    [3, "external"],
    [4, "member"],
  ]);
  expect(b.memberCount).toBe(2);
  expect(b.epochAuthenticator).toEqual(a.epochAuthenticator);
});

test("M-PROP-04: an external PSK goes by value and by reference, and its secret is stored nowhere else", async () => {
  const { world, a, b } = await three();
  const [one, two] = [utf8("the first shared secret"), utf8("the second shared secret")];
  for (const { client } of world.members) {
    await client.putPsk(utf8("one"), one);
    await client.putPsk(utf8("two"), two);
  }
  const before = new Set(await records(world));
  await world.deliver((await b.proposePsk(utf8("two"))).bytes, 1);
  await a.commit({ psks: [utf8("one")] });
  expect(listIn(a.pendingCommit!.commit).map(({ type }) => type)).toEqual([
    "reference",
    "proposal",
  ]);
  const written = (await records(world)).filter((record) => !before.has(record)).join();
  expect(written).toContain(toHex(utf8("two")));
  expect(written).not.toContain(toHex(one));
  expect(written).not.toContain(toHex(two));
  await world.deliver(a.pendingCommit!.commit, 0);
  const { summary } = await a.acceptCommit();
  expect(summary.psks.map((id) => id.type === "external" && toHex(id.pskId))).toEqual([
    toHex(utf8("two")),
    toHex(utf8("one")),
  ]);
  world.assertAgreement();
});

async function records(world: TestGroup): Promise<string[]> {
  const all: string[] = [];
  for (const { storage } of world.members) {
    for (const { key, value } of await storage.list("")) all.push(`${key} ${toHex(value)}`);
  }
  return all;
}

test("M-PROP-05: a resumption PSK comes from this group or another one, and other usages are refused", async () => {
  const { world, a, b, c } = await three();
  await world.commit(0);
  await world.commit(1);
  // Another group that all three are in.
  const first = world.members[0]!.client;
  const other = await first.createGroup();
  const invited = [];
  for (const { client } of world.members.slice(1)) {
    invited.push((await client.createKeyPackage()).bytes);
  }
  await other.add(invited);
  const { welcomes } = await other.acceptCommit();
  for (const { client } of world.members.slice(1)) await client.join(welcomes[0]!.bytes);
  const { epoch } = a;
  const { summary } = await world.commit(0, {
    resumptionPsks: [{ epoch: epoch - 1n }, { epoch }, { epoch: 1n, groupId: other.id }],
  });
  expect(summary.psks).toHaveLength(3);
  world.assertAgreement();
  // By reference, from the current epoch; the nonce is drawn for each.
  const proposed = [
    await b.proposeResumptionPsk({ epoch }),
    await b.proposeResumptionPsk({ epoch }),
  ];
  for (const { bytes } of proposed) await world.deliver(bytes, 1);
  const { summary: later } = await world.commit(2);
  expect(new Set(later.psks.map(({ nonce }) => toHex(nonce))).size).toBe(2);
  expect(later.psks).toMatchObject([{ usage: "application", epoch }, { epoch }]);
  world.assertAgreement();
  for (const usage of ["reinit", "branch"] as const) {
    const nonce = new Uint8Array(32);
    const psk = { type: "resumption", usage, groupId: a.id, epoch, nonce } as const;
    const rule = usage === "reinit" ? "valn0801" : "valn0802";
    await expect(b.propose({ type: "psk", psk })).rejects.toMatchObject({ rule });
    await expect(c.commit({ proposals: [{ type: "psk", psk }] })).rejects.toMatchObject({ rule });
  }
});

test("M-PROP-06: a ReInit goes by value, by reference and from an external sender, and never lowers the version", async () => {
  const server = await newSigner();
  const options = {
    authenticationService: acceptAnyCredential,
    extensions: [externalSenders(server)],
  };
  const extensions = [{ type: 0xf0a1, data: utf8("on") }];
  const wanted = reInit({ cipherSuite: 3, extensions });
  for (const way of ["value", "reference", "external"]) {
    const { world, a, b } = await three(options);
    if (way === "reference") await world.deliver((await b.propose(wanted)).bytes, 1);
    if (way === "external") {
      await world.deliver(await createExternalProposal(addressOf(a), wanted, server, TYPES));
    }
    const { summary } = await world.commit(0, way === "value" ? { reInit: wanted } : {});
    expect(summary.reInit).toMatchObject({ groupId: utf8("successor"), cipherSuite: 3 });
    expect(summary.reInit?.extensions).toEqual(extensions);
    expect(world.groups.map(({ status }) => status)).toEqual(Array(3).fill("suspended"));
  }
  const { a } = await three(options);
  const lower = reInit({ version: 0 });
  await expect(a.propose(lower)).rejects.toMatchObject({ rule: "valn0901" });
  await expect(a.commit({ reInit: lower })).rejects.toMatchObject({ rule: "valn0901" });
});

test("M-PROP-07: an ExternalInit exists inside external commits only", async () => {
  const parties = await Parties.of(["alice", "bob"]);
  const desk = await newDesk("dave");
  const group = await seat(parties, desk);
  const externalInit = { type: "externalInit", kemOutput: new Uint8Array(32) } as const;
  await expect(group.propose(externalInit)).rejects.toMatchObject({ code: "INVALID_PROPOSAL" });
  await expect(group.commit({ proposals: [externalInit] })).rejects.toMatchObject({
    code: "INVALID_PROPOSAL",
    rule: "valn0310",
  });
  const { bytes } = await forgeProposal(parties.party("alice"), externalInit);
  expect(await group.process(bytes)).toMatchObject({
    kind: "invalidProposal",
    error: { rule: "mk-65" },
  });
  const { client } = await newDesk("erin");
  const { commit } = await client.joinExternally(await group.groupInfo());
  expect(listIn(commit)).toMatchObject([{ type: "proposal", proposal: { type: "externalInit" } }]);
  expect((await group.process(commit)).kind).toBe("commit");
});

test("M-PROP-08: GroupContextExtensions replaces the list, and a helper changes one of them", async () => {
  const { world, a, c } = await three();
  const one = { type: 0xf0a1, data: utf8("one") };
  const two = { type: 0xf0a2, data: utf8("two") };
  await world.commit(0, { extensions: [one, two] });
  expect(c.extensions).toEqual([one, two]);
  await world.commit(1, { setExtension: { ...one, data: utf8("changed") } });
  expect(c.extensions).toEqual([{ ...one, data: utf8("changed") }, two]);
  await world.commit(2, { extensions: [two] });
  expect(a.extensions).toEqual([two]);
  const demanding = required({ proposalTypes: [0xf0ff] });
  await expect(a.commit({ setExtension: demanding })).rejects.toMatchObject({
    code: "INVALID_PROPOSAL",
  });
  const senders = externalSenders(await newSigner());
  await expect(a.commit({ setExtension: senders })).rejects.toMatchObject({
    code: "CREDENTIAL_REJECTED",
  });
});

test("M-PROP-09: a SelfRemove is committed by another member, and comes once per member and epoch", async () => {
  const types = { ...TYPES, proposals: new Map([[SELF_REMOVE, selfRemoveType]]) };
  const { world, a, b, c } = await three({ types });
  await expect(a.commit({ proposals: [selfRemove()] })).rejects.toMatchObject({ rule: "mk-116" });
  const again = await b.propose(selfRemove(), { authenticatedData: utf8("again") });
  await expect(b.propose(selfRemove())).rejects.toMatchObject({ rule: "mk-115" });
  await b.dropProposal(again.reference);
  const first = await b.propose(selfRemove());
  await world.deliver(first.bytes, 1);
  for (const group of [a, c]) {
    expect(await group.process(again.bytes, { accept: true })).toMatchObject({
      kind: "invalidProposal",
      error: { rule: "mk-115" },
    });
    expect(group.pendingProposals).toHaveLength(1);
  }
  const { summary } = await world.commit(2);
  expect(summary.removed).toMatchObject([{ leafIndex: 1, by: { type: "member", leafIndex: 1 } }]);
  expect(b.status).toBe("inactive");
});

test("M-PROP-10: a custom proposal is a type with opaque bytes", async () => {
  const { world, a, b } = await three();
  const proposal = customProposal(CUSTOM, utf8("anything"));
  const sent = await b.propose(proposal);
  const outcome = await a.process(sent.bytes, { accept: true });
  expect(outcome).toMatchObject({ kind: "proposal", proposal });
  await world.deliver(sent.bytes, 1);
  const { summary } = await world.commit(0);
  expect(summary.custom).toEqual([{ proposal, sender: { type: "member", leafIndex: 1 } }]);
});

test("M-PROP-11: every propose call returns bytes, reference and epoch", async () => {
  const { world, a, b } = await three();
  const dave = (await world.newClient("dave")).client;
  const sent = [
    await b.proposeAdd((await dave.createKeyPackage()).bytes),
    await b.proposeRemove(2),
    await b.proposeUpdate(),
    await b.propose(customProposal(CUSTOM, utf8("x"))),
    await b.leave(),
  ];
  for (const { bytes, reference, epoch } of sent) {
    expect(epoch).toBe(1n);
    const outcome = await a.process(bytes);
    expect(outcome).toMatchObject({ kind: "proposal", reference, epoch });
  }
});

test("M-PROP-12: what may go by value can be queued without being sent", async () => {
  const { world, a, b } = await three();
  for (const { client } of world.members) await client.putPsk(utf8("id"), utf8("secret"));
  const dave = (await world.newClient("dave")).client;
  const keyPackage = keyPackageIn((await dave.createKeyPackage()).bytes);
  await a.queue(reInit());
  expect(a.queuedProposals).toEqual([reInit()]);
  await a.dropAllProposals();
  const queue: Proposal[] = [
    { type: "add", keyPackage },
    { type: "remove", removed: 2 },
    externalPsk("id"),
    { type: "groupContextExtensions", extensions: [{ type: 0xf0a1, data: utf8("on") }] },
    customProposal(CUSTOM, utf8("x")),
  ];
  for (const proposal of queue) await a.queue(proposal);
  expect(a.queuedProposals).toEqual(queue);
  expect(a.pendingProposals).toEqual([]);
  // Nobody else knows, so nobody is kept from talking.
  expect((await a.send("still here")).generation).toBe(0);
  const { commit } = await a.commit();
  expect(listIn(commit).map((item) => item.type === "proposal" && item.proposal.type)).toEqual(
    queue.map(({ type }) => type),
  );
  await b.process(commit, { accept: true });
  await a.acceptCommit();
  expect(a.queuedProposals).toEqual([]);
  expect(b.epochAuthenticator).toEqual(a.epochAuthenticator);
});

test("M-PROP-12 M-PROP-17: what is queued goes with its reason: nobody else is removed, and no Commit fails", async () => {
  const { world, a, b } = await three();
  const events: ClientEvent[] = [];
  world.member(0).client.on((event) => {
    if (event.type === "proposalDropped") events.push(event);
  });
  const { client: dave } = await world.newClient("dave");
  const { client: eve } = await world.newClient("eve");
  const [queued, used] = await dave.createKeyPackages(2);
  const expiring = await eve.createKeyPackage({
    lifetime: { notBefore: world.clock() - 10n, notAfter: world.clock() + 100n },
  });
  const list = { type: "groupContextExtensions", extensions: [{ type: 0xf0a1, data: utf8("on") }] };
  const gone: Proposal[] = [
    { type: "remove", removed: 2 },
    { type: "add", keyPackage: keyPackageIn(queued!.bytes) },
    { type: "add", keyPackage: keyPackageIn(expiring.bytes) },
    list as Proposal,
  ];
  const kept = customProposal(CUSTOM, utf8("x"));
  for (const proposal of [...gone, kept]) await a.queue(proposal);
  world.clock.advance(200);
  // Dave comes in, on the leaf of Carol.
  const swap = { remove: [2], add: [used!.bytes] };
  const winner = await b.commit({ swap, setExtension: { type: 0xf0a1, data: utf8("on") } });
  const outcome = await a.process(winner.commit, { accept: true });
  await b.acceptCommit();
  if (outcome.kind !== "commit") throw new Error(outcome.kind);
  expect(a.members()[2]).toMatchObject({ leafIndex: 2, identity: utf8("dave") });
  const reasons = ["settled", "settled", "expired", "settled"];
  expect(outcome.dropped).toEqual(
    gone.map((proposal, i) => {
      return { reference: undefined, proposal, isOwn: true, reason: reasons[i] };
    }),
  );
  expect(events).toMatchObject(outcome.dropped);
  expect(a.queuedProposals).toEqual([kept]);
  const { group } = await world.reopen(0, world.member(0).storage);
  expect(group.queuedProposals).toEqual([kept]);
  const { commit, summary } = await group.commit();
  expect([summary.removed, summary.added, summary.extensions]).toEqual([[], [], undefined]);
  expect(summary.custom.map(({ proposal }) => proposal)).toEqual([kept]);
  expect((await b.process(commit, { accept: true })).kind).toBe("commit");
});

test("M-PROP-13: a pending proposal is dropped by reference or with all others, on this side only", async () => {
  const { world, a, b, c } = await three();
  const sent = await b.proposeRemove(2);
  await world.deliver(sent.bytes, 1);
  await world.deliver((await b.proposeUpdate()).bytes, 1);
  await a.dropProposal(sent.reference);
  expect(a.pendingProposals.map(({ proposal }) => proposal.type)).toEqual(["update"]);
  await expect(a.dropProposal(sent.reference)).rejects.toMatchObject({ code: "UNKNOWN_PROPOSAL" });
  await a.queue(customProposal(CUSTOM, utf8("x")));
  await a.dropAllProposals();
  expect([a.pendingProposals, a.queuedProposals]).toEqual([[], []]);
  expect(b.pendingProposals).toHaveLength(2);
  expect(c.pendingProposals).toHaveLength(2);
  const { commit } = await b.commit();
  // Whoever dropped it is not left behind when others commit it.
  expect(await a.process(commit, { accept: true })).toMatchObject({ kind: "commit" });
  expect(a.memberCount).toBe(2);
});

test("M-PROP-14: pending proposals are listed with sender, form, and whether they are ours and valid", async () => {
  const { world, a, b } = await three();
  const update = await b.proposeUpdate();
  const unusable = await b.propose(externalPsk("only b has it")).catch(() => undefined);
  expect(unusable).toBeDefined();
  await world.deliver(update.bytes, 1);
  await world.deliver(unusable!.bytes, 1);
  const own = await a.proposeRemove(2);
  const identity = b.members()[1]!.credential;
  const listed = await a.proposals();
  expect(listed).toMatchObject([
    {
      reference: update.reference,
      proposal: { type: "update" },
      sender: { type: "member", leafIndex: 1 },
      credential: identity,
      wireFormat: "publicMessage",
      isOwn: false,
      isValid: true,
    },
    { reference: unusable!.reference, proposal: { type: "psk" }, isOwn: false, isValid: false },
    { reference: own.reference, proposal: { type: "remove" }, isOwn: true, isValid: true },
  ]);
  const { group } = await world.reopen(0, world.member(0).storage);
  expect(await group.proposals()).toEqual(listed);
});

test("M-PROP-14 mk-45: a member that leaves from the first place has a valid proposal pending", async () => {
  const types = { ...TYPES, proposals: new Map([[SELF_REMOVE, selfRemoveType]]) };
  const { world, a, b, c } = await three({ types });
  const { bytes, reference } = await a.propose(selfRemove());
  await world.deliver(bytes, 0);
  for (const group of [a, b, c]) {
    expect(await group.proposals()).toMatchObject([{ reference, isValid: true }]);
    await expect(group.send("too early")).rejects.toMatchObject({
      code: "COMMIT_REQUIRED",
      details: { proposals: [reference] },
    });
  }
});

test("M-PROP-15: a received proposal is checked before it is offered and stored when it is accepted", async () => {
  const parties = await Parties.of(["alice", "bob"]);
  const group = await seat(parties, await newDesk("dave"));
  const alice = parties.party("alice");
  const remove = { type: "remove", removed: 1 } as const;
  const alterSignature = (signature: Uint8Array): Uint8Array => signature.map((byte) => byte ^ 1);
  const forged = await forgeProposal(alice, remove, { alterSignature });
  const early = await forgeProposal(alice, remove, { epoch: group.epoch + 2n });
  const senseless = await forgeProposal(alice, { type: "remove", removed: 9 });
  const honest = await forgeProposal(alice, remove);
  const accept = { accept: true };
  expect(await group.process(forged.bytes, accept)).toMatchObject({
    kind: "invalidProposal",
    error: { code: "SIGNATURE_INVALID" },
  });
  expect((await group.process(early.bytes, accept)).kind).toBe("farFuture");
  expect(await group.process(senseless.bytes, accept)).toMatchObject({
    kind: "invalidProposal",
    error: { rule: "valn0701" },
  });
  const offered = await group.process(honest.bytes, { accept: false });
  if (offered.kind !== "proposal") throw new Error("a proposal was expected");
  expect(offered.isStored).toBe(false);
  expect(group.pendingProposals).toEqual([]);
  await offered.accept();
  expect(group.pendingProposals).toMatchObject([{ proposal: remove }]);
});

test("M-PROP-16: proposals follow the wire-format policy, and those from outside are public", async () => {
  const server = await newSigner();
  const options = {
    authenticationService: acceptAnyCredential,
    extensions: [externalSenders(server)],
    policy: { reviewProposal: () => true as const },
  };
  const formOf = (bytes: Uint8Array): string => decodeMlsMessage(bytes).wireFormat;
  for (const send of ["private", "public"] as const) {
    const { world, a, b } = await three({
      ...options,
      config: { handshake: { send, accept: send } },
    });
    const member = (await b.proposeUpdate()).bytes;
    const remove = { type: "remove", removed: 2 } as const;
    const external = await createExternalProposal(addressOf(a), remove, server, TYPES);
    const joiner = await (await world.newClient("dave")).client.proposeJoin(addressOf(a));
    expect(formOf(member)).toBe(`${send}Message`);
    expect([formOf(external), formOf(joiner.bytes)]).toEqual(["publicMessage", "publicMessage"]);
    for (const bytes of [member, external, joiner.bytes]) {
      expect((await a.process(bytes, { accept: true })).kind).toMatch(/[pP]roposal$/);
    }
    expect(a.pendingProposals).toHaveLength(3);
  }
});

test("M-PROP-17: an invalid proposal is reported with its rule, not stored, and none blocks a group", async () => {
  const parties = await Parties.of(["alice", "bob"]);
  const group = await seat(parties, await newDesk("dave"));
  const alice = parties.party("alice");
  const { bytes } = await forgeProposal(alice, { type: "remove", removed: 9 });
  expect(await group.process(bytes, { accept: true })).toMatchObject({
    kind: "invalidProposal",
    error: { rule: "valn0701" },
  });
  expect(group.pendingProposals).toEqual([]);
  // Nothing is wrong with this one, but it can never be committed here.
  const unknown = await forgeProposal(alice, externalPsk("nobody has it"));
  await group.process(unknown.bytes, { accept: true });
  expect(group.pendingProposals).toHaveLength(1);
  expect((await group.send("not blocked")).epoch).toBe(group.epoch);
  const { unused } = await group.commit();
  expect(unused).toMatchObject([{ reason: { code: "MISSING_PSK" } }]);
  await group.acceptCommit();
  expect(group.pendingProposals).toEqual([]);
});

test("M-PROP-18: own proposals stay resolvable after a reload and in another member's Commit", async () => {
  const { world, a } = await three();
  const before = a.members()[1]!.encryptionKey;
  const sent = await world.member(1).group.proposeUpdate();
  await world.deliver(sent.bytes, 1);
  const again = await world.reopen(1, world.member(1).storage);
  expect(again.group.pendingProposals).toMatchObject([{ reference: sent.reference }]);
  await world.commit(0);
  world.assertAgreement();
  expect(a.members()[1]!.encryptionKey).not.toEqual(before);
  // With the private key that was reloaded, it follows a path that is encrypted to its new leaf.
  await world.commit(2);
  world.assertAgreement();
});

test("M-PROP-20: pending proposals are bounded per sender and per group, and excess is reported", async () => {
  const { a, b, c } = await three();
  await a.configure({ pendingProposalsPerSender: 2, pendingProposals: 3 });
  const store = async (from: Group): Promise<string> => {
    const { bytes } = await from.proposeUpdate();
    const outcome = await a.process(bytes, { accept: true });
    return outcome.kind === "invalidProposal" ? outcome.error.code : outcome.kind;
  };
  expect([await store(b), await store(b), await store(b)]).toEqual([
    "proposal",
    "proposal",
    "POLICY_REJECTED",
  ]);
  expect([await store(c), await store(c)]).toEqual(["proposal", "POLICY_REJECTED"]);
  expect(a.pendingProposals).toHaveLength(3);
  const { config: defaults } = (await testGroup({ members: 1 })).groups[0]!;
  expect(defaults).toMatchObject({ pendingProposalsPerSender: 64, pendingProposals: 1024 });
});

test("M-PROP-20: nobody sends more proposals than the others keep", async () => {
  const { world, a } = await three({ config: { ...PUBLIC, pendingProposalsPerSender: 2 } });
  for (let i = 0; i < 2; i++) await world.deliver((await a.proposeUpdate()).bytes, 0);
  await expect(a.proposeUpdate()).rejects.toMatchObject({
    code: "POLICY_REJECTED",
    details: { reason: "too many pending proposals" },
  });
  await expect(a.leave()).rejects.toMatchObject({ code: "POLICY_REJECTED" });
  expect(a.pendingProposals).toHaveLength(2);
  await a.dropAllProposals();
  expect((await a.proposeUpdate()).epoch).toBe(a.epoch);
});

test.each(["private", "public"] as const)(
  "M-PROP-20 M-PROP-23: no more than are kept of one sender, but for a Commit that waits (%s)",
  async (send) => {
    const config = { handshake: { send, accept: "both" }, pendingProposalsPerSender: 2 } as const;
    const { world, a, b, c } = await three({ config });
    const propose = (text: string) => a.propose(customProposal(CUSTOM, utf8(text)));
    // What its author took back, the others keep.
    for (const text of ["1", "2"]) await world.deliver((await propose(text)).bytes, 0);
    await a.dropAllProposals();
    const sent = [await propose("3"), await propose("4")];
    const refused = { kind: "invalidProposal", error: { code: "POLICY_REJECTED" } };
    for (const { bytes } of sent) {
      expect(await world.deliver(bytes, 0)).toMatchObject([refused, refused]);
    }
    const { commit } = await a.commit();
    const missing = sent.map(({ reference }) => reference);
    expect(await world.deliver(commit, 0)).toMatchObject([
      { kind: "missingProposal", missing },
      { kind: "missingProposal", missing },
    ]);
    for (const group of [b, c]) {
      expect((await group.process(sent[0]!.bytes, { accept: true })).kind).toBe("proposal");
      const last = await group.process(sent[1]!.bytes, { accept: true });
      expect(last).toMatchObject({ kind: "commit", isMerged: true });
    }
    await a.acceptCommit();
    world.assertAgreement();
  },
);

test("M-PROP-20: a Commit that waits lets in nothing else, and nothing over the limit of the group", async () => {
  const { world, a, b } = await three({ config: PUBLIC });
  const propose = (text: string) => a.propose(customProposal(CUSTOM, utf8(text)));
  const store = async (bytes: Uint8Array) => (await b.process(bytes, { accept: true })).kind;
  const named = [await propose("1"), await propose("2"), await propose("3")];
  const { commit } = await a.commit();
  await a.discardCommit();
  const other = await propose("4");
  await b.configure({ pendingProposalsPerSender: 1, pendingProposals: 2 });
  expect((await b.process(commit)).kind).toBe("missingProposal");
  expect(await store(named[0]!.bytes)).toBe("proposal");
  expect(await store(other.bytes)).toBe("invalidProposal");
  expect(await store(named[1]!.bytes)).toBe("proposal");
  expect(await store(named[2]!.bytes)).toBe("invalidProposal");
  expect(b.pendingProposals).toHaveLength(2);
  await world.close();
});

test("M-PROP-21: an own proposal that comes back is told by its bytes, encrypted or not", async () => {
  for (const send of ["private", "public"] as const) {
    const { world, b } = await three({ config: { handshake: { send, accept: "both" } } });
    const sent = await b.proposeUpdate();
    const echo = { kind: "ownProposal", reference: sent.reference };
    expect(await b.process(sent.bytes)).toMatchObject(echo);
    const { group } = await world.reopen(1, world.member(1).storage);
    expect(await group.process(sent.bytes)).toMatchObject(echo);
    expect(group.pendingProposals).toHaveLength(1);
  }
});

test("M-PROP-22: equal inline proposals keep their number and order", async () => {
  const { world, c } = await three();
  const [x, y] = [customProposal(CUSTOM, utf8("x")), customProposal(CUSTOM, utf8("y"))];
  const { summary } = await world.commit(0, { proposals: [x, y, x, x] });
  expect(summary.custom.map(({ proposal }) => proposal)).toEqual([x, y, x, x]);
  const { commit } = await world.member(1).group.commit({ proposals: [y, x, y] });
  const outcome = await c.process(commit);
  if (outcome.kind !== "commit") throw new Error("a Commit was expected");
  expect(outcome.summary.custom.map(({ proposal }) => proposal)).toEqual([y, x, y]);
});

test("M-PROP-23: several proposals in a row are covered by one Commit", async () => {
  const { world, a, b } = await three();
  for (const { client } of world.members) await client.putPsk(utf8("id"), utf8("secret"));
  const dave = (await world.newClient("dave")).client;
  await dave.putPsk(utf8("id"), utf8("secret"));
  const sent = [
    await b.proposeAdd((await dave.createKeyPackage()).bytes),
    await b.propose(externalPsk("id")),
    await b.proposeUpdate(),
    await b.propose(customProposal(CUSTOM, utf8("x"))),
  ];
  for (const { bytes } of sent) await world.deliver(bytes, 1);
  const { summary, welcomes, epoch } = await world.commit(0);
  expect(epoch).toBe(2n);
  expect([summary.added.length, summary.psks.length, summary.custom.length]).toEqual([1, 1, 1]);
  expect(summary.updated.map(({ leafIndex }) => leafIndex)).toEqual([1, 0]);
  const joined = await dave.join(welcomes[0]!.bytes);
  expect(joined.epochAuthenticator).toEqual(a.epochAuthenticator);
});

test("M-PROP-19: uncovered proposals go with the epoch; own ones are reported with the reason and proposed again in one call", async () => {
  const { world, a, b, c } = await three();
  const dropped: ClientEvent[] = [];
  world.member(0).client.on((event) => {
    if (event.type === "proposalDropped") dropped.push(event);
  });
  const { client: dave } = await world.newClient("dave");
  const { client: eve } = await world.newClient("eve");
  const expiring = await eve.createKeyPackage({
    lifetime: { notBefore: world.clock() - 10n, notAfter: world.clock() + 100n },
  });
  const sent = {
    update: await a.proposeUpdate(),
    add: await a.proposeAdd((await dave.createKeyPackage()).bytes),
    expired: await a.proposeAdd(expiring.bytes),
    other: await b.proposeUpdate(),
    covered: await a.proposeRemove(2),
  };
  for (const { bytes } of Object.values(sent)) {
    for (const group of [a, b, c]) await group.process(bytes, { accept: true });
  }
  world.clock.advance(200);
  const keep = sent.covered.reference;
  const pending = await b.commit({ include: [keep] });
  const outcome = await a.process(pending.commit, { accept: true });
  await b.acceptCommit();
  if (outcome.kind !== "commit") throw new Error(outcome.kind);
  const view = outcome.dropped.map(({ proposal, isOwn, reason }) => [proposal.type, isOwn, reason]);
  expect(view).toEqual([
    ["update", true, "notCommitted"],
    ["add", true, "notCommitted"],
    ["add", true, "expired"],
    ["update", false, "notCommitted"],
  ]);
  expect(dropped).toMatchObject(outcome.dropped.map(({ reference }) => ({ reference })));
  expect([a.pendingProposals.length, b.pendingProposals.length]).toEqual([0, 0]);
  const [update, add, , other] = outcome.dropped;
  const again = [await proposeAgain(a, update!), await proposeAgain(a, add!)];
  await expect(proposeAgain(a, other!)).rejects.toMatchObject({ code: "INVALID_PROPOSAL" });
  for (const { bytes } of again) {
    expect((await b.process(bytes, { accept: true })).kind).toBe("proposal");
  }
  const before = a.members()[0]!.encryptionKey;
  const next = await b.commit();
  await a.process(next.commit, { accept: true });
  const { welcomes } = await b.acceptCommit();
  const joined = await dave.join(welcomes[0]!.bytes);
  expect(a.members()[0]!.encryptionKey).not.toEqual(before);
  expect(joined.epochAuthenticator).toEqual(a.epochAuthenticator);
  // What came true by other means is not worth proposing again.
  const leaf = a.findMembers({ identity: "dave" })[0]!.leafIndex;
  await a.proposeRemove(leaf);
  const winner = await b.commit({ remove: [leaf], include: [] });
  const settled = await a.process(winner.commit, { accept: true });
  expect(settled).toMatchObject({ dropped: [] });
  await b.acceptCommit();
  const { client: frank } = await world.newClient("frank");
  const [first, second] = await frank.createKeyPackages(2);
  await a.proposeAdd(first!.bytes);
  const other2 = await b.add([second!.bytes], { include: [] });
  expect(await a.process(other2.commit, { accept: true })).toMatchObject({
    dropped: [{ isOwn: true, reason: "settled" }],
  });
});
