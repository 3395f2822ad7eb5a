import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { encode, toHex } from "../../../src/codec/index.ts";
import { InternalError, ValidationError } from "../../../src/errors.ts";
import { RatchetTreeNodes, type TreeNode } from "../../../src/tree/nodes.ts";
import { RatchetTree } from "../../../src/tree/ratchet-tree.ts";
import { leafIndex, nodeIndex } from "../../../src/tree/tree-math.ts";
import { NaiveTree } from "./naive-tree.ts";
import { fakeLeaf, fakeParent, fakeTree, suiteCrypto } from "./samples.ts";

const crypto = suiteCrypto();
let serial = 1000;

function leafNode(): TreeNode {
  return { type: "leaf", leaf: fakeLeaf(serial++) };
}

function parentNode(unmerged: readonly number[] = []): TreeNode {
  return { type: "parent", parent: fakeParent(serial++, unmerged) };
}

function nodesOf(tree: RatchetTree): (TreeNode | undefined)[] {
  return Array.from({ length: 2 * tree.leafCount - 1 }, (_, at) => tree.node(nodeIndex(at)));
}

/** All questions, asked of both. */
function expectSame(tree: RatchetTree, naive: NaiveTree, excluded: ReadonlySet<number>): void {
  expect(tree.leafCount).toBe(naive.leafCount);
  expect(nodesOf(tree)).toEqual(naive.nodes);
  for (let at = 0; at < naive.nodes.length; at++) {
    expect(tree.resolution(nodeIndex(at))).toEqual(naive.resolution(at));
    expect(tree.resolution(nodeIndex(at), excluded)).toEqual(naive.resolution(at, excluded));
  }
  for (let leaf = 0; leaf < naive.leafCount; leaf++) {
    expect(tree.filteredDirectPath(leafIndex(leaf))).toEqual(naive.filteredDirectPath(leaf));
  }
  expect(toHex(tree.treeHash())).toBe(toHex(naive.treeHash(crypto)));
  const members = naive.nodes.filter((node) => node?.type === "leaf").length;
  expect(tree.memberCount).toBe(members);
  expect([...tree.members()]).toHaveLength(members);
}

type Step =
  | { readonly op: "add" }
  | { readonly op: "commit" }
  | { readonly op: "update" | "remove" | "path"; readonly pick: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ op: fc.constant("add" as const) }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant("commit" as const) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      op: fc.constantFrom("update" as const, "remove" as const, "remove" as const, "path" as const),
      pick: fc.nat(),
    }),
  },
);

describe("random histories", () => {
  test("tree-5 tree-6 tree-8 the tree equals a naive one after every step", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.nat(40), (steps, start) => {
        let tree = fakeTree(start + 1);
        const naive = new NaiveTree(nodesOf(tree));
        let editor = tree.edit();
        const added = new Set<number>();
        const all: readonly Step[] = [...steps, { op: "commit" }];
        for (const action of all) {
          if (action.op === "commit") {
            tree = editor.finish();
            expectSame(tree, naive, added);
            editor = tree.edit();
            added.clear();
            continue;
          }
          const leaf = fakeLeaf(serial++);
          if (action.op === "add") {
            const index = naive.add(leaf);
            expect(editor.addLeaf(leaf)).toBe(index);
            added.add(index);
            continue;
          }
          const members = naive.nodes.flatMap((node, at) => (node?.type === "leaf" ? at / 2 : []));
          const index = members[action.pick % members.length]!;
          if (action.op === "remove") {
            if (members.length === 1) continue;
            naive.remove(index);
            editor.removeLeaf(leafIndex(index));
            added.delete(index);
          } else {
            naive.update(index, leaf);
            editor.updateLeaf(leafIndex(index), leaf);
            if (action.op === "update") continue;
            for (const { node } of naive.filteredDirectPath(index)) {
              const parent = fakeParent(serial++);
              naive.nodes[node] = { type: "parent", parent };
              editor.setParent(nodeIndex(node), parent);
            }
          }
        }
      }),
      { numRuns: 300 },
    );
  });

  test("tree-10 a finished tree never changes, whatever its descendants do", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const first = fakeTree(20);
        const withParents = first.edit();
        for (const { node } of first.filteredDirectPath(leafIndex(3))) {
          withParents.setParent(node, fakeParent(serial++));
        }
        const tree = withParents.finish();
        const before = toHex(tree.encode());
        const hash = toHex(tree.treeHash());
        let latest = tree;
        for (const action of steps) {
          // Two children of the same tree must not see each other either.
          const editor = latest.edit();
          const dropped = latest.edit();
          dropped.addLeaf(fakeLeaf(serial++));
          const [index] = [...latest.members()].at(-1)!;
          if (action.op === "remove" && latest.memberCount > 1) editor.removeLeaf(index);
          else if (action.op === "update") editor.updateLeaf(index, fakeLeaf(serial++));
          else editor.addLeaf(fakeLeaf(serial++));
          latest = editor.finish();
          dropped.finish().treeHash();
        }
        expect(toHex(latest.treeHash())).toBe(
          toHex(new NaiveTree(nodesOf(latest)).treeHash(crypto)),
        );
        expect(toHex(tree.encode())).toBe(before);
        expect(toHex(tree.treeHash())).toBe(hash);
        expect(toHex(tree.treeHash())).toBe(toHex(new NaiveTree(nodesOf(tree)).treeHash(crypto)));
      }),
      { numRuns: 50 },
    );
  });
});

test("tree-7 resolutions and filtered paths are right for all shapes up to 8 leaves", () => {
  // Every choice of blank leaves, with parents blank, set, or set with all leaves below unmerged.
  for (const size of [1, 2, 4, 8]) {
    for (let mask = 1; mask < 2 ** size; mask++) {
      if (mask < 2 ** (size / 2) && size > 1) continue;
      for (const kind of ["blank", "set", "unmerged", "mixed"]) {
        const nodes: (TreeNode | undefined)[] = [];
        for (let at = 0; at < 2 * size - 1; at++) {
          if (at % 2 === 0) nodes.push((mask >> (at / 2)) % 2 === 1 ? leafNode() : undefined);
          else
            nodes.push(
              kind === "blank" || (kind === "mixed" && at % 4 === 1) ? undefined : parentNode(),
            );
        }
        const naive = new NaiveTree(nodes);
        if (kind === "unmerged" || kind === "mixed") {
          for (let leaf = 1; leaf < size; leaf += 2) {
            if (naive.nodes[2 * leaf] === undefined) continue;
            for (const up of naive.directPath(2 * leaf)) {
              const node = naive.nodes[up];
              if (node?.type !== "parent") continue;
              const unmergedLeaves = [...node.parent.unmergedLeaves, leaf];
              naive.nodes[up] = { type: "parent", parent: { ...node.parent, unmergedLeaves } };
            }
          }
        }
        // A vector ends in a leaf, so nothing right of the last leaf can be set.
        const last = 2 * Math.floor(Math.log2(mask));
        naive.nodes.fill(undefined, last + 1);
        const tree = RatchetTree.fromNodes(crypto, naive.nodes.slice(0, last + 1));
        expectSame(tree, naive, new Set([1, 2, 5]));
      }
    }
  }
});

test("tree-1 questions outside the tree get an answer or a typed error", () => {
  const tree = fakeTree(5);
  for (const at of [15, 16, 31, 1023, 2 ** 31, 2 ** 32 - 2, 2 ** 33]) {
    expect(tree.node(nodeIndex(at))).toBeUndefined();
    expect(tree.resolution(nodeIndex(at + (at % 2)))).toEqual([]);
  }
  expect(tree.leaf(leafIndex(2 ** 32 - 1))).toBeUndefined();
  expect(tree.filteredDirectPath(leafIndex(2 ** 31)).length).toBe(1);
  for (const at of [15, 17, 2 ** 32]) {
    expect(() => tree.nodeHash(nodeIndex(at))).toThrow(InternalError);
  }
  expect(() => tree.edit().removeLeaf(leafIndex(100))).toThrow(InternalError);
  expect(() => tree.edit().setParent(nodeIndex(2), undefined)).toThrow(InternalError);
});

describe("tree-4 node vectors", () => {
  const refused = (nodes: readonly (TreeNode | undefined)[], rule: string): void => {
    const error = expect.objectContaining({ rule, code: "INVALID_TREE" });
    expect(() => RatchetTree.decode(crypto, encode(RatchetTreeNodes, nodes))).toThrow(error);
    expect(() => RatchetTree.fromNodes(crypto, nodes)).toThrow(ValidationError);
  };

  test("are refused when empty, of even length, or ending in a blank node", () => {
    refused([], "mk-97");
    refused([leafNode(), parentNode()], "mk-97");
    refused([leafNode(), undefined], "mk-97");
    refused([leafNode(), undefined, undefined], "mk-97");
  });

  test("are refused with a leaf or a parent in the wrong place", () => {
    refused([leafNode(), leafNode(), leafNode()], "mk-97");
    refused([parentNode(), undefined, leafNode()], "mk-97");
    refused([leafNode(), undefined, parentNode()], "mk-97");
  });

  test("are refused above the ceiling, and accepted at it", () => {
    const nodes = [leafNode(), undefined, leafNode()];
    expect(RatchetTree.fromNodes(crypto, nodes, { maxNodes: 3 }).memberCount).toBe(2);
    const error = expect.objectContaining({ rule: "mk-97" });
    expect(() => RatchetTree.fromNodes(crypto, nodes, { maxNodes: 2 })).toThrow(error);
  });

  test("are refused with unmerged leaves out of order or repeated", () => {
    refused([leafNode(), parentNode([1, 0]), leafNode()], "mk-98");
    refused([leafNode(), parentNode([1, 1]), leafNode()], "mk-98");
  });

  test("extend to the next full tree, and are trimmed on export", () => {
    const nodes = [leafNode(), undefined, leafNode(), undefined, leafNode()];
    const tree = RatchetTree.fromNodes(crypto, nodes);
    expect(tree.leafCount).toBe(4);
    expect(toHex(tree.encode())).toBe(toHex(encode(RatchetTreeNodes, nodes)));
  });
});

describe("tree-5 truncation", () => {
  test("removing the last leaf over internal blanks shrinks the tree as far as it goes", () => {
    const editor = fakeTree(9).edit();
    for (const leaf of [3, 4, 5, 6, 7, 8]) editor.removeLeaf(leafIndex(leaf));
    const tree = editor.finish();
    expect(tree.leafCount).toBe(4);
    expect(tree.leftmostBlankLeaf()).toBe(3);
  });

  test("a tree shrinks to one member and grows again with right hashes", () => {
    let tree = fakeTree(70);
    tree.treeHash();
    for (const size of [33, 5, 1]) {
      const editor = tree.edit();
      for (let leaf = tree.memberCount - 1; leaf >= size; leaf--)
        editor.removeLeaf(leafIndex(leaf));
      tree = editor.finish();
      expect(toHex(tree.treeHash())).toBe(toHex(new NaiveTree(nodesOf(tree)).treeHash(crypto)));
    }
    expect(tree.leafCount).toBe(1);
    for (const size of [2, 40, 65]) {
      const editor = tree.edit();
      while (editor.addLeaf(fakeLeaf(serial++)) < size - 1);
      tree = editor.finish();
      expect(toHex(tree.treeHash())).toBe(toHex(new NaiveTree(nodesOf(tree)).treeHash(crypto)));
    }
  });

  test("the root of a size that the tree had before is not remembered", () => {
    const old = fakeTree(4);
    old.treeHash();
    const shrinking = old.edit();
    shrinking.removeLeaf(leafIndex(3));
    shrinking.removeLeaf(leafIndex(2));
    const small = shrinking.finish();
    const editor = small.edit();
    editor.updateLeaf(leafIndex(0), fakeLeaf(serial++));
    const growing = editor.finish().edit();
    growing.setLeaf(leafIndex(7), fakeLeaf(serial++));
    const tree = growing.finish();
    expect(toHex(tree.treeHash())).toBe(toHex(new NaiveTree(nodesOf(tree)).treeHash(crypto)));
  });

  test("an addition after removals in one edit takes the leftmost blank leaf", () => {
    const editor = fakeTree(8).edit();
    for (const leaf of [7, 6, 5, 4, 2]) editor.removeLeaf(leafIndex(leaf));
    expect([editor.addLeaf(fakeLeaf(serial++)), editor.addLeaf(fakeLeaf(serial++))]).toEqual([
      2, 4,
    ]);
    expect(editor.finish().leafCount).toBe(8);
  });

  test("the last member cannot be removed, and an editor works once", () => {
    const editor = fakeTree(1).edit();
    editor.removeLeaf(leafIndex(0));
    expect(() => editor.finish()).toThrow(InternalError);
    const other = fakeTree(1).edit();
    other.finish();
    expect(() => other.finish()).toThrow(InternalError);
    expect(() => other.addLeaf(fakeLeaf(1))).toThrow(InternalError);
  });
});
