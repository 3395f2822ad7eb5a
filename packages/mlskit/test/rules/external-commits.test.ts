/** Rules of section 9: joining without an invitation. RFC 9420 §12.2, §12.4.3.2. */
import { describe, expect, test } from "vitest";
import { EMPTY_BYTES, equalBytes, toHex, utf8 } from "../../src/codec/index.ts";
import { Secret } from "../../src/crypto/index.ts";
import { ExtensionType, ExternalPub, makeExtension } from "../../src/extensions/extension.ts";
import { decodeMlsMessage } from "../../src/framing/mls-message.ts";
import type { CommitCandidate, Environment } from "../../src/group/environment.ts";
import type { ExternalJoinOptions } from "../../src/group/join-by-external-commit.ts";
import type { KeyPackageBundle } from "../../src/group/join-by-welcome.ts";
import type { CachedProposal } from "../../src/group/proposal-entry.ts";
import { customProposal, type Proposal } from "../../src/messages/proposal.ts";
import { leafIndex } from "../../src/tree/tree-math.ts";
import type { RuleId, RuleKind } from "../../src/rule-registry.ts";
import {
  agree,
  authenticates,
  expectRule,
  refuses,
  nothingChanges,
  unchanged,
} from "../support/assertions.ts";
import { acceptAnyCredential, testEnvironment } from "../support/environment.ts";
import {
  type ExternalCommitForgery,
  flipped,
  forgeExternalCommit,
  forgeGroupInfo,
  forgeMessage,
  type GroupInfoForgery,
  nodesOf,
  withLeaf,
  withParent,
} from "../support/forge.ts";
import { contents, newDesk, seat, tell } from "../support/forge-clients.ts";
import {
  ABLE,
  add,
  CUSTOM_PROPOSAL,
  cachedFrom,
  EXTENDED,
  extend,
  externalSenders,
  goesOn,
  groupInfoBytes,
  knowing,
  psk,
  pskId,
  publicGroup,
  publicGroupRefuses,
  refusedEverywhere,
  reInit,
  remove,
  same,
  updateBy,
  withPsks,
} from "../support/forge-lists.ts";
import { newClient, newSigner, Party } from "../support/parties.ts";
import { GROUP_ID, TestGroup } from "../support/test-group.ts";
import { commitIn } from "../support/wire.ts";

const NAMES = ["alice", "bob", "carol"];
const none =
  (proposals: readonly Proposal[]): (() => readonly Proposal[]) =>
  () =>
    proposals;

/** An external commit by a stranger is refused by members and a PublicGroup; an honest one is not. */
async function refused(
  group: TestGroup,
  forgery: ExternalCommitForgery,
  rule: RuleId,
  cached: readonly CachedProposal[] = [],
): Promise<void> {
  const { bytes } = await forgeExternalCommit(
    await newClient("dave"),
    group.party("alice"),
    forgery,
  );
  await refusedEverywhere(group, "dave", bytes, rule, { cached });
  await accepted(group, {});
}

/** Members and a PublicGroup take this external commit, and those who compute secrets agree. */
async function accepted(
  group: TestGroup,
  forgery: ExternalCommitForgery,
  client?: KeyPackageBundle,
): Promise<void> {
  const joiner = client ?? (await newClient("erin"));
  const made = await forgeExternalCommit(joiner, group.party("alice"), forgery);
  await publicGroup(group).process(made.bytes, group.environment);
  for (const party of group.members) {
    await party.receive(made.bytes);
    if (party.isMember) authenticates(party.epoch, made.next);
  }
  group.observer.enter(made.next.public);
}

/** A joiner does not make this, and is as before. */
async function notMade(
  group: TestGroup,
  options: Partial<ExternalJoinOptions>,
  rule: RuleId,
  as?: RuleKind,
): Promise<void> {
  const client = await newClient("dave");
  const expected = as === undefined ? {} : { as };
  await refuses(client, () => group.createExternalJoin(client, options), rule, expected);
}

/** As if they came by value: what only a caller without types can hand over. */
const byValue = (...proposals: readonly Proposal[]): CachedProposal[] =>
  proposals.map((proposal) => {
    const sender = { type: "newMemberCommit" } as const;
    return { proposal, sender, reference: undefined } as unknown as CachedProposal;
  });

const stray: Proposal = { type: "externalInit", kemOutput: new Uint8Array(32).fill(9) };

describe("valn0401", () => {
  test("[X] a joiner makes no second ExternalInit", async () => {
    await notMade(await TestGroup.of(NAMES), { pending: byValue(stray) }, "valn0401");
  });

  test("[R O] none and two ExternalInits are refused", async () => {
    const group = await TestGroup.of(NAMES);
    await refused(group, { proposals: none([]) }, "valn0401");
    await refused(group, { proposals: (init) => [init, stray] }, "valn0401");
    await refused(group, { proposals: (init) => [init, init] }, "valn0401");
    await refused(group, { proposals: none([psk(pskId("key"))]) }, "valn0401");
  });

  test("[X R O] ok: one ExternalInit, in any place", async () => {
    const group = await TestGroup.of(NAMES);
    await group.externalJoin("dave", await newClient("dave"));
    const bob = await newClient("bob", { signer: group.party("bob").signer });
    await accepted(group, { proposals: (init) => [remove(1), init] }, bob);
  });
});

test("valn0406 [R O] an ExternalInit by reference is refused", async () => {
  const group = await TestGroup.of(NAMES);
  const [cached] = await cachedFrom(group.party("bob"), stray);
  await refused(group, { proposals: () => [cached!] }, "valn0406", [cached!]);
});

test("valn0310 valn1501 valn1503 [R O] an external commit comes from no other type of sender", async () => {
  const server = await newSigner();
  const group = await TestGroup.of(NAMES, { extensions: [externalSenders(server)] });
  const client = await newClient("dave");
  const senders = [
    ["valn1501", { type: "external", senderIndex: 0 }],
    ["valn1503", { type: "newMemberProposal" }],
  ] as const;
  for (const [rule, sender] of senders) {
    const made = await forgeExternalCommit(client, group.party("alice"), { sender });
    await refusedEverywhere(group, "dave", made.bytes, rule);
  }
  const member = { type: "member", leafIndex: 1 } as const;
  const { signer } = group.party("bob");
  const posing = await forgeExternalCommit(client, group.party("alice"), {
    sender: member,
    signer,
  });
  await refusedEverywhere(group, "bob", posing.bytes, "valn0310");
  await goesOn(group);
});

describe("a Remove in an external commit", () => {
  test("valn0402 [X] a joiner makes no second Remove", async () => {
    const group = await TestGroup.of(NAMES);
    await notMade(group, { resync: () => 1, pending: byValue(remove(2)) }, "valn0402");
  });

  test("valn0402 [R O] two Removes are refused, of one leaf too", async () => {
    const group = await TestGroup.of(NAMES);
    await refused(group, { proposals: (init) => [init, remove(1), remove(2)] }, "valn0402");
    await refused(group, { proposals: (init) => [init, remove(1), remove(1)] }, "valn0402");
  });

  const sameName: Partial<Environment> = {
    authenticationService: {
      ...acceptAnyCredential,
      isSuccessor: (current, next) =>
        current.credential.type === "basic" &&
        next.credential.type === "basic" &&
        equalBytes(current.credential.identity, next.credential.identity)
          ? true
          : { reason: "somebody else" },
    },
  };

  test("mk-48 [X R] nobody removes the leaf of somebody else", async () => {
    const group = await TestGroup.of(NAMES, { environment: testEnvironment(sameName) });
    await notMade(group, { resync: () => 1 }, "mk-48");
    const made = await forgeExternalCommit(await newClient("dave"), group.party("alice"), {
      proposals: (init) => [init, remove(1)],
    });
    await refusedEverywhere(group, "dave", made.bytes, "mk-48");
    await goesOn(group);
  });

  test("mk-48 [O] an observer asks the same authentication service", async () => {
    const group = await TestGroup.of(NAMES, { environment: testEnvironment(sameName) });
    const proposals = (init: Proposal) => [init, remove(1)];
    const made = await forgeExternalCommit(await newClient("dave"), group.party("alice"), {
      proposals,
    });
    await publicGroupRefuses(group, made.bytes, "mk-48");
  });

  test("valn0701 [X] a joiner removes no blank leaf", async () => {
    await notMade(await TestGroup.of(NAMES), { resync: () => 9 }, "valn0701");
  });

  test("mk-86 [X] a joiner does not come back with the encryption key that its leaf had", async () => {
    const group = await TestGroup.of(NAMES, { path: false });
    const bob = group.party("bob");
    const resync = (): number => 1;
    const { next } = await group.createExternalJoin(bob.bundle, { resync });
    const [before, after] = [bob.epoch, next].map(({ tree }) => tree.leaf(leafIndex(1))!);
    expect(toHex(after!.signatureKey)).toBe(toHex(before!.signatureKey));
    expect(toHex(after!.encryptionKey)).not.toBe(toHex(before!.encryptionKey));
  });

  test("mk-86 [R O] a new leaf with the encryption key of the removed one is refused", async () => {
    const group = await TestGroup.of(NAMES, { path: false });
    const { encryptionKey } = group.party("bob").bundle.keyPackage.leafNode;
    const proposals = (init: Proposal) => [init, remove(1)];
    await refused(group, { proposals, path: { leaf: { encryptionKey } } }, "mk-86");
  });

  test("valn0701 [R O] removing a blank leaf is refused", async () => {
    const group = await TestGroup.of(NAMES);
    await refused(group, { proposals: (init) => [init, remove(9)] }, "valn0701");
  });

  test("valn0402 mk-86 [X R O] ok: a member comes back, with its old or a new signature key", async () => {
    const group = await TestGroup.of(NAMES, { environment: testEnvironment(sameName) });
    const observer = publicGroup(group);
    for (const signer of [group.party("bob").signer, await newSigner()]) {
      const former = group.members.find(({ name }) => name === "bob")!;
      const again = await newClient("bob", { signer });
      const resync = (): number => 1;
      const made = await group.createExternalJoin(again, { resync });
      await observer.process(made.commit, group.environment);
      for (const party of group.members) await party.receive(made.commit);
      expect(former.isMember).toBe(false);
      group.parties.delete("bob");
      group.observer.enter(made.next);
      same(group);
      group.parties.set("bob", new Party("bob", again, made.next, group.environment));
    }
    await agree(group);
  });
});

describe("PSKs of an external commit", () => {
  const many = Array.from({ length: 20 }, (_, i) => pskId(`key ${i}`));

  test("valn0403 [X R O] ok: twenty PSKs in an external commit", async () => {
    const group = await TestGroup.of(NAMES, { environment: withPsks() });
    const observer = publicGroup(group);
    const { commit } = await group.externalJoin("dave", await newClient("dave"), { psks: many });
    await observer.process(commit, group.environment);
    await agree(group);
  });

  test("mk-90 [X] a joiner that lacks a PSK does not join with zeros", async () => {
    const group = await TestGroup.of(NAMES);
    await notMade(group, { psks: [pskId("key")] }, "valn1205", "STA");
  });

  test("mk-90 [R] a member that lacks a PSK waits for it", async () => {
    const group = await TestGroup.of(NAMES, { environment: withPsks() });
    const { commit, next } = await group.createExternalJoin(await newClient("dave"), {
      psks: [pskId("key")],
    });
    const bob = group.party("bob");
    bob.environment = testEnvironment();
    await refuses(bob, () => bob.receive(commit), "valn1205", { code: "MISSING_PSK" });
    bob.environment = group.environment;
    await bob.receive(commit);
    expect(toHex(bob.epoch.contextBytes)).toBe(toHex(next.contextBytes));
  });

  test("mk-90 [R] a PSK that the joiner names and does not use is noticed", async () => {
    const group = await TestGroup.of(NAMES, { environment: withPsks() });
    const proposals = (init: Proposal) => [init, psk(pskId("key"))];
    for (const psks of [[], [{ id: pskId("key"), secret: new Secret(new Uint8Array(32)) }]]) {
      const made = await forgeExternalCommit(await newClient("dave"), group.party("alice"), {
        proposals,
        psks,
      });
      await refusedEverywhere(group, "dave", made.bytes, "mk-77", { observer: false });
    }
    await goesOn(group);
  });

  test("mk-90 [X R] ok: PSKs enter on both sides", async () => {
    const group = await TestGroup.of(NAMES, { environment: withPsks() });
    await group.externalJoin("dave", await newClient("dave"), { psks: [pskId("a"), pskId("b")] });
    await agree(group);
  });
});

describe("valn0404", () => {
  const types = {
    proposals: new Map([
      [CUSTOM_PROPOSAL, {}],
      [CUSTOM_PROPOSAL + 1, { inExternalCommit: "byValue" as const }],
    ]),
    credentials: new Map(),
    extensions: new Set<number>(),
  };
  const client = { capabilities: { proposals: [CUSTOM_PROPOSAL, CUSTOM_PROPOSAL + 1] } };
  const options = { client, environment: testEnvironment({ types }) };
  const unwanted: readonly [string, (group: TestGroup) => Promise<Proposal>][] = [
    ["an Add", async () => add(await newClient("frank", client))],
    ["an Update", async (group) => (await updateBy(group.party("bob"))).cached.proposal],
    ["new extensions", async () => extend([])],
    ["a ReInit", async () => reInit()],
    ["a registered type", async () => customProposal(CUSTOM_PROPOSAL, utf8("x"))],
  ];

  test.each(unwanted)("[X] a joiner commits no %s", async (_, make) => {
    const group = await TestGroup.of(NAMES, options);
    await notMade(group, { pending: byValue(await make(group)) }, "valn0404");
  });

  test.each(unwanted)("[R O] %s in an external commit is refused", async (_, make) => {
    const group = await TestGroup.of(NAMES, options);
    const other = await make(group);
    const { bytes } = await forgeExternalCommit(
      await newClient("dave", client),
      group.party("alice"),
      {
        proposals: (init) => [init, other],
      },
    );
    await refusedEverywhere(group, "dave", bytes, "valn0404");
    await goesOn(group);
  });

  test("[X R O] ok: Remove, PreSharedKey and types registered for it", async () => {
    const environment = withPsks({ types });
    const group = await TestGroup.of(NAMES, { client, environment });
    const special = customProposal(CUSTOM_PROPOSAL + 1, utf8("x"));
    const bob = await newClient("bob", client);
    const list = (init: Proposal) => [init, remove(1), psk(pskId("key")), special];
    const secret = (await environment.psks(pskId("key")))!;
    await accepted(group, { proposals: list, psks: [{ id: pskId("key"), secret }] }, bob);
    await group.createExternalJoin(await newClient("erin", client), { pending: byValue(special) });
  });
});

describe("valn0405", () => {
  test("[R O] an external commit without a path is refused", async () => {
    await refused(await TestGroup.of(NAMES), { path: false }, "valn0405");
  });

  test("valn0405 valn0407 [X] a joiner sends a path, signed with the key of its leaf", async () => {
    const group = await TestGroup.of(NAMES);
    const client = await newClient("dave");
    const { commit } = await group.createExternalJoin(client);
    const { path } = commitIn(commit);
    expect(path!.leafNode.signatureKey).toEqual(client.signer.publicKey);
    await publicGroup(group).process(commit, group.environment);
  });

  test("valn0405 valn0406 valn0407 valn0408 [X R O] ok: what a joiner makes is taken", async () => {
    const group = await TestGroup.of(NAMES);
    const observer = publicGroup(group);
    const { commit } = await group.externalJoin("dave", await newClient("dave"));
    const { message } = decodeMlsMessage(commit);
    expect("content" in message && message.content.sender).toEqual({ type: "newMemberCommit" });
    await observer.process(commit, group.environment);
    await agree(group);
  });
});

describe("valn0406", () => {
  test("[X] a joiner refers to no proposals", async () => {
    const group = await TestGroup.of(NAMES);
    const pending = await cachedFrom(group.party("bob"), add(await newClient("frank")));
    await notMade(group, { pending }, "valn0406");
    await notMade(group, { pending: await cachedFrom(group.party("bob"), remove(2)) }, "valn0406");
  });

  test("[R O] an external commit that refers to a proposal is refused", async () => {
    const group = await TestGroup.of(NAMES);
    for (const proposal of [remove(2), psk(pskId("key")), add(await newClient("frank"))]) {
      const [cached] = await cachedFrom(group.party("bob"), proposal);
      await refused(group, { proposals: (init) => [init, cached!] }, "valn0406", [cached!]);
    }
  });
});

describe("valn0407", () => {
  test("[R O] an external commit with a damaged signature is refused", async () => {
    const group = await TestGroup.of(NAMES);
    await refused(group, { alterSignature: (it) => flipped(it, 3) }, "valn0407");
  });

  test("[R O] an external commit signed with another key than its leaf's is refused", async () => {
    const group = await TestGroup.of(NAMES);
    await refused(
      group,
      { signer: group.party("bob").signer, path: { leafSigner: await newSigner() } },
      "valn0407",
    );
    await refused(group, { signedContext: EMPTY_BYTES }, "valn0407");
  });
});

describe("valn0408", () => {
  test("[R O] a new member that commits sends no proposal", async () => {
    const group = await TestGroup.of(NAMES);
    const { signer } = await newClient("dave");
    const content = { contentType: "proposal", proposal: remove(1) } as const;
    const sender = { type: "newMemberCommit" } as const;
    const bytes = await forgeMessage(group.party("alice"), content, { sender, signer });
    await refusedEverywhere(group, "dave", bytes, "valn0408");
    await goesOn(group);
  });

  test("[X] a joiner's message says that it comes from a new member", async () => {
    const group = await TestGroup.of(NAMES);
    const { commit } = await group.createExternalJoin(await newClient("dave"));
    const { wireFormat, message } = decodeMlsMessage(commit);
    expect(wireFormat).toBe("publicMessage");
    expect("content" in message && message.content.sender).toEqual({ type: "newMemberCommit" });
    expect("membershipTag" in message && message.membershipTag).toBe(undefined);
  });
});

/** A joiner refuses a GroupInfo that an insider made up, and is as before. */
async function disbelieved(
  forgery: (group: TestGroup) => GroupInfoForgery | Promise<GroupInfoForgery>,
  rule: RuleId,
  as?: "UNS" | "VAL",
): Promise<void> {
  const group = await TestGroup.of(NAMES);
  const { groupInfo } = await forgeGroupInfo(group.party("alice").epoch, await forgery(group));
  await notMade(group, { groupInfo }, rule, as);
}

describe("mk-87", () => {
  const withPub = (publicKey: Uint8Array): GroupInfoForgery => ({
    alterExtensions: ([tree]) => [
      tree!,
      makeExtension(ExtensionType.externalPub, ExternalPub, publicKey),
    ],
  });

  test("[X] a GroupInfo without a key for external joins does not do", async () => {
    await disbelieved(() => ({ alterExtensions: ([tree]) => [tree!] }), "mk-87");
  });

  test.each([0, 31, 33, 65])("[X] a key of %i bytes is refused", async (length) => {
    await disbelieved(() => withPub(new Uint8Array(length).fill(9)), "mk-87");
  });

  test("[X] ok: one key of the suite beside other extensions", async () => {
    const group = await TestGroup.of(NAMES);
    const { groupInfo } = await forgeGroupInfo(group.party("alice").epoch, {
      alterExtensions: (all) => [...all, { type: 0x4444, data: utf8("unknown") }],
    });
    await group.createExternalJoin(await newClient("dave"), { groupInfo });
  });
});

describe("mk-88", () => {
  const cases: readonly [
    RuleId,
    string,
    (group: TestGroup) => GroupInfoForgery | Promise<GroupInfoForgery>,
  ][] = [
    ["valn1402", "a wrong signature", () => ({ alterSignature: (it) => flipped(it, 2) })],
    [
      "valn1402",
      "another member's signature",
      (group) => ({ signWith: group.party("bob").signer }),
    ],
    ["valn1405", "another tree hash", () => ({ context: { treeHash: new Uint8Array(32) } })],
    [
      "valn1406",
      "a broken parent hash",
      ({ observer }) => ({
        nodes: withParent(nodesOf(observer.epoch.tree), 3, { parentHash: new Uint8Array(32) }),
      }),
    ],
    [
      "mk-98",
      "unsorted unmerged leaves",
      ({ observer }) => ({
        nodes: withParent(nodesOf(observer.epoch.tree), 3, { unmergedLeaves: [2, 1] }),
      }),
    ],
    [
      "valn1408",
      "an unmerged leaf that is blank",
      ({ observer }) => ({
        nodes: withParent(nodesOf(observer.epoch.tree), 3, { unmergedLeaves: [3] }),
      }),
    ],
    [
      "valn0113",
      "an invalid leaf",
      async (group) => {
        const capabilities = {
          ...group.party("bob").bundle.keyPackage.leafNode.capabilities,
          credentials: [],
        };
        const nodes = nodesOf(group.observer.epoch.tree);
        return { nodes: await withLeaf(nodes, 1, group.party("bob"), { capabilities }) };
      },
    ],
    [
      "valn1415",
      "an unknown extension in the context",
      () => ({ context: { extensions: [{ type: 0x5555, data: EMPTY_BYTES }] } }),
    ],
  ];

  test.each(cases)("%s [X] a GroupInfo with %s is refused", async (rule, _says, forgery) => {
    await disbelieved(forgery, rule, rule === "valn1415" ? "UNS" : undefined);
  });

  test("valn1402 [X] a GroupInfo signed by nobody is refused", async () => {
    await disbelieved(() => ({ signer: 7 }), "valn1402", "VAL");
  });

  test("valn0112 [X] a tree that repeats a key is refused", async () => {
    const group = await TestGroup.of(NAMES, { path: false });
    const { encryptionKey } = group.party("bob").bundle.keyPackage.leafNode;
    const nodes = await withLeaf(nodesOf(group.observer.epoch.tree), 2, group.party("carol"), {
      encryptionKey,
    });
    const { groupInfo } = await forgeGroupInfo(group.party("alice").epoch, { nodes });
    const client = await newClient("dave");
    const error = await unchanged(client, () =>
      group.createExternalJoin(client, { groupInfo }).catch((reason: unknown) => reason),
    );
    expect(error).toMatchObject({ rule: "valn0112" });
  });

  test("mk-96 [X] without a tree, or with two different ones, nobody joins", async () => {
    const group = await TestGroup.of(NAMES);
    const groupInfo = await group.groupInfo("alice", { ratchetTree: false });
    await notMade(group, { groupInfo }, "mk-96");
    const ratchetTree = group.observer.epoch.tree.encode();
    const complete = await group.groupInfo("alice");
    await notMade(
      group,
      { groupInfo: complete, ratchetTree: flipped(ratchetTree, 9) },
      "mk-96",
      "VAL",
    );
  });

  test("valn1403 [X] a client in the group does not join it again, unless it resyncs", async () => {
    const group = await TestGroup.of(["alice", "bob"]);
    const desk = await newDesk("carol");
    const own = await seat(group, desk);
    const info = groupInfoBytes(await group.groupInfo("alice"));
    const before = await contents(desk);
    await expectRule(() => desk.client.joinExternally(info), "valn1403");
    expect(await contents(desk)).toEqual(before);
    const { group: again, commit } = await desk.client.joinExternally(info, {
      resync: { leafIndex: 2 },
    });
    await tell(group, commit);
    await desk.client.acceptJoin(own.id);
    expect(toHex(again.epochAuthenticator)).toBe(
      toHex(group.party("alice").epoch.secrets.epochAuthenticator.bytes),
    );
  });

  test("mk-88 [X] ok: an honest GroupInfo, the tree inside, beside it, or both", async () => {
    const group = await TestGroup.of(NAMES);
    const ratchetTree = group.observer.epoch.tree.encode();
    const bare = await group.groupInfo("alice", { ratchetTree: false });
    const full = await group.groupInfo("alice");
    for (const options of [
      { groupInfo: full },
      { groupInfo: bare, ratchetTree },
      { groupInfo: full, ratchetTree },
    ]) {
      await group.createExternalJoin(await newClient("dave"), options);
    }
  });
});

describe("mk-89", () => {
  const places = [
    ["a leaf further right", 5],
    ["an occupied leaf", 2],
  ] as const;

  test.each(places)("[R O] a joiner that takes %s is refused", async (_, position) => {
    const group = await TestGroup.of([...NAMES, "dave", "erin"]);
    await group.commit("alice", { proposals: [remove(1)] });
    const client = await newClient("frank");
    const path = { leafBinding: { leafIndex: position } };
    const { bytes } = await forgeExternalCommit(client, group.party("alice"), { path });
    await refusedEverywhere(group, "frank", bytes, "valn0102");
    await goesOn(group);
  });

  test("[R O] a path for another place is refused", async () => {
    const group = await TestGroup.of([...NAMES, "dave"]);
    await group.commit("alice", { proposals: [remove(1)] });
    const client = await newClient("frank");
    const { bytes } = await forgeExternalCommit(client, group.party("alice"), { position: 3 });
    const bob = group.party("carol");
    const error = await unchanged(bob, () => bob.receive(bytes).catch((reason: unknown) => reason));
    expect(error).toMatchObject({ code: "INVALID_COMMIT" });
    const observed = publicGroup(group).process(bytes, group.environment);
    await expect(observed).rejects.toMatchObject({ code: "INVALID_COMMIT" });
  });

  test("[X] a joiner takes the leftmost blank leaf", async () => {
    const group = await TestGroup.of([...NAMES, "dave", "erin"]);
    await group.commit("alice", { proposals: [remove(3), remove(2)] });
    const { next } = await group.createExternalJoin(await newClient("frank"));
    expect(next.ownLeaf).toBe(2);
  });

  test("[X R O] ok: blanks, a freed leaf further left, and the end of the tree", async () => {
    const group = await TestGroup.of([...NAMES, "dave", "erin"]);
    await group.commit("alice", { proposals: [remove(2)] });
    const bob = await newClient("bob");
    const observer = publicGroup(group);
    const made = await group.createExternalJoin(bob, { resync: () => 1 });
    expect(made.next.ownLeaf).toBe(1);
    await observer.process(made.commit, group.environment);
    for (const party of group.members) await party.receive(made.commit);
    group.observer.enter(made.next);
    for (const leaf of [2, 5, 6]) {
      const name = `number ${leaf}`;
      const { commit, next } = await group.externalJoin(name, await newClient(name));
      expect(next.ownLeaf).toBe(leaf);
      await observer.process(commit, group.environment);
    }
    same(group);
  });
});

describe("mk-91", () => {
  const without = (refuse: (candidate: CommitCandidate) => boolean): Environment =>
    testEnvironment({
      policy: { reviewCommit: (it) => (refuse(it) ? { reason: "not like this" } : true) },
    });
  const isResync = ({ isExternal, proposals }: CommitCandidate): boolean =>
    isExternal && proposals.some(({ proposal }) => proposal.type === "remove");

  test("[R O] external commits can be refused", async () => {
    const environment = without(({ isExternal }) => isExternal);
    const group = await TestGroup.of(NAMES, { environment });
    const { bytes } = await forgeExternalCommit(await newClient("dave"), group.party("alice"));
    await refusedEverywhere(group, "dave", bytes, "mk-91");
    await goesOn(group);
  });

  test("[R O] external commits that replace a leaf can be refused", async () => {
    const group = await TestGroup.of(NAMES, { environment: without(isResync) });
    const proposals = (init: Proposal) => [init, remove(1)];
    await refused(group, { proposals }, "mk-91");
  });

  test("[R] a group's configuration keeps external joiners out", async () => {
    const group = await TestGroup.of(["alice", "bob"]);
    const desk = await newDesk("carol");
    const own = await seat(group, desk);
    await own.configure({ externalCommits: false });
    const { bytes } = await forgeExternalCommit(await newClient("dave"), group.party("alice"));
    const outcome = await nothingChanges(() => own.process(bytes));
    expect(outcome).toMatchObject({ kind: "invalid", error: { rule: "mk-91", blame: "policy" } });
    expect(own.status).toBe("active");
  });

  test("[R O] ok: a policy that admits the joiner is asked with both views of the group", async () => {
    const seen: (readonly [boolean, number, bigint, number])[] = [];
    const environment = without(({ isExternal, committer, before, after }) => {
      seen.push([isExternal, committer, before.epoch, [...after.members()].length]);
      return false;
    });
    const group = await TestGroup.of(NAMES, { environment });
    const { epoch } = group.observer.epoch.context;
    seen.length = 0;
    await accepted(group, {});
    expect(seen).toEqual(Array.from({ length: 4 }, () => [true, 3, epoch, 4]));
  });
});

describe("mk-92", () => {
  test("[X] a refused join leaves the store as it was", async () => {
    const group = await TestGroup.of(NAMES);
    const desk = await newDesk("dave");
    const info = groupInfoBytes(await group.groupInfo("alice"));
    const before = (await contents(desk)).filter((record) => !record.startsWith("meta "));
    const { group: own } = await desk.client.joinExternally(info);
    expect(own.status).toBe("pendingJoin");
    await expect(own.send("too early")).rejects.toMatchObject({ code: "PENDING_JOIN" });
    await expect(own.commit()).rejects.toMatchObject({ code: "PENDING_JOIN" });
    expect(() => own.epochAuthenticator).toThrow();
    await desk.client.rejectJoin(GROUP_ID);
    const after = (await contents(desk)).filter((record) => !record.startsWith("meta "));
    expect(after).toEqual(before);
    expect(await desk.client.groups()).toEqual([]);
  });

  test("[X] ok: an accepted join can be used at once", async () => {
    const group = await TestGroup.of(NAMES);
    const desk = await newDesk("dave");
    const info = groupInfoBytes(await group.groupInfo("alice"));
    const { group: own, commit } = await desk.client.joinExternally(info);
    await tell(group, commit);
    expect((await own.process(commit)).kind).toBe("ownCommit");
    const { bytes } = await own.send("here I am");
    const received = await group.party("bob").receive(bytes);
    expect(received.kind).toBe("application");
  });
});

test("valn1210 [R O] the group's extensions apply to an external joiner", async () => {
  const group = await TestGroup.of(NAMES, {
    extensions: EXTENDED,
    client: ABLE,
    environment: knowing(),
  });
  const { bytes } = await forgeExternalCommit(await newClient("dave"), group.party("alice"));
  await refusedEverywhere(group, "dave", bytes, "valn1210");
});
