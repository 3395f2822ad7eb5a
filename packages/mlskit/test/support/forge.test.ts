/** What the forge makes without being asked to cheat is accepted: else no rule test means anything. */
import { describe, expect, test } from "vitest";
import { utf8 } from "../../src/codec/index.ts";
import { joinByExternalCommit } from "../../src/group/join-by-external-commit.ts";
import { agree, authenticates, expectRule } from "./assertions.ts";
import { testEnvironment } from "./environment.ts";
import {
  forgeCommit,
  forgeExternalCommit,
  forgeGroupInfo,
  forgeKeyPackage,
  forgeMessage,
  forgeProposal,
  forgeWelcome,
  hashOfNodes,
  nodesOf,
  treeOfLeaves,
} from "./forge.ts";
import { join, newClient, provider } from "./parties.ts";
import { TestGroup } from "./test-group.ts";

const NAMES = ["alice", "bob", "carol", "dave", "erin"];

describe("a test group", () => {
  test("agrees after commits of every kind", async () => {
    const group = await TestGroup.of(NAMES);
    await agree(group);
    await group.proposeUpdate("dave");
    await group.propose("bob", { type: "remove", removed: 4 }, { wireFormat: "privateMessage" });
    await group.commit("carol", { wireFormat: "privateMessage" });
    expect(group.party("erin").isMember).toBe(false);
    await agree(group);
    await group.add("bob", new Map([["frank", await newClient("frank")]]));
    await group.externalJoin("grace", await newClient("grace"));
    await agree(group);
  });
});

describe("an honest forgery is accepted", () => {
  test("as a Commit with and without path, public and private", async () => {
    const group = await TestGroup.of(NAMES);
    const alice = group.party("alice");
    const frank = await newClient("frank");
    const add = { type: "add", keyPackage: frank.keyPackage } as const;
    const update = await group.proposeUpdate("carol");
    const commits = [
      await forgeCommit(alice),
      await forgeCommit(alice, { proposals: [add], path: false }),
      await forgeCommit(alice, { proposals: [update, add, { type: "remove", removed: 3 }] }),
      await forgeCommit(alice, { proposals: [add], wireFormat: "privateMessage" }),
    ];
    for (const { bytes, next } of commits) {
      const bob = group.party("bob");
      const epoch = bob.epoch;
      await bob.receive(bytes);
      authenticates(bob.epoch, next);
      bob.epoch = epoch;
      bob.remember(update);
    }
  });

  test("as a proposal and as application data", async () => {
    const group = await TestGroup.of(NAMES);
    const [alice, bob] = [group.party("alice"), group.party("bob")];
    const proposal = { type: "remove", removed: 2 } as const;
    const { bytes, cached } = await forgeProposal(alice, proposal);
    expect(await bob.receive(bytes)).toMatchObject({ cached: { reference: cached.reference } });
    await group.observer.receive(bytes);
    const hidden = await forgeProposal(alice, proposal, { wireFormat: "privateMessage" });
    await bob.receive(hidden.bytes);
    const content = { contentType: "application", applicationData: utf8("hi") } as const;
    const said = await forgeMessage(alice, content, { wireFormat: "privateMessage" });
    expect((await bob.receive(said)).kind).toBe("application");
    const made = await forgeCommit(alice, { proposals: [cached] });
    await bob.receive(made.bytes);
    authenticates(bob.epoch, made.next);
  });

  test("as an external commit", async () => {
    const group = await TestGroup.of(NAMES);
    const made = await forgeExternalCommit(await newClient("frank"), group.party("alice"));
    await group.deliver(made.bytes, "frank");
    for (const { epoch } of group.members) authenticates(epoch, made.next);
  });

  test("as a GroupInfo, a tree and a Welcome", async () => {
    const group = await TestGroup.of(NAMES);
    const alice = group.party("alice");
    const { crypto, tree } = alice.epoch;
    expect(hashOfNodes(crypto, nodesOf(tree))).toEqual(tree.treeHash());
    const frank = await forgeKeyPackage(await newClient("frank"));
    const leaves = [...NAMES.map((name) => group.party(name).bundle), frank];
    const nodes = treeOfLeaves(leaves.map(({ keyPackage }) => keyPackage.leafNode));
    const welcome = await forgeWelcome(alice.epoch, { joiners: [frank], nodes });
    const { epoch } = await join(welcome.bytes, [frank], testEnvironment());
    expect(epoch.ownLeaf).toBe(5);
    expect(epoch.secrets.epochAuthenticator.bytes).toEqual(
      welcome.secrets.epochAuthenticator.bytes,
    );
    const { groupInfo } = await forgeGroupInfo(alice.epoch);
    const { credential, capabilities, extensions } = frank.keyPackage.leafNode;
    const leaf = { credential, capabilities, extensions, signer: frank.signer };
    await joinByExternalCommit(
      {
        crypto: provider.suite(1),
        groupInfo,
        leaf,
        psks: [],
        pending: [],
        authenticatedData: utf8("hello"),
      },
      testEnvironment(),
    );
  });
});

test("a forged key package carries the signatures it needs", async () => {
  const group = await TestGroup.of(["alice", "bob"]);
  const frank = await newClient("frank");
  const broken = await forgeKeyPackage(frank, { alterSignature: (it) => it.map((x) => x ^ 1) });
  const made = await forgeCommit(group.party("alice"), {
    proposals: [{ type: "add", keyPackage: broken.keyPackage }],
  });
  await expectRule(() => group.party("bob").receive(made.bytes), "valn0203");
});
