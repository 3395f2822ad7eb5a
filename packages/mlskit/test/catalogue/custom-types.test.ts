/** Catalogue M-CUS: types of the application's own. RFC 9420 §13. */
import { expect, test } from "vitest";
import { equalBytes, opaque, struct, uint16, utf8 } from "../../src/codec/index.ts";
import { type MlsError, PolicyError, StateError, UsageError } from "../../src/errors.ts";
import {
  Client,
  createExternalProposal,
  customProposal,
  type CustomProposalType,
  type ExtensionKind,
  type ExtensionPlace,
  ExtensionRegistry,
  type Group,
  memoryStorage,
  type Proposal,
  type RegisteredTypes,
  TypedExtensions,
} from "../../src/index.ts";
import {
  assertAgreement,
  type TestGroup,
  testGroup,
  type TestGroupOptions,
} from "../../src/testing/index.ts";
import {
  type Capabilities,
  decodeMlsMessage,
  ExtensionType,
  ExternalSenders,
  makeExtension,
  skipOpaque,
} from "../../src/wire.ts";
import { nothingChanges, refusedByAll } from "../support/assertions.ts";
import { acceptAnyCredential, testEnvironment } from "../support/environment.ts";
import { newDesk, seat } from "../support/forge-clients.ts";
import { contents } from "../support/forge-join.ts";
import { externalSenders, publicGroup, required } from "../support/forge-lists.ts";
import { forgeCommit, forgeExternalCommit, forgeProposal } from "../support/forge.ts";
import { newClient, newSigner } from "../support/parties.ts";
import { TestGroup as Parties } from "../support/test-group.ts";

const CUSTOM = 0xf001;
const [ONE, TWO] = [0xf0a1, 0xf0a2];

function registered(type: CustomProposalType = {}): RegisteredTypes {
  return {
    proposals: new Map([[CUSTOM, type]]),
    credentials: new Map(),
    extensions: new Set([ONE, TWO]),
  };
}

async function three(
  options: TestGroupOptions = {},
): Promise<{ world: TestGroup; a: Group; b: Group; c: Group }> {
  const world = await testGroup({ types: registered(), ...options });
  const [a, b, c] = world.groups as readonly [Group, Group, Group];
  return { world, a, b, c };
}

const proposal = customProposal(CUSTOM, utf8("body"));

/** What a member makes of external commits with the proposal: "taken", or the rule against it. */
async function inExternalCommits(
  type: CustomProposalType,
): Promise<{ readonly byValue: unknown; readonly byReference: unknown }> {
  const types = registered(type);
  const environment = testEnvironment({ types });
  const client = { capabilities: { proposals: [CUSTOM] } };
  const run = async (isReference: boolean): Promise<unknown> => {
    const parties = await Parties.of(["alice", "bob"], { client, environment });
    const alice = parties.party("alice");
    const group = await seat(parties, await newDesk("dave", { types }));
    const made = await forgeProposal(alice, proposal);
    if (isReference) await group.process(made.bytes);
    const { bytes } = await forgeExternalCommit(await newClient("erin", client), alice, {
      proposals: (init) => [init, isReference ? made.cached : proposal],
    });
    const { epoch } = group;
    const outcome = await group.process(bytes);
    if (outcome.kind === "invalid") {
      expect(group.epoch).toBe(epoch);
      return outcome.error.rule;
    }
    expect(outcome).toMatchObject({ kind: "commit", summary: { custom: [{ proposal }] } });
    expect(group.epoch).toBe(epoch + 1n);
    return "taken";
  };
  return { byValue: await run(false), byReference: await run(true) };
}

/** What a client says that knows no types but the RFC's. */
const plain: Capabilities = {
  versions: [1],
  cipherSuites: [1],
  extensions: [],
  proposals: [],
  credentials: [1],
};

test("M-CUS-01: custom proposals use types that the RFC does not define, and can be skipped", async () => {
  for (const type of [0, 1, 7]) {
    expect(() => customProposal(type, utf8("x"))).toThrow(UsageError);
  }
  const { a } = await three({ config: { handshake: { send: "public", accept: "both" } } });
  const { bytes } = await a.propose(proposal);
  // A reader that knows nothing of the type but that its body is an opaque vector.
  const types = { proposals: new Map([[CUSTOM, skipOpaque]]), credentials: new Map() };
  const decoded = decodeMlsMessage(bytes, types);
  expect(decoded.wireFormat === "publicMessage" && decoded.message.content.content).toMatchObject({
    proposal: { type: "custom", proposalType: CUSTOM, body: proposal.body },
  });
});

test("M-CUS-02: a custom type needs the support of every remaining member, of no one else", async () => {
  const { world, a } = await three();
  const { client } = await world.newClient("dave");
  const options = { capabilities: plain };
  const keyPackage = (await client.createKeyPackage(options)).bytes;
  // Whoever is added by the same Commit does not process it.
  await world.commit(0, { add: [keyPackage], proposals: [proposal] });
  await expect(a.commit({ proposals: [proposal] })).rejects.toMatchObject({
    code: "UNSUPPORTED_PROPOSAL",
    rule: "valn0311",
  });
  const { summary } = await world.commit(0, { remove: [3], proposals: [proposal] });
  expect(summary.custom).toHaveLength(1);
  world.assertAgreement();
});

test("M-CUS-03: each type says whether it needs a path and where it may come from", async () => {
  const server = await newSigner();
  const run = async (type: CustomProposalType): Promise<unknown[]> => {
    const types = registered(type);
    const { a } = await three({
      types,
      authenticationService: acceptAnyCredential,
      extensions: [externalSenders(server)],
    });
    const { summary } = await a.commit({ proposals: [proposal], withoutPath: true });
    await a.discardCommit();
    const address = { groupId: a.id, epoch: a.epoch, extensions: a.extensions };
    const outside = await createExternalProposal(address, proposal, server, types).then(
      async (bytes) => (await a.process(bytes)).kind,
      (error: unknown) => (error instanceof UsageError ? error.code : error),
    );
    return [summary.hasPath, outside];
  };
  expect(await run({})).toEqual([true, "INVALID_PROPOSAL"]);
  expect(await run({ requiresPath: false, fromExternalSender: true })).toEqual([
    false,
    "externalProposal",
  ]);

  // In an external commit: refused, by value, or by reference to a member's proposal.
  const list: readonly [CustomProposalType["inExternalCommit"], string, string][] = [
    [undefined, "valn0404", "mk-117"],
    ["never", "valn0404", "mk-117"],
    ["byValue", "taken", "mk-117"],
    ["byReference", "valn0404", "taken"],
  ];
  for (const [inExternalCommit, byValue, byReference] of list) {
    const found = await inExternalCommits(
      inExternalCommit === undefined ? {} : { inExternalCommit },
    );
    expect(found, inExternalCommit).toEqual({ byValue, byReference });
  }
});

test("M-CUS-04: custom proposals of a staged Commit can be inspected before accepting", async () => {
  const { a, b, c } = await three();
  await a.process((await c.propose(proposal)).bytes, { accept: true });
  await b.process(c.pendingProposals[0]!.bytes!, { accept: true });
  const other = customProposal(CUSTOM, utf8("by value"));
  const { commit } = await a.commit({ proposals: [other] });
  const staged = await b.process(commit);
  expect(staged).toMatchObject({
    isMerged: false,
    summary: {
      custom: [
        { proposal, sender: { type: "member", leafIndex: 2 } },
        { proposal: other, sender: { type: "member", leafIndex: 0 } },
      ],
    },
  });
});

/** Two clients whose applications disagree: the proposal, then a Commit with it, are refused by one. */
async function refusedOnReceipt(refusal: MlsError): Promise<void> {
  const { world, a, b } = await three({ members: 2 });
  const storage = memoryStorage();
  const client = await Client.create({
    storage,
    identity: "strict",
    authenticationService: acceptAnyCredential,
    clock: world.clock,
    types: registered({
      validate: ({ body }) => {
        if (equalBytes(body, proposal.body)) throw refusal;
      },
    }),
  });
  world.directory.add(client.identity);
  const { commit } = await a.add([(await client.createKeyPackage()).bytes]);
  const { welcomes } = await a.acceptCommit();
  await b.process(commit, { accept: true });
  const c = await client.join(welcomes[0]!.bytes);
  const code = refusal instanceof PolicyError ? refusal.code : "INVALID_PROPOSAL";
  const before = await contents(storage);

  const sent = (await a.propose(proposal)).bytes;
  expect((await b.process(sent)).kind).toBe("proposal");
  const proposed = await c.process(sent, { accept: true });
  expect(proposed).toMatchObject({ kind: "invalidProposal", error: { code } });
  await a.dropAllProposals();
  const inCommit = (await a.commit({ proposals: [proposal] })).commit;
  expect((await b.process(inCommit)).kind).toBe("commit");
  const committed = await c.process(inCommit, { accept: true });
  expect(committed).toMatchObject({ kind: "invalid", error: { code } });
  expect(c.pendingProposals).toEqual([]);
  expect(await contents(storage)).toEqual(before);

  // The group goes on without it.
  await a.discardCommit();
  const other = await a.commit({ proposals: [customProposal(CUSTOM, utf8("other"))] });
  await a.acceptCommit();
  for (const group of [b, c]) await group.process(other.commit, { accept: true });
  assertAgreement([a, b, c]);
}

test("M-CUS-05: a validation hook runs for each custom type on receipt and in Commits", async () => {
  let isStrict = false;
  const seen: number[] = [];
  const types = registered({
    validate: ({ body }) => {
      seen.push(body.length);
      if (isStrict) throw new UsageError("INVALID_PROPOSAL", "the application refuses the body");
    },
  });
  const { a, b } = await three({ types });
  const sent = await a.propose(proposal);
  const before = seen.length;
  expect((await b.process(sent.bytes, { accept: true })).kind).toBe("proposal");
  expect(seen.length).toBeGreaterThan(before);
  const { commit } = await a.commit({ proposals: [proposal] });
  const received = seen.length;
  expect((await b.process(commit)).kind).toBe("commit");
  expect(seen.length).toBe(received + 2);
  await a.discardCommit();
  isStrict = true;
  await expect(a.propose(proposal)).rejects.toMatchObject({ code: "INVALID_PROPOSAL" });
  await expect(a.commit({ proposals: [proposal] })).rejects.toMatchObject({
    code: "INVALID_PROPOSAL",
  });

  // On receipt, whichever error the receiver's hook throws. The sender's has nothing against it.
  for (const refusal of [
    new PolicyError("POLICY_REJECTED", "the receiver refuses the body"),
    new UsageError("INVALID_PROPOSAL", "the receiver refuses the body"),
  ]) {
    await refusedOnReceipt(refusal);
  }
});

type Hook = "validate" | "removes" | "checkExtensions" | "changeExtensions";

/** A client among parties, whose hook does what it is told to. */
async function hooked(hook: Hook, act: () => undefined) {
  let isOn = false;
  const types = registered({
    [hook]: (...parameters: readonly unknown[]) => {
      if (isOn) return act();
      return hook === "changeExtensions" ? parameters[0] : undefined;
    },
  });
  const client = { capabilities: { proposals: [CUSTOM], extensions: [ONE, TWO] } };
  const environment = testEnvironment({ types: registered() });
  const parties = await Parties.of(["alice", "bob"], { client, environment });
  const group = await seat(parties, await newDesk("dave", { types }));
  const turn = (on: boolean): void => void (isOn = on);
  const list: readonly Proposal[] =
    hook === "checkExtensions"
      ? [{ type: "groupContextExtensions", extensions: [{ type: ONE, data: utf8("x") }] }]
      : [proposal];
  return { parties, group, turn, list };
}

const HOOKS = ["validate", "removes", "checkExtensions", "changeExtensions"] as const;

test.each(HOOKS)("M-CUS-05: a refusal by the hook %s blames the sender", async (hook) => {
  for (const refusal of [
    new UsageError("INVALID_LENGTH", "what decoders of the application throw"),
    new StateError("MISSING_PSK", "what the application looked for is not there"),
    new PolicyError("POLICY_REJECTED", "the application does not want it"),
  ]) {
    const { parties, group, turn, list } = await hooked(hook, () => {
      throw refusal;
    });
    const alice = parties.party("alice");
    const sent = await forgeProposal(alice, list[0]!);
    const { bytes } = await forgeCommit(alice, { proposals: list });
    turn(true);
    const code = refusal instanceof PolicyError ? refusal.code : "INVALID_PROPOSAL";
    // What a list makes of the extensions is asked once there is a list.
    if (hook !== "changeExtensions") {
      const proposed = await nothingChanges(() => group.process(sent.bytes));
      expect(proposed).toMatchObject({ kind: "invalidProposal", error: { code } });
    }
    const committed = await nothingChanges(() => group.process(bytes));
    expect(committed).toMatchObject({ kind: "invalid", error: { code } });
    // One that was stored before does not stop us.
    turn(false);
    expect((await group.process(sent.bytes)).kind).toBe("proposal");
    turn(true);
    const { unused } = await group.commit();
    expect(unused).toMatchObject([{ reason: { code } }]);
  }
});

test.each(HOOKS)("M-CUS-05: a mistake in the hook %s is thrown, and repaired", async (hook) => {
  const { parties, group, turn, list } = await hooked(hook, () => {
    throw new TypeError("a mistake of the application's");
  });
  const alice = parties.party("alice");
  const sent = await forgeProposal(alice, list[0]!);
  const { bytes } = await forgeCommit(alice, { proposals: list });
  for (const message of hook === "changeExtensions" ? [bytes] : [sent.bytes, bytes]) {
    turn(true);
    await nothingChanges(() => expect(group.process(message)).rejects.toThrow(TypeError));
    turn(false);
  }
  expect((await group.process(sent.bytes)).kind).toBe("proposal");
  expect((await group.process(bytes)).kind).toBe("commit");
});

test("M-CUS-05: a type removes members only", async () => {
  for (const target of [3, 99, -1, 0.5]) {
    const { parties, group, turn } = await hooked("removes", () => target as never);
    const alice = parties.party("alice");
    const sent = await forgeProposal(alice, proposal);
    const { bytes } = await forgeCommit(alice, { proposals: [proposal] });
    turn(true);
    const error = { rule: "valn0701" };
    const proposed = await nothingChanges(() => group.process(sent.bytes));
    expect(proposed).toMatchObject({ kind: "invalidProposal", error });
    const committed = await nothingChanges(() => group.process(bytes));
    expect(committed).toMatchObject({ kind: "invalid", error });
  }
});

test("M-CUS-06: unknown extensions are set and read in all four places, and checked where the RFC says so", async () => {
  const { world, a } = await three();
  const { client } = await world.newClient("dave");
  const [one, two] = [
    { type: ONE, data: utf8("one") },
    { type: TWO, data: utf8("two") },
  ];
  const published = await client.createKeyPackage({ extensions: [one], leafExtensions: [two] });
  const decoded = decodeMlsMessage(published.bytes);
  if (decoded.wireFormat !== "keyPackage") throw new Error("a key package was expected");
  expect(decoded.message.extensions).toEqual([one]);
  expect(decoded.message.leafNode.extensions).toEqual([two]);
  await world.commit(0, { add: [published.bytes], extensions: [one] });
  expect(a.extensions).toEqual([one]);
  expect(a.members()[3]?.extensions).toEqual([two]);
  const unlisted = { type: 0xf0ff, data: utf8("GroupInfo lists nothing") };
  const info = decodeMlsMessage(await a.groupInfo({ extensions: [unlisted] }));
  expect(info.wireFormat === "groupInfo" && info.message.extensions).toContainEqual(unlisted);
  await expect(a.commit({ extensions: [unlisted] })).rejects.toMatchObject({
    code: "INVALID_PROPOSAL",
  });
  await expect(client.createKeyPackage({ leafExtensions: [unlisted] })).rejects.toMatchObject({
    rule: "valn0107",
  });
});

test("M-CUS-07: extension codecs are registered, and a list is typed by its object and holds a type once", async () => {
  const topic = {
    type: ONE,
    codec: struct({ name: opaque, size: uint16 }),
    places: ["groupContext"],
  } as const satisfies ExtensionKind<unknown, ExtensionPlace>;
  const device = { type: TWO, codec: opaque, places: ["leafNode", "keyPackage"] } as const;
  const registry = new ExtensionRegistry([topic, device]);
  expect([...registry.groupContextTypes]).toEqual([ONE]);
  for (const type of [ONE, 3]) {
    expect(() => new ExtensionRegistry([topic, { ...device, type }])).toThrow(UsageError);
  }

  const body = { name: utf8("cats"), size: 9 };
  const typed = new TypedExtensions("groupContext").with(topic, body);
  expect(typed.get(topic)).toEqual(body);
  expect(typed.without(topic).get(topic)).toBeUndefined();
  expect(() => typed.with(topic, body)).toThrow(UsageError);
  expect(() => new TypedExtensions("groupContext", [...typed.list, ...typed.list])).toThrow(
    "twice",
  );
  // @ts-expect-error leaf extensions do not go into a GroupContext
  typed.with(device, utf8("phone"));

  const { world, a } = await three({
    types: { ...registered(), extensions: registry.groupContextTypes },
    policy: { reviewCommit: ({ after }) => registry.review("groupContext", after.extensions) },
  });
  await world.commit(0, { extensions: typed.list });
  expect(new TypedExtensions("groupContext", a.extensions).get(topic)).toEqual(body);
  const malformed = { type: ONE, data: utf8("no topic") };
  await expect(a.commit({ extensions: [malformed] })).rejects.toMatchObject({
    code: "POLICY_REJECTED",
  });
  expect(registry.review("groupContext", [{ type: TWO, data: utf8("x") }])).not.toBe(true);
  expect(registry.review("keyPackage", [{ type: 0xf0ff, data: utf8("unknown") }])).toBe(true);
});

test("M-CUS-08: custom credential types appear in the capabilities and are validated by the service", async () => {
  const type = 0xf0c0;
  const types = { ...registered(), credentials: new Map([[type, skipOpaque]]) };
  const validated: string[] = [];
  const { world, a } = await three({
    types,
    authenticationService: {
      ...acceptAnyCredential,
      validate: (identities) => {
        for (const { credential } of identities) validated.push(credential.type);
        return identities.map(() => true);
      },
    },
  });
  const { client } = world.members[0]!;
  const body = Uint8Array.of(1, 42);
  const credential = { type: "custom", credentialType: type, body } as const;
  const identity = await client.addIdentity({ identity: credential });
  expect(a.members()[1]?.capabilities.credentials).toContain(type);
  await world.commit(0, { identity });
  expect(validated).toContain("custom");
  expect(world.groups[1]!.members()[0]?.credential).toEqual(credential);
});

test("M-CUS-08: an external sender may have a credential of a registered type", async () => {
  const type = 0xf0c0;
  const credential = { type: "custom", credentialType: type, body: Uint8Array.of(1, 42) } as const;
  const server = await newSigner();
  const senders = [{ signatureKey: server.publicKey, credential }];
  const extensions = [makeExtension(ExtensionType.externalSenders, ExternalSenders, senders)];
  const validated: unknown[] = [];
  const reviewed: unknown[] = [];
  const environment = testEnvironment({
    types: { ...registered(), credentials: new Map([[type, skipOpaque]]) },
    policy: {
      reviewProposal: (candidate) => {
        if (candidate.sender.type === "external") reviewed.push(candidate.credential);
        return true;
      },
    },
    authenticationService: {
      ...acceptAnyCredential,
      validate: (identities, { event }) => {
        if (event === "externalSender") validated.push(identities[0]?.credential);
        return identities.map(() => true);
      },
    },
  });
  const group = await Parties.of(["alice", "bob", "carol"], { environment, extensions });
  const observer = publicGroup(group);
  const remove = { type: "remove", removed: 2 } as const;
  const sent = await observer.createExternalProposal(remove, server, environment);
  await observer.process(sent, environment);
  await group.deliver(sent, "server");
  const { commit } = await group.commit("alice");
  await observer.process(commit, environment);
  expect(group.party("carol").isMember).toBe(false);
  const change = { type: "groupContextExtensions", extensions: [] } as const;
  await group.commit("bob", { proposals: [change] });
  await group.commit("bob", { proposals: [{ ...change, extensions }] });
  await group.externalJoin("dave", await newClient("dave"));
  expect(validated.length).toBeGreaterThan(3);
  expect(validated.concat(reviewed)).toEqual(validated.concat(reviewed).map(() => credential));
  expect(reviewed.length).toBeGreaterThan(2);
  const unknowing = await Parties.of(["alice", "bob"]);
  const { bytes } = await forgeCommit(unknowing.party("alice"), {
    proposals: [{ ...change, extensions }],
  });
  await refusedByAll(unknowing, "alice", bytes, "mk-11");
});

test("M-CUS-08: clients follow an external sender with a credential of a registered type", async () => {
  const type = 0xf0c0;
  const credential = { type: "custom", credentialType: type, body: Uint8Array.of(1, 42) } as const;
  const server = await newSigner();
  const types = { ...registered(), credentials: new Map([[type, skipOpaque]]) };
  const senders = [{ signatureKey: server.publicKey, credential }];
  const extension = makeExtension(ExtensionType.externalSenders, ExternalSenders, senders);
  const { world, a, b } = await three({ types, authenticationService: acceptAnyCredential });
  const { commit } = await a.commit({ extensions: [extension] });
  await a.acceptCommit();
  const outcome = await b.process(commit, { accept: true });
  const credentials = "credentials" in outcome ? outcome.credentials : [];
  expect(credentials.map(({ next }) => next.credential)).toContainEqual(credential);
  await world.groups[2]!.process(commit);
  const address = { groupId: a.id, epoch: a.epoch, extensions: a.extensions };
  const remove = { type: "remove", removed: 2 } as const;
  const bytes = await createExternalProposal(address, remove, server, types);
  expect(await b.process(bytes)).toMatchObject({
    kind: "externalProposal",
    sender: { type: "external", credential },
  });
});

test("M-CUS-09: required capabilities that a remaining or added member lacks are refused", async () => {
  const { world, a } = await three();
  const { client } = await world.newClient("dave");
  const extension = required({ proposalTypes: [CUSTOM] });
  const able = (await client.createKeyPackage()).bytes;
  const unable = (await client.createKeyPackage({ capabilities: plain })).bytes;
  // For members that are added, and for those that stay.
  const rule = "valn1001";
  await expect(a.commit({ add: [unable], setExtension: extension })).rejects.toMatchObject({
    rule,
  });
  await world.commit(0, { add: [unable] });
  await expect(a.commit({ setExtension: extension })).rejects.toMatchObject({ rule });
  // Not for one that goes.
  await world.commit(0, { remove: [3], setExtension: extension });
  await expect(a.commit({ add: [unable] })).rejects.toMatchObject({ rule: "valn0103" });
  await world.commit(0, { add: [able] });
  expect(a.memberCount).toBe(4);
});
