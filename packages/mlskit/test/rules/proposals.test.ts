/** Rules of section 6: what a proposal says on its own. RFC 9420 §12.1. */
import { describe, expect, test } from "vitest";
import { EMPTY_BYTES, skipOpaque, toHex, utf8 } from "../../src/codec/index.ts";
import { Secret } from "../../src/crypto/index.ts";
import type { Extension } from "../../src/extensions/extension.ts";
import { createGroup } from "../../src/group/create-group.ts";
import {
  createExternalProposal,
  createNewMemberProposal,
} from "../../src/group/external-proposal.ts";
import { createProposal } from "../../src/group/proposal-message.ts";
import { parentOf, predecessorOf } from "../../src/group/parent-group.ts";
import { createBranch, createSuccessor } from "../../src/group/successor.ts";
import { customProposal, type Proposal } from "../../src/messages/proposal.ts";
import type { RuleId } from "../../src/rule-registry.ts";
import { expectRule, refuses } from "../support/assertions.ts";
import { acceptAnyCredential, testEnvironment } from "../support/environment.ts";
import {
  flipped,
  forgeExternalCommit,
  forgeGroupInfo,
  forgeMessage,
  forgeProposal,
  forgeWelcome,
  type KeyPackageForgery,
  newKeyPair,
  treeOfLeaves,
} from "../support/forge.ts";
import {
  ABLE,
  acceptedList,
  add,
  CUSTOM_EXTENSION,
  CUSTOM_PROPOSAL,
  cachedFrom,
  EXTENDED,
  extend,
  externalSenders,
  GREASE,
  goesOn,
  knowing,
  leftOut,
  notCommitted,
  psk,
  pskId,
  publicGroup,
  publicGroupRefuses,
  refusedEverywhere,
  refusedList,
  refusedMessage,
  reInit,
  remove,
  required,
  resumption,
  stranger,
  updateBy,
  withPsks,
} from "../support/forge-lists.ts";
import { capabilitiesFor, join, newClient, newSigner, type Party } from "../support/parties.ts";
import { GROUP_ID, MESSAGE_DEFAULTS, TestGroup } from "../support/test-group.ts";

const NAMES = ["alice", "bob", "carol"];
const EXTENDED_GROUP = { extensions: EXTENDED, client: ABLE, environment: knowing() };
const BACKWARDS = { source: "keyPackage", lifetime: { notBefore: 2n, notAfter: 1n } } as const;
const flip = (bytes: Uint8Array): Uint8Array => flipped(bytes, -1);

/** Nobody in the group sends this as a message, by value it is an error, by reference it is left out. */
async function notProposed(group: TestGroup, proposal: Proposal, rule: RuleId): Promise<void> {
  const bob = group.party("bob");
  const { epoch, environment } = bob;
  const make = (): unknown => createProposal(epoch, proposal, MESSAGE_DEFAULTS, environment);
  await refuses(bob, make, rule);
}

/** On path C in all its forms. */
async function neverMade(group: TestGroup, proposal: Proposal, rule: RuleId): Promise<void> {
  await notProposed(group, proposal, rule);
  await notCommitted(group, [proposal], rule);
  await leftOut(group, await cachedFrom(group.party("bob"), proposal), rule);
}

/** Refused on arrival and in a Commit, by value and by reference. */
async function neverTaken(group: TestGroup, proposal: Proposal, rule: RuleId): Promise<void> {
  const { bytes } = await forgeProposal(group.party("bob"), proposal);
  await refusedMessage(group, "bob", bytes, rule);
  await refusedList(group, [proposal], rule);
  await refusedList(group, await cachedFrom(group.party("bob"), proposal), rule);
}

describe("Add", () => {
  const key = (): Promise<{ readonly publicKey: Uint8Array }> => newKeyPair();
  const faults: readonly [RuleId, string, () => Promise<KeyPackageForgery>][] = [
    ["valn0201", "another suite", async () => ({ fields: { cipherSuite: 3 } })],
    ["valn0203", "a wrong signature", async () => ({ alterSignature: flip })],
    ["valn0102", "a wrong leaf signature", async () => ({ alterLeafSignature: flip })],
    [
      "valn0204",
      "one key twice",
      async () => {
        const { publicKey } = await key();
        return { fields: { initKey: publicKey }, leaf: { encryptionKey: publicKey } };
      },
    ],
    [
      "mk-54",
      "a lifetime that ends before it begins",
      async () => ({ leaf: { origin: BACKWARDS } }),
    ],
    ["mk-18", "a short init key", async () => ({ fields: { initKey: new Uint8Array(31) } })],
  ];

  describe.each(faults)("valn0501 %s", (rule, _says, forgery) => {
    test("[C] a package with it is not added", async () => {
      const group = await TestGroup.of(NAMES);
      await neverMade(group, add(await stranger(await forgery())), rule);
    });

    test("[R O] a package with it is refused on arrival and in a Commit", async () => {
      const group = await TestGroup.of(NAMES);
      await neverTaken(group, add(await stranger(await forgery())), rule);
    });
  });

  test("valn0501 [C R O] ok: a valid package is added, by value and by reference", async () => {
    const group = await TestGroup.of(NAMES);
    await acceptedList(group, [add(await newClient("dave"))]);
    const cached = await group.propose("bob", add(await newClient("erin")));
    await acceptedList(group, [cached]);
  });

  test("valn0502 [C] a client that lacks an extension of the group is not added", async () => {
    const group = await TestGroup.of(NAMES, EXTENDED_GROUP);
    const proposal = add(await newClient("dave"));
    await notCommitted(group, [proposal], "valn0502");
    await leftOut(group, await cachedFrom(group.party("bob"), proposal), "valn0502");
  });

  test("valn0502 [R O] a Commit that adds such a client is refused", async () => {
    const group = await TestGroup.of(NAMES, EXTENDED_GROUP);
    const proposal = add(await newClient("dave"));
    await refusedList(group, [proposal], "valn0502");
    await refusedList(group, await cachedFrom(group.party("bob"), proposal), "valn0502");
  });

  test("valn0502 [C R O] ok: what counts are the extensions that the Commit leads to", async () => {
    const group = await TestGroup.of(NAMES, EXTENDED_GROUP);
    await acceptedList(group, [add(await newClient("dave", ABLE))]);
    await acceptedList(group, [add(await newClient("erin")), extend([])]);
  });
});

describe("Update", () => {
  const faults = [
    ["valn0102", "a wrong signature", { alterLeafSignature: flip }],
    ["valn0102", "a signature for another leaf", { binding: { groupId: GROUP_ID, leafIndex: 2 } }],
    [
      "valn0109",
      "a leaf of a path",
      { leaf: { origin: { source: "commit", parentHash: EMPTY_BYTES } } },
    ],
    ["valn0107", "an unlisted extension", { leaf: { extensions: EXTENDED } }],
    ["mk-18", "a short key", { leaf: { encryptionKey: new Uint8Array(31) } }],
  ] as const;

  describe.each(faults)("valn0601 %s", (rule, _says, forgery) => {
    test("[C] a leaf with it is neither proposed nor committed", async () => {
      const group = await TestGroup.of(NAMES);
      const { cached } = await updateBy(group.party("bob"), forgery);
      await notProposed(group, cached.proposal, rule);
      await leftOut(group, [cached], rule);
    });

    test("[R O] a leaf with it is refused on arrival and in a Commit", async () => {
      const group = await TestGroup.of(NAMES);
      const { bytes } = await updateBy(group.party("bob"), forgery);
      await refusedMessage(group, "bob", bytes, rule);
      const { cached } = await updateBy(group.party("bob"), forgery);
      await refusedList(group, [cached], rule);
    });
  });

  test("valn0601 mk-61 [C R O] ok: members update their own leaves", async () => {
    const group = await TestGroup.of(NAMES);
    const before = group.observer.epoch.tree;
    await acceptedList(group, [
      await group.proposeUpdate("bob"),
      await group.proposeUpdate("carol"),
    ]);
    for (const { name, epoch } of group.members) {
      const [old, now] = [before.leaf(epoch.ownLeaf)!, epoch.tree.leaf(epoch.ownLeaf)!];
      expect(toHex(now.encryptionKey), name).not.toBe(toHex(old.encryptionKey));
    }
  });

  const forgetful = { leaf: { capabilities: capabilitiesFor(1) } };

  test("valn0602 [C] a leaf that drops an extension of the group is not committed", async () => {
    const group = await TestGroup.of(NAMES, EXTENDED_GROUP);
    const { cached } = await updateBy(group.party("bob"), forgetful);
    await notProposed(group, cached.proposal, "valn0602");
    await leftOut(group, [cached], "valn0602");
  });

  test("valn0602 [R O] a leaf that drops an extension of the group is refused", async () => {
    const group = await TestGroup.of(NAMES, EXTENDED_GROUP);
    const { bytes } = await updateBy(group.party("bob"), forgetful);
    await refusedMessage(group, "bob", bytes, "valn0602");
    const { cached } = await updateBy(group.party("bob"), forgetful);
    await refusedList(group, [cached], "valn0602");
  });

  test("valn0602 [C R O] ok: a leaf may drop what the group does not use", async () => {
    const group = await TestGroup.of(NAMES, { client: ABLE });
    await acceptedList(group, [await group.proposeUpdate("bob", forgetful.leaf)]);
    expect(group.party("carol").epoch.tree.supportedByAll("extensions", CUSTOM_EXTENSION)).toBe(
      false,
    );
  });

  /** An Update of bob's that came from somebody who is not a member. */
  async function strayUpdate(group: TestGroup) {
    const { cached } = await updateBy(group.party("bob"));
    return { ...cached, sender: { type: "newMemberCommit" } } as const;
  }

  test("mk-61 [C] an Update that no member sent is left out", async () => {
    const group = await TestGroup.of(NAMES);
    await leftOut(group, [await strayUpdate(group)], "mk-61");
    const { context } = group.observer.epoch;
    const { types } = group.environment;
    const { proposal } = await strayUpdate(group);
    const make = () => createExternalProposal(context, proposal, group.party("bob").signer, types);
    await expectRule(make, "valn1502", { as: "USE" });
  });

  test("mk-61 [R O] an Update that no member sent is refused", async () => {
    const signer = await newSigner();
    const group = await TestGroup.of(NAMES, { extensions: [externalSenders(signer)] });
    await refusedList(group, [await strayUpdate(group)], "mk-61");
    const { proposal } = await strayUpdate(group);
    const outside = {
      signer,
      sender: { type: "external", senderIndex: 0 },
      signedContext: EMPTY_BYTES,
    } as const;
    const { bytes, cached } = await forgeProposal(group.party("bob"), proposal, outside);
    await refusedMessage(group, "nobody", bytes, "valn1502");
    await refusedList(group, [cached], "valn1502");
  });

  test("valn0102 [R O] an Update concerns no leaf but its sender's", async () => {
    const group = await TestGroup.of(NAMES);
    const { cached } = await updateBy(group.party("bob"));
    const { bytes } = await forgeProposal(group.party("carol"), cached.proposal);
    await refusedMessage(group, "carol", bytes, "valn0102");
  });
});

describe("Remove", () => {
  const targets = [
    [3, "right of the last member"],
    [77, "outside the tree"],
    [0xffff_ffff, "at the last index there is"],
  ] as const;

  test.each(targets)("valn0701 [C] leaf %i, %s, is not removed", async (target) => {
    const group = await TestGroup.of(NAMES);
    await neverMade(group, remove(target), "valn0701");
  });

  test.each(targets)("valn0701 [R O] removing leaf %i, %s, is refused", async (target) => {
    const group = await TestGroup.of(NAMES);
    await neverTaken(group, remove(target), "valn0701");
  });

  test("valn0701 [C R O] an Add of the same Commit fills no leaf that could be removed", async () => {
    const group = await TestGroup.of([...NAMES, "dave"]);
    await group.commit("alice", { proposals: [remove(1)] });
    const list = [add(await newClient("erin")), remove(1)];
    await notCommitted(group, list, "valn0701");
    await refusedList(group, list, "valn0701");
  });

  test("valn0701 [X] an external joiner removes no blank leaf", async () => {
    const group = await TestGroup.of(NAMES);
    const client = await newClient("dave");
    const make = () => group.createExternalJoin(client, { resync: () => 77 });
    await refuses(client, make, "valn0701");
  });

  test("valn0701 [R O] an external commit that removes a blank leaf is refused", async () => {
    const group = await TestGroup.of(NAMES);
    const proposals = (init: Proposal) => [init, remove(77)];
    const made = await forgeExternalCommit(await newClient("dave"), group.party("alice"), {
      proposals,
    });
    await refusedEverywhere(group, "dave", made.bytes, "valn0701");
  });

  test("valn0701 [C R X O] ok: the last occupied leaf, and the former leaf of a joiner", async () => {
    const group = await TestGroup.of([...NAMES, "dave"]);
    await acceptedList(group, [remove(3)]);
    const cached = await group.propose("bob", remove(2));
    await acceptedList(group, [cached]);
    group.parties.delete("bob");
    const bob = await newClient("bob");
    const { commit } = await group.createExternalJoin(bob, { resync: () => 1 });
    await publicGroup(group).process(commit, group.environment);
    await group.party("alice").receive(commit);
  });
});

describe("PreSharedKey", () => {
  const usages = [
    ["valn0801", "reinit"],
    ["valn0802", "branch"],
  ] as const;

  describe.each(usages)("%s", (rule, usage) => {
    test(`[C] PSK usage ${usage} is neither proposed nor committed`, async () => {
      const group = await TestGroup.of(NAMES, { environment: withPsks() });
      await neverMade(group, psk(resumption(usage)), rule);
    });

    test(`[R O] PSK usage ${usage} is refused on arrival and in a Commit`, async () => {
      const group = await TestGroup.of(NAMES, { environment: withPsks() });
      await neverTaken(group, psk(resumption(usage)), rule);
    });

    test(`[X] PSK usage ${usage} has no place in an external commit`, async () => {
      const group = await TestGroup.of(NAMES, { environment: withPsks() });
      const client = await newClient("dave");
      const psks = [resumption(usage)];
      await refuses(client, () => group.createExternalJoin(client, { psks }), rule);
      const proposals = (init: Proposal) => [init, ...psks.map(psk)];
      const made = await forgeExternalCommit(client, group.party("alice"), { proposals });
      await refusedEverywhere(group, "dave", made.bytes, rule);
    });

    test(`[J] PSK usage ${usage} leads into the first epoch of a group, and comes alone`, async () => {
      const { enter, joiner } = await paperGroup([resumption(usage)], 2n);
      await refuses(joiner, enter, "valn1412");
      const both = await paperGroup([resumption("reinit"), resumption("branch")], 1n);
      await refuses(both.joiner, both.enter, "valn1401", { as: "VAL" });
    });
  });

  /** A Welcome with these PSKs into an epoch that was made up. */
  async function paperGroup(ids: readonly ReturnType<typeof resumption>[], epochNumber: bigint) {
    const environment = withPsks();
    const group = await TestGroup.of(["alice"], { environment });
    const alice = group.party("alice");
    const joiner = await newClient("bob");
    const leaves = [alice.bundle, joiner].map(({ keyPackage }) => keyPackage.leafNode);
    const psks: { id: (typeof ids)[number]; secret: Secret }[] = [];
    for (const id of ids) psks.push({ id, secret: (await environment.psks(id))! });
    const context = { epoch: epochNumber };
    const forgery = { joiners: [joiner], nodes: treeOfLeaves(leaves), psks, context };
    const { bytes } = await forgeWelcome(alice.epoch, forgery);
    return { joiner, enter: () => join(bytes, [joiner], environment) };
  }

  test("valn0801 valn0802 [C R J X O] ok: usage application anywhere, the others in a first Commit", async () => {
    const group = await TestGroup.of(NAMES, { environment: withPsks() });
    await acceptedList(group, [psk(resumption("application"))]);
    await group.externalJoin("dave", await newClient("dave"), {
      psks: [resumption("application")],
    });
    for (const usage of ["reinit", "branch"] as const) {
      const { enter } = await paperGroup([resumption(usage)], 1n);
      expect((await enter()).psks).toMatchObject([{ usage }]);
    }
    const { enter } = await paperGroup([resumption("application")], 5n);
    await enter();
  });

  test("valn0801 valn0802 [C J] ok: successors and branches begin with them", async () => {
    const group = await TestGroup.of(["alice", "bob"]);
    const { crypto } = group.observer.epoch;
    const [creator, member] = [await newClient("alice"), await newClient("bob")];
    const parent = parentOf(group.party("alice").epoch);
    const environment = testEnvironment();
    const options = {
      crypto,
      creator,
      keyPackages: [member.keyPackage],
      forcePath: true,
      ratchetTree: true,
    };
    const groupId = utf8("branch");
    const branch = await createBranch(parent, { ...options, groupId, extensions: [] }, environment);
    const asked = { ...(reInit() as Extract<Proposal, { type: "reInit" }>) };
    const predecessor = predecessorOf(group.party("alice").epoch, asked);
    const successor = await createSuccessor(predecessor, options, environment);
    const knowing = testEnvironment({ psks: () => parent.resumptionPsk });
    for (const { welcomes } of [branch, successor]) {
      await join(welcomes[0]!.bytes, [member], knowing);
    }
  });

  describe.each([0, 31, 33])("valn0803 a nonce of %i bytes", (length) => {
    const id = pskId("key", length);

    test("[C] is neither proposed nor committed", async () => {
      const group = await TestGroup.of(NAMES, { environment: withPsks() });
      await neverMade(group, psk(id), "valn0803");
    });

    test("[R O] is refused on arrival and in a Commit", async () => {
      const group = await TestGroup.of(NAMES, { environment: withPsks() });
      await neverTaken(group, psk(id), "valn0803");
    });

    test("[J] is refused in a Welcome", async () => {
      const { enter, joiner } = await paperGroup([id as ReturnType<typeof resumption>], 2n);
      await refuses(joiner, enter, "valn0803");
    });

    test("[X] is refused in an external commit", async () => {
      const group = await TestGroup.of(NAMES, { environment: withPsks() });
      const client = await newClient("dave");
      await refuses(client, () => group.createExternalJoin(client, { psks: [id] }), "valn0803");
      const proposals = (init: Proposal) => [init, psk(id)];
      const made = await forgeExternalCommit(client, group.party("alice"), { proposals });
      await refusedEverywhere(group, "dave", made.bytes, "valn0803");
    });
  });

  test("valn0803 [C R J X O] ok: a nonce as long as the KDF's output", async () => {
    const group = await TestGroup.of(NAMES, { environment: withPsks() });
    await acceptedList(group, [psk(pskId("key"))]);
    await group.externalJoin("dave", await newClient("dave"), { psks: [pskId("key")] });
    const { enter } = await paperGroup([pskId("key")], 3n);
    await enter();
  });
});

describe("ReInit", () => {
  test("valn0901 [C] a lower version is neither proposed nor committed", async () => {
    await neverMade(await TestGroup.of(NAMES), reInit(0), "valn0901");
  });

  test("valn0901 [R O] a lower version is refused on arrival and in a Commit", async () => {
    await neverTaken(await TestGroup.of(NAMES), reInit(0), "valn0901");
  });

  test.each([1, 2])("valn0901 [C R O] ok: version %i is not lower", async (version) => {
    const group = await TestGroup.of(NAMES);
    await acceptedList(group, [await group.propose("bob", reInit(version))]);
  });
});

describe("GroupContextExtensions", () => {
  const demanding = extend([required({ extensionTypes: [CUSTOM_EXTENSION] })]);
  const exotic = extend(EXTENDED);
  const cases = [
    ["valn1001", "a required extension", demanding],
    ["valn1001", "a required proposal", extend([required({ proposalTypes: [CUSTOM_PROPOSAL] })])],
    ["valn1001", "a required credential type", extend([required({ credentialTypes: [2] })])],
    ["mk-62", "an extension", exotic],
    ["mk-62", "a GREASE extension", extend([{ type: GREASE, data: EMPTY_BYTES }])],
  ] as const;

  describe.each(cases)("%s", (rule, says, proposal) => {
    test(`[C] ${says} that members lack is not committed`, async () => {
      const group = await TestGroup.of(NAMES);
      await notCommitted(group, [proposal], rule);
      await leftOut(group, await cachedFrom(group.party("bob"), proposal), rule);
    });

    test(`[R O] a Commit with ${says} that members lack is refused`, async () => {
      const group = await TestGroup.of(NAMES);
      await refusedList(group, [proposal], rule);
      await refusedList(group, await cachedFrom(group.party("bob"), proposal), rule);
    });
  });

  test.each([
    ["valn1001", demanding],
    ["mk-62", exotic],
  ] as const)("%s [C R O] a client that the same Commit adds counts", async (rule, proposal) => {
    const group = await TestGroup.of(NAMES, { client: ABLE });
    const list = [proposal, add(await newClient("dave"))];
    await notCommitted(group, list, rule);
    await refusedList(group, list, rule);
  });

  test.each([
    ["valn1001", demanding],
    ["mk-62", exotic],
  ] as const)(
    "%s [C R O] ok: a client that the same Commit removes does not count",
    async (_, proposal) => {
      const group = await TestGroup.of(["alice", "bob"], { client: ABLE });
      await group.add("alice", new Map([["carol", await newClient("carol")]]));
      await acceptedList(group, [remove(2), proposal]);
    },
  );

  test("valn1001 mk-62 [C R O] ok: an Update of the same Commit brings the capability", async () => {
    const group = await TestGroup.of(["alice", "bob"], { client: ABLE });
    await group.add("alice", new Map([["carol", await newClient("carol")]]));
    const { capabilities } = group.party("alice").bundle.keyPackage.leafNode;
    const update = await group.proposeUpdate("carol", { capabilities });
    const both = extend([required({ extensionTypes: [CUSTOM_EXTENSION] }), ...EXTENDED]);
    await acceptedList(group, [update, both]);
  });

  const malformed = externalSenders({ publicKey: new Uint8Array(31) });

  test("mk-63 [C] external senders without a key of the suite are not committed", async () => {
    const group = await TestGroup.of(NAMES);
    await neverMade(group, extend([malformed]), "mk-63");
    const creator = await newClient("dave");
    const { crypto } = group.observer.epoch;
    const options = { crypto, groupId: GROUP_ID, extensions: [malformed], creator };
    await expectRule(() => createGroup(options, group.environment), "mk-63");
  });

  test("mk-63 [R O] external senders without a key of the suite are refused", async () => {
    await neverTaken(await TestGroup.of(NAMES), extend([malformed]), "mk-63");
  });

  const broken: readonly [string, Extension][] = [
    ["required capabilities", { type: 3, data: Uint8Array.of(0, 0, 0, 0xff) }],
    ["external senders", { type: 5, data: utf8("nothing of the kind") }],
  ];
  const carrying: readonly [string, (extension: Extension) => Proposal][] = [
    ["GroupContextExtensions", (extension) => extend([extension])],
    ["a ReInit", (extension) => reInit(1, [extension])],
  ];

  describe.each(carrying)("mk-16 in %s", (_, carry) => {
    test.each(broken)("[C] %s that do not decode are not sent", async (_says, extension) => {
      await neverMade(await TestGroup.of(NAMES), carry(extension), "mk-16");
    });

    test.each(broken)(
      "[R O] %s that do not decode are refused on arrival and in a Commit",
      async (_says, extension) => {
        await neverTaken(await TestGroup.of(NAMES), carry(extension), "mk-16");
      },
    );
  });

  test("mk-63 [C R O] ok: a ReInit lists external senders with keys of another suite", async () => {
    const extensions = [externalSenders({ publicKey: new Uint8Array(65).fill(4) }), required()];
    const group = await TestGroup.of(NAMES);
    const proposal = { ...reInit(1, extensions), cipherSuite: 2 };
    await acceptedList(group, [await group.propose("bob", proposal)]);
  });

  test("mk-63 [J X] a group with such senders is not joined", async () => {
    const group = await TestGroup.of(["alice"]);
    const alice = group.party("alice");
    const joiner = await newClient("bob");
    const leaves = [alice.bundle, joiner].map(({ keyPackage }) => keyPackage.leafNode);
    const context = { extensions: [malformed] };
    const nodes = treeOfLeaves(leaves);
    const { bytes } = await forgeWelcome(alice.epoch, { joiners: [joiner], nodes, context });
    await refuses(joiner, () => join(bytes, [joiner], group.environment), "mk-63");
    const { groupInfo } = await forgeGroupInfo(alice.epoch, { context });
    await refuses(joiner, () => group.createExternalJoin(joiner, { groupInfo }), "mk-63");
  });

  test("valn0101 [C R] external senders whom the application does not trust are refused", async () => {
    const distrust = testEnvironment({
      authenticationService: {
        ...acceptAnyCredential,
        validate: (identities, { event }) =>
          identities.map(() => (event === "externalSender" ? { reason: "unknown" } : true)),
      },
    });
    const proposal = extend([externalSenders(await newSigner())]);
    const group = await TestGroup.of(NAMES, { environment: distrust });
    await notCommitted(group, [proposal], "valn0101");
    await refusedList(group, [proposal], "valn0101");
  });

  test("mk-63 [C R J X O] ok: external senders with keys of the suite", async () => {
    const group = await TestGroup.of(NAMES);
    await acceptedList(group, [extend([externalSenders(await newSigner())])]);
    await group.add("alice", new Map([["dave", await newClient("dave")]]));
    await group.externalJoin("erin", await newClient("erin"));
  });
});

const server = await newSigner();

describe("proposals from outside", () => {
  const extensions = [externalSenders(server)];
  const policies = {
    silent: {},
    strict: {
      reviewProposal: ({ sender }: { sender: { type: string } }) =>
        sender.type === "external" ? ({ reason: "not from there" } as const) : true,
    },
    choosy: {
      reviewProposal: ({ sender, proposal }: { sender: { type: string }; proposal: Proposal }) =>
        sender.type === "external" && proposal.type === "remove"
          ? ({ reason: "no removals" } as const)
          : true,
    },
  } as const;
  const under = (policy: keyof typeof policies): Promise<TestGroup> =>
    TestGroup.of(NAMES, { extensions, environment: testEnvironment({ policy: policies[policy] }) });
  const byServer = (group: TestGroup, proposal: Proposal): Promise<Uint8Array> =>
    createExternalProposal(group.observer.epoch.context, proposal, server, group.environment.types);
  const byJoiner = async (group: TestGroup): Promise<Uint8Array> => {
    const { keyPackage, signer } = await newClient("dave");
    return createNewMemberProposal(group.observer.epoch.context, keyPackage, signer);
  };

  test("mk-64 [R O] a policy that says no keeps an external sender out", async () => {
    const group = await under("strict");
    await refusedMessage(group, "server", await byServer(group, remove(1)), "mk-64");
  });

  test("mk-64 [R O] a policy may look at the content", async () => {
    const group = await under("choosy");
    await refusedMessage(group, "server", await byServer(group, remove(1)), "mk-64");
    await group.deliver(await byServer(group, add(await newClient("dave"))), "server");
  });

  test("mk-64 [R O] without a policy new members do not propose themselves", async () => {
    const group = await under("silent");
    await refusedMessage(group, "dave", await byJoiner(group), "mk-64");
    await goesOn(group);
  });

  test("mk-64 [R O] ok: senders and contents that the policy admits are kept and committed", async () => {
    const group = await under("choosy");
    const bytes = await byJoiner(group);
    const observer = publicGroup(group);
    await observer.process(bytes, group.environment);
    expect(observer.proposals).toHaveLength(1);
    await group.deliver(bytes, "dave");
    const [cached] = [...group.party("alice").cache.values()];
    await acceptedList(group, [cached!]);
  });
});

describe("on arrival", () => {
  const environment = withPsks({
    types: { proposals: new Map(), credentials: new Map(), extensions: new Set() },
  });
  const hopeless: readonly [RuleId, string, Proposal, "UNS"?][] = [
    ["valn0701", "a Remove of nobody", remove(77)],
    ["valn0803", "a bad nonce", psk(pskId("key", 5))],
    ["valn0801", "a PSK for a successor", psk(resumption("reinit"))],
    ["valn0802", "a PSK for a branch", psk(resumption("branch"))],
    ["valn0901", "a ReInit to an older version", reInit(0)],
    ["valn1603", "a misplaced extension", extend([{ type: 2, data: EMPTY_BYTES }])],
    ["mk-16", "a broken body", extend([{ type: 3, data: Uint8Array.of(0, 0, 0, 0xff) }])],
    ["mk-65", "an ExternalInit", { type: "externalInit", kemOutput: new Uint8Array(32) }],
    ["mk-10", "an unregistered type", customProposal(0x7777, utf8("what")), "UNS"],
  ];

  test.each(hopeless)(
    "%s [R O] %s is refused on arrival and not kept",
    async (rule, _says, proposal, as) => {
      const group = await TestGroup.of(NAMES, { environment });
      const expected = as === undefined ? {} : { as };
      const { bytes } = await forgeProposal(group.party("bob"), proposal);
      await refusedMessage(group, "bob", bytes, rule, expected);
      await goesOn(group);
    },
  );

  test("mk-65 [C] an ExternalInit is not sent as a proposal", async () => {
    const group = await TestGroup.of(NAMES);
    await notProposed(group, { type: "externalInit", kemOutput: new Uint8Array(32) }, "mk-65");
  });

  test("mk-65 [R O] ok: what may yet become valid is kept", async () => {
    const types = {
      proposals: new Map([[CUSTOM_PROPOSAL, { skip: skipOpaque }]]),
      credentials: new Map(),
      extensions: new Set<number>(),
    };
    const group = await TestGroup.of(NAMES, { environment: testEnvironment({ types }) });
    const bob: Party = group.party("bob");
    const later = [
      psk(pskId("nobody has it yet")),
      extend(EXTENDED),
      add(await newClient("twin", { signer: bob.signer })),
      customProposal(CUSTOM_PROPOSAL, utf8("known to nobody else")),
    ];
    for (const proposal of later) {
      const { bytes } = await forgeProposal(bob, proposal);
      await group.deliver(bytes, "bob");
      await publicGroup(group).process(bytes, group.environment);
    }
    expect(group.party("alice").cache.size).toBe(later.length);
  });

  test("valn0701 [R O] what is refused is not attributed to anybody else", async () => {
    const group = await TestGroup.of(NAMES);
    const content = { contentType: "proposal", proposal: remove(77) } as const;
    const bytes = await forgeMessage(group.party("bob"), content, { wireFormat: "privateMessage" });
    const carol = group.party("carol");
    await refuses(carol, () => carol.receive(bytes), "valn0701");
    await publicGroupRefuses(
      group,
      (await forgeProposal(group.party("bob"), remove(77))).bytes,
      "valn0701",
    );
  });
});
