/**
 * Catalogue M-VAL: for each row one group that is offered everything the row forbids, in turn. Nothing
 * changes, the error names the rule, and the group goes on. What each rule says on each of its paths is
 * in test/rules/.
 */
import { describe, expect, test } from "vitest";
import { EMPTY_BYTES, fromHex, skipOpaque, utf8 } from "../../src/codec/index.ts";
import { ExtensionType } from "../../src/extensions/extension.ts";
import { MAX_PSKS } from "../../src/key-schedule/pre-shared-key.ts";
import type { Content } from "../../src/framing/framed-content.ts";
import { customProposal } from "../../src/messages/proposal.ts";
import type { RuleId } from "../../src/rule-registry.ts";
import { leafIndex } from "../../src/tree/tree-math.ts";
import { agree, type Expected, refuses } from "../support/assertions.ts";
import { NOW, testEnvironment } from "../support/environment.ts";
import {
  type CommitForgery,
  type ContentForgery,
  type ExternalCommitForgery,
  flipped,
  forgeCommit,
  forgeExternalCommit,
  forgeMessage,
  forgeProposal,
  type KeyPackageForgery,
  type LeafChanges,
} from "../support/forge.ts";
import {
  ABLE,
  add,
  cachedFrom,
  CUSTOM_PROPOSAL,
  EXTENDED,
  extend,
  type Item,
  knowing,
  notCommitted,
  psk,
  pskId,
  refusedEverywhere,
  reInit,
  remove,
  required,
  resumption,
  stranger,
  updateBy,
} from "../support/forge-lists.ts";
import { capabilitiesFor, newClient } from "../support/parties.ts";
import { GROUP_ID, TestGroup } from "../support/test-group.ts";
import { refusedAsTree } from "../rules/carriers.ts";

const NAMES = ["alice", "bob", "carol", "dave"];
const leafBinding = { groupId: GROUP_ID, leafIndex: 4 };
const flip = (bytes?: Uint8Array): Uint8Array => flipped(bytes!, -1);
const APPLICATION: Content = { contentType: "application", applicationData: utf8("hello") };
const REMOVE = { type: "remove", removed: 2 } as const;

async function goesOn(group: TestGroup): Promise<void> {
  await group.commit("alice", { pending: [] });
  await agree(group);
}

test("M-VAL-01: framing and senders", async () => {
  const group = await TestGroup.of(NAMES);
  const alice = group.party("alice");
  const hidden = { wireFormat: "privateMessage" } as const;
  const cases: readonly [RuleId, Content["contentType"], ContentForgery, Expected?][] = [
    // ValSem002, 003
    ["mk-24", "commit", { groupId: utf8("another group") }],
    ["mk-24", "application", { ...hidden, groupId: utf8("another group") }],
    ["valn1201", "commit", { epoch: 0n }],
    ["valn1201", "commit", { epoch: 7n }],
    ["valn1307", "proposal", { epoch: 0n }],
    // ValSem004
    ["mk-26", "commit", { sender: { type: "member", leafIndex: 9 } }],
    ["valn1306", "application", { ...hidden, privately: { leafIndex: 9 } }],
    // ValSem005
    ["mk-28", "application", { wireFormat: "publicMessage" }],
    // ValSem006
    ["mk-29", "application", { ...hidden, privately: { alterCiphertext: flip } }],
    // ValSem007, 008
    ["valn1302", "proposal", { publicly: { alterMembershipTag: () => undefined } }, { as: "DEC" }],
    ["valn1302", "proposal", { publicly: { alterMembershipTag: flip } }],
    ["valn1202", "commit", { publicly: { alterMembershipTag: flip } }],
    // ValSem009
    ["mk-30", "commit", { ...hidden, alterConfirmationTag: () => undefined }],
    // ValSem010
    ["valn1301", "proposal", { alterSignature: flip }],
    ["valn1203", "commit", { alterSignature: flip }],
    ["valn1304", "application", { ...hidden, alterSignature: flip }],
    // ValSem011
    ["valn1303", "application", { ...hidden, privately: { padding: fromHex("0001") } }],
  ];
  for (const [rule, contentType, forgery, expected] of cases) {
    const forge = {
      application: () => forgeMessage(alice, APPLICATION, forgery),
      proposal: async () => (await forgeProposal(alice, REMOVE, forgery)).bytes,
      commit: async () => (await forgeCommit(alice, forgery)).bytes,
    };
    const bytes = await forge[contentType]();
    const tags = "publicly" in forgery ? { observer: false } : {};
    await refusedEverywhere(group, "alice", bytes, rule, { ...tags, ...expected });
  }
  await goesOn(group);
});

describe("M-VAL-02: leaf nodes", () => {
  const none = capabilitiesFor(1);
  /** Wrong in whatever place the leaf comes. */
  const leaves: readonly [RuleId, LeafChanges][] = [
    ["valn0103", { capabilities: { ...none, extensions: [] } }],
    [
      "valn0104",
      {
        credential: { type: "custom", credentialType: 9, body: fromHex("00") },
        capabilities: { ...none, extensions: [0x1111], credentials: [1, 9] },
      },
    ],
    ["valn0107", { extensions: [{ type: 0x4444, data: EMPTY_BYTES }] }],
    ["valn0113", { capabilities: { ...none, extensions: [0x1111], credentials: [2] } }],
    ["mk-18", { encryptionKey: new Uint8Array(31) }],
  ];
  const options = {
    extensions: [...EXTENDED, required({ extensionTypes: [0x1111] })],
    client: { capabilities: { extensions: [0x1111] } },
    environment: testEnvironment({
      types: {
        proposals: new Map(),
        credentials: new Map([[9, skipOpaque]]),
        extensions: new Set([0x1111]),
      },
    }),
  };

  test.each(leaves)("M-VAL-02 %s in Add, Update, path and external commit", async (rule, leaf) => {
    const group = await TestGroup.of(NAMES, options);
    const alice = group.party("alice");
    const forgery = { ...options.client };
    const dave = await stranger({ leaf }, forgery);
    const added = await forgeCommit(alice, { proposals: [add(dave)] });
    await refusedEverywhere(group, "alice", added.bytes, rule);
    const { cached } = await updateBy(group.party("bob"), { leaf });
    const updated = await forgeCommit(alice, { proposals: [cached] });
    await refusedEverywhere(group, "alice", updated.bytes, rule, { cached: [cached] });
    const commit = await forgeCommit(alice, { path: { leaf } });
    await refusedEverywhere(group, "alice", commit.bytes, rule);
    const client = await newClient("erin", forgery);
    const joined = await forgeExternalCommit(client, alice, { path: { leaf } });
    await refusedEverywhere(group, "erin", joined.bytes, rule);
    await goesOn(group);
  });

  test("M-VAL-02 signature, source and key uniqueness on all of them", async () => {
    const group = await TestGroup.of(NAMES, options);
    const alice = group.party("alice");
    const client = await newClient("erin", options.client);
    const used = group.observer.epoch.tree.leaf(leafIndex(2))!.encryptionKey;
    const carol = group.party("carol").signer;
    const { client: able } = options;
    const commits: readonly [RuleId, CommitForgery][] = [
      ["valn0102", { proposals: [add(await stranger({ alterLeafSignature: flip }, able))] }],
      [
        "valn0108",
        {
          proposals: [
            add(await stranger({ leaf: { origin: { source: "update" } }, leafBinding }, able)),
          ],
        },
      ],
      ["valn0112", { proposals: [add(await stranger({ leaf: { encryptionKey: used } }, able))] }],
      ["valn0306", { proposals: [add(await newClient("x", { ...able, signer: carol }))] }],
      ["valn0102", { path: { alterLeafSignature: flip } }],
      ["valn0110", { path: { leaf: { origin: { source: "update" } } } }],
      ["valn0112", { path: { leaf: { encryptionKey: used } } }],
      ["valn0111", { path: { leafSigner: carol } }],
    ];
    for (const [rule, forgery] of commits) {
      const { bytes } = await forgeCommit(alice, forgery);
      await refusedEverywhere(group, "alice", bytes, rule);
    }
    const joins: readonly [RuleId, ExternalCommitForgery][] = [
      ["valn0102", { path: { alterLeafSignature: flip } }],
      ["valn0110", { path: { leaf: { origin: { source: "update" } } } }],
      ["valn0112", { path: { leaf: { encryptionKey: used } } }],
    ];
    for (const [rule, forgery] of joins) {
      const { bytes } = await forgeExternalCommit(client, alice, forgery);
      await refusedEverywhere(group, "erin", bytes, rule);
    }
    const twin = await newClient("twin", { ...able, signer: carol });
    const { bytes } = await forgeExternalCommit(twin, alice);
    await refusedEverywhere(group, "twin", bytes, "valn0111");
    for (const [rule, forgery] of [
      ["valn0102", { alterLeafSignature: flip }],
      ["valn0109", { leaf: { origin: { source: "commit", parentHash: EMPTY_BYTES } } }],
    ] as const) {
      const update = await updateBy(group.party("bob"), forgery);
      await refusedEverywhere(group, "bob", update.bytes, rule);
    }
    await goesOn(group);
  });

  test("M-VAL-02 lifetimes: strict for what we add, on request for what we receive", async () => {
    const lifetime = { notBefore: NOW - 7200n, notAfter: NOW - 1n };
    const expired = await newClient("erin", { lifetime });
    const group = await TestGroup.of(NAMES);
    await notCommitted(group, [add(expired)], "valn0105");
    const { bytes } = await forgeCommit(group.party("alice"), { proposals: [add(expired)] });
    const limits = { ...group.environment.limits, strictLifetimes: true };
    const bob = group.party("bob");
    bob.environment = testEnvironment({ limits });
    await refuses(bob, () => bob.receive(bytes), "valn0106", { as: "VAL" });
    bob.environment = group.environment;
    expect((await bob.receive(bytes)).kind).toBe("commit");
  });

  test("M-VAL-02 in the tree that a joiner is given", async () => {
    await refusedAsTree({ bob: { alterLeafSignature: flip } }, "valn0102");
    await refusedAsTree(
      { bob: { leaf: { capabilities: { ...none, credentials: [2] } } } },
      "valn0113",
    );
    await refusedAsTree({ twin: true }, "valn0112");
  });
});

test("M-VAL-03: key packages", async () => {
  const group = await TestGroup.of(NAMES, { extensions: [required({ credentialTypes: [1] })] });
  const { keyPackage } = await newClient("erin");
  const other = await newClient("frank");
  const packages: readonly [RuleId, KeyPackageForgery][] = [
    ["valn0201", { fields: { cipherSuite: 3 } }],
    ["valn0203", { alterSignature: flip }],
    [
      "valn0204",
      {
        leaf: { encryptionKey: other.keyPackage.initKey },
        fields: { initKey: other.keyPackage.initKey },
      },
    ],
    ["valn0108", { leaf: { origin: { source: "commit", parentHash: EMPTY_BYTES } }, leafBinding }],
    ["mk-18", { fields: { initKey: new Uint8Array(32) } }],
    ["valn0102", { alterLeafSignature: flip }],
  ];
  for (const [rule, forgery] of packages) {
    const bad = add(await stranger(forgery));
    const { bytes } = await forgeProposal(group.party("bob"), bad);
    await refusedEverywhere(group, "bob", bytes, rule);
    const commit = await forgeCommit(group.party("alice"), { proposals: [bad] });
    await refusedEverywhere(group, "alice", commit.bytes, rule);
    await notCommitted(group, [bad], rule);
  }
  // Required capabilities, and init keys that are not unique.
  const poor = await stranger({
    leaf: { capabilities: { ...capabilitiesFor(1), credentials: [1] } },
  });
  const demanding = await TestGroup.of(NAMES, {
    extensions: [required({ proposalTypes: [CUSTOM_PROPOSAL] })],
    client: ABLE,
    environment: knowing(),
  });
  await notCommitted(demanding, [add(poor)], "valn0103");
  const { initKey } = keyPackage;
  const twins = [add({ keyPackage }), add(await stranger({ fields: { initKey } }))];
  await notCommitted(group, twins, "mk-66");
  await goesOn(group);
  await goesOn(demanding);
});

test("M-VAL-04: proposals and their lists", async () => {
  const group = await TestGroup.of(NAMES, { client: ABLE, environment: knowing() });
  const alice = group.party("alice");
  const erin = await newClient("erin", ABLE);
  const twin = await newClient("erin", { ...ABLE, signer: erin.signer });
  const own = await updateBy(alice);
  const bobs = await updateBy(group.party("bob"));
  const known = await cachedFrom(group.party("bob"), remove(3));
  const unable = await TestGroup.of(NAMES, { environment: knowing() });
  const lists: readonly [RuleId, readonly Item[]][] = [
    ["valn0305", [add(erin), add(twin)]],
    ["valn0306", [add(await newClient("bob", { ...ABLE, signer: group.party("bob").signer }))]],
    [
      "mk-66",
      [add(erin), add(await stranger({ fields: { initKey: erin.keyPackage.initKey } }, ABLE))],
    ],
    ["valn0701", [remove(9)]],
    ["valn0304", [remove(3), remove(3)]],
    ["valn0304", [bobs.cached, remove(1)]],
    ["mk-68", [known[0]!, known[0]!]],
    ["valn0302", [own.cached.proposal]],
    ["valn0303", [remove(0)]],
    ["valn0308", [extend([]), extend(EXTENDED)]],
    ["valn0309", [reInit(), remove(3)]],
    ["valn0901", [reInit(0)]],
    ["valn0310", [{ type: "externalInit", kemOutput: new Uint8Array(32) }]],
    ["valn0307", [psk(pskId("x")), psk(pskId("x"))]],
  ];
  for (const [rule, proposals] of lists) {
    const { bytes } = await forgeCommit(alice, { proposals });
    const cached = proposals.filter((item) => "reference" in item);
    await refusedEverywhere(group, "alice", bytes, rule, { cached });
  }
  // A stand-alone Update comes from the member whose leaf it is, and from nobody else.
  const external = { sender: { type: "newMemberProposal" }, signedContext: EMPTY_BYTES } as const;
  const { bytes } = await forgeProposal(alice, bobs.cached.proposal, external);
  await refusedEverywhere(group, "", bytes, "valn1504");
  const custom = customProposal(CUSTOM_PROPOSAL, fromHex("00"));
  const unsupported = await forgeCommit(unable.party("alice"), { proposals: [custom] });
  await refusedEverywhere(unable, "alice", unsupported.bytes, "valn0311");
  await goesOn(group);
  await goesOn(unable);
});

test("M-VAL-05: Commits", async () => {
  const group = await TestGroup.of([...NAMES, "erin"]);
  const alice = group.party("alice");
  const { tree } = group.observer.epoch;
  const parent = [...tree.nodes()].flatMap(([, node]) =>
    node.type === "parent" ? [node.parent.encryptionKey] : [],
  )[0]!;
  const cases: readonly [RuleId, CommitForgery, boolean?][] = [
    // ValSem200, 201
    ["valn0303", { proposals: [remove(0)] }],
    ["valn1206", { path: false }],
    ["valn1206", { path: false, proposals: [remove(3)] }],
    // ValSem202
    ["mk-72", { path: { alterNodes: (nodes) => nodes.slice(1) } }],
    ["mk-72", { path: { alterNodes: (nodes) => [...nodes, nodes[0]!] } }],
    // ValSem203, 204
    ["mk-75", { path: { alterContext: flip } }, false],
    ["mk-76", { path: { alterSecret: flip } }, false],
    // ValSem205
    ["mk-77", { alterConfirmationTag: flip }, false],
    // ValSem206, 207
    ["valn1208", { path: { leaf: { encryptionKey: tree.leaf(leafIndex(0))!.encryptionKey } } }],
    ["valn1209", { path: { alterKeys: (keys) => [...keys.slice(0, -1), parent] } }],
    ["mk-73", { path: { alterKeys: (keys) => keys.map(() => keys[0]!) } }],
    ["mk-74", { path: { alterParentHash: flip } }],
  ];
  for (const [rule, forgery, observer = true] of cases) {
    const { bytes } = await forgeCommit(alice, forgery);
    await refusedEverywhere(group, "alice", bytes, rule, { observer });
  }
  await goesOn(group);
});

test("M-VAL-06: external commits", async () => {
  const group = await TestGroup.of(NAMES, { client: ABLE, environment: knowing() });
  const alice = group.party("alice");
  const client = await newClient("erin", ABLE);
  const stray = { type: "externalInit", kemOutput: new Uint8Array(32) } as const;
  const [kept] = await cachedFrom(group.party("bob"), remove(3));
  const update = (await updateBy(group.party("bob"))).cached.proposal;
  const cases: readonly [RuleId, ExternalCommitForgery][] = [
    // ValSem240, 241
    ["valn0401", { proposals: () => [] }],
    ["valn0401", { proposals: (init) => [init, stray] }],
    // ValSem242
    ["valn0404", { proposals: (init) => [init, update] }],
    ["valn0404", { proposals: (init) => [init, extend([])] }],
    ["valn0404", { proposals: (init) => [init, reInit()] }],
    ["valn0404", { proposals: (init) => [init, customProposal(CUSTOM_PROPOSAL, fromHex("00"))] }],
    ["valn0402", { proposals: (init) => [init, remove(1), remove(2)] }],
    // ValSem244
    ["valn0406", { proposals: (init) => [init, kept!] }],
    // ValSem245
    ["valn0405", { path: false }],
    // ValSem246, 247
    ["valn0407", { alterSignature: flip }],
    ["valn0407", { signer: group.party("bob").signer, path: { leafSigner: client.signer } }],
  ];
  for (const [rule, forgery] of cases) {
    const { bytes } = await forgeExternalCommit(client, alice, forgery);
    await refusedEverywhere(group, "erin", bytes, rule, { cached: [kept!] });
  }
  const added = await forgeExternalCommit(client, alice, {
    proposals: (init) => [init, add(client)],
  });
  await refusedEverywhere(group, "erin", added.bytes, "valn0404");
  await group.externalJoin("erin", client);
  await agree(group);
});

test("M-VAL-08: pre-shared keys", async () => {
  const group = await TestGroup.of(NAMES);
  const alice = group.party("alice");
  const lists: readonly [RuleId, readonly Item[], Expected?][] = [
    ["valn0803", [psk(pskId("x", 31))]],
    ["valn0803", [psk(pskId("x", 33))]],
    ["valn0801", [psk(resumption("reinit"))]],
    ["valn0802", [psk(resumption("branch"))]],
    ["valn0307", [psk(resumption("application")), psk(resumption("application"))]],
    ["valn1205", [psk(pskId("nobody has it"))], { code: "MISSING_PSK" }],
  ];
  for (const [rule, proposals, expected] of lists) {
    const { bytes } = await forgeCommit(alice, { proposals });
    const observer = rule !== "valn1205";
    await refusedEverywhere(group, "alice", bytes, rule, { observer, ...expected });
    await notCommitted(group, proposals as never, rule, expected);
    const client = await newClient("erin");
    const joining = await forgeExternalCommit(client, alice, {
      proposals: (init) => [init, ...proposals],
    });
    await refusedEverywhere(group, "erin", joining.bytes, rule, { observer, ...expected });
  }
  // ValSem400: there are no more than can be counted.
  expect(MAX_PSKS).toBe(0xffff);
  await goesOn(group);
});

test("M-VAL-10: required capabilities and the places of extensions", async () => {
  const group = await TestGroup.of(NAMES, { client: ABLE, environment: knowing() });
  const alice = group.party("alice");
  const misplaced = [{ type: ExtensionType.applicationId, data: fromHex("00") }];
  const cases: readonly [RuleId, CommitForgery][] = [
    ["valn1001", { proposals: [extend([required({ proposalTypes: [0x7777] })])] }],
    ["mk-62", { proposals: [extend([{ type: 0x5555, data: EMPTY_BYTES }])] }],
    ["valn1603", { proposals: [extend(misplaced)] }],
    ["valn0502", { proposals: [extend(EXTENDED), add(await newClient("erin"))] }],
    [
      "valn1210",
      { proposals: [extend(EXTENDED)], path: { leaf: { capabilities: capabilitiesFor(1) } } },
    ],
    ["valn1601", { path: { leaf: { extensions: [{ type: 3, data: fromHex("000000") }] } } }],
  ];
  for (const [rule, forgery] of cases) {
    const { bytes } = await forgeCommit(alice, forgery);
    const rules = rule === "valn0502" ? "mk-62" : rule;
    await refusedEverywhere(group, "alice", bytes, rules);
  }
  // Twice in one list: not even decoded.
  const twice = [...EXTENDED, ...EXTENDED];
  const doubled = await stranger({ leaf: { extensions: twice } }, ABLE);
  const { bytes } = await forgeCommit(alice, { proposals: [add(doubled)] });
  await refusedEverywhere(group, "alice", bytes, "mk-15");
  await goesOn(group);
});
