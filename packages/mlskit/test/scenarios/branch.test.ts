/** Groups of some members of another. RFC 9420 §11.3. */
import { describe, expect, test } from "vitest";
import { utf8 } from "../../src/codec/index.ts";
import {
  ExtensionType,
  makeExtension,
  RequiredCapabilities,
} from "../../src/extensions/extension.ts";
import { checkBranch } from "../../src/group/successor-rules.ts";
import { type Parent, parentOf } from "../../src/group/parent-group.ts";
import {
  type BranchOptions,
  createBranch,
  type SuccessorOptions,
} from "../../src/group/successor.ts";
import { agree, expectRule, unchanged } from "../support/assertions.ts";
import { GROUP_ID, TestGroup } from "../support/test-group.ts";
import { environment, joinSuccessor, newClients, optionsFor, sameEpoch } from "./succession.ts";

const NAMES = ["alice", "bob", "carol"];
const BRANCH_ID = utf8("a branch");

const branch = (options: SuccessorOptions): BranchOptions => ({
  ...options,
  groupId: BRANCH_ID,
  extensions: [],
});

describe.each([1, 2, 7])("suite %i", (suite) => {
  test("M-BRA-01 ri-5 a subgroup begins with epoch 1 and leaves its parent alone", async () => {
    const group = await TestGroup.of(NAMES, { environment, suite });
    const parties = [...group.members];
    const bundles = await newClients(["bob", "carol"], { suite });
    const made = await unchanged(parties, () => {
      const parent = parentOf(group.party("carol").epoch);
      return createBranch(parent, branch(optionsFor("carol", bundles)), environment);
    });
    const joined = await unchanged(parties, () => {
      const parent = parentOf(group.party("bob").epoch);
      return joinSuccessor(made, bundles.get("bob")!, parent);
    });
    expect(sameEpoch(made.next, joined.epoch)).toBe(true);
    expect(made.next.context).toMatchObject({ groupId: BRANCH_ID, epoch: 1n, cipherSuite: suite });
    expect(joined.succession.type).toBe("branch");
    const [psk] = made.summary.psks;
    expect(psk).toMatchObject({ usage: "branch", groupId: GROUP_ID, epoch: 1n });
    expect(psk!.nonce.some((byte) => byte !== 0)).toBe(true);
    await agree(group);
    await group.commit("alice");
    await agree(group);
  });
});

test("M-BRA-02 a branch may have other extensions than its parent", async () => {
  const group = await TestGroup.of(NAMES, { environment });
  const bundles = await newClients(["alice", "bob"]);
  const extensions = [
    makeExtension(ExtensionType.requiredCapabilities, RequiredCapabilities, {
      extensionTypes: [],
      proposalTypes: [],
      credentialTypes: [1],
    }),
  ];
  const options = { ...branch(optionsFor("alice", bundles)), extensions };
  const made = await createBranch(parentOf(group.party("alice").epoch), options, environment);
  const bob = await joinSuccessor(made, bundles.get("bob")!, parentOf(group.party("bob").epoch));
  expect(bob.epoch.context.extensions).toEqual(extensions);
});

test("M-BRA-01 mk-105 a branch needs an id of its own", async () => {
  const group = await TestGroup.of(NAMES, { environment });
  const bundles = await newClients(["alice", "bob"]);
  const options = { ...branch(optionsFor("alice", bundles)), groupId: GROUP_ID };
  const parent = parentOf(group.party("alice").epoch);
  const create = () => createBranch(parent, options, environment);
  await expectRule(create, "mk-105", { as: "USE", code: "GROUP_EXISTS" });
});

describe("M-VAL-11 what a joiner refuses", () => {
  /** Alice branches from her own idea of the parent; bob judges by his. */
  async function judged(
    names: readonly string[],
    change: (honest: Parent) => Partial<Parent>,
    options: Partial<BranchOptions> = {},
    suite = 1,
  ): Promise<() => Promise<unknown>> {
    const group = await TestGroup.of(["alice", "bob"], { environment });
    const bundles = await newClients(names, { suite });
    const honest = parentOf(group.party("alice").epoch);
    const forged = { ...honest, ...change(honest) };
    const all = { ...branch(optionsFor("alice", bundles)), ...options };
    const made = await createBranch(forged, all, environment);
    const bob = parentOf(group.party("bob").epoch);
    return () => joinSuccessor(made, bundles.get("bob")!, bob);
  }

  test("M-BRA-03 ri-5 valn1414 members from elsewhere", async () => {
    const stranger = (await newClients(["mallory"])).get("mallory")!;
    const { credential, signatureKey } = stranger.keyPackage.leafNode;
    const names = ["alice", "bob", "mallory"];
    const refused = await judged(names, ({ members }) => ({
      members: [...members, { credential, signatureKey }],
    }));
    await expectRule(refused, "valn1414");
  });

  test("M-BRA-03 valn1414 another suite", async () => {
    const refused = await judged(["alice", "bob"], () => ({ cipherSuite: 3 }), {}, 3);
    await expectRule(refused, "valn1414");
  });

  test("M-BRA-03 valn1414 the creator does not do it either", async () => {
    const group = await TestGroup.of(["alice", "bob"], { environment });
    const parent = parentOf(group.party("alice").epoch);
    const strangers = optionsFor("alice", await newClients(["alice", "mallory"]));
    await expectRule(() => createBranch(parent, branch(strangers), environment), "valn1414");
    const otherSuite = optionsFor("alice", await newClients(["alice", "bob"], { suite: 3 }));
    const create = () => createBranch(parent, branch(otherSuite), environment);
    await expectRule(create, "valn1414", { as: "USE" });
  });

  test("mk-105 the parent's id, valn1412 another epoch than the first", async () => {
    const group = await TestGroup.of(["alice", "bob"], { environment });
    const { context, tree } = group.party("alice").epoch;
    const parent = parentOf(group.party("alice").epoch);
    await expectRule(() => checkBranch({ context, tree }, parent, environment), "mk-105", {
      as: "VAL",
    });
    const later = { ...context, groupId: BRANCH_ID, epoch: 2n };
    await expectRule(() => checkBranch({ context: later, tree }, parent, environment), "valn1412");
  });

  test("M-BRA-03 valn1401 without the PSK the Welcome stays closed", async () => {
    const group = await TestGroup.of(["alice", "bob"], { environment });
    const bundles = await newClients(["alice", "bob"]);
    const parent = parentOf(group.party("alice").epoch);
    const options = branch(optionsFor("alice", bundles));
    const made = await createBranch(parent, options, environment);
    const elsewhere = { ...parent, groupId: utf8("another parent") };
    const join = () => joinSuccessor(made, bundles.get("bob")!, elsewhere);
    await expectRule(join, "valn1401", { as: "STA", code: "MISSING_PSK" });
  });
});

test("M-BRA-03 two devices of one parent's member may branch from it", async () => {
  const group = await TestGroup.of(["alice", "bob"], { environment });
  const bundles = await newClients(["alice", "bob"]);
  const phone = (await newClients(["bob"])).get("bob")!;
  const parent = parentOf(group.party("alice").epoch);
  const options = branch(optionsFor("alice", new Map([...bundles, ["phone", phone]])));
  const made = await createBranch(parent, options, environment);
  expect(made.next.tree.memberCount).toBe(3);
});
