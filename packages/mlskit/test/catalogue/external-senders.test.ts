/** Catalogue M-EXT: external senders and new members. RFC 9420 §12.1.8. */
import { expect, test } from "vitest";
import { utf8 } from "../../src/codec/index.ts";
import { CIPHER_SUITES } from "../../src/crypto/index.ts";
import {
  createExternalProposal,
  ExternalSenders,
  ExtensionType,
  type Group,
  type Proposal,
  readExtension,
  type RegisteredTypes,
} from "../../src/index.ts";
import { type TestGroup, testGroup, type TestGroupOptions } from "../../src/testing/index.ts";
import { decodeMlsMessage, type GroupContext } from "../../src/wire.ts";
import { acceptAnyCredential } from "../support/environment.ts";
import { newDesk, seat } from "../support/forge-clients.ts";
import { externalSenders, pskId } from "../support/forge-lists.ts";
import { forgeProposal } from "../support/forge.ts";
import { newSigner } from "../support/parties.ts";
import { TestGroup as Parties } from "../support/test-group.ts";

const TYPES: RegisteredTypes = {
  proposals: new Map(),
  credentials: new Map(),
  extensions: new Set(),
};

async function world(
  options: TestGroupOptions = {},
): Promise<{ all: TestGroup; a: Group; b: Group }> {
  const all = await testGroup({ authenticationService: acceptAnyCredential, ...options });
  const [a, b] = all.groups as readonly [Group, Group];
  return { all, a, b };
}

/** All that an outsider knows. */
function contextIn(groupInfo: Uint8Array): GroupContext {
  const decoded = decodeMlsMessage(groupInfo);
  if (decoded.wireFormat !== "groupInfo") throw new Error("a GroupInfo was expected");
  return decoded.message.groupContext;
}

test("M-EXT-01: external senders are a typed list for all suites, set at creation, changed later, and put to the service", async () => {
  for (const { id: cipherSuite } of CIPHER_SUITES) {
    const [one, two] = [await newSigner(cipherSuite), await newSigner(cipherSuite)];
    const { all, a, b } = await world({ cipherSuite, extensions: [externalSenders(one)] });
    const list = (group: Group) =>
      readExtension(group.extensions, ExtensionType.externalSenders, ExternalSenders);
    const credential = { type: "basic", identity: utf8("server") };
    expect(list(b)).toEqual([{ signatureKey: one.publicKey, credential }]);
    await all.commit(0, { setExtension: externalSenders(one, two) });
    expect(list(b)).toHaveLength(2);
    expect(a.extensions).toEqual(b.extensions);
  }
  const signer = await newSigner();
  const all = await testGroup();
  const [a] = all.groups as readonly [Group];
  const setExtension = externalSenders(signer);
  const code = "CREDENTIAL_REJECTED";
  await expect(a.commit({ setExtension })).rejects.toMatchObject({ code });
  const { client } = all.members[0]!;
  await expect(client.createGroup({ extensions: [setExtension] })).rejects.toMatchObject({ code });
  all.directory.add({ identity: "server", signatureKey: signer.publicKey });
  await all.commit(0, { setExtension });
  await client.createGroup({ extensions: [setExtension] });
});

test("M-EXT-02: a sender outside the group makes all its proposals from a GroupInfo, and finds its index by key", async () => {
  const [other, server] = [await newSigner(), await newSigner()];
  const { all, a, b } = await world({ extensions: [externalSenders(other, server)] });
  const context = contextIn(await a.groupInfo());
  const dave = (await all.newClient("dave")).client;
  const keyPackage = decodeMlsMessage((await dave.createKeyPackage()).bytes);
  if (keyPackage.wireFormat !== "keyPackage") throw new Error("a key package was expected");
  const { extensions } = context;
  const proposals: Proposal[] = [
    { type: "add", keyPackage: keyPackage.message },
    { type: "remove", removed: 2 },
    { type: "psk", psk: pskId("id") },
    { type: "reInit", groupId: utf8("next"), version: 1, cipherSuite: 1, extensions: [] },
    { type: "groupContextExtensions", extensions },
  ];
  for (const proposal of proposals) {
    const bytes = await createExternalProposal(context, proposal, server, TYPES);
    expect(await b.process(bytes)).toMatchObject({
      kind: "externalProposal",
      proposal: { type: proposal.type },
      sender: { type: "external", senderIndex: 1 },
    });
  }
  const unknown = createExternalProposal(context, proposals[1]!, await newSigner(), TYPES);
  await expect(unknown).rejects.toMatchObject({ code: "INVALID_SIGNER" });
});

test("M-EXT-03: receivers verify with the listed key, and an unknown index is UNKNOWN_EXTERNAL_SENDER", async () => {
  const server = await newSigner();
  const parties = await Parties.of(["alice", "bob"], { extensions: [externalSenders(server)] });
  const group = await seat(parties, await newDesk("dave"));
  const codeOf = async (senderIndex: number, signer = server): Promise<string | undefined> => {
    const { bytes } = await forgeProposal(
      parties.party("alice"),
      { type: "remove", removed: 1 },
      { sender: { type: "external", senderIndex }, signer },
    );
    const outcome = await group.process(bytes);
    return "error" in outcome ? outcome.error.code : outcome.kind;
  };
  expect(await codeOf(0)).toBe("externalProposal");
  expect(await codeOf(0, await newSigner())).toBe("SIGNATURE_INVALID");
  expect(await codeOf(1)).toBe("UNKNOWN_EXTERNAL_SENDER");
});

test("M-EXT-04: messages from outside are public and without membership tag, in private groups too", async () => {
  const server = await newSigner();
  const { all, a } = await world({
    extensions: [externalSenders(server)],
    config: { handshake: { send: "private", accept: "private" } },
    policy: { reviewProposal: () => true },
  });
  const context = contextIn(await a.groupInfo());
  const remove = { type: "remove", removed: 2 } as const;
  const dave = (await all.newClient("dave")).client;
  for (const bytes of [
    await createExternalProposal(context, remove, server, TYPES),
    (await dave.proposeJoin(context)).bytes,
  ]) {
    const decoded = decodeMlsMessage(bytes);
    expect(decoded.wireFormat === "publicMessage" && decoded.message.membershipTag).toBeUndefined();
    expect((await a.process(bytes)).kind).toMatch(/Proposal$/);
  }
});

test("M-EXT-05: a client proposes its own addition and keeps the key package for the Welcome", async () => {
  const { all, a } = await world({ policy: { reviewProposal: () => true } });
  const addresses = [
    () => ({ groupId: a.id, epoch: a.epoch }),
    async () => contextIn(await a.groupInfo()),
  ];
  for (const [i, address] of addresses.entries()) {
    const { client } = await all.newClient(`joiner ${i}`);
    const { bytes, keyPackage } = await client.proposeJoin(await address());
    const kept = await client.keyPackages();
    expect(kept.map(({ reference }) => reference)).toEqual([keyPackage.reference]);
    await a.process(bytes, { accept: true });
    const { welcomes } = await a.commitImmediately();
    const joined = await client.join(welcomes[0]!.bytes);
    expect(joined.epochAuthenticator).toEqual(a.epochAuthenticator);
  }
});

test("M-EXT-06: the policy decides on outside proposals; without one listed senders may and joiners may not", async () => {
  const server = await newSigner();
  const extensions = [externalSenders(server)];
  const run = async (options: TestGroupOptions): Promise<string[]> => {
    const { all, a } = await world({ extensions, ...options });
    const context = contextIn(await a.groupInfo());
    const remove = { type: "remove", removed: 2 } as const;
    const external = await createExternalProposal(context, remove, server, TYPES);
    const joiner = await (await all.newClient("dave")).client.proposeJoin(context);
    const outcomes = [await a.process(external), await a.process(joiner.bytes)];
    return outcomes.map((outcome) => ("error" in outcome ? outcome.error.code : outcome.kind));
  };
  expect(await run({})).toEqual(["externalProposal", "POLICY_REJECTED"]);
  const reviewProposal = ({ sender }: { readonly sender: { readonly type: string } }) =>
    sender.type === "external" ? { reason: "no servers" } : (true as const);
  expect(await run({ policy: { reviewProposal } })).toEqual([
    "POLICY_REJECTED",
    "newMemberProposal",
  ]);
});

test("M-EXT-07: other types from outside are refused before storing", async () => {
  const server = await newSigner();
  const parties = await Parties.of(["alice", "bob"], { extensions: [externalSenders(server)] });
  const group = await seat(parties, await newDesk("dave"));
  const alice = parties.party("alice");
  const update: Proposal = {
    type: "update",
    leafNode: alice.epoch.tree.leaf(alice.epoch.ownLeaf)!,
  };
  const init: Proposal = { type: "externalInit", kemOutput: new Uint8Array(32) };
  const remove: Proposal = { type: "remove", removed: 1 };
  const external = { type: "external", senderIndex: 0 } as const;
  const cases = [
    { proposal: update, sender: external, rule: "valn1502" },
    { proposal: init, sender: external, rule: "mk-65" },
    { proposal: remove, sender: { type: "newMemberProposal" } as const, rule: "valn1504" },
  ];
  for (const { proposal, sender, rule } of cases) {
    const { bytes } = await forgeProposal(alice, proposal, { sender, signer: server });
    const outcome = await group.process(bytes, { accept: true });
    expect(outcome).toMatchObject({ kind: "invalidProposal", error: { rule } });
    expect(group.pendingProposals).toEqual([]);
  }
});

test("M-EXT-08: a group can have several external senders", async () => {
  const servers = [await newSigner(), await newSigner(), await newSigner()];
  const { all, a } = await world({ members: 5, extensions: [externalSenders(...servers)] });
  const context = contextIn(await a.groupInfo());
  for (const [i, server] of servers.entries()) {
    const remove = { type: "remove", removed: i + 2 } as const;
    await all.deliver(await createExternalProposal(context, remove, server, TYPES));
  }
  const { summary } = await all.commit(0);
  expect(summary.removed.map(({ by }) => by)).toEqual(
    servers.map((_, senderIndex) => ({ type: "external", senderIndex })),
  );
  expect(a.memberCount).toBe(2);
});
