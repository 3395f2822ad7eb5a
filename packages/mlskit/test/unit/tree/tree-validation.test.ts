import { describe, expect, test } from "vitest";
import { EMPTY_BYTES, toHex, withEncoding } from "../../../src/codec/index.ts";
import type { SuiteCrypto, VerifyJob } from "../../../src/crypto/crypto-provider.ts";
import { CryptoError } from "../../../src/errors.ts";
import { type LeafNode, LeafNodeFields, type ParentNode } from "../../../src/tree/nodes.ts";
import { originalTreeHash, parentHash } from "../../../src/tree/parent-hash.ts";
import { RatchetTree } from "../../../src/tree/ratchet-tree.ts";
import { leafIndex, nodeIndex } from "../../../src/tree/tree-math.ts";
import {
  checkParentHashes,
  checkUnmergedLeaves,
  validateTree,
} from "../../../src/tree/tree-validation.ts";
import { SampleGroup } from "./sample-group.ts";
import { fakeLeaf, fakeParent, fakeTree, GROUP_ID, suiteCrypto } from "./samples.ts";

const crypto = suiteCrypto();

function broken(rule: string): unknown {
  return expect.objectContaining({ rule, code: "INVALID_TREE" });
}

function withParent(tree: RatchetTree, at: number, change: Partial<ParentNode>): RatchetTree {
  const editor = tree.edit();
  editor.setParent(nodeIndex(at), { ...tree.parent(nodeIndex(at))!, ...change });
  return editor.finish();
}

function withLeaf(tree: RatchetTree, at: number, change: Partial<LeafNode>): RatchetTree {
  const editor = tree.edit();
  const leaf = { ...tree.leaf(leafIndex(at))!, ...change };
  editor.setLeaf(leafIndex(at), withEncoding(LeafNodeFields, leaf));
  return editor.finish();
}

describe("the trees of RFC 9420 Appendix A", () => {
  test("Figure 11 comes about and is valid", async () => {
    const group = await SampleGroup.create(crypto, 6);
    await group.commit(5);
    await group.commit(6, { remove: [2, 3] });
    await group.commit(1);
    await group.checkInvariant();
    expect(group.shape()).toEqual({ 1: [], 7: [], 9: [], 11: [] });
    const path = (leaf: number): number[] =>
      group.tree.filteredDirectPath(leafIndex(leaf)).map(({ node }) => node);
    expect([0, 1, 4, 5, 6].map(path)).toEqual([
      [1, 7],
      [1, 7],
      [9, 11, 7],
      [9, 11, 7],
      [11, 7],
    ]);
  });

  test("Figure 10 comes about, with B unmerged, and is valid", async () => {
    const group = await SampleGroup.create(crypto, 9);
    await group.commit(5);
    await group.commit(3, { remove: [1, 2] });
    await group.commit(9, { remove: [6] });
    await group.commit(0, { add: 1, partial: true });
    await group.checkInvariant();
    expect(group.tree.resolution(nodeIndex(7))).toEqual([3, 2, 9, 14]);
  });

  test("Figure 13 comes about and is valid", async () => {
    const group = await SampleGroup.create(crypto, 3);
    await group.commit(1);
    await group.commit(3, { remove: [2] });
    await group.commit(1, { add: 1 });
    await group.checkInvariant();
    expect(group.shape()).toEqual({ 1: [], 3: [] });
  });

  test("ph-3 Figure 21 has the original sibling tree hash that the RFC describes", async () => {
    const group = await SampleGroup.create(crypto, 6);
    await group.commit(0, { remove: [5] });
    await group.commit(4);
    const before = group.tree.nodeHash(nodeIndex(11));
    await group.commit(0, { add: 1, partial: true });
    expect(group.shape()).toEqual({ 1: [], 3: [], 7: [5], 11: [5] });
    expect(toHex(group.tree.nodeHash(nodeIndex(11)))).not.toBe(toHex(before));
    expect(toHex(originalTreeHash(group.tree, nodeIndex(11), [5]))).toBe(toHex(before));
    await group.checkInvariant();
  });
});

test("ph-2 ph-3 the history of Appendix B has exactly the links of Table 15", async () => {
  const group = await SampleGroup.create(crypto);
  await group.commit(0, { add: 1 });
  await group.commit(1, { add: 2 });
  await group.commit(2);
  await group.checkInvariant();
  const { tree } = group;
  const [x, y, z] = [
    tree.parent(nodeIndex(1))!,
    tree.parent(nodeIndex(3))!,
    tree.parent(nodeIndex(5))!,
  ];
  const claimed = (leaf: number): string => {
    const { origin } = tree.leaf(leafIndex(leaf))!;
    return origin.source === "commit" ? toHex(origin.parentHash) : "none";
  };
  const link = (parent: ParentNode, sibling: number): string =>
    toHex(
      parentHash(crypto, {
        encryptionKey: parent.encryptionKey,
        parentHash: parent.parentHash,
        originalSiblingTreeHash: tree.nodeHash(nodeIndex(sibling)),
      }),
    );
  expect(claimed(0)).not.toBe(link(x, 2));
  expect(claimed(1)).toBe(link(x, 0));
  expect(claimed(2)).toBe(link(z, 6));
  expect(claimed(3)).toBe("none");
  expect(toHex(x.parentHash)).not.toBe(link(y, 5));
  expect(toHex(z.parentHash)).toBe(link(y, 1));
  expect(y.parentHash).toEqual(EMPTY_BYTES);
});

describe("parent hashes", () => {
  test("ph-1 a missing, empty or wrong one is refused, and so is one at the root", async () => {
    const group = await SampleGroup.create(crypto, 3);
    await group.commit(2);
    const { tree } = group;
    checkParentHashes(tree);
    const bad = broken("valn1406");
    for (const parentHash of [EMPTY_BYTES, new Uint8Array(32)]) {
      const origin = { source: "commit", parentHash } as const;
      expect(() => checkParentHashes(withLeaf(tree, 2, { origin }))).toThrow(bad);
    }
    const update = { source: "update" } as const;
    expect(() => checkParentHashes(withLeaf(tree, 2, { origin: update }))).toThrow(bad);
    const wrong = { parentHash: new Uint8Array(32) };
    expect(() => checkParentHashes(withParent(tree, 3, wrong))).toThrow(bad);
    expect(() => checkParentHashes(withParent(tree, 5, { parentHash: EMPTY_BYTES }))).toThrow(bad);
  });

  test("ph-1 a root with a parent hash is refused even if all links fit it", () => {
    for (const above of [EMPTY_BYTES, new Uint8Array(32)]) {
      const tree = fakeTree(2);
      const parent = { ...fakeParent(1), parentHash: above };
      const claimed = parentHash(crypto, {
        encryptionKey: parent.encryptionKey,
        parentHash: above,
        originalSiblingTreeHash: tree.nodeHash(nodeIndex(2)),
      });
      const editor = tree.edit();
      editor.setParent(nodeIndex(1), parent);
      const origin = { source: "commit", parentHash: claimed } as const;
      const complete = withLeaf(editor.finish(), 0, { origin });
      if (above.length === 0) checkParentHashes(complete);
      else expect(() => checkParentHashes(complete)).toThrow(broken("valn1406"));
    }
  });

  test("ph-2 a chain across blank nodes is followed, and one that stops half way is refused", async () => {
    const group = await SampleGroup.create(crypto, 7);
    for (let sender = 0; sender < 8; sender++) await group.commit(sender);
    await group.commit(0, { remove: [1, 2, 3] });
    await group.checkInvariant();
    expect(group.shape()[1]).toBeUndefined();
    // The root now hangs on leaf 0 over two blank nodes. Another leaf in between breaks the link.
    const editor = group.tree.edit();
    editor.setLeaf(leafIndex(2), fakeLeaf(1));
    expect(() => checkParentHashes(editor.finish())).toThrow(broken("valn1406"));
  });

  test("ph-4 a key planted in a foreign subtree is found", async () => {
    const group = await SampleGroup.create(crypto, 7);
    await group.commit(0);
    for (const at of [9, 11, 13, 5]) {
      const editor = group.tree.edit();
      editor.setParent(nodeIndex(at), fakeParent(9));
      expect(() => checkParentHashes(editor.finish())).toThrow(broken("valn1406"));
    }
  });

  test("ph-6 a path in a group of one member has an empty parent hash", async () => {
    const group = await SampleGroup.create(crypto);
    const path = await group.commit(0);
    expect(path?.nodes).toEqual([]);
    expect(path?.leafNode.origin).toEqual({ source: "commit", parentHash: EMPTY_BYTES });
    await group.checkInvariant();
  });

  test("stay valid along a random history of full and partial commits", async () => {
    const group = await SampleGroup.create(crypto, 4);
    let seed = 42;
    const random = (below: number): number => {
      seed = (seed * 1103515245 + 12345) % 2 ** 31;
      return Math.floor(seed / 65536) % below;
    };
    for (let i = 0; i < 40; i++) {
      const leaves = [...group.members.keys()];
      const sender = leaves[random(leaves.length)]!;
      const victim = leaves[random(leaves.length)]!;
      if (i % 4 === 0) await group.commit(sender, { add: 1 + random(3), partial: true });
      else if (i % 4 === 1 && victim !== sender)
        await group.commit(sender, { remove: [victim], add: 1 });
      else if (i % 4 === 2 && victim !== sender) await group.commit(sender, { remove: [victim] });
      else await group.commit(sender);
      await group.checkInvariant();
    }
  });
});

describe("unmerged leaves", () => {
  test("join-8 out of range, blank or foreign ones are refused before any walk", () => {
    const editor = fakeTree(6).edit();
    editor.removeLeaf(leafIndex(1));
    const tree = editor.finish();
    for (const unmerged of [[2 ** 32 - 1], [8], [7], [1], [4]]) {
      const other = tree.edit();
      other.setParent(nodeIndex(3), fakeParent(1, unmerged));
      expect(() => checkUnmergedLeaves(other.finish())).toThrow(broken("valn1408"));
    }
  });

  test("must be listed by all nodes in between", () => {
    const listed = (below: readonly number[]): RatchetTree => {
      const editor = fakeTree(8).edit();
      editor.setParent(nodeIndex(7), fakeParent(1, [2, 3]));
      editor.setParent(nodeIndex(5), fakeParent(2, below));
      return editor.finish();
    };
    expect(() => checkUnmergedLeaves(listed([3]))).toThrow(broken("valn1409"));
    expect(() => checkUnmergedLeaves(listed([]))).toThrow(broken("valn1409"));
    checkUnmergedLeaves(listed([2, 3]));
  });
});

describe("validateTree", () => {
  const options = { groupId: GROUP_ID };

  test("refuses a wrong signature with the leaf's index", async () => {
    const group = await SampleGroup.create(crypto, 3);
    const tree = withLeaf(group.tree, 2, { signature: new Uint8Array(64) });
    const error = expect.objectContaining({ rule: "valn0102", details: { leafIndex: 2 } });
    await expect(validateTree(tree, options)).rejects.toThrow(CryptoError);
    await expect(validateTree(tree, options)).rejects.toEqual(error);
    await group.commit(1);
    await expect(validateTree(group.tree, { groupId: new Uint8Array(1) })).rejects.toEqual(
      expect.objectContaining({ rule: "valn0102", details: { leafIndex: 1 } }),
    );
  });

  test("takes the signature of a leaf that is ours in every byte for granted, and no other", async () => {
    const group = await SampleGroup.create(crypto, 3);
    const tree = withLeaf(group.tree, 2, { signature: new Uint8Array(64) });
    const unsigned = tree.leaf(leafIndex(2))!;
    await validateTree(tree, { ...options, ownLeaf: unsigned });
    const other = { ...unsigned, encoded: group.tree.leaf(leafIndex(2))!.encoded };
    for (const ownLeaf of [tree.leaf(leafIndex(1))!, other]) {
      await expect(validateTree(tree, { ...options, ownLeaf })).rejects.toEqual(
        expect.objectContaining({ rule: "valn0102", details: { leafIndex: 2 } }),
      );
    }
  });

  test("refuses repeated keys", async () => {
    const group = await SampleGroup.create(crypto, 3);
    await group.commit(0);
    const { signatureKey, encryptionKey } = group.tree.leaf(leafIndex(1))!;
    const copy = (tree: RatchetTree): RatchetTree => RatchetTree.decode(crypto, tree.encode());
    for (const again of [(tree: RatchetTree) => tree, copy]) {
      await expect(
        validateTree(again(withLeaf(group.tree, 3, { signatureKey })), options),
      ).rejects.toEqual(broken("valn0111"));
      await expect(
        validateTree(again(withLeaf(group.tree, 3, { encryptionKey })), options),
      ).rejects.toEqual(broken("valn0112"));
      await expect(
        validateTree(again(withParent(group.tree, 1, { encryptionKey })), options),
      ).rejects.toEqual(broken("valn1410"));
    }
  });

  test("refuses malformed keys, and credential types that a member does not support", async () => {
    const group = await SampleGroup.create(crypto, 3);
    await group.commit(0);
    const short = { encryptionKey: new Uint8Array(31) };
    await expect(validateTree(withParent(group.tree, 1, short), options)).rejects.toEqual(
      broken("mk-18"),
    );
    await expect(validateTree(withLeaf(group.tree, 1, short), options)).rejects.toEqual(
      broken("mk-18"),
    );
    const { capabilities } = group.tree.leaf(leafIndex(1))!;
    const credential = { type: "custom", credentialType: 9, body: new Uint8Array(1) } as const;
    const exotic = { credential, capabilities: { ...capabilities, credentials: [1, 9] } };
    await expect(validateTree(withLeaf(group.tree, 1, exotic), options)).rejects.toEqual(
      broken("valn0104"),
    );
  });

  test("join-7 reports an expired leaf, and refuses it only in strict mode", async () => {
    const group = await SampleGroup.create(crypto, 1);
    const lifetime = { now: 2_000_000n };
    const { notices } = await validateTree(group.tree, { ...options, lifetime });
    expect(notices.map(({ rule }) => rule)).toEqual(["valn0106", "valn0106"]);
    const strict = { ...lifetime, mode: "strict" } as const;
    await expect(validateTree(group.tree, { ...options, lifetime: strict })).rejects.toEqual(
      expect.objectContaining({ rule: "valn0106" }),
    );
    const edge = { now: 1_000_000n, mode: "strict" } as const;
    expect((await validateTree(group.tree, { ...options, lifetime: edge })).notices).toEqual([]);
  });
});

describe("perf-1 perf-2 costs", () => {
  interface Counted {
    readonly crypto: SuiteCrypto;
    readonly calls: { hash: number; verifyMany: number; jobs: number };
  }

  /** Accepts all keys and signatures, and counts. */
  function counting(): Counted {
    const calls = { hash: 0, verifyMany: 0, jobs: 0 };
    const overrides: Partial<SuiteCrypto> = {
      hash: (data) => {
        calls.hash++;
        return crypto.hash(data);
      },
      verifyMany: (jobs: readonly VerifyJob[]) => {
        calls.verifyMany++;
        calls.jobs += jobs.length;
        return jobs.map(() => true);
      },
      isValidPublicKey: () => true,
      isValidSignatureKey: () => true,
    };
    return { crypto: Object.assign(Object.create(crypto) as SuiteCrypto, overrides), calls };
  }

  test("validating a tree verifies each leaf once in batches of 512, and hashes linearly", async () => {
    const hashes: number[] = [];
    for (const members of [100, 1000]) {
      const { crypto: counted, calls } = counting();
      const tree = fakeTree(members, counted);
      await validateTree(tree, { groupId: GROUP_ID });
      tree.treeHash();
      expect(calls).toMatchObject({ verifyMany: Math.ceil(members / 512), jobs: members });
      hashes.push(calls.hash);
    }
    expect(hashes).toEqual([255, 2047]);
  });

  test("a change of one leaf costs hashes of one path", () => {
    const { crypto: counted, calls } = counting();
    const tree = fakeTree(1000, counted);
    tree.treeHash();
    const editor = tree.edit();
    editor.updateLeaf(leafIndex(77), fakeLeaf(5000));
    const after = editor.finish();
    calls.hash = 0;
    after.treeHash();
    expect(calls.hash).toBe(11);
  });

  test("perf-8 many members neither overflow the stack nor take long", () => {
    const { crypto: counted } = counting();
    const tree = fakeTree(60_000, counted);
    expect(tree.resolution(tree.root)).toHaveLength(60_000);
    expect(RatchetTree.decode(counted, tree.encode()).memberCount).toBe(60_000);
    expect(tree.supportedByAll("versions", 1)).toBe(true);
    expect(tree.repeatedEncryptionKey()).toBeUndefined();
  });
});
