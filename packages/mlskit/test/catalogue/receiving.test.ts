/** Catalogue M-RCV: one call for everything that arrives, and one outcome for each. RFC 9420 §6, §12.4.2. */
import { describe, expect, test } from "vitest";
import { utf8 } from "../../src/codec/index.ts";
import {
  type CommitOutcome,
  createExternalProposal,
  type CredentialIdentity,
  customProposal,
  type Group,
  memoryStorage,
  type Outcome,
  type Proposal,
  type RegisteredTypes,
} from "../../src/index.ts";
import { RULES, type RuleId } from "../../src/rule-registry.ts";
import {
  faultStorage,
  seededProvider,
  type TestGroup,
  testGroup,
  type TestGroupOptions,
} from "../../src/testing/index.ts";
import { acceptAnyCredential } from "../support/environment.ts";
import { newDesk, seat } from "../support/forge-clients.ts";
import { externalSenders, pskId } from "../support/forge-lists.ts";
import { forgeCommit, forgeExternalCommit, forgeMessage, forgeProposal } from "../support/forge.ts";
import { SecretWatch } from "../production/secret-watch.ts";
import { newClient, newSigner } from "../support/parties.ts";
import { TestGroup as Parties } from "../support/test-group.ts";

const CUSTOM = 0xf001;
const TYPES: RegisteredTypes = {
  proposals: new Map([[CUSTOM, {}]]),
  credentials: new Map(),
  extensions: new Set(),
};
const PUBLIC = { handshake: { send: "public", accept: "both" } } as const;
const ACCEPT = { accept: true };

interface World {
  readonly world: TestGroup;
  readonly a: Group;
  readonly b: Group;
  readonly c: Group;
}

async function three(options: TestGroupOptions = {}): Promise<World> {
  const world = await testGroup({ types: TYPES, ...options });
  const [a, b, c] = world.groups as readonly [Group, Group, Group];
  return { world, a, b, c };
}

/** Parties that can say anything, and a client among them. */
async function forged(names = ["alice", "bob"]): Promise<{ parties: Parties; group: Group }> {
  const parties = await Parties.of(names);
  return { parties, group: await seat(parties, await newDesk("dave")) };
}

const reInit = {
  type: "reInit",
  groupId: utf8("successor"),
  version: 1,
  cipherSuite: 1,
  extensions: [],
} as const;

test("M-RCV-01: one call takes every wire format and content type", async () => {
  for (const config of [PUBLIC, {}]) {
    const { world, a, b } = await three({ config });
    const { client } = world.members[1]!;
    const kindOf = async (bytes: Uint8Array): Promise<string> =>
      (await client.process(bytes, ACCEPT)).kind;
    expect(await kindOf((await a.send("hello")).bytes)).toBe("application");
    expect(await kindOf((await a.proposeUpdate()).bytes)).toBe("proposal");
    await a.dropAllProposals();
    await b.dropAllProposals();
    const dave = (await world.newClient("dave")).client;
    const keyPackage = (await dave.createKeyPackage()).bytes;
    const made = await a.commitImmediately({ add: [keyPackage], groupInfo: true });
    expect(await kindOf(made.commit)).toBe("commit");
    expect(b.epochAuthenticator).toEqual(a.epochAuthenticator);
    expect(await kindOf(made.welcomes[0]!.bytes)).toBe("welcome");
    expect(await kindOf(made.groupInfo!)).toBe("groupInfo");
    expect(await kindOf(keyPackage)).toBe("keyPackage");
    expect(await kindOf(utf8("no message at all"))).toBe("invalid");
  }
});

test("M-RCV-02: nothing is merged or stored by itself, unless an option does both after the policy", async () => {
  const { a, b } = await three();
  await b.process((await a.proposeUpdate()).bytes);
  expect(b.pendingProposals).toEqual([]);
  await a.dropAllProposals();
  await b.process((await a.commit()).commit);
  expect(b.epoch).toBe(1n);
  const asked: string[] = [];
  const automatic = await three({
    config: { autoAccept: true },
    policy: {
      reviewProposal: ({ proposal, direction }) => {
        if (direction === "receive") asked.push(proposal.type);
        const isRefused = proposal.type === "remove" && direction !== "store";
        return isRefused ? { reason: "not in this group" } : true;
      },
    },
  });
  const proposed = await automatic.a.proposeUpdate();
  expect(await automatic.b.process(proposed.bytes)).toMatchObject({ isStored: true });
  expect(automatic.b.pendingProposals).toHaveLength(1);
  const { bytes } = await automatic.a.proposeRemove(2);
  expect((await automatic.b.process(bytes)).kind).toBe("invalidProposal");
  expect(automatic.b.pendingProposals).toHaveLength(1);
  expect(asked).toEqual(["update", "remove"]);
  const { commit } = await automatic.c.commit();
  expect(await automatic.b.process(commit)).toMatchObject({ kind: "commit", isMerged: true });
  expect(automatic.b.epoch).toBe(2n);
});

test("M-RCV-03: every outcome says group, epoch, form, sender with credential, and authenticated data", async () => {
  const server = await newSigner();
  const { world, a, b } = await three({
    authenticationService: acceptAnyCredential,
    extensions: [externalSenders(server)],
    policy: { reviewProposal: () => true },
  });
  const { credential } = a.members()[0]!;
  const authenticatedData = utf8("aad");
  const common = { groupId: a.id, epoch: 1n, authenticatedData };
  const byMember = { type: "member", leafIndex: 0, credential };
  const privately = { ...common, wireFormat: "privateMessage", sender: byMember };
  const message = await a.send("hello", { authenticatedData });
  const proposal = await a.proposeUpdate({}, { authenticatedData });
  await a.dropAllProposals();
  expect(await b.process(message.bytes)).toMatchObject(privately);
  expect(await b.process(proposal.bytes)).toMatchObject(privately);
  const remove = { type: "remove", removed: 2 } as const;
  const external = await createExternalProposal(
    { ...common, extensions: a.extensions },
    remove,
    server,
    TYPES,
    authenticatedData,
  );
  expect(await b.process(external)).toMatchObject({
    ...common,
    wireFormat: "publicMessage",
    sender: { type: "external", senderIndex: 0, credential: { identity: utf8("server") } },
  });
  const dave = (await world.newClient("dave")).client;
  const joiner = await dave.proposeJoin(common);
  expect(await b.process(joiner.bytes)).toMatchObject({
    epoch: 1n,
    wireFormat: "publicMessage",
    sender: { type: "newMember", credential: { identity: utf8("dave") } },
  });
  const { commit } = await a.commit({ authenticatedData });
  expect(await b.process(commit)).toMatchObject(privately);
});

test("M-RCV-04: a plaintext is handed out once the ratchet change is durable", async () => {
  const storage = faultStorage(memoryStorage());
  let made = 0;
  const { world, a } = await three({
    storage: () => (++made === 2 ? storage : memoryStorage()),
  });
  const { bytes, generation } = await a.send("hello");
  storage.plan.failWrite = storage.writes + 1;
  const { group } = world.member(1);
  await expect(group.process(bytes)).rejects.toMatchObject({ code: "STORAGE_FAILED" });
  expect(await group.process(bytes)).toMatchObject({
    kind: "application",
    data: utf8("hello"),
    sender: { leafIndex: 0 },
    epoch: 1n,
    generation,
  });
  const again = await world.reopen(1, storage);
  expect((await again.group.process(bytes)).kind).toBe("duplicate");
});

test("M-RCV-05: a proposal comes with content and reference, and accepting stores it", async () => {
  const { a, b } = await three();
  const sent = await a.proposeRemove(2);
  const outcome = await b.process(sent.bytes);
  if (outcome.kind !== "proposal") throw new Error("a proposal was expected");
  expect(outcome).toMatchObject({
    proposal: { type: "remove", removed: 2 },
    reference: sent.reference,
    isStored: false,
  });
  await outcome.accept();
  expect(b.pendingProposals).toMatchObject([{ reference: sent.reference }]);
});

test("M-RCV-06: a joiner proposes nothing but its own Add, and the application decides", async () => {
  const strict = await three();
  const { client } = await strict.world.newClient("dave");
  const { bytes } = await client.proposeJoin({ groupId: strict.a.id, epoch: 1n });
  expect(await strict.a.process(bytes, ACCEPT)).toMatchObject({
    kind: "invalidProposal",
    error: { code: "POLICY_REJECTED" },
  });
  const open = await three({ policy: { reviewProposal: () => true } });
  const { client: erin } = await open.world.newClient("erin");
  const proposed = await erin.proposeJoin({ groupId: open.a.id, epoch: 1n });
  expect(await open.a.process(proposed.bytes, ACCEPT)).toMatchObject({
    kind: "newMemberProposal",
    proposal: { type: "add" },
  });
  const { parties, group } = await forged();
  const outsider = await forgeProposal(
    parties.party("alice"),
    { type: "remove", removed: 1 },
    { sender: { type: "newMemberProposal" } },
  );
  expect(await group.process(outsider.bytes)).toMatchObject({
    kind: "invalidProposal",
    error: { rule: "valn1504" },
  });
});

test("M-RCV-07: an external sender proposes what the RFC lets it", async () => {
  const server = await newSigner();
  const parties = await Parties.of(["alice", "bob"], { extensions: [externalSenders(server)] });
  const group = await seat(parties, await newDesk("dave"));
  const erin = await newClient("erin");
  const sender = { type: "external", senderIndex: 0 } as const;
  const allowed: Proposal[] = [
    { type: "add", keyPackage: erin.keyPackage },
    { type: "remove", removed: 1 },
    { type: "psk", psk: pskId("id") },
    reInit,
    { type: "groupContextExtensions", extensions: [] },
  ];
  const alice = parties.party("alice");
  for (const proposal of allowed) {
    const { bytes } = await forgeProposal(alice, proposal, { sender, signer: server });
    expect(await group.process(bytes), proposal.type).toMatchObject({
      kind: "externalProposal",
      sender,
    });
  }
  const init: Proposal = { type: "externalInit", kemOutput: new Uint8Array(32) };
  const update: Proposal = {
    type: "update",
    leafNode: alice.epoch.tree.leaf(alice.epoch.ownLeaf)!,
  };
  for (const proposal of [init, update]) {
    const { bytes } = await forgeProposal(alice, proposal, { sender, signer: server });
    expect(await group.process(bytes), proposal.type).not.toMatchObject({
      kind: "externalProposal",
    });
  }
});

const EXPORT = ["label", utf8("context"), 16] as const;

function identityIn({ credential, signatureKey }: CredentialIdentity): CredentialIdentity {
  return { credential, signatureKey };
}

function commitIn(outcome: Outcome): CommitOutcome {
  if (!("next" in outcome)) throw new Error("a Commit was expected");
  return outcome;
}

test("M-RCV-08: a staged Commit describes all its effects", async () => {
  const { world, a, b, c } = await three({ members: 4 });
  for (const { client } of world.members) await client.putPsk(utf8("id"), utf8("secret"));
  await world.deliver((await c.proposeUpdate()).bytes, 2);
  const dave = (await world.newClient("dave")).client;
  const server = await newSigner();
  world.directory.add({ identity: "server", signatureKey: server.publicKey });
  const [alice, , carol] = b.members().map(identityIn);
  const made = await a.commit({
    add: [(await dave.createKeyPackage()).bytes],
    remove: [3],
    psks: [utf8("id")],
    extensions: [externalSenders(server)],
    proposals: [customProposal(CUSTOM, utf8("x"))],
  });
  const { commit } = made;
  const staged = await b.process(commit);
  expect(staged).toMatchObject({
    kind: "commit",
    isMerged: false,
    reInit: undefined,
    removals: [{ leafIndex: 3, reason: "theyWereRemoved" }],
    // All that came in: who is new, who goes on with a new leaf, and who may propose from outside.
    credentials: [
      { leafIndex: 3, current: undefined, next: identityIn(dave.identity) },
      { leafIndex: 2, current: carol, next: carol },
      { leafIndex: 0, current: alice, next: alice },
      {
        leafIndex: undefined,
        next: {
          credential: { type: "basic", identity: utf8("server") },
          signatureKey: server.publicKey,
        },
      },
    ],
    summary: {
      epoch: 1n,
      committer: 0,
      isExternal: false,
      hasPath: true,
      added: [{ leafIndex: 3, leaf: { credential: { identity: utf8("dave") } } }],
      removed: [{ leafIndex: 3 }],
      updated: [{ leafIndex: 2 }, { leafIndex: 0 }],
      psks: [{ type: "external", pskId: utf8("id") }],
      extensions: [externalSenders(server)],
      custom: [{ proposal: { proposalType: CUSTOM } }],
    },
  });
  // The new epoch, as its maker sees it, while the group is still in the old one.
  expect(b.epoch).toBe(1n);
  const { next } = commitIn(staged);
  expect(next!.epochAuthenticator()).toEqual(made.next.epochAuthenticator());
  expect(next!.epochAuthenticator()).not.toEqual(b.epochAuthenticator);
  expect(next!.export(...EXPORT)).toEqual(made.next.export(...EXPORT));
  expect(await world.groups[3]!.process(commit)).toMatchObject({
    kind: "removed",
    removals: [{ leafIndex: 3, reason: "weWereRemoved" }],
    next: undefined,
  });
  await a.discardCommit();
  await b.commit({ reInit: { ...reInit } });
  expect(await a.process(b.pendingCommit!.commit)).toMatchObject({ kind: "reinit", reInit });
  // An external commit that replaces a former leaf of its author.
  const again = await world.members[2]!.client.joinExternally(await a.groupInfo(), {
    resync: true,
  });
  const resync = commitIn(await a.process(again.commit));
  expect(resync).toMatchObject({
    summary: { isExternal: true },
    removals: [{ leafIndex: 2, reason: "resync" }],
    credentials: [{ leafIndex: 2, current: carol, next: carol }],
  });
  await resync.accept();
  expect(a.epochAuthenticator).toEqual(resync.next!.epochAuthenticator());
});

test("M-RCV-09: a staged Commit is merged in one transaction or dropped, which leaves the group behind", async () => {
  const storage = faultStorage(memoryStorage());
  let made = 0;
  const { a, b, c } = await three({ storage: () => (++made === 2 ? storage : memoryStorage()) });
  const { commit } = await a.update();
  const [staged, dropped] = [await b.process(commit), await c.process(commit)];
  if (staged.kind !== "commit" || dropped.kind !== "commit") throw new Error("Commits expected");
  const { writes } = storage;
  await staged.accept();
  expect(storage.writes).toBe(writes + 1);
  await a.acceptCommit();
  expect(b.epochAuthenticator).toEqual(a.epochAuthenticator);
  expect(c.epoch).toBe(1n);
  expect((await c.process((await a.send("from the next epoch")).bytes)).kind).toBe("future");
});

test("M-RCV-10: an own Commit matches the pending one, or it is OWN_COMMIT_MISMATCH", async () => {
  for (const config of [PUBLIC, {}]) {
    const { a } = await three({ config });
    const { commit } = await a.update();
    expect((await a.process(commit)).kind).toBe("ownCommit");
    await a.discardCommit();
    await expect(a.process(commit)).rejects.toMatchObject({ code: "OWN_COMMIT_MISMATCH" });
  }
});

test("M-RCV-11: an own private message that comes back is told, and skipped", async () => {
  const { a } = await three();
  const { bytes } = await a.send("hello");
  expect((await a.process(bytes)).kind).toBe("ownMessage");
  expect((await a.send("again")).generation).toBe(1);
});

test("M-RCV-12: an own proposal that comes back is told", async () => {
  const { a } = await three();
  expect((await a.process((await a.proposeUpdate()).bytes)).kind).toBe("ownProposal");
});

test("M-RCV-13: what was processed before is a duplicate", async () => {
  const { a, b } = await three();
  const message = (await a.send("hello")).bytes;
  await b.process(message);
  expect((await b.process(message)).kind).toBe("duplicate");
  const proposal = (await a.proposeUpdate()).bytes;
  await b.process(proposal, ACCEPT);
  expect((await b.process(proposal)).kind).toBe("duplicate");
  const { commit } = await a.commit();
  await b.process(commit, ACCEPT);
  expect((await b.process(commit)).kind).toBe("duplicate");
});

test("M-RCV-14: a message of the next epoch is kept and replayed after the merge", async () => {
  const { world, a, b } = await three();
  const { commit } = await a.commitImmediately();
  const { bytes } = await a.send("too early");
  expect(await b.process(bytes)).toMatchObject({ kind: "future", isBuffered: true });
  const { group } = await world.reopen(1, world.member(1).storage);
  const merged = await group.process(commit, ACCEPT);
  expect(merged.kind === "commit" && merged.replayed).toMatchObject([
    { kind: "application", data: utf8("too early") },
  ]);
});

test("M-RCV-15: a message beyond the next epoch is not kept", async () => {
  const { a, b } = await three();
  const commits = [await a.commitImmediately(), await a.commitImmediately()];
  const { bytes } = await a.send("far too early");
  expect(await b.process(bytes)).toMatchObject({ kind: "farFuture", isBuffered: false });
  for (const { commit } of commits) {
    const outcome = await b.process(commit, ACCEPT);
    expect(outcome.kind === "commit" && outcome.replayed).toEqual([]);
  }
  expect((await b.process(bytes)).kind).toBe("application");
});

test("M-RCV-16: handshake messages of an older epoch are stale, by their content", async () => {
  const { world, a, b, c } = await three();
  const { commit } = await a.update();
  await a.discardCommit();
  const proposal = await a.proposeUpdate();
  await a.dropAllProposals();
  await world.commit(2);
  expect(c.epoch).toBe(2n);
  expect(await b.process(commit)).toMatchObject({ kind: "stale", contentType: "commit" });
  expect(await b.process(proposal.bytes)).toMatchObject({ kind: "stale", contentType: "proposal" });
});

test("M-RCV-17: a message whose epoch's keys are gone is epochTooOld", async () => {
  const { world, a, b } = await three({ config: { pastEpochs: 1 } });
  const old = await a.send("one");
  const older = await a.send("two");
  await world.commit(0);
  expect((await b.process(old.bytes)).kind).toBe("application");
  await world.commit(0);
  expect((await b.process(older.bytes)).kind).toBe("epochTooOld");
});

test("M-RCV-18: a message whose own key fell out of the window is generationTooOld", async () => {
  const { a, b } = await three({ config: { outOfOrderTolerance: 2 } });
  const sent = await a.sendMany(["0", "1", "2", "3"]);
  expect((await b.process(sent[3]!.bytes)).kind).toBe("application");
  expect((await b.process(sent[0]!.bytes)).kind).toBe("generationTooOld");
  expect((await b.process(sent[1]!.bytes)).kind).toBe("application");
});

test("M-RCV-19: a generation too far ahead is refused without deriving a key", async () => {
  const watch = new SecretWatch(seededProvider("generations"));
  const parties = await Parties.of(["alice", "bob"]);
  const group = await seat(parties, await newDesk("dave", { provider: watch.provider }));
  /** Whatever depends on a generation, and has it as its context: keys, nonces, ratchet secrets. */
  const derived = () =>
    watch.withLabel("key", "nonce", "secret").filter(({ context }) => context.length === 4);
  const content = { contentType: "application", applicationData: utf8("x") } as const;
  const none = derived().length;
  for (const generation of [0xffff_0000, 0xffff_ffff]) {
    const far = await privately(parties, content, generation);
    expect((await group.process(far)).kind).toBe("generationTooFar");
    expect(derived().length).toBe(none);
  }
  const near = await privately(parties, content, 0);
  expect((await group.process(near)).kind).toBe("application");
  // A key, a nonce and the next secret.
  expect(derived().length - none).toBe(3);
});

function privately(
  parties: Parties,
  content: Parameters<typeof forgeMessage>[1],
  generation: number,
  leafIndex?: number,
): Promise<Uint8Array> {
  return forgeMessage(parties.party("alice"), content, {
    wireFormat: "privateMessage",
    privately: { generation, leafIndex },
  });
}

test("M-RCV-20: a Commit to unknown proposals names them and is tried again as they arrive", async () => {
  const { a, b, c } = await three();
  const sent = [await b.proposeUpdate(), await b.propose(customProposal(CUSTOM, utf8("x")))];
  for (const { bytes } of sent) await a.process(bytes, ACCEPT);
  const { commit } = await a.commit();
  expect(await c.process(commit, ACCEPT)).toMatchObject({
    kind: "missingProposal",
    missing: sent.map(({ reference }) => reference),
  });
  expect((await c.process(sent[0]!.bytes, ACCEPT)).kind).toBe("proposal");
  expect(c.epoch).toBe(1n);
  expect(await c.process(sent[1]!.bytes, ACCEPT)).toMatchObject({ kind: "commit", isMerged: true });
  expect(c.epoch).toBe(2n);
});

test("M-RCV-21: messages of another group, of none, and of one that is over", async () => {
  const { world, a, b, c } = await three();
  const other = await world.members[0]!.client.createGroup();
  const { bytes } = await other.send("hello");
  expect(await b.process(bytes)).toMatchObject({ kind: "wrongGroup", groupId: other.id });
  expect(await world.members[1]!.client.process(bytes)).toMatchObject({
    kind: "unknownGroup",
    groupId: other.id,
  });
  await world.commit(0, { remove: [1] });
  expect(b.status).toBe("inactive");
  expect((await b.process((await c.send("hello")).bytes)).kind).toBe("groupInactive");
  expect(a.memberCount).toBe(2);
});

test("M-RCV-22: a removal says who did it and how", async () => {
  const { world, a, b } = await three();
  const { commit } = await a.remove([1]);
  expect(await b.process(commit, ACCEPT)).toMatchObject({
    kind: "removed",
    isMerged: true,
    sender: { type: "member", leafIndex: 0 },
    removals: [{ leafIndex: 1, reason: "weWereRemoved", by: { type: "member", leafIndex: 0 } }],
  });
  expect(b.status).toBe("inactive");
  const next = await three();
  await next.world.deliver((await next.b.leave()).bytes, 1);
  await next.a.commit();
  expect(await next.b.process(next.a.pendingCommit!.commit, ACCEPT)).toMatchObject({
    kind: "removed",
    removals: [{ reason: "weLeft" }],
  });
  expect(world.members).toHaveLength(3);
});

test("M-RCV-23: a ReInit gives its parameters, and the successor can be made", async () => {
  const { world, a, b } = await three();
  const { commit } = await a.commit({ reInit });
  expect(await b.process(commit, ACCEPT)).toMatchObject({ kind: "reinit", isMerged: true, reInit });
  expect(b.status).toBe("suspended");
  const [first, second, third] = world.members.map(({ client }) => client);
  const keyPackages = [await first!.createKeyPackage(), await third!.createKeyPackage()];
  const made = await second!.createSuccessor(
    b.id,
    keyPackages.map(({ bytes }) => bytes),
  );
  expect(made.group.id).toEqual(utf8("successor"));
});

test("M-RCV-24: Welcomes, GroupInfos and key packages are recognised and handed to their calls", async () => {
  const { world, a } = await three();
  const { client } = await world.newClient("dave");
  const keyPackage = await world.members[1]!.client.process(
    (await client.createKeyPackage()).bytes,
  );
  if (keyPackage.kind !== "keyPackage") throw new Error("a key package was expected");
  const { welcomes } = await world.commit(0, { add: [keyPackage.bytes], groupInfo: true });
  const info = await client.process(await a.groupInfo());
  if (info.kind !== "groupInfo") throw new Error("a GroupInfo was expected");
  await client.checkGroupInfo(info.bytes);
  const welcome = await client.process(welcomes[0]!.bytes);
  if (welcome.kind !== "welcome") throw new Error("a Welcome was expected");
  expect((await client.join(welcome.bytes)).epochAuthenticator).toEqual(a.epochAuthenticator);
});

test("M-RCV-25: an invalid message comes with rule, section and, if authenticated, its sender", async () => {
  const { parties, group } = await forged();
  const alice = parties.party("alice");
  const invalid: Proposal = { type: "remove", removed: 9 };
  const sender = { type: "member", leafIndex: 0 };
  const proposal = await group.process((await forgeProposal(alice, invalid)).bytes);
  expect(proposal).toMatchObject({ kind: "invalidProposal", error: { rule: "valn0701" }, sender });
  const twice = Array<Proposal>(2).fill({ type: "groupContextExtensions", extensions: [] });
  const { bytes } = await forgeCommit(alice, { proposals: twice, applied: [] });
  const commit = await group.process(bytes);
  expect(commit).toMatchObject({ kind: "invalid", error: { rule: "valn0308" }, sender });
  if (commit.kind !== "invalid") throw new Error("an invalid message was expected");
  expect(RULES[commit.error.rule as RuleId].section).toMatch(/12/);
  const alterSignature = (signature: Uint8Array): Uint8Array => signature.map((byte) => byte ^ 1);
  const anonymous = await forgeProposal(alice, invalid, { alterSignature });
  const outcome = await group.process(anonymous.bytes);
  expect(outcome).toMatchObject({ error: { code: "SIGNATURE_INVALID" } });
  expect("sender" in outcome && outcome.sender !== undefined).toBe(false);
});

test("M-RCV-26: a member's message in the wrong form is INCOMPATIBLE_WIRE_FORMAT", async () => {
  for (const accept of ["public", "private"] as const) {
    const { a, b } = await three();
    await b.configure({ handshake: { send: accept, accept } });
    const wireForm = accept === "public" ? "private" : "public";
    const { commit } = await a.commit({ wireForm });
    expect(await b.process(commit)).toMatchObject({
      kind: "invalid",
      error: { code: "INCOMPATIBLE_WIRE_FORMAT" },
    });
    await a.discardCommit();
    expect((await b.process((await a.commit({ wireForm: accept })).commit)).kind).toBe("commit");
  }
});

test("M-RCV-27: handshakes count for the current epoch only, application messages for kept ones too", async () => {
  const { world, a, b } = await three();
  const message = await a.send("late");
  const proposal = await a.proposeUpdate();
  await a.dropAllProposals();
  await world.commit(0);
  expect((await b.process(message.bytes)).kind).toBe("application");
  expect((await b.process(proposal.bytes, ACCEPT)).kind).toBe("stale");
  expect(b.pendingProposals).toEqual([]);
});

test("M-RCV-28: a tampered message costs the group nothing", async () => {
  const { parties, group } = await forged();
  const alice = parties.party("alice");
  const content = { contentType: "application", applicationData: utf8("x") } as const;
  const flip = (bytes: Uint8Array): Uint8Array => bytes.map((byte) => byte ^ 1);
  const wireFormat = "privateMessage" as const;
  const damaged = await forgeMessage(alice, content, {
    wireFormat,
    privately: { alterCiphertext: flip },
  });
  const unsigned = await forgeMessage(alice, content, { wireFormat, alterSignature: flip });
  for (const bytes of [damaged, unsigned, damaged]) {
    expect((await group.process(bytes)).kind).toBe("invalid");
  }
  // The same generation, honestly.
  const honest = await forgeMessage(alice, content, { wireFormat });
  expect((await group.process(honest)).kind).toBe("application");
});

describe("M-RCV-29: senders exist, suit their content, and are entitled to it", () => {
  test("a blank or missing leaf sends nothing, publicly or privately", async () => {
    const { parties, group } = await forged(["alice", "bob", "carol"]);
    const alice = parties.party("alice");
    const proposals: Proposal[] = [{ type: "remove", removed: 1 }];
    const removal = await parties.commit("alice", { proposals });
    await group.process(removal.commit, ACCEPT);
    expect(group.epochAuthenticator).toEqual(alice.epoch.secrets.epochAuthenticator.bytes);
    const proposal = { type: "remove", removed: 2 } as const;
    const content = { contentType: "application", applicationData: utf8("x") } as const;
    const [blank, missing] = [1, 77];
    for (const leafIndex of [blank, missing]) {
      const sender = { type: "member", leafIndex } as const;
      const { bytes } = await forgeProposal(alice, proposal, { sender });
      expect(await group.process(bytes)).toMatchObject({ error: { rule: "mk-26" } });
      expect(await group.process(await privately(parties, content, 0, leafIndex))).toMatchObject({
        kind: "invalid",
        error: { rule: "valn1306" },
      });
    }
    expect((await group.process((await forgeProposal(alice, proposal)).bytes)).kind).toBe(
      "proposal",
    );
    expect((await group.process(await privately(parties, content, 0))).kind).toBe("application");
  });

  test("application data is private, Commits come from members and joiners", async () => {
    const { parties, group } = await forged();
    const alice = parties.party("alice");
    const content = { contentType: "application", applicationData: utf8("x") } as const;
    const open = await forgeMessage(alice, content);
    expect((await group.process(open)).kind).toBe("invalid");
    for (const sender of [
      { type: "external", senderIndex: 0 },
      { type: "newMemberProposal" },
    ] as const) {
      const { bytes } = await forgeCommit(alice, { sender });
      expect((await group.process(bytes)).kind).toBe("invalid");
    }
    expect(group.epoch).toBe(2n);
  });
});

test("M-RCV-30: an external commit is told by its sender type, not by its proposals", async () => {
  const { parties, group } = await forged();
  const alice = parties.party("alice");
  const init: Proposal = { type: "externalInit", kemOutput: new Uint8Array(32) };
  const member = await forgeCommit(alice, { proposals: [init], applied: [] });
  expect(await group.process(member.bytes)).toMatchObject({ error: { rule: "valn0310" } });
  const erin = await newClient("erin");
  const joiner = await forgeExternalCommit(erin, alice, { proposals: () => [], applied: [] });
  expect(await group.process(joiner.bytes)).toMatchObject({ error: { rule: "valn0401" } });
});

test("M-RCV-32: many messages are received in one transaction, with results in order", async () => {
  const storage = faultStorage(memoryStorage());
  let made = 0;
  const { a, b, c } = await three({ storage: () => (++made === 2 ? storage : memoryStorage()) });
  const [one, two] = await a.sendMany(["one", "two"]);
  const proposal = await c.proposeUpdate();
  await a.process(proposal.bytes, ACCEPT);
  const { commit } = await a.commit();
  const messages = [two!.bytes, one!.bytes, two!.bytes, proposal.bytes, commit];
  const { writes } = storage;
  const outcomes = await b.processMany(messages, ACCEPT);
  expect(outcomes.map(({ kind }) => kind)).toEqual([
    "application",
    "application",
    "duplicate",
    "proposal",
    "commit",
  ]);
  expect(storage.writes).toBe(writes + 1);
});
