/** Rules of section 13: what an observer demands, and what it owns up to not knowing. RFC 9420 §6.2, §12.4.3. */
import { describe, expect, test } from "vitest";
import { toHex, utf8 } from "../../src/codec/index.ts";
import { Secret } from "../../src/crypto/index.ts";
import { createProposal } from "../../src/group/proposal-message.ts";
import type { Proposal } from "../../src/messages/proposal.ts";
import { PublicGroup } from "../../src/observer/public-group.ts";
import type { RuleId } from "../../src/rule-registry.ts";
import type { UpdatePathNode } from "../../src/tree/nodes.ts";
import { agree, type Expected, expectRule } from "../support/assertions.ts";
import { NOW, testEnvironment } from "../support/environment.ts";
import {
  flipped,
  forgeCommit,
  forgeExternalCommit,
  forgeMessage,
  forgeProposal,
  groupInfoMessage,
  type Nodes,
  withLeaf,
  withNode,
  withParent,
} from "../support/forge.ts";
import { Door, type DoorForgery } from "../support/forge-join.ts";
import {
  add,
  extend,
  externalSenders,
  psk,
  pskId,
  publicGroup,
  reInit,
  remove,
  resumption,
  stranger,
} from "../support/forge-lists.ts";
import { newClient, newSigner, provider } from "../support/parties.ts";
import { GROUP_ID, MESSAGE_DEFAULTS, TestGroup } from "../support/test-group.ts";

const NAMES = ["alice", "bob", "carol"];
const environment = testEnvironment();

async function watched(): Promise<{ readonly group: TestGroup; readonly server: PublicGroup }> {
  const group = await TestGroup.of(NAMES);
  const groupInfo = await group.groupInfo("alice");
  const { group: server } = await PublicGroup.start(provider, { groupInfo }, environment);
  return { group, server };
}

/** The server refuses these bytes, and its state is as before. */
async function refuses(
  server: PublicGroup,
  bytes: Uint8Array,
  rule: RuleId,
  expected: Expected = {},
): Promise<void> {
  const before = server.snapshot();
  await expectRule(() => server.process(bytes, environment), rule, expected);
  await expectRule(() => server.examine(bytes, environment), rule, expected);
  expect(server.snapshot()).toEqual(before);
}

function expectSame(server: PublicGroup, group: TestGroup): void {
  const { contextBytes, tree } = group.party("alice").epoch;
  expect(toHex(server.publicEpoch.contextBytes)).toBe(toHex(contextBytes));
  expect(toHex(server.ratchetTree())).toBe(toHex(tree.encode()));
}

const server = await newSigner();

describe("what it proposes as external sender", () => {
  const extensions = [externalSenders(server)];
  const SHORT = new Uint8Array(31);
  const expired = { lifetime: { notBefore: NOW - 1000n, notAfter: NOW - 1n } };
  const refused: readonly [RuleId, string, () => Promise<Proposal>][] = [
    ["valn0105", "an Add that has expired", async () => add(await newClient("dave", expired))],
    ["valn0201", "an Add of another suite", async () => add(await newClient("dave", { suite: 2 }))],
    [
      "valn0203",
      "an Add that is signed wrongly",
      async () => add(await stranger({ alterSignature: (signature) => flipped(signature, 3) })),
    ],
    [
      "valn0204",
      "an Add with one key for two purposes",
      async () => {
        const { keyPackage } = await newClient("stranger");
        const { encryptionKey } = keyPackage.leafNode;
        return add(await stranger({ fields: { initKey: encryptionKey }, leaf: { encryptionKey } }));
      },
    ],
    ["valn0701", "a Remove of nobody", async () => remove(9)],
    ["valn0801", "a PSK for a successor", async () => psk(resumption("reinit"))],
    ["valn0803", "a PSK with a short nonce", async () => psk(pskId("key", 31))],
    ["valn0901", "a ReInit to an older version", async () => reInit(0)],
    ["valn1603", "extensions out of place", async () => extend([{ type: 2, data: utf8("x") }])],
    ["mk-16", "extensions that do not decode", async () => extend([{ type: 3, data: utf8("x") }])],
    [
      "mk-63",
      "a sender without a key",
      async () => extend([externalSenders({ publicKey: SHORT })]),
    ],
  ];

  test.each(refused)("%s [C] not %s", async (rule, _, make) => {
    const observer = publicGroup(await TestGroup.of(NAMES, { extensions }));
    const proposal = await make();
    await expectRule(() => observer.createExternalProposal(proposal, server, environment), rule);
    expect(observer.proposals).toEqual([]);
  });

  test("mk-58 valn0105 [C] a key package is checked again at the moment when it is proposed", async () => {
    const observer = publicGroup(await TestGroup.of(NAMES, { extensions }));
    const dave = await newClient("dave");
    expect(await observer.keyPackageObstacles(dave.keyPackage, environment)).toEqual([]);
    const later = testEnvironment({ now: NOW + 86_401n });
    const make = () => observer.createExternalProposal(add(dave), server, later);
    await expectRule(make, "valn0105");
  });

  test("valn0105 valn0203 valn0701 valn0803 valn0901 mk-58 [C] ok: what members accept", async () => {
    const group = await TestGroup.of(NAMES, { extensions });
    const observer = publicGroup(group);
    for (const proposal of [
      add(await newClient("dave")),
      remove(2),
      psk(pskId("key")),
      reInit(),
      extend(extensions),
    ]) {
      const bytes = await observer.createExternalProposal(proposal, server, environment);
      await group.deliver(bytes, "server");
    }
    expect(group.party("bob").cache.size).toBe(5);
  });
});

describe("where it starts", () => {
  const leaf = (changes: Parameters<typeof withLeaf>[3]): DoorForgery => ({
    alter: async (nodes: Nodes) => withLeaf(nodes, 1, { signer: await newSigner() }, changes),
  });
  const faults: readonly [string, RuleId, DoorForgery, Expected?][] = [
    ["its signature", "valn1402", { alterSignature: (it) => flipped(it, 0) }],
    ["its signer", "valn1402", { signer: 9 }, { as: "VAL" }],
    ["its tree hash", "valn1405", { context: { treeHash: new Uint8Array(32) } }],
    ["its tree, which is missing", "mk-96", { alterExtensions: () => [] }],
    [
      "a parent hash",
      "valn1406",
      { alter: (nodes) => withParent(nodes, 3, { parentHash: new Uint8Array(32) }) },
    ],
    ["a leaf", "valn1601", leaf({ extensions: [{ type: 5, data: new Uint8Array() }] })],
    [
      "an unmerged leaf",
      "valn1408",
      { alter: (nodes) => withParent(nodes, 3, { unmergedLeaves: [9] }) },
    ],
    [
      "a key that occurs twice",
      "valn1410",
      {
        alter: (nodes) => {
          const node = nodes[4]!;
          const { encryptionKey } = node.type === "leaf" ? node.leaf : node.parent;
          return withParent(nodes, 3, { encryptionKey });
        },
      },
    ],
    [
      "the shape of its tree",
      "mk-97",
      { alter: (nodes) => withNode(nodes, nodes.length, undefined) },
    ],
  ];
  test.each(faults)(
    "mk-112 [O] never from a GroupInfo with a fault in %s (%s)",
    async (...fault) => {
      const [, rule, forgery, expected = {}] = fault;
      const door = await Door.of();
      const info = groupInfoMessage(await door.forgedInfo(forgery));
      await door.refusesToWatch(info, rule, expected);
      await door.opens();
    },
  );

  test("mk-112 [O] never from the GroupInfo of another group, or of an epoch that is over", async () => {
    const { group, server } = await watched();
    const old = await group.groupInfo("alice");
    const { commit } = await group.commit("bob");
    await server.process(commit, environment);
    const before = server.snapshot();
    const stale = () => server.rebase({ groupInfo: old }, environment);
    await expect(stale()).rejects.toMatchObject({ code: "WRONG_EPOCH" });
    const door = await Door.of();
    const other = groupInfoMessage(
      await door.forgedInfo({ context: { groupId: utf8("another"), epoch: 9n } }),
    );
    await expectRule(() => server.rebase({ groupInfo: other }, environment), "valn0102", {
      as: "CRY",
    });
    expect(server.snapshot()).toEqual(before);
  });

  test("mk-112 [O] ok: the tag is all that is taken on trust, and extensions need not be known", async () => {
    const client = { capabilities: { extensions: [0x9999] } };
    const types = { proposals: new Map(), credentials: new Map(), extensions: new Set([0x9999]) };
    const door = await Door.of({
      client: { types },
      group: {
        client,
        environment: testEnvironment({ types }),
        extensions: [{ type: 0x9999, data: utf8("unknown") }],
      },
    });
    const groupInfo = groupInfoMessage(
      await door.forgedInfo({ alterConfirmationTag: (tag) => flipped(tag, 0) }),
    );
    const started = await PublicGroup.start(provider, { groupInfo }, environment);
    expect(started.unverified).toEqual(["confirmationTag"]);
    expect(started.group.memberCount).toBe(3);
  });
});

describe("what it cannot verify", () => {
  test("mk-113 [O] tags of the wrong length, and tags that are missing or not due", async () => {
    const { group, server } = await watched();
    const alice = group.party("alice");
    const [short, long] = [
      (tag: Uint8Array | undefined) => tag!.subarray(1),
      (tag: Uint8Array | undefined) => Uint8Array.from([...tag!, 0]),
    ];
    for (const alter of [short, long, () => new Uint8Array()]) {
      const untagged = await forgeCommit(alice, { publicly: { alterMembershipTag: alter } });
      await refuses(server, untagged.bytes, "mk-113", { as: "VAL", code: "INVALID_MESSAGE" });
      const unconfirmed = await forgeCommit(alice, { alterConfirmationTag: alter });
      await refuses(server, unconfirmed.bytes, "mk-113", { as: "VAL", code: "INVALID_MESSAGE" });
    }
    const proposal = { type: "remove", removed: 1 } as const;
    const sent = await forgeProposal(alice, proposal, { publicly: { alterMembershipTag: short } });
    await refuses(server, sent.bytes, "mk-113", { as: "VAL" });
    const honest = await group.commit("bob");
    await server.process(honest.commit, environment);
    expectSame(server, group);
  });

  test("mk-72 valn1101 [O] paths with too many or too few nodes or ciphertexts", async () => {
    const { group, server } = await watched();
    type Alter = (nodes: readonly UpdatePathNode[]) => readonly UpdatePathNode[];
    const alterations: readonly [RuleId, Alter][] = [
      ["mk-72", (nodes) => nodes.slice(1)],
      ["mk-72", (nodes) => [...nodes, nodes[0]!]],
      ["valn1101", ([first, ...rest]) => [{ ...first!, encryptedPathSecret: [] }, ...rest]],
      [
        "valn1101",
        ([first, ...rest]) => {
          const encryptedPathSecret = first!.encryptedPathSecret.flatMap((it) => [it, it]);
          return [{ ...first!, encryptedPathSecret }, ...rest];
        },
      ],
    ];
    for (const [rule, alterNodes] of alterations) {
      const { bytes } = await forgeCommit(group.party("alice"), { path: { alterNodes } });
      await refuses(server, bytes, rule, { code: "INVALID_COMMIT" });
    }
    await server.process((await group.commit("bob")).commit, environment);
    expectSame(server, group);
  });

  test("mk-113 [O] is named as unverified, and nothing else is", async () => {
    const group = await TestGroup.of(NAMES, {
      environment: testEnvironment({ psks: () => new Secret(utf8("shared")) }),
    });
    const groupInfo = await group.groupInfo("alice");
    const { group: server } = await PublicGroup.start(provider, { groupInfo }, environment);
    const alice = group.party("alice");
    const proposal = { type: "psk", psk: pskId("shared") } as const;
    const sent = await forgeProposal(alice, proposal);
    const seen = await server.examine(sent.bytes, environment);
    expect(seen.unverified).toEqual(["membershipTag"]);
    const bare = await forgeCommit(alice, {
      proposals: [{ type: "add", keyPackage: (await newClient("dave")).keyPackage }],
      path: false,
    });
    expect((await server.examine(bare.bytes, environment)).unverified).toEqual([
      "membershipTag",
      "confirmationTag",
    ]);
    const full = await forgeCommit(alice, { proposals: [proposal] });
    expect((await server.examine(full.bytes, environment)).unverified).toEqual([
      "membershipTag",
      "confirmationTag",
      "pathSecrets",
      "psks",
    ]);
    const external = await forgeExternalCommit(await newClient("dave"), alice);
    expect((await server.examine(external.bytes, environment)).unverified).toEqual([
      "confirmationTag",
      "pathSecrets",
      "externalInit",
    ]);
  });

  test("mk-113 [O] ok: wrong tags and ciphertexts of the right size pass, and are named", async () => {
    const { group, server } = await watched();
    const wrong = (tag: Uint8Array | undefined) => flipped(tag!, 0);
    const forged = await forgeCommit(group.party("alice"), {
      alterConfirmationTag: wrong,
      publicly: { alterMembershipTag: wrong },
      path: { alterSecret: (secret) => flipped(secret, 0) },
    });
    const seen = await server.process(forged.bytes, environment);
    expect(seen.unverified).toEqual(["membershipTag", "confirmationTag", "pathSecrets"]);
    // Members refuse it, so that the observer needs a GroupInfo of theirs to come back.
    const bob = group.party("bob");
    await expectRule(() => bob.receive(forged.bytes), "valn1202");
    expect(bob.epoch.context.epoch).toBe(1n);
  });
});

describe("private messages", () => {
  test("mk-114 [O] a private Commit stops it until it is told the new epoch", async () => {
    const { group, server } = await watched();
    const hidden = await group.commit("bob", { wireFormat: "privateMessage" });
    await server.process(hidden.commit, environment);
    expect(server.needsGroupInfo).toBe(true);
    const alice = group.party("alice");
    const next = await forgeCommit(alice);
    const proposal = await forgeProposal(alice, { type: "remove", removed: 1 });
    for (const { bytes } of [next, proposal]) {
      await refuses(server, bytes, "mk-114", { code: "NEEDS_GROUP_INFO" });
    }
    const again = PublicGroup.restore(provider, server.snapshot(), environment);
    await refuses(again, next.bytes, "mk-114", { code: "NEEDS_GROUP_INFO" });
    await server.rebase({ groupInfo: await group.groupInfo("carol") }, environment);
    expectSame(server, group);
    await server.process((await group.commit("alice")).commit, environment);
    expectSame(server, group);
  });

  test("mk-114 [O] nothing inside is guessed at: damaged, forged or nonsense, it looks the same", async () => {
    const { group, server } = await watched();
    const alice = group.party("alice");
    const content = { contentType: "application", applicationData: utf8("x") } as const;
    for (const privately of [
      {},
      { alterCiphertext: (sealed: Uint8Array) => flipped(sealed, 0) },
      { leafIndex: 77 },
      { generation: 0xffff_ffff },
    ]) {
      const options = { wireFormat: "privateMessage", privately } as const;
      const bytes = await forgeMessage(alice, content, options);
      expect(await server.process(bytes, environment)).toEqual({
        type: "private",
        contentType: "application",
        epoch: 1n,
        authenticatedData: new Uint8Array(),
        isLate: false,
        unverified: ["content"],
      });
    }
    expect(server.needsGroupInfo).toBe(false);
  });

  test("mk-114 [O] ok: private proposals and late private Commits do not stop it", async () => {
    const { group, server } = await watched();
    const lost = await group.createCommit("carol", { wireFormat: "privateMessage" });
    const remove = { type: "remove", removed: 2 } as const;
    const options = { ...MESSAGE_DEFAULTS, wireFormat: "privateMessage" } as const;
    const sent = await createProposal(group.party("bob").epoch, remove, options, environment);
    await server.process(sent.bytes, environment);
    await server.process((await group.commit("bob")).commit, environment);
    const late = await server.process(lost.commit, environment);
    expect(late).toMatchObject({ type: "private", contentType: "commit", isLate: true });
    expect(server.needsGroupInfo).toBe(false);
    expect(server.groupId).toEqual(GROUP_ID);
    await server.process((await group.commit("alice")).commit, environment);
    expectSame(server, group);
    await agree(group);
  });
});
