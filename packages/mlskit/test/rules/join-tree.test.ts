/** Rules of section 10 about GroupInfo and tree, for joiners and observers. RFC 9420 §7.8, §7.9, §12.4.3. */
import { describe, expect, test } from "vitest";
import { encode, toHex, utf8 } from "../../src/codec/index.ts";
import { encodeMlsMessage } from "../../src/framing/mls-message.ts";
import { DEFAULT_LIMITS } from "../../src/group/environment.ts";
import { createGroupInfo } from "../../src/group/group-info-creation.ts";
import { PublicGroup } from "../../src/observer/public-group.ts";
import type { RuleId } from "../../src/rule-registry.ts";
import { RatchetTreeNodes } from "../../src/tree/nodes.ts";
import { RatchetTree } from "../../src/tree/ratchet-tree.ts";
import { agree, type Expected, expectRule } from "../support/assertions.ts";
import {
  flipped,
  forgeCommit,
  groupInfoMessage,
  newKeyPair,
  type Nodes,
  withLeaf,
  withNode,
  withParent,
} from "../support/forge.ts";
import { contents, Door, type DoorForgery, type DoorOptions } from "../support/forge-join.ts";
import { NOW, testEnvironment } from "../support/environment.ts";
import { CUSTOM_EXTENSION, EXTENDED, knowing } from "../support/forge-lists.ts";
import { newClient, newSigner, provider } from "../support/parties.ts";
import { TestGroup } from "../support/test-group.ts";

/** Eight members and all parents, but few of them ever committed. */
const MANY = ["alice", "bob", "carol", "erin", "frank", "grace", "heidi"];

async function refused(
  paths: string,
  forgery: DoorForgery,
  rule: RuleId,
  expected: Expected = {},
  options: DoorOptions = {},
): Promise<void> {
  await (await Door.of(options)).refusedOn(paths, forgery, rule, expected);
}

describe("the signature of a GroupInfo", () => {
  const signatures: readonly [string, DoorForgery, "VAL"?][] = [
    ["that is wrong", { alterSignature: (signature) => flipped(signature, 3) }],
    ["that is empty", { alterSignature: () => new Uint8Array() }],
    ["of another member", { signer: 1 }],
    ["of a leaf beyond the tree", { signer: 64 }, "VAL"],
    ["of the last leaf that can be named", { signer: 0xffff_ffff }, "VAL"],
  ];
  test.each(signatures)("valn1402 [JXO] one %s", async (_, forgery, as) => {
    await refused("JXO", forgery, "valn1402", as === undefined ? {} : { as });
  });

  test("valn1402 [JXO] one of a stranger, and of a leaf that is blank", async () => {
    const signWith = await newSigner();
    await refused("JXO", { signWith }, "valn1402");
    const blank = await holed();
    await blank.refusedOn("JXO", { signer: 2 }, "valn1402", { as: "VAL" });
  });

  test("valn1402 [JXO] ok: that of any member", async () => {
    const door = await Door.of();
    const bob = door.group.party("bob");
    await door.believedOn("XO", { signer: 1, signWith: bob.signer });
    await door.believedOn("J", { signer: 1, signWith: bob.signer });
  });
});

/** A group whose second leaf is blank, and stays blank in the next epoch. */
async function holed(): Promise<Door> {
  const door = await Door.of({ names: MANY });
  const { group } = door;
  const proposals = [
    { type: "remove", removed: 1 } as const,
    { type: "remove", removed: 2 } as const,
  ];
  await group.commit("alice", { proposals });
  const add = [{ type: "add", keyPackage: door.joiner.keyPackage } as const];
  const invitation = await group.createCommit("alice", { proposals: add });
  const info = await group.groupInfo("alice");
  const groupInfo = encodeMlsMessage({ wireFormat: "groupInfo", message: info });
  await door.server.rebase({ groupInfo }, group.environment);
  // The joiner takes leaf 1, so that leaf 2 stays blank.
  return Object.assign(Object.create(Door.prototype) as Door, door, { invitation });
}

describe("where the tree comes from", () => {
  const withoutTree: DoorForgery = { alterExtensions: (list) => list.slice(1) };

  test("mk-96 [JXO] from nowhere", async () => {
    const door = await Door.of();
    const expected = { code: "TREE_REQUIRED" };
    const welcome = await door.forgedWelcome({ ratchetTree: false });
    await door.refusesWelcome(welcome, "mk-96", expected);
    const info = groupInfoMessage(await door.forgedInfo(withoutTree));
    await door.refusesInfo(info, "mk-96", expected);
    await door.refusesToWatch(info, "mk-96", expected);
    await door.opens();
  });

  test("mk-96 [JXO] from two sides, and not the same", async () => {
    const door = await Door.of();
    const other = await TestGroup.of(["mallory", "trudy"]);
    const ratchetTree = other.party("mallory").epoch.tree.encode();
    const expected = { as: "VAL", code: "TREE_MISMATCH", ratchetTree } as const;
    await door.refusesWelcome(door.welcome, "mk-96", expected);
    const info = groupInfoMessage(await door.forgedInfo());
    await door.refusesInfo(info, "mk-96", expected);
    await door.refusesToWatch(info, "mk-96", expected);
    await door.opens();
  });

  test("mk-96 [O] a snapshot that was stored without its tree needs it", async () => {
    const { server } = await Door.of();
    const small = server.snapshot({ withTree: false });
    const { environment } = await TestGroup.of(["alice"]);
    const restore = () => PublicGroup.restore(provider, small, environment);
    await expectRule(restore, "mk-96", { code: "TREE_REQUIRED" });
  });

  test("mk-96 [JXO] ok: from the caller, or the same from both", async () => {
    for (const forgery of [withoutTree, {}]) {
      const door = await Door.of();
      const { epoch } = door.group.party("alice");
      const info = groupInfoMessage(await door.forgedInfo(forgery));
      await door.client.checkGroupInfo(info, epoch.tree.encode());
      const description = { groupInfo: info, ratchetTree: epoch.tree.encode() };
      await PublicGroup.start(provider, description, door.group.environment);
      const welcome = await door.forgedWelcome(
        forgery === withoutTree ? { ratchetTree: false } : {},
      );
      await door.client.join(welcome, { ratchetTree: door.next.tree.encode() });
    }
  });
});

describe("the shape of the tree", () => {
  const shapes: readonly [string, (nodes: Nodes) => Nodes][] = [
    ["of no nodes", () => []],
    ["with blank nodes at its end", (nodes) => [...nodes, undefined, undefined]],
    ["of an even number of nodes", (nodes) => nodes.slice(0, -1)],
    ["of blank nodes only", (nodes) => nodes.map(() => undefined)],
    ["with a leaf in a parent's place", (nodes) => withNode(nodes, 1, nodes[0])],
    ["with a parent in a leaf's place", (nodes) => withNode(nodes, 2, nodes[3])],
  ];
  test.each(shapes)("mk-97 [JXO] a tree %s", async (_, alter) => {
    await refused("JXO", { alter }, "mk-97", { code: "INVALID_TREE" });
  });

  test("mk-97 [JX] a tree of more leaves than we accept", async () => {
    const limits = { ...DEFAULT_LIMITS, maximumLeaves: 3 };
    const door = await Door.of({ client: { limits } });
    const alter = (nodes: Nodes): Nodes => [...nodes, undefined, nodes.at(-1)];
    await door.refusesWelcome(await door.forgedWelcome({ alter }), "mk-97");
    const info = groupInfoMessage(await door.forgedInfo({ alter: (nodes) => alter(alter(nodes)) }));
    await door.refusesInfo(info, "mk-97");
  });

  test("mk-97 [C] we never hand out a tree that ends in a blank node, nor build one", async () => {
    const group = await TestGroup.of(MANY);
    for (const removed of [6, 5, 3, 4]) {
      await group.commit("alice", { proposals: [{ type: "remove", removed }] });
      const { crypto, tree } = group.party("alice").epoch;
      const nodes = [...tree.nodes()].map(([at]) => at);
      const bytes = tree.encode();
      expect(RatchetTree.decode(crypto, bytes).encode()).toEqual(bytes);
      expect(nodes.at(-1)! % 2).toBe(0);
      const info = await group.groupInfo("alice");
      expect(info.extensions[0]!.data).toEqual(bytes);
    }
    const { crypto } = group.party("alice").epoch;
    await expectRule(() => RatchetTree.fromNodes(crypto, [undefined]), "mk-97");
    await agree(group);
  });

  test("mk-97 mk-98 [CRJXO] ok: trees with holes, and of sizes that are no power of two", async () => {
    const door = await holed();
    await door.believedOn("XO");
    await door.opens();
    await agree(door.group);
  });

  test.each([
    ["descending", [3, 2]],
    ["twice the same", [2, 2]],
  ])("mk-98 [JXO] unmerged leaves that are %s", async (_, unmergedLeaves) => {
    const alter = (nodes: Nodes): Nodes => withParent(nodes, 3, { unmergedLeaves });
    await refused("JXO", { alter }, "mk-98", { code: "INVALID_TREE" });
  });

  test("mk-98 [CR] leaves that are added out of order are listed in order", async () => {
    const group = await TestGroup.of(MANY);
    const names = ["x", "y", "z"];
    const leaves = [5, 1, 3];
    for (const [i, removed] of leaves.entries()) {
      // Leaves below parents that a Commit set are unmerged once they are filled again.
      await group.commit("alice", { proposals: [{ type: "remove", removed }] });
      await group.commit(i === 0 ? "grace" : "alice").catch(() => group.commit("alice"));
    }
    for (const name of names) {
      await group.add("heidi", new Map([[name, await newClient(name)]]), { forcePath: false });
    }
    const unmerged = [];
    for (const [, node] of group.party("carol").epoch.tree.nodes()) {
      if (node.type === "parent") unmerged.push(node.parent.unmergedLeaves);
    }
    expect(Math.max(...unmerged.map(({ length }) => length))).toBe(3);
    for (const list of unmerged) expect(list).toEqual([...list].sort((a, b) => a - b));
    await agree(group);
  });
});

describe("the hashes of the tree", () => {
  test("valn1405 [JXO] another hash than that of the tree", async () => {
    const treeHash = new Uint8Array(32).fill(1);
    await refused("JXO", { context: { treeHash } }, "valn1405", { code: "INVALID_TREE" });
    await refused("JXO", { context: { treeHash: new Uint8Array() } }, "valn1405");
  });

  test("valn1405 [JXO] the tree of an epoch before, given beside the GroupInfo", async () => {
    const door = await Door.of();
    const { group } = door;
    const ratchetTree = group.party("bob").epoch.tree.encode();
    const expected = { ratchetTree, code: "INVALID_TREE" };
    const welcome = await door.forgedWelcome({ ratchetTree: false });
    await door.refusesWelcome(welcome, "valn1405", expected);
    const info = encodeMlsMessage({
      wireFormat: "groupInfo",
      message: await createGroupInfo(door.next, door.next.ownLeaf, door.next.signer, {
        ratchetTree: false,
        externalPub: true,
      }),
    });
    await door.refusesInfo(info, "valn1405", expected);
    await door.refusesToWatch(info, "valn1405", expected);
    await door.opens();
  });

  test("valn1405 [JXO] ok: its hash", async () => {
    await (await Door.of({ names: MANY })).believedOn("JXO");
  });

  type Alter = NonNullable<DoorForgery["alter"]>;
  const hash = new Uint8Array(32).fill(7);
  const chains: readonly [string, Alter][] = [
    ["a parent hash at the top", (nodes) => withParent(nodes, 7, { parentHash: hash })],
    ["a parent that no leaf belongs to", (nodes) => withParent(nodes, 7, { encryptionKey: hash })],
    ["a parent in the middle of a chain", (nodes) => withParent(nodes, 3, { parentHash: hash })],
    [
      "a planted parent where there was none",
      async (nodes) => {
        const { publicKey: encryptionKey } = await newKeyPair();
        const parent = { encryptionKey, parentHash: new Uint8Array(), unmergedLeaves: [] };
        return withNode(nodes, 11, { type: "parent", parent });
      },
    ],
  ];
  test.each(chains)("valn1406 [JXO] %s", async (_, alter) => {
    await refused("JXO", { alter }, "valn1406", { code: "INVALID_TREE" }, { names: MANY });
  });

  test("valn1406 [JXO] a path leaf whose parent hash is wrong or empty", async () => {
    for (const parentHash of [new Uint8Array(), hash]) {
      const door = await Door.of({ names: MANY });
      const { groupId } = door.next.context;
      const alter: Alter = (nodes, { signer }) => {
        const origin = { source: "commit", parentHash } as const;
        return withLeaf(nodes, 0, { signer }, { origin }, groupId);
      };
      await door.refusedOn("JXO", { alter }, "valn1406");
    }
  });

  test("valn1406 [JXO] ok: chains over blank parents, and with unmerged leaves", async () => {
    const door = await holed();
    await door.believedOn("XO");
    await door.opens();
  });
});

describe("what stands in the tree", () => {
  test("valn1407 [JXO] a leaf that breaks a rule for leaves is refused by that rule", async () => {
    const door = await Door.of();
    const bob = door.group.party("bob");
    const { capabilities } = bob.bundle.keyPackage.leafNode;
    const alter = (nodes: Nodes) => {
      return withLeaf(nodes, 1, bob, { capabilities: { ...capabilities, credentials: [2] } });
    };
    await door.refusedOn("JXO", { alter }, "valn0113");
    const another = await Door.of({ path: false });
    const { signer } = await newClient("mallory");
    const forged = (nodes: Nodes) => withLeaf(nodes, 1, { signer }, {});
    await another.refusedOn("JXO", { alter: forged }, "valn0102");
  });

  const LATER = NOW + 10n * 86_400n;
  const outOfDate = (limits = DEFAULT_LIMITS): DoorOptions => ({
    client: { clock: () => LATER, limits },
    keyPackage: { lifetime: { notBefore: NOW - 3600n, notAfter: LATER + 86_400n } },
  });

  test("valn1407 [JXO] with strict lifetimes, a leaf that is out of date is refused, and named", async () => {
    const limits = { ...DEFAULT_LIMITS, strictLifetimes: true };
    const door = await Door.of(outOfDate(limits));
    const groupInfo = groupInfoMessage(await door.forgedInfo());
    const environment = testEnvironment({ now: LATER, limits });
    for (const attempt of [
      () => door.client.join(door.welcome),
      () => door.client.joinExternally(groupInfo),
      () => PublicGroup.start(provider, { groupInfo }, environment),
    ]) {
      const error = await expectRule(attempt, "valn0106", { as: "VAL" });
      expect(error.details).toMatchObject({ leafIndex: 1 });
    }
  });

  test("valn1407 [JXO] ok: a leaf out of date is a notice by default", async () => {
    const door = await Door.of(outOfDate());
    const staged = await door.client.stageWelcome(door.welcome);
    const groupInfo = groupInfoMessage(await door.forgedInfo());
    const external = await door.client.checkGroupInfo(groupInfo);
    const environment = testEnvironment({ now: LATER });
    const watched = await PublicGroup.start(provider, { groupInfo }, environment);
    for (const { notices } of [staged, external, watched]) {
      expect(notices.map(({ rule }) => rule)).toContain("valn0106");
    }
    await door.opens();
  });

  const unmerged: readonly [RuleId, string, number, readonly number[], number][] = [
    ["valn1408", "a leaf that is blank", 7, [7], 6],
    ["valn1408", "a leaf beyond the tree", 3, [8], 3],
    ["valn1408", "the largest leaf there can be", 3, [0xffff_ffff], 3],
    ["valn1408", "a leaf that is not below", 3, [4], 6],
    ["valn1408", "a leaf further left", 11, [1], 7],
    ["valn1409", "a leaf that a node in between does not list", 3, [1], 3],
  ];
  test.each(unmerged)(
    "%s [JXO] an unmerged leaf: %s",
    async (rule, _, at, unmergedLeaves, size) => {
      const door = await Door.of({ names: MANY.slice(0, size) });
      const alter = async (nodes: Nodes): Promise<Nodes> => {
        const { publicKey: encryptionKey } = await newKeyPair();
        const parent = { encryptionKey, parentHash: new Uint8Array(), unmergedLeaves };
        return withNode(nodes, at, { type: "parent", parent });
      };
      await door.refusedOn("JXO", { alter }, rule, { code: "INVALID_TREE" });
    },
  );

  test("valn1408 valn1409 [JXO] ok: leaves that were added after the parents above them were set", async () => {
    const door = await Door.of({ names: MANY });
    const { group, joiner } = door;
    const made = await group.commit("alice", {
      proposals: [{ type: "remove", removed: 1 }],
    });
    await door.server.process(made.commit, group.environment);
    const add = [{ type: "add", keyPackage: joiner.keyPackage } as const];
    const { commit, welcomes } = await group.commit("alice", { proposals: add, forcePath: false });
    const lists = [...group.party("alice").epoch.tree.nodes()].map(([, node]) => {
      return node.type === "parent" ? node.parent.unmergedLeaves : [];
    });
    expect(lists.flat()).toContain(1);
    await door.server.process(commit, group.environment);
    await door.believedOn("XO");
    await door.client.join(welcomes[0]!.bytes);
  });

  test("valn1410 [JXO] a parent and a leaf, or two parents, with one encryption key", async () => {
    const takes =
      (from: number, to: number) =>
      (nodes: Nodes): Nodes => {
        const node = nodes[from]!;
        const { encryptionKey } = node.type === "leaf" ? node.leaf : node.parent;
        return withParent(nodes, to, { encryptionKey });
      };
    await refused("JXO", { alter: takes(4, 3) }, "valn1410", { code: "INVALID_TREE" });
    await refused("JXO", { alter: takes(7, 3) }, "valn1410", {}, { names: MANY });
  });

  test("valn1410 [JXO] ok: a tree in which all keys differ", async () => {
    await (await Door.of({ names: MANY })).believedOn("JXO");
  });
});

describe("extensions of the group context", () => {
  const able = { capabilities: { extensions: [CUSTOM_EXTENSION] } };
  const extended: DoorOptions = {
    group: { environment: knowing(), client: able, extensions: EXTENDED },
  };
  const known = { types: { extensions: new Set([CUSTOM_EXTENSION]) } };

  test("valn1415 [JX] one that our code does not know", async () => {
    const capabilities = {
      ...(await newClient("x")).keyPackage.leafNode.capabilities,
      extensions: [CUSTOM_EXTENSION],
    };
    const door = await Door.of({ ...extended, keyPackage: { capabilities } });
    const error = { code: "UNSUPPORTED_EXTENSION" };
    await door.refusesWelcome(door.welcome, "valn1415", error);
    const info = groupInfoMessage(await door.forgedInfo());
    await door.refusesInfo(info, "valn1415", error);
  });

  test("valn1415 [J] valn1210 one that our code knows and our capabilities do not list", async () => {
    const capabilities = (await newClient("x")).keyPackage.leafNode.capabilities;
    const door = await Door.of({ client: known, keyPackage: { capabilities } });
    const forgery = { context: { extensions: EXTENDED } };
    const welcome = await door.forgedWelcome(forgery);
    await door.refusesWelcome(welcome, "valn1415", { code: "UNSUPPORTED_EXTENSION" });
    const info = groupInfoMessage(await door.forgedInfo(forgery));
    const before = await contents(door.storage);
    const enter = () => door.client.joinExternally(info, { capabilities });
    await expectRule(enter, "valn1210", { as: "USE" });
    expect(await contents(door.storage)).toEqual(before);
    await door.opens();
  });

  test("valn1415 [JX] ok: one that we know and list, though the library does not know it", async () => {
    const door = await Door.of({ ...extended, client: known });
    const info = groupInfoMessage(await door.forgedInfo());
    await door.client.checkGroupInfo(info);
    const group = await door.opens();
    expect(group.extensions).toEqual(EXTENDED);
    const outside = await Door.of({ ...extended, client: known });
    const bytes = groupInfoMessage(await outside.forgedInfo());
    expect((await outside.client.joinExternally(bytes)).group.status).toBe("pendingJoin");
  });
});

test("valn1402 valn1405 valn1406 [JXO] ok: what a member with a rotated key describes", async () => {
  const door = await Door.of({ names: MANY });
  const { group } = door;
  const made = await group.commit("bob", { leaf: { signer: await newSigner() } });
  await door.server.process(made.commit, group.environment);
  const { signer, ownLeaf } = group.party("bob").epoch;
  const forged = await forgeCommit(group.party("carol"));
  await group.party("bob").receive(forged.bytes);
  const info = await createGroupInfo(group.party("bob").epoch, ownLeaf, signer, {
    ratchetTree: true,
    externalPub: true,
    extensions: [{ type: 0x5a5a, data: utf8("grease") }],
  });
  const bytes = encodeMlsMessage({ wireFormat: "groupInfo", message: info });
  const checked = await door.client.checkGroupInfo(bytes);
  expect(toHex(checked.epoch.tree.encode())).toBe(
    toHex(encode(RatchetTreeNodes, nodeList(group.party("bob").epoch.tree))),
  );
  await PublicGroup.start(provider, { groupInfo: bytes }, group.environment);
});

function nodeList(tree: RatchetTree): Nodes {
  const nodes: (Nodes[number] | undefined)[] = [];
  for (const [at, node] of tree.nodes()) nodes[at] = node;
  return Array.from(nodes);
}
