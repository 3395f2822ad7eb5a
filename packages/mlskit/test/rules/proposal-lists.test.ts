/** Rules of section 7: which proposals may stand together in one Commit. RFC 9420 §12.2–12.4. */
import { describe, expect, test } from "vitest";
import { equalBytes, toHex, utf8 } from "../../src/codec/index.ts";
import { MlsError } from "../../src/errors.ts";
import { ExtensionType } from "../../src/extensions/extension.ts";
import type { KeyPackageBundle } from "../../src/group/join-by-welcome.ts";
import { createProposal } from "../../src/group/proposal-message.ts";
import { customProposal, type Proposal } from "../../src/messages/proposal.ts";
import type { RuleId } from "../../src/rule-registry.ts";
import { nodeIndex } from "../../src/tree/tree-math.ts";
import { agree, expectRule, refuses, unchanged } from "../support/assertions.ts";
import { testEnvironment } from "../support/environment.ts";
import {
  flipped,
  forgeCommit,
  forgeExternalCommit,
  forgeProposal,
  forgeWelcome,
  treeOfLeaves,
} from "../support/forge.ts";
import {
  ABLE,
  acceptedList,
  add,
  CUSTOM_PROPOSAL,
  cachedFrom,
  EXTENDED,
  extend,
  externalSenders,
  goesOn,
  knowing,
  leftOut,
  notCommitted,
  psk,
  pskId,
  publicGroup,
  refusedEverywhere,
  refusedList,
  reInit,
  remove,
  resumption,
  same,
  stranger,
  updateBy,
  withPsks,
} from "../support/forge-lists.ts";
import { join, newClient, newSigner } from "../support/parties.ts";
import { MESSAGE_DEFAULTS, TestGroup } from "../support/test-group.ts";
import { commitIn } from "../support/wire.ts";

const NAMES = ["alice", "bob", "carol", "dave"];

describe("valn0301", () => {
  const invalidAlone = (): [RuleId, Proposal][] => [
    ["valn0701", remove(77)],
    ["valn0803", psk(pskId("short", 1))],
    ["valn0801", psk(resumption("reinit"))],
    ["valn1603", extend([{ type: ExtensionType.applicationId, data: utf8("x") }])],
  ];
  const group = (): Promise<TestGroup> =>
    TestGroup.of(NAMES, { client: ABLE, environment: knowing() });
  const together = async (): Promise<Proposal[]> => [
    extend(EXTENDED),
    add(await newClient("erin")),
  ];

  test("[C] proposals that are valid one by one are not committed where they exclude each other", async () => {
    const members = await group();
    await notCommitted(members, await together(), "mk-62");
    const cached = await cachedFrom(members.party("bob"), ...(await together()));
    await leftOut(members, cached, "mk-62");
  });

  test("[R O] proposals that are valid one by one are refused where they exclude each other", async () => {
    const members = await group();
    for (const proposal of await together()) {
      const { bytes } = await forgeProposal(members.party("bob"), proposal);
      await members.deliver(bytes, "bob");
    }
    await refusedList(members, await together(), "mk-62");
    await refusedList(
      members,
      await cachedFrom(members.party("bob"), ...(await together())),
      "mk-62",
    );
  });

  test("[C] a proposal that is invalid on its own is not committed beside valid ones", async () => {
    const members = await group();
    for (const [rule, bad] of invalidAlone()) {
      await notCommitted(members, [add(await newClient("erin", ABLE)), bad], rule);
    }
  });

  test("[R O] a proposal that is invalid on its own spoils a list of valid ones", async () => {
    const members = await group();
    for (const [rule, bad] of invalidAlone()) {
      await refusedList(members, [add(await newClient("erin", ABLE)), bad], rule);
    }
  });

  test("[C R O] ok: what the list as a whole permits", async () => {
    const members = await group();
    await acceptedList(members, [extend(EXTENDED), add(await newClient("erin", ABLE))]);
  });
});

describe("valn0302", () => {
  test("[C] a committer's own Update is an error by value, and left out by reference", async () => {
    const group = await TestGroup.of(NAMES);
    const { cached } = await updateBy(group.party("alice"));
    await notCommitted(group, [cached.proposal], "valn0302");
    await group.proposeUpdate("alice");
    const made = await group.commit("alice", { forcePath: false });
    const { proposals, path } = commitIn(made.commit);
    expect(proposals).toEqual([]);
    expect(path).toBeDefined();
    await agree(group);
  });

  test("[R O] a committer's own Update is refused, by value and by reference", async () => {
    const group = await TestGroup.of(NAMES);
    const { cached } = await updateBy(group.party("alice"));
    await refusedList(group, [cached.proposal], "valn0302");
    await refusedList(group, [(await updateBy(group.party("alice"))).cached], "valn0302");
  });

  test("[R O] an Update by value is the committer's own, whoever's leaf it has", async () => {
    const group = await TestGroup.of(NAMES);
    const { cached } = await updateBy(group.party("bob"));
    await refusedList(group, [cached.proposal], "valn0302");
  });

  test("[C R O] ok: an Update of another member beside the committer's path", async () => {
    const group = await TestGroup.of(NAMES);
    await acceptedList(group, [await group.proposeUpdate("bob")], { forcePath: true });
  });
});

describe("valn0303", () => {
  test("[C] a committer does not remove itself", async () => {
    const group = await TestGroup.of(NAMES);
    await notCommitted(group, [remove(0)], "valn0303");
    await leftOut(group, await cachedFrom(group.party("bob"), remove(0)), "valn0303");
  });

  test("[R O] a Commit that removes its committer is refused", async () => {
    const group = await TestGroup.of(NAMES);
    await refusedList(group, [remove(0)], "valn0303");
    await refusedList(group, await cachedFrom(group.party("bob"), remove(0)), "valn0303");
  });

  test("[C R O] ok: another member commits the removal that somebody asked for", async () => {
    const group = await TestGroup.of(NAMES);
    await acceptedList(group, [await group.propose("bob", remove(1))]);
    expect(group.party("bob").isMember).toBe(false);
  });
});

describe("valn0304", () => {
  test("[C] of two Removes the first is committed", async () => {
    const group = await TestGroup.of(NAMES);
    await notCommitted(group, [remove(1), remove(1)], "valn0304");
    await leftOut(
      group,
      await cachedFrom(group.party("carol"), remove(1), remove(1)),
      "valn0304",
      [1],
    );
  });

  test("[C] of two Updates the latest is committed", async () => {
    const group = await TestGroup.of(NAMES);
    const updates = [await group.proposeUpdate("bob"), await group.proposeUpdate("bob")];
    await leftOut(group, updates, "valn0304", [0]);
    const { encryptionKey } = group.party("bob").epoch.tree.leaf(group.party("bob").epoch.ownLeaf)!;
    const { proposal } = updates[1]!;
    expect(
      proposal.type === "update" && equalBytes(proposal.leafNode.encryptionKey, encryptionKey),
    ).toBe(true);
  });

  test.each([0, 1])(
    "[C] of an Update and a Remove the Remove is committed, Update at %i",
    async (at) => {
      const group = await TestGroup.of(NAMES);
      const update = await group.proposeUpdate("bob");
      const pending = [await group.propose("carol", remove(1))];
      pending.splice(at, 0, update);
      await leftOut(group, pending, "valn0304", [at]);
      expect(group.party("bob").isMember).toBe(false);
    },
  );

  test("[R O] two Removes of one leaf are refused", async () => {
    const group = await TestGroup.of(NAMES);
    await refusedList(group, [remove(1), remove(1)], "valn0304");
    await refusedList(
      group,
      await cachedFrom(group.party("carol"), remove(1), remove(1)),
      "valn0304",
    );
  });

  test("[R O] two Updates of one leaf are refused", async () => {
    const group = await TestGroup.of(NAMES);
    const bob = group.party("bob");
    const list = [(await updateBy(bob)).cached, (await updateBy(bob)).cached];
    await refusedList(group, list, "valn0304");
  });

  test("[R O] an Update and a Remove of one leaf are refused", async () => {
    const group = await TestGroup.of(NAMES);
    await refusedList(group, [(await updateBy(group.party("bob"))).cached, remove(1)], "valn0304");
    await refusedList(group, [remove(1), (await updateBy(group.party("bob"))).cached], "valn0304");
  });

  test("[C R O] ok: an Update and Removes of different leaves", async () => {
    const group = await TestGroup.of(NAMES);
    await acceptedList(group, [await group.proposeUpdate("bob"), remove(2), remove(3)]);
  });
});

describe("adding clients", () => {
  const twins = async (): Promise<[KeyPackageBundle, KeyPackageBundle]> => {
    const first = await newClient("erin");
    return [first, await newClient("erin", { signer: first.signer })];
  };
  const sharing = async (): Promise<[KeyPackageBundle, KeyPackageBundle]> => {
    const first = await newClient("erin");
    return [first, await stranger({ fields: { initKey: first.keyPackage.initKey } })];
  };
  const again = (group: TestGroup): Promise<KeyPackageBundle> =>
    newClient("bob", { signer: group.party("bob").signer });

  test.each([
    ["valn0305", "a client is not added twice", twins],
    ["mk-66", "an init key is not used twice", sharing],
  ] as const)("%s [C] %s", async (rule, _says, pair) => {
    const group = await TestGroup.of(NAMES);
    const list = (await pair()).map(add);
    await notCommitted(group, list, rule);
    await leftOut(group, await cachedFrom(group.party("bob"), ...list), rule, [1]);
  });

  test.each([
    ["valn0305", "two Adds of a client are refused", twins],
    ["mk-66", "two Adds with one init key are refused", sharing],
  ] as const)("%s [R O] %s", async (rule, _says, pair) => {
    const group = await TestGroup.of(NAMES);
    const list = (await pair()).map(add);
    await refusedList(group, list, rule);
    await refusedList(group, await cachedFrom(group.party("bob"), ...list), rule);
  });

  test("valn0305 [R O] the same package twice is refused", async () => {
    const group = await TestGroup.of(NAMES);
    const once = add(await newClient("erin"));
    await refusedList(group, [once, once], "valn0305");
  });

  test("valn0306 [C] a member is not added again", async () => {
    const group = await TestGroup.of(NAMES);
    const proposal = add(await again(group));
    await notCommitted(group, [proposal], "valn0306");
    await leftOut(group, await cachedFrom(group.party("carol"), proposal), "valn0306");
  });

  test("valn0306 [R O] an Add of a member is refused", async () => {
    const group = await TestGroup.of(NAMES);
    const proposal = add(await again(group));
    await refusedList(group, [proposal], "valn0306");
    await refusedList(group, await cachedFrom(group.party("carol"), proposal), "valn0306");
    await refusedList(group, [remove(2), proposal], "valn0306");
  });

  test.each([false, true])(
    "valn0306 [C R O] ok: a member is removed and added, Add first: %s",
    async (first) => {
      const group = await TestGroup.of(NAMES);
      const list = [remove(1), add(await again(group))];
      await acceptedList(group, first ? list.reverse() : list);
      expect(group.party("carol").epoch.tree.memberCount).toBe(4);
    },
  );

  test("valn0305 mk-66 [C R O] ok: different clients of one name", async () => {
    const group = await TestGroup.of(NAMES);
    await acceptedList(group, [add(await newClient("erin")), add(await newClient("erin"))]);
  });
});

describe("valn0307", () => {
  const twice = [psk(pskId("key")), psk(pskId("key"))];

  test("[C] a PSK is not named twice", async () => {
    const group = await TestGroup.of(NAMES, { environment: withPsks() });
    await notCommitted(group, twice, "valn0307");
    await leftOut(group, await cachedFrom(group.party("bob"), ...twice), "valn0307", [1]);
  });

  test("[R O] a Commit that names a PSK twice is refused", async () => {
    const group = await TestGroup.of(NAMES, { environment: withPsks() });
    await refusedList(group, twice, "valn0307");
    await refusedList(
      group,
      [...(await cachedFrom(group.party("bob"), twice[0]!)), twice[1]!],
      "valn0307",
    );
    const resumed = psk(resumption("application"));
    await refusedList(group, [resumed, resumed], "valn0307");
  });

  test("[X] an external commit does not name a PSK twice", async () => {
    const group = await TestGroup.of(NAMES, { environment: withPsks() });
    const client = await newClient("erin");
    const psks = [pskId("key"), pskId("key")];
    await refuses(client, () => group.createExternalJoin(client, { psks }), "valn0307");
    const proposals = (init: Proposal) => [init, ...twice];
    const made = await forgeExternalCommit(client, group.party("alice"), { proposals });
    await refusedEverywhere(group, "erin", made.bytes, "valn0307");
  });

  /** A Welcome that names these PSKs. */
  async function welcomed(ids: readonly ReturnType<typeof pskId>[]) {
    const environment = withPsks();
    const { epoch, bundle } = (await TestGroup.of(["alice"], { environment })).party("alice");
    const joiner = await newClient("bob");
    const nodes = treeOfLeaves([bundle, joiner].map(({ keyPackage }) => keyPackage.leafNode));
    const secret = (await environment.psks(ids[0]!))!;
    const psks = ids.map((id) => ({ id, secret }));
    const { bytes } = await forgeWelcome(epoch, { joiners: [joiner], nodes, psks });
    return { joiner, enter: () => join(bytes, [joiner], environment) };
  }

  test("[J] a Welcome does not name a PSK twice", async () => {
    const { joiner, enter } = await welcomed([pskId("key"), pskId("key")]);
    await refuses(joiner, enter, "valn0307");
  });

  test("[C R J X O] ok: one key under two nonces, and two kinds of PSK", async () => {
    const group = await TestGroup.of(NAMES, { environment: withPsks() });
    const other = { ...pskId("key"), nonce: new Uint8Array(32) };
    await acceptedList(group, [pskId("key"), other, resumption("application")].map(psk));
    await group.externalJoin("erin", await newClient("erin"), { psks: [pskId("key"), other] });
    const { enter } = await welcomed([pskId("key"), other]);
    await enter();
  });
});

describe("valn0308", () => {
  const lists = async (): Promise<Proposal[]> => [
    extend([]),
    extend([externalSenders(await newSigner())]),
  ];

  test("[C] of two new lists of extensions the first is committed", async () => {
    const group = await TestGroup.of(NAMES);
    await notCommitted(group, await lists(), "valn0308");
    await leftOut(group, await cachedFrom(group.party("bob"), ...(await lists())), "valn0308", [1]);
  });

  test("[R O] two new lists of extensions are refused, equal ones too", async () => {
    const group = await TestGroup.of(NAMES);
    await refusedList(group, await lists(), "valn0308");
    await refusedList(group, [extend([]), extend([])], "valn0308");
  });

  test("[C R O] ok: one new list of extensions beside other proposals", async () => {
    const group = await TestGroup.of(NAMES);
    const [, list] = await lists();
    await acceptedList(group, [remove(1), list!, await group.proposeUpdate("carol")]);
  });
});

describe("valn0309", () => {
  test("[C] a ReInit waits while there is something else to commit", async () => {
    const group = await TestGroup.of(NAMES);
    await notCommitted(group, [reInit(), remove(1)], "valn0309");
    await leftOut(
      group,
      await cachedFrom(group.party("bob"), reInit(), remove(2)),
      "valn0309",
      [0],
    );
  });

  test("[C] of two ReInits one is committed", async () => {
    const group = await TestGroup.of(NAMES);
    const pending = await cachedFrom(group.party("bob"), reInit(), reInit());
    await leftOut(group, pending, "valn0309", [0]);
  });

  test("[R O] a ReInit beside anything else is refused", async () => {
    const group = await TestGroup.of(NAMES);
    await refusedList(group, [reInit(), remove(1)], "valn0309");
    await refusedList(group, [add(await newClient("erin")), reInit()], "valn0309");
    await refusedList(group, [reInit(), reInit()], "valn0309");
    await refusedList(group, [(await updateBy(group.party("bob"))).cached, reInit()], "valn0309");
  });

  test.each([true, false])("[C R O] ok: a ReInit alone, with a path: %s", async (forcePath) => {
    await acceptedList(await TestGroup.of(NAMES), [reInit()], { forcePath });
  });
});

describe("valn0310", () => {
  const init: Proposal = { type: "externalInit", kemOutput: new Uint8Array(32).fill(9) };

  test("[C] a member commits no ExternalInit", async () => {
    const group = await TestGroup.of(NAMES);
    await notCommitted(group, [init], "valn0310");
    await leftOut(group, await cachedFrom(group.party("bob"), init), "valn0310");
  });

  test("[R O] an ExternalInit of a member is refused, whatever else is in the Commit", async () => {
    const group = await TestGroup.of(NAMES);
    await refusedList(group, [init], "valn0310");
    await refusedList(group, [remove(1), init], "valn0310");
    await refusedList(group, await cachedFrom(group.party("bob"), init), "valn0310");
  });

  test("[C R O] ok: all other types in one Commit", async () => {
    const group = await TestGroup.of(NAMES, { environment: withPsks() });
    const list = [add(await newClient("erin")), remove(1), psk(pskId("key")), extend([])];
    await acceptedList(group, [await group.proposeUpdate("carol"), ...list]);
  });
});

describe("valn0311", () => {
  const custom = customProposal(CUSTOM_PROPOSAL, utf8("something new"));
  /** Carol, at leaf 2, does not know the type. */
  const mixed = async (): Promise<TestGroup> => {
    const group = await TestGroup.of(["alice", "bob"], { client: ABLE, environment: knowing() });
    await group.add("alice", new Map([["carol", await newClient("carol")]]));
    return group;
  };

  test("[C] a type that a member does not know is not committed", async () => {
    const group = await mixed();
    await notCommitted(group, [custom], "valn0311");
    await leftOut(group, await cachedFrom(group.party("bob"), custom), "valn0311");
  });

  test("[R O] a Commit with a type that a member does not know is refused", async () => {
    const group = await mixed();
    await refusedList(group, [custom], "valn0311");
    await refusedList(group, await cachedFrom(group.party("bob"), custom), "valn0311");
    // An Update that brings the capability comes too late for this Commit.
    const { capabilities } = group.party("alice").bundle.keyPackage.leafNode;
    const update = (await updateBy(group.party("carol"), { leaf: { capabilities } })).cached;
    await refusedList(group, [custom, update], "valn0311");
  });

  test("[C R O] ok: members that the Commit adds or removes need not know the type", async () => {
    const group = await mixed();
    await acceptedList(group, [custom, remove(2), add(await newClient("dave"))]);
  });
});

describe("valn0312", () => {
  const withKeyOf = (group: TestGroup, name: string): Promise<KeyPackageBundle> => {
    const { encryptionKey } = group.party(name).bundle.keyPackage.leafNode;
    return stranger({ leaf: { encryptionKey } });
  };
  /** Bob, whose leaf is still that of his key package. */
  const fresh = (): Promise<TestGroup> => TestGroup.of(NAMES, { path: false });

  test("[C] no Commit repeats an encryption key", async () => {
    const group = await fresh();
    const proposal = add(await withKeyOf(group, "bob"));
    await notCommitted(group, [proposal], "valn0112");
    await leftOut(group, await cachedFrom(group.party("carol"), proposal), "valn0112");
  });

  test("[R O] a Commit that repeats an encryption key is refused", async () => {
    const group = await fresh();
    await refusedList(group, [add(await withKeyOf(group, "bob"))], "valn0112");
    const pair = [await stranger(), await stranger()] as const;
    const { encryptionKey } = pair[0].keyPackage.leafNode;
    const twin = await stranger({ leaf: { encryptionKey } });
    await refusedList(group, [add(pair[0]), add(twin)], "valn0112");
  });

  test("[R O] the key of a parent node is not repeated either", async () => {
    const group = await TestGroup.of(NAMES);
    const parent = group.observer.epoch.tree.node(nodeIndex(1));
    if (parent?.type !== "parent") throw new Error("a parent was expected");
    const { encryptionKey } = parent.parent;
    const proposals = [add(await stranger({ leaf: { encryptionKey } }))];
    await refusedList(group, proposals, "valn0112", { forgery: { path: false } });
  });

  test("[R O] an Update with a key of another member is refused", async () => {
    const group = await TestGroup.of(NAMES);
    const { encryptionKey } = group.party("carol").bundle.keyPackage.leafNode;
    const copied = await updateBy(group.party("bob"), { leaf: { encryptionKey } });
    await refusedList(group, [copied.cached], "valn0112");
    const posing = await updateBy(group.party("bob"), { leafSigner: group.party("carol").signer });
    await refusedList(group, [posing.cached], "valn0111");
  });

  test("[X] nobody joins with the signature key of a member", async () => {
    const group = await TestGroup.of(NAMES);
    const client = await newClient("bob", { signer: group.party("bob").signer });
    await refuses(client, () => group.createExternalJoin(client), "valn0111");
    const made = await forgeExternalCommit(client, group.party("alice"));
    await refusedEverywhere(group, "bob", made.bytes, "valn0111", { by: ["alice", "carol"] });
  });

  test("[C R X O] ok: keys of leaves that the Commit removes are free", async () => {
    const group = await fresh();
    await acceptedList(group, [remove(1), add(await withKeyOf(group, "bob"))]);
    const carol = await newClient("carol", { signer: group.party("carol").signer });
    const { commit } = await group.createExternalJoin(carol, { resync: () => 2 });
    await group.party("alice").receive(commit);
    await publicGroup(group).process(commit, group.environment);
  });
});

describe("mk-67", () => {
  test("[R] a Commit is processed again once the proposal it names has arrived", async () => {
    const group = await TestGroup.of(NAMES);
    const { bytes, cached } = await forgeProposal(group.party("bob"), remove(3));
    const { bytes: commit } = await forgeCommit(group.party("alice"), { proposals: [cached] });
    const carol = group.party("carol");
    const error = await refuses(carol, () => carol.receive(commit), "mk-67", {
      code: "UNKNOWN_PROPOSAL",
    });
    expect(error.retryable).toBe(true);
    expect(error.details["missing"]).toEqual([cached.reference]);
    await carol.receive(bytes);
    expect((await carol.receive(commit)).kind).toBe("commit");
  });

  test("[O] a PublicGroup can be handed the missing proposal with the Commit", async () => {
    const group = await TestGroup.of(NAMES);
    const { bytes, cached } = await forgeProposal(group.party("bob"), remove(3));
    const { bytes: commit } = await forgeCommit(group.party("alice"), { proposals: [cached] });
    const observer = publicGroup(group);
    const before = toHex(observer.snapshot());
    const observe = () => observer.process(commit, group.environment);
    const error = await expectRule(observe, "mk-67", { code: "UNKNOWN_PROPOSAL" });
    expect(error.details["missing"]).toEqual([cached.reference]);
    expect(toHex(observer.snapshot())).toBe(before);
    await observer.process(commit, group.environment, [bytes]);
  });

  const disliking = testEnvironment({
    policy: {
      reviewProposal: ({ proposal }) =>
        proposal.type === "remove" ? { reason: "nobody has to go" } : true,
    },
  });

  test("[R] a proposal that was refused is named as refused, with the reason", async () => {
    const group = await TestGroup.of(NAMES);
    const { bytes, cached } = await forgeProposal(group.party("bob"), remove(3));
    const { bytes: commit } = await forgeCommit(group.party("alice"), { proposals: [cached] });
    const carol = group.party("carol");
    carol.environment = disliking;
    await refuses(carol, () => carol.receive(bytes), "mk-64");
    const error = await refuses(carol, () => carol.receive(commit), "mk-67", {
      code: "PROPOSAL_REFUSED",
    });
    expect(error.details["refused"]).toEqual(cached.reference);
    expect(error.cause).toMatchObject({ rule: "mk-64", details: { reason: "nobody has to go" } });
    carol.environment = group.environment;
    await group.commit("alice");
    same(group);
  });

  test("[O] a PublicGroup names a refused proposal likewise", async () => {
    const group = await TestGroup.of(NAMES);
    const { bytes, cached } = await forgeProposal(group.party("bob"), remove(3));
    const { bytes: commit } = await forgeCommit(group.party("alice"), { proposals: [cached] });
    const observer = publicGroup(group);
    await expectRule(() => observer.process(bytes, disliking), "mk-64");
    const error = await expectRule(() => observer.process(commit, group.environment), "mk-67", {
      code: "PROPOSAL_REFUSED",
    });
    expect(MlsError.is(error.cause, "POLICY_REJECTED")).toBe(true);
  });

  test("[R O] ok: proposals at hand are resolved, in the order of the Commit", async () => {
    const group = await TestGroup.of(NAMES);
    const cached = [
      await group.propose("bob", add(await newClient("erin"))),
      await group.propose("carol", add(await newClient("frank"))),
    ];
    await acceptedList(group, cached.reverse());
    expect(group.party("bob").epoch.tree.memberCount).toBe(6);
  });
});

describe("mk-68", () => {
  test("[C] a proposal that we hold twice is committed once", async () => {
    const group = await TestGroup.of(NAMES);
    const [cached] = await cachedFrom(group.party("bob"), remove(3));
    await leftOut(group, [cached!, cached!], "mk-68", [1]);
  });

  test("[R O] a Commit that refers to a proposal twice is refused", async () => {
    const group = await TestGroup.of(NAMES);
    const [cached] = await cachedFrom(group.party("bob"), remove(3));
    const { bytes } = await forgeCommit(group.party("alice"), {
      proposals: [cached!],
      alterList: (list) => [...list, ...list],
    });
    await refusedEverywhere(group, "alice", bytes, "mk-68", { cached: [cached!] });
    await goesOn(group);
  });

  test("[C R O] ok: a Commit refers to several proposals, once to each", async () => {
    const group = await TestGroup.of(NAMES);
    const cached = [await group.propose("bob", remove(3)), await group.propose("bob", remove(2))];
    await acceptedList(group, cached);
  });
});

describe("mk-69", () => {
  test("[R O] a Commit refers to no proposal of an earlier epoch", async () => {
    const group = await TestGroup.of(NAMES);
    const old = await group.propose("bob", remove(3));
    await goesOn(group);
    for (const { cache } of group.members) expect(cache.size).toBe(0);
    const { bytes } = await forgeCommit(group.party("alice"), { proposals: [old] });
    await refusedEverywhere(group, "alice", bytes, "mk-67", { code: "UNKNOWN_PROPOSAL" });
  });

  test("[R O] a proposal of an earlier epoch or of another group is not kept", async () => {
    const group = await TestGroup.of(NAMES);
    const { bytes: old } = await forgeProposal(group.party("bob"), remove(3));
    const groupId = utf8("another group");
    const { bytes: foreign } = await forgeProposal(group.party("bob"), remove(3), { groupId });
    await refusedEverywhere(group, "bob", foreign, "mk-24");
    await goesOn(group);
    await refusedEverywhere(group, "bob", old, "valn1307");
    for (const { cache } of group.members) expect(cache.size).toBe(0);
  });

  test("[O] a PublicGroup forgets proposals with their epoch", async () => {
    const group = await TestGroup.of(NAMES);
    const observer = publicGroup(group);
    const { bytes, cached } = await forgeProposal(group.party("bob"), remove(3));
    await observer.process(bytes, group.environment);
    const { commit } = await group.commit("alice", { pending: [] });
    await observer.process(commit, group.environment);
    expect(observer.proposals).toEqual([]);
    const { bytes: late } = await forgeCommit(group.party("alice"), { proposals: [cached] });
    await expectRule(() => observer.process(late, group.environment), "mk-67");
  });

  test("[R O] ok: the same proposal, made again, can be committed", async () => {
    const group = await TestGroup.of(NAMES);
    await group.propose("bob", remove(3));
    await goesOn(group);
    await acceptedList(group, [await group.propose("bob", remove(3))]);
  });
});

describe("mk-70", () => {
  test("[C] we leave out what is invalid, commit the rest and say what was left out", async () => {
    const group = await TestGroup.of(NAMES);
    const poison = await cachedFrom(
      group.party("bob"),
      remove(77),
      psk(pskId("nobody has it")),
      psk(pskId("bad", 1)),
      add(await stranger({ alterSignature: (it) => flipped(it, -1) })),
      remove(0),
      reInit(),
    );
    const good = await group.propose("carol", remove(3));
    const alice = group.party("alice");
    const made = await unchanged(alice, () =>
      group.createCommit("alice", { pending: [...poison, good] }),
    );
    const rules = made.unused.map(({ reason }) => (MlsError.is(reason) ? reason.rule : undefined));
    expect(new Set(rules)).toEqual(
      new Set(["valn0203", "valn0303", "valn0309", "valn0701", "valn0803", "valn1205"]),
    );
    expect(commitIn(made.commit).proposals).toEqual([
      { type: "reference", reference: good.reference },
    ]);
    await group.deliver(made.commit, "alice");
    expect(group.party("dave").isMember).toBe(false);
  });

  test("[C] what we ask for ourselves is an error if it is invalid", async () => {
    const group = await TestGroup.of(NAMES);
    await notCommitted(group, [remove(3), remove(77)], "valn0701");
    await notCommitted(group, [add(await newClient("erin")), psk(pskId("missing"))], "valn1205");
  });

  test("[R O] one invalid proposal spoils a Commit", async () => {
    const group = await TestGroup.of(NAMES);
    await refusedList(group, [remove(3), add(await newClient("erin")), remove(77)], "valn0701");
    const [bad] = await cachedFrom(group.party("bob"), remove(77));
    await refusedList(group, [add(await newClient("erin")), bad!], "valn0701");
  });

  test("[C R O] ok: a Commit of valid proposals is taken whole", async () => {
    const group = await TestGroup.of(NAMES);
    const good = await group.propose("carol", remove(3));
    await acceptedList(group, [good, add(await newClient("erin"))]);
    expect(group.party("bob").epoch.tree.memberCount).toBe(4);
  });
});

describe("mk-71", () => {
  test("[C R O] whatever the order on the wire, an Add takes the place that a Remove freed", async () => {
    const group = await TestGroup.of(NAMES, {
      client: ABLE,
      environment: withPsks({ types: knowing().types }),
    });
    const erin = await newClient("erin", ABLE);
    const update = await group.proposeUpdate("carol");
    await acceptedList(group, [update, psk(pskId("key")), add(erin), remove(1), extend(EXTENDED)]);
    for (const { epoch } of group.members) {
      expect(epoch.tree.leafWithSignatureKey(erin.signer.publicKey)).toBe(1);
      expect(epoch.context.extensions).toEqual(EXTENDED);
    }
  });

  test("[C R O] Adds take places, and PSKs enter the key schedule, in list order", async () => {
    const group = await TestGroup.of(NAMES, { environment: withPsks() });
    await group.commit("alice", { proposals: [remove(1), remove(2)] });
    const [erin, frank] = [await newClient("erin"), await newClient("frank")];
    const list = [add(erin), add(frank), psk(pskId("one")), psk(pskId("two"))];
    const made = await forgeCommit(group.party("alice"), { proposals: list, psks: [] });
    await refusedEverywhere(group, "alice", made.bytes, "mk-77", { observer: false, as: "CRY" });
    await acceptedList(group, list);
    const { tree } = group.party("dave").epoch;
    expect(tree.leafWithSignatureKey(erin.signer.publicKey)).toBe(1);
    expect(tree.leafWithSignatureKey(frank.signer.publicKey)).toBe(2);
  });

  test("[X] a joiner takes the place that its own Remove frees", async () => {
    const group = await TestGroup.of(NAMES);
    const bob = await newClient("bob");
    const made = await group.createExternalJoin(bob, { resync: () => 1 });
    expect(made.next.ownLeaf).toBe(1);
    const alice = group.party("alice");
    await alice.receive(made.commit);
    expect(alice.epoch.tree.leafWithSignatureKey(bob.signer.publicKey)).toBe(1);
    const message = await createProposal(
      alice.epoch,
      remove(3),
      MESSAGE_DEFAULTS,
      group.environment,
    );
    expect(message.cached.sender).toEqual({ type: "member", leafIndex: 0 });
  });
});
