/** A delivery service follows a group by its public handshakes. RFC 9420 §6.2, §12.4. */
import { describe, expect, test } from "vitest";
import { toHex, utf8 } from "../../src/codec/index.ts";
import type { Signer } from "../../src/crypto/index.ts";
import {
  type Extension,
  ExternalSenders,
  ExtensionType,
  makeExtension,
} from "../../src/extensions/extension.ts";
import { decodeMlsMessage, encodeMlsMessage } from "../../src/framing/mls-message.ts";
import { createGroup } from "../../src/group/create-group.ts";
import { createGroupInfo } from "../../src/group/group-info-creation.ts";
import { createNewMemberProposal } from "../../src/group/external-proposal.ts";
import type { PublicEpoch } from "../../src/group/epoch.ts";
import { createProposal } from "../../src/group/proposal-message.ts";
import { keyPackageRef } from "../../src/key-packages/key-package.ts";
import type { PreSharedKeyId } from "../../src/key-schedule/pre-shared-key.ts";
import { Secret } from "../../src/crypto/index.ts";
import type { ObservedCommit } from "../../src/observer/index.ts";
import { PublicGroup, type PublicGroupOptions } from "../../src/observer/index.ts";
import type { Environment } from "../../src/group/environment.ts";
import { expectRule } from "../support/assertions.ts";
import { testEnvironment } from "../support/environment.ts";
import { newClient, newSigner, provider } from "../support/parties.ts";
import { MESSAGE_DEFAULTS, TestGroup, type TestGroupOptions } from "../support/test-group.ts";

const environment = testEnvironment();

interface Watched {
  readonly group: TestGroup;
  readonly server: PublicGroup;
}

async function watched(
  options: TestGroupOptions & PublicGroupOptions = {},
  names: readonly string[] = ["alice", "bob", "carol"],
): Promise<Watched> {
  const group = await TestGroup.of(names, { environment, ...options });
  const groupInfo = await group.groupInfo("alice");
  const started = await PublicGroup.start(provider, { groupInfo }, environment, options);
  expect(started.unverified).toEqual(["confirmationTag"]);
  return { group, server: started.group };
}

function expectSame(server: PublicGroup, epoch: PublicEpoch): void {
  expect(toHex(server.publicEpoch.contextBytes)).toBe(toHex(epoch.contextBytes));
  expect(toHex(server.publicEpoch.interimTranscriptHash)).toBe(toHex(epoch.interimTranscriptHash));
  expect(toHex(server.ratchetTree())).toBe(toHex(epoch.tree.encode()));
}

async function commit(
  server: PublicGroup,
  bytes: Uint8Array,
  env: Environment = environment,
): Promise<ObservedCommit> {
  const observed = await server.process(bytes, env);
  if (observed.type !== "commit") throw new Error("a Commit was expected");
  return observed;
}

async function serverSender(): Promise<{ signer: Signer; extensions: readonly Extension[] }> {
  const signer = await newSigner();
  const { publicKey: signatureKey } = signer;
  const credential = { type: "basic", identity: utf8("server") } as const;
  const body = [{ signatureKey, credential }];
  const extensions = [makeExtension(ExtensionType.externalSenders, ExternalSenders, body)];
  return { signer, extensions };
}

describe.each([1, 2, 7])("suite %i", (suite) => {
  test("M-OBS-01 M-OBS-02 mk-113 it follows an addition, and no Commit whose proposals it lacks", async () => {
    const { group, server } = await watched({ suite });
    const dave = await newClient("dave", { suite });
    const added = await group.add("bob", new Map([["dave", dave]]));
    const seen = await commit(server, added.commit);
    expect(seen.summary.added).toMatchObject([{ leafIndex: 3 }]);
    expect(seen.recipients).toEqual([0, 2]);
    expect(seen.welcomed).toEqual([keyPackageRef(provider.suite(suite), dave.keyPackage)]);
    expect(seen.unverified).toEqual(["membershipTag", "confirmationTag", "pathSecrets"]);
    expectSame(server, group.party("carol").epoch);

    const { epoch } = group.party("carol");
    await group.proposeUpdate("dave");
    const updated = await group.commit("alice", { proposals: [{ type: "remove", removed: 1 }] });
    await expectRule(() => server.process(updated.commit, environment), "mk-67");
    expectSame(server, epoch);
  });

  test("M-OBS-01 M-OBS-02 M-OBS-04 it follows updates, removals and external joins", async () => {
    const { group, server } = await watched({ suite });
    const sent: Uint8Array[] = [];
    const deliver = group.deliver.bind(group);
    group.deliver = async (bytes, sender) => {
      sent.push(bytes);
      await deliver(bytes, sender);
    };
    await group.proposeUpdate("carol");
    await group.propose("carol", { type: "remove", removed: 1 });
    await group.commit("alice");
    await group.externalJoin("dave", await newClient("dave", { suite }));
    const free = server.nextExternalLeaf();
    const seen = [];
    for (const bytes of sent) seen.push(await server.process(bytes, environment));
    expect(seen.map(({ type }) => type)).toEqual(["proposal", "proposal", "commit", "commit"]);
    expect(seen[0]?.unverified).toEqual(["membershipTag"]);
    const [, , removal, joined] = seen as [unknown, unknown, ObservedCommit, ObservedCommit];
    expect(removal.summary.removed).toMatchObject([{ leafIndex: 1 }]);
    expect(removal.recipients).toEqual([1, 2]);
    expect(free).toBe(3);
    expect(joined.summary.committer).toBe(1);
    expect(joined.recipients).toEqual([0, 2]);
    expect(joined.unverified).toEqual(["confirmationTag", "pathSecrets", "externalInit"]);
    expectSame(server, group.party("dave").epoch);
  });
});

describe("proposals from outside", () => {
  test("M-OBS-07 M-EXT-02 M-EXT-04 it acts as external sender", async () => {
    const { signer, extensions } = await serverSender();
    const { group, server } = await watched({ extensions });
    const remove = { type: "remove", removed: 2 } as const;
    const proposal = await server.createExternalProposal(remove, signer, environment);
    expect(decodeMlsMessage(proposal).message).toMatchObject({ membershipTag: undefined });
    expect((await server.process(proposal, environment)).unverified).toEqual([]);
    await group.deliver(proposal, "server");
    const made = await group.commit("alice");
    const { summary } = await commit(server, made.commit);
    expect(summary.removed).toMatchObject([{ leafIndex: 2, by: { type: "external" } }]);
    expectSame(server, group.party("bob").epoch);
  });

  test("M-EXT-02 a key that the group does not list is refused", async () => {
    const { extensions } = await serverSender();
    const { server } = await watched({ extensions });
    const remove = { type: "remove", removed: 2 } as const;
    const other = await newSigner();
    const send = async () => server.createExternalProposal(remove, other, environment);
    await expectRule(send, "mk-33", { as: "USE", code: "INVALID_SIGNER" });
  });

  test("M-EXT-06 a new member's own Add is refused unless a policy admits it", async () => {
    const { group, server } = await watched();
    const { keyPackage, signer } = await newClient("dave");
    const { context } = group.observer.epoch;
    const bytes = await createNewMemberProposal(context, keyPackage, signer);
    await expectRule(() => server.process(bytes, environment), "mk-64");
    const policy = { reviewProposal: () => true as const };
    await server.process(bytes, testEnvironment({ policy }));
    expect(server.proposals).toHaveLength(1);
  });
});

describe("what members reject", () => {
  test("M-OBS-02 wrong signatures and tags of the wrong length", async () => {
    const { group, server } = await watched();
    const { commit: bytes } = await group.createCommit("bob");
    const before = server.snapshot();
    const message = decodeMlsMessage(bytes);
    if (message.wireFormat !== "publicMessage") throw new Error("a PublicMessage was expected");
    const { auth, membershipTag } = message.message;
    const change = (changes: object) =>
      encodeMlsMessage({
        wireFormat: "publicMessage",
        message: { ...message.message, ...changes },
      });
    const signature = auth.signature.slice();
    signature[9]! ^= 1;
    const forged = change({ auth: { ...auth, signature } });
    await expectRule(() => server.process(forged, environment), "valn1203");
    const short = change({ membershipTag: membershipTag!.subarray(1) });
    await expectRule(() => server.process(short, environment), "mk-113", { as: "VAL" });
    const tag = auth.confirmationTag!.subarray(1);
    const untagged = change({ auth: { ...auth, confirmationTag: tag } });
    await expectRule(() => server.process(untagged, environment), "mk-113", { as: "VAL" });
    expect(server.snapshot()).toEqual(before);
    await commit(server, bytes);
  });

  test("M-OBS-02 a Commit that the policy refuses", async () => {
    const { group, server } = await watched();
    const { commit: bytes } = await group.createCommit("bob");
    const policy = { reviewCommit: () => ({ reason: "not on a Sunday" }) };
    await expectRule(() => server.process(bytes, testEnvironment({ policy })), "mk-91");
    expect(server.epoch).toBe(1n);
  });

  test("valn1307 valn1201 messages of other epochs", async () => {
    const { group, server } = await watched();
    const first = await group.commit("bob");
    const second = await group.commit("bob");
    const future = () => server.process(second.commit, environment);
    await expectRule(future, "valn1201", { code: "WRONG_EPOCH" });
    await commit(server, first.commit);
    await expectRule(() => server.process(first.commit, environment), "valn1201");
    await commit(server, second.commit);
  });

  test("mk-112 a GroupInfo with a wrong tree or signature", async () => {
    const { group } = await watched();
    const groupInfo = await group.groupInfo("alice", { ratchetTree: false });
    const start = (ratchetTree?: Uint8Array, info = groupInfo) =>
      PublicGroup.start(provider, { groupInfo: info, ratchetTree }, environment);
    await expectRule(() => start(), "mk-96", { as: "STA", code: "TREE_REQUIRED" });
    const tree = group.observer.epoch.tree.encode();
    await group.commit("bob");
    const later = group.observer.epoch.tree.encode();
    await expectRule(() => start(later), "valn1405");
    const signature = groupInfo.signature.slice();
    signature[0]! ^= 1;
    await expectRule(() => start(tree, { ...groupInfo, signature }), "valn1402", { as: "CRY" });
    expect((await start(tree)).group.memberCount).toBe(3);
  });
});

describe("private messages", () => {
  test("M-OBS-03 mk-114 only their outside is read", async () => {
    const { group, server } = await watched();
    const bytes = await group.send("alice", "hello", utf8("for the server"));
    expect(await server.process(bytes, environment)).toEqual({
      type: "private",
      contentType: "application",
      epoch: 1n,
      authenticatedData: utf8("for the server"),
      isLate: false,
      unverified: ["content"],
    });
    const proposal = await createProposal(
      group.party("bob").epoch,
      { type: "remove", removed: 2 },
      { ...MESSAGE_DEFAULTS, wireFormat: "privateMessage" },
      environment,
    );
    const seen = await server.process(proposal.bytes, environment);
    expect(seen).toMatchObject({ type: "private", contentType: "proposal" });
    expect(server.needsGroupInfo).toBe(false);
  });

  test("M-OBS-03 mk-114 a private Commit stops it until it gets a GroupInfo", async () => {
    const { group, server } = await watched();
    const hidden = await group.commit("bob", { wireFormat: "privateMessage" });
    expect(await server.examine(hidden.commit, environment)).toMatchObject({ type: "private" });
    expect(server.needsGroupInfo).toBe(false);
    await server.process(hidden.commit, environment);
    expect(server.needsGroupInfo).toBe(true);
    const next = await group.commit("carol");
    const blind = () => server.process(next.commit, environment);
    await expectRule(blind, "mk-114", { code: "NEEDS_GROUP_INFO" });
    const restored = PublicGroup.restore(provider, server.snapshot(), environment);
    await expectRule(() => restored.process(next.commit, environment), "mk-114");
    const groupInfo = await group.groupInfo("alice");
    await server.rebase({ groupInfo }, environment);
    expectSame(server, group.party("bob").epoch);
    await commit(server, (await group.commit("alice")).commit);
    const stale = () => server.rebase({ groupInfo }, environment);
    await expect(stale()).rejects.toMatchObject({ code: "WRONG_EPOCH" });
  });

  test("mk-24 messages of other groups", async () => {
    const { group } = await watched();
    const other = await PublicGroup.start(
      provider,
      { groupInfo: await otherGroupInfo() },
      environment,
    );
    const bytes = await group.send("alice", "hello");
    await expectRule(() => other.group.process(bytes, environment), "mk-24");
    const { commit: public_ } = await group.createCommit("alice");
    await expectRule(() => other.group.process(public_, environment), "mk-24");
  });

  async function otherGroupInfo() {
    const creator = await newClient("eve");
    const crypto = provider.suite(1);
    const options = { crypto, groupId: utf8("another"), extensions: [], creator };
    const epoch = await createGroup(options, environment);
    return createGroupInfo(epoch, epoch.ownLeaf, epoch.signer, {
      ratchetTree: true,
      externalPub: false,
    });
  }
});

describe("how it is kept", () => {
  test("M-OBS-04 without a cache, proposals are handed in with the Commit", async () => {
    const { group, server } = await watched({ remembersProposals: false });
    const proposals: Uint8Array[] = [];
    const deliver = group.deliver.bind(group);
    group.deliver = async (bytes, sender) => {
      proposals.push(bytes);
      await deliver(bytes, sender);
    };
    await group.propose("carol", { type: "remove", removed: 1 });
    await server.process(proposals[0]!, environment);
    expect(server.proposals).toEqual([]);
    const made = await group.commit("alice");
    await expectRule(() => server.process(made.commit, environment), "mk-67");
    const seen = await server.process(made.commit, environment, [proposals[0]!]);
    expect(seen).toMatchObject({ type: "commit", summary: { removed: [{ leafIndex: 1 }] } });
    expectSame(server, group.party("alice").epoch);
  });

  test("M-OBS-05 messages of some recent epochs are tolerated", async () => {
    const { group, server } = await watched({ pastEpochs: 1 });
    const lost = await group.createCommit("carol");
    const old = await group.send("carol", "late");
    await commit(server, (await group.commit("bob")).commit);
    expect(await server.process(lost.commit, environment)).toEqual({
      type: "late",
      contentType: "commit",
      epoch: 1n,
      sender: { type: "member", leafIndex: 2 },
      authenticatedData: new Uint8Array(),
      unverified: ["membershipTag"],
    });
    expect(await server.process(old, environment)).toMatchObject({ isLate: true });
    await commit(server, (await group.commit("bob")).commit);
    await expectRule(() => server.process(lost.commit, environment), "valn1201");
  });

  test("M-OBS-08 M-OBS-01 it is stored with the tree or without", async () => {
    const { group, server } = await watched();
    const sent = await createProposal(
      group.party("carol").epoch,
      { type: "remove", removed: 1 },
      MESSAGE_DEFAULTS,
      environment,
    );
    group.party("carol").remember(sent.cached);
    await group.deliver(sent.bytes, "carol");
    await server.process(sent.bytes, environment);
    const ratchetTree = server.ratchetTree();
    const small = server.snapshot({ withTree: false });
    const need = () => PublicGroup.restore(provider, small, environment);
    await expectRule(need, "mk-96", { as: "STA", code: "TREE_REQUIRED" });
    const made = await group.commit("alice");
    const other = group.observer.epoch.tree.encode();
    const wrong = () => PublicGroup.restore(provider, small, environment, { ratchetTree: other });
    await expectRule(wrong, "valn1405");
    for (const restored of [
      PublicGroup.restore(provider, small, environment, { ratchetTree }),
      PublicGroup.restore(provider, server.snapshot(), environment),
    ]) {
      await commit(restored, made.commit);
      expectSame(restored, group.party("alice").epoch);
    }
    // What was accepted under other limits is still there after they were lowered.
    const lowered = { ...environment.limits, maximumExtensions: 0, maximumCertificates: 0 };
    const frugal = { ...environment, limits: lowered };
    const again = PublicGroup.restore(provider, server.snapshot(), frugal);
    expect(again.ratchetTree()).toEqual(server.ratchetTree());
    const future = Uint8Array.of(99, 0);
    expect(() => PublicGroup.restore(provider, future, environment)).toThrow("another format");
  });

  test("calls are carried out one after the other", async () => {
    const { group, server } = await watched();
    const commits = [];
    for (const name of ["alice", "bob", "carol"]) commits.push((await group.commit(name)).commit);
    await Promise.all(commits.map((bytes) => server.process(bytes, environment)));
    expectSame(server, group.party("bob").epoch);
  });
});

describe("questions", () => {
  test("M-OBS-06 members, leaves and whether a Commit is acceptable", async () => {
    const { group, server } = await watched();
    const names = [...server.members()].map(({ leafIndex }) => leafIndex);
    expect(names).toEqual([0, 1, 2]);
    const key = group.party("bob").signer.publicKey;
    expect(server.leafWithSignatureKey(key)).toBe(1);
    expect(server.leafWithSignatureKey(new Uint8Array(32))).toBeUndefined();
    expect(server.leaf(1)?.signatureKey).toEqual(key);
    expect(server.leaf(9)).toBeUndefined();
    const { commit: bytes } = await group.createCommit("bob");
    expect(await server.examine(bytes, environment)).toMatchObject({ type: "commit" });
    expect(server.epoch).toBe(1n);
  });

  test("M-OBS-06 M-KP-17 whether a key package can be added, with all reasons", async () => {
    const { group, server } = await watched();
    const good = await newClient("dave");
    expect(await server.keyPackageObstacles(good.keyPackage, environment)).toEqual([]);
    const other = await newClient("eve", { suite: 3 });
    const { keyPackage } = group.party("bob").bundle;
    const rules = async (candidate = keyPackage, env = environment) =>
      (await server.keyPackageObstacles(candidate, env)).map(({ rule }) => rule);
    expect(await rules(other.keyPackage)).toEqual(["valn0201"]);
    const late = testEnvironment({ now: environment.now + 10n ** 9n });
    expect(await rules(keyPackage, late)).toEqual(["valn0105", "valn0306", "valn0112"]);
    const authenticationService = {
      validate: () => [{ reason: "unknown" }],
      isSuccessor: () => true as const,
    };
    const strict = testEnvironment({ authenticationService });
    expect(await rules(good.keyPackage, strict)).toEqual(["valn0101"]);
    const forged = { ...good.keyPackage, signature: good.keyPackage.signature.slice() };
    forged.signature[0]! ^= 1;
    expect(await rules(forged)).toEqual(["valn0203"]);
  });

  test("M-OBS-02 PSKs are not looked for, and named as unverified", async () => {
    const psk: PreSharedKeyId = {
      type: "external",
      pskId: utf8("shared"),
      nonce: new Uint8Array(32),
    };
    const psks = () => new Secret(new Uint8Array(32).fill(7));
    const { group, server } = await watched({ environment: testEnvironment({ psks }) });
    const made = await group.commit("bob", { proposals: [{ type: "psk", psk }] });
    const seen = await commit(server, made.commit);
    expect(seen.unverified).toContain("psks");
    expectSame(server, group.party("carol").epoch);
  });
});
