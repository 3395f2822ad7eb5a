/** Catalogue M-VAL, the rows about groups as a whole: how they are joined, observed and continued. */
import { describe, expect, test } from "vitest";
import { EMPTY_BYTES, equalBytes, utf8 } from "../../src/codec/index.ts";
import { Secret } from "../../src/crypto/index.ts";
import { MlsError, PolicyError } from "../../src/errors.ts";
import type { CommitCandidate, ProposalCandidate } from "../../src/group/environment.ts";
import { customProposal } from "../../src/messages/proposal.ts";
import { RatchetTree } from "../../src/tree/ratchet-tree.ts";
import type { RuleId } from "../../src/rule-registry.ts";
import { type Expected, refuses, unchanged } from "../support/assertions.ts";
import { acceptAnyCredential, testEnvironment } from "../support/environment.ts";
import {
  type CommitForgery,
  flipped,
  forgeCommit,
  forgeExternalCommit,
  forgeProposal,
  forgeWelcome,
  withNode,
  withParent,
} from "../support/forge.ts";
import { bundleOf, Door, type DoorForgery } from "../support/forge-join.ts";
import {
  ABLE,
  add,
  CUSTOM_PROPOSAL,
  extend,
  externalSenders,
  knowing,
  psk,
  pskId,
  publicGroup,
  refusedEverywhere,
  remove,
  updateBy,
} from "../support/forge-lists.ts";
import { newClient, newSigner } from "../support/parties.ts";
import { TestGroup } from "../support/test-group.ts";

const NAMES = ["alice", "bob", "carol", "dave"];
const flip = (bytes?: Uint8Array): Uint8Array => flipped(bytes!, -1);
const root = 3;

test("M-VAL-07: ratchet trees", async () => {
  const door = await Door.of();
  const cases: readonly [RuleId, DoorForgery, Expected?][] = [
    // ValSem300, on import
    ["mk-97", { alter: (nodes) => withNode(nodes, nodes.length + 1, undefined) }],
    ["mk-97", { alter: () => [] }],
    ["valn1405", { context: { treeHash: new Uint8Array(32) } }],
    ["valn1406", { alter: (nodes) => withParent(nodes, root, { parentHash: new Uint8Array(32) }) }],
    ["mk-98", { alter: (nodes) => withParent(nodes, root, { unmergedLeaves: [2, 1] }) }],
    ["valn1408", { alter: (nodes) => withParent(nodes, root, { unmergedLeaves: [9] }) }],
    [
      "valn1410",
      {
        alter: (nodes) => {
          const leaf = nodes[2];
          if (leaf?.type !== "leaf") throw new Error("a leaf was expected");
          return withParent(nodes, root, { encryptionKey: leaf.leaf.encryptionKey });
        },
      },
    ],
  ];
  for (const [rule, forgery, expected] of cases) {
    await door.refusesWelcome(await door.forgedWelcome(forgery), rule, expected);
  }
  // ValSem300, on export: nothing blank at the end, whatever was removed.
  const group = await TestGroup.of([...NAMES, "erin", "frank"]);
  await group.commit("alice", { proposals: [remove(5), remove(4), remove(3)] });
  const { tree, crypto } = group.party("alice").epoch;
  expect(tree.leaf(3 as never)).toBeUndefined();
  const again = RatchetTree.decode(crypto, tree.encode());
  expect(again.treeHash()).toEqual(tree.treeHash());
  const nodes = [...again.nodes()].map(([at]) => at);
  expect(Math.max(...nodes)).toBe(4);
  await door.opens();
});

test("M-VAL-09: Welcome and GroupInfo", async () => {
  const door = await Door.of();
  const key = { type: "external", pskId: utf8("k"), nonce: new Uint8Array(32) } as const;
  const secret = new Secret(utf8("secret"));
  const cases: readonly [RuleId, DoorForgery, Expected?][] = [
    ["mk-97", { alter: (nodes) => withNode(nodes, nodes.length + 1, undefined) }],
    ["valn1401", { psks: [{ id: key, secret }] }, { code: "MISSING_PSK" }],
    ["valn1402", { alterSignature: flip }],
    ["valn1402", { signer: 1 }],
    ["valn1402", { signer: 64 }, { as: "VAL" }],
    ["valn1404", { context: { cipherSuite: 3 } }],
    ["mk-100", { pathSecret: () => new Uint8Array(32).fill(9) }],
    [
      "mk-95",
      { alterWelcome: (it) => ({ ...it, encryptedGroupInfo: flip(it.encryptedGroupInfo) }) },
    ],
  ];
  for (const [rule, forgery, expected] of cases) {
    await door.refusesWelcome(await door.forgedWelcome(forgery), rule, expected);
  }
  // A Welcome for a key package whose leaf is not in the tree.
  const second = await bundleOf((await door.client.createKeyPackage()).bytes);
  const elsewhere = await forgeWelcome(door.next, { joiners: [second] });
  await door.refusesWelcome(elsewhere.bytes, "mk-99");
  const untagged = await door.forgedWelcome({ alterConfirmationTag: flip });
  await expect(door.client.join(untagged)).rejects.toMatchObject({ code: "TAG_INVALID" });
  // The id of a group in which the client lives already.
  const group = await door.opens();
  await expect(door.client.joinExternally(await group.groupInfo())).rejects.toMatchObject({
    rule: "valn1403",
  });
});

describe("M-VAL-12: observers", () => {
  test("M-VAL-12 apply the rules that members apply", async () => {
    const group = await TestGroup.of(NAMES);
    const alice = group.party("alice");
    const cases: readonly [RuleId, CommitForgery][] = [
      ["mk-24", { groupId: utf8("another group") }],
      ["valn1201", { epoch: 9n }],
      ["valn1203", { alterSignature: flip }],
      ["valn0304", { proposals: [remove(1), remove(1)] }],
      ["valn1206", { path: false }],
      ["mk-72", { path: { alterNodes: (nodes) => nodes.slice(1) } }],
      ["mk-74", { path: { alterParentHash: flip } }],
      ["valn0102", { path: { alterLeafSignature: flip } }],
    ];
    for (const [rule, forgery] of cases) {
      const { bytes } = await forgeCommit(alice, forgery);
      await refusedEverywhere(group, "alice", bytes, rule, { observer: true });
    }
  });

  test("M-VAL-12 say what they could not check, which only members can", async () => {
    const group = await TestGroup.of(NAMES);
    const alice = group.party("alice");
    const client = await newClient("erin");
    const list = [psk(pskId("nobody has it"))];
    const cases: readonly [RuleId, string, Promise<{ readonly bytes: Uint8Array }>][] = [
      ["valn1202", "membershipTag", forgeCommit(alice, { publicly: { alterMembershipTag: flip } })],
      ["mk-77", "confirmationTag", forgeCommit(alice, { alterConfirmationTag: flip })],
      ["mk-75", "pathSecrets", forgeCommit(alice, { path: { alterContext: flip } })],
      ["mk-76", "pathSecrets", forgeCommit(alice, { path: { alterSecret: flip } })],
      ["valn1205", "psks", forgeCommit(alice, { proposals: list })],
      [
        "mk-77",
        "externalInit",
        forgeExternalCommit(client, alice, { initSecret: new Secret(new Uint8Array(32)) }),
      ],
    ];
    for (const [rule, unverified, forged] of cases) {
      const { bytes } = await forged;
      const bob = group.party("bob");
      await refuses(bob, () => bob.receive(bytes), rule);
      const seen = await publicGroup(group).process(bytes, group.environment);
      expect(seen.unverified).toContain(unverified);
    }
  });
});

describe("M-VAL-13: what only the application can decide", () => {
  const stranger = utf8("mallory");
  const isStranger = ({ credential }: { readonly credential: { readonly type: string } }) =>
    "identity" in credential && equalBytes(credential.identity as Uint8Array, stranger);
  const format = utf8("v1");

  /** Everybody but alice asks an application that is hard to please. */
  async function strict(policy: {
    reviewProposal?: (candidate: ProposalCandidate) => true | { reason: string };
    reviewCommit?: (candidate: CommitCandidate) => true | { reason: string };
  }) {
    const service = await newSigner();
    const types = knowing().types;
    const validate = (): void => {
      throw new PolicyError("POLICY_REJECTED", "the application takes no such proposal", {});
    };
    const environment = testEnvironment({
      types: { ...types, proposals: new Map([[CUSTOM_PROPOSAL, { validate }]]) },
      policy,
      authenticationService: {
        ...acceptAnyCredential,
        validate: (identities) =>
          identities.map((it) => (isStranger(it) ? { reason: "who is that?" } : true)),
        isSuccessor: (current, next) =>
          "identity" in current.credential &&
          "identity" in next.credential &&
          equalBytes(current.credential.identity, next.credential.identity)
            ? true
            : { reason: "somebody else" },
      },
    });
    const extensions = [externalSenders(service)];
    return TestGroup.of(NAMES, { client: ABLE, environment, extensions });
  }

  test("M-VAL-13 credentials and successors, in all that arrives", async () => {
    const group = await strict({});
    const alice = group.party("alice");
    const mallory = await newClient("mallory", ABLE);
    const { credential } = mallory.keyPackage.leafNode;
    const renamed = { credential: { type: "basic", identity: utf8("another alice") } } as const;
    const arrivals: readonly [RuleId, Uint8Array][] = [
      ["valn0101", (await forgeProposal(alice, add(mallory))).bytes],
      ["valn0101", (await forgeCommit(alice, { proposals: [add(mallory)] })).bytes],
      ["valn0101", (await forgeCommit(alice, { path: { leaf: { credential } } })).bytes],
      ["valn0101", (await forgeExternalCommit(mallory, alice)).bytes],
      ["mk-48", (await forgeCommit(alice, { path: { leaf: renamed } })).bytes],
      ["mk-48", (await updateBy(alice, { leaf: renamed })).bytes],
    ];
    for (const [rule, bytes] of arrivals) await refusedEverywhere(group, "alice", bytes, rule);
    const senders = extend([externalSenders({ publicKey: alice.signer.publicKey })]);
    await group.createCommit("alice", { proposals: [senders] });
  });

  test("M-VAL-13 external committers, and the format of authenticated data", async () => {
    const group = await strict({
      reviewCommit: ({ isExternal, authenticatedData }) => {
        if (isExternal) return { reason: "members only" };
        return equalBytes(authenticatedData, format) ? true : { reason: "not our format" };
      },
      reviewProposal: ({ authenticatedData, direction }) =>
        direction !== "receive" || equalBytes(authenticatedData ?? EMPTY_BYTES, format)
          ? true
          : { reason: "not our format" },
    }).catch((error: unknown) => error);
    // The format is demanded of the Commit that makes the group as well.
    expect(MlsError.is(group) && group.rule).toBe("mk-91");
    const plain = await strict({});
    const { policy } = testEnvironment({
      policy: {
        reviewCommit: ({ isExternal, authenticatedData }) =>
          !isExternal && equalBytes(authenticatedData, format) ? true : { reason: "not like this" },
        reviewProposal: ({ authenticatedData, direction }) =>
          direction !== "receive" || equalBytes(authenticatedData ?? EMPTY_BYTES, format)
            ? true
            : { reason: "not our format" },
      },
    });
    const alice = plain.party("alice");
    const client = await newClient("erin", ABLE);
    const arrivals: readonly [RuleId, Uint8Array][] = [
      ["mk-91", (await forgeExternalCommit(client, alice, { authenticatedData: format })).bytes],
      ["mk-91", (await forgeCommit(alice, { authenticatedData: utf8("v2") })).bytes],
      ["mk-64", (await forgeProposal(alice, remove(3), { authenticatedData: utf8("v2") })).bytes],
    ];
    for (const party of plain.members) party.environment = { ...party.environment, policy };
    for (const [rule, bytes] of arrivals) {
      for (const name of ["bob", "carol", "dave"]) {
        const party = plain.party(name);
        await refuses(party, () => party.receive(bytes), rule);
      }
    }
    await plain.commit("alice", { authenticatedData: format });
  });

  test("M-VAL-13 custom proposals", async () => {
    const group = await strict({});
    const alice = group.party("alice");
    const custom = customProposal(CUSTOM_PROPOSAL, new Uint8Array(1));
    const { bytes } = await forgeProposal(alice, custom);
    const { bytes: commit } = await forgeCommit(alice, { proposals: [custom] });
    for (const each of [bytes, commit]) {
      const bob = group.party("bob");
      const attempt = unchanged(bob, () => bob.receive(each));
      await expect(attempt).rejects.toMatchObject({ code: "POLICY_REJECTED" });
    }
  });
});
