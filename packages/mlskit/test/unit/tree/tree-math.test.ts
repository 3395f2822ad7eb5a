import { describe, expect, test } from "vitest";
import { InternalError } from "../../../src/errors.ts";
import {
  commonAncestor,
  directPath,
  fullLeafCount,
  isInSubtree,
  leafIndex,
  left,
  level,
  nodeCount,
  nodeIndex,
  nodeOfLeaf,
  parent,
  right,
  root,
  sibling,
} from "../../../src/tree/tree-math.ts";
import { vectors, vectorTest } from "./vector-files.ts";

interface TreeMathVector {
  readonly n_leaves: number;
  readonly n_nodes: number;
  readonly root: number;
  readonly left: readonly (number | null)[];
  readonly right: readonly (number | null)[];
  readonly parent: readonly (number | null)[];
  readonly sibling: readonly (number | null)[];
}

vectorTest("tree-math")("the official tree-math vectors hold", () => {
  const cases = vectors<TreeMathVector>("tree-math");
  expect(cases.length).toBe(10);
  for (const vector of cases) {
    const { n_leaves: leaves } = vector;
    expect(nodeCount(leaves)).toBe(vector.n_nodes);
    expect(root(leaves)).toBe(vector.root);
    for (let i = 0; i < vector.n_nodes; i++) {
      const at = nodeIndex(i);
      expect(left(at) ?? null).toBe(vector.left[i]);
      expect(right(at) ?? null).toBe(vector.right[i]);
      expect(parent(at, leaves) ?? null).toBe(vector.parent[i]);
      expect(sibling(at, leaves) ?? null).toBe(vector.sibling[i]);
    }
  }
});

describe("tree-1 tree functions are total", () => {
  test("indices outside the tree have no parent, sibling or direct path", () => {
    for (const leaves of [0, 1, 2, 5, 8]) {
      for (const outside of [100, 2 ** 31, 2 ** 32, 2 ** 33]) {
        expect(parent(nodeIndex(outside), leaves)).toBeUndefined();
        expect(sibling(nodeIndex(outside), leaves)).toBeUndefined();
        expect(directPath(nodeIndex(outside), leaves)).toEqual([]);
      }
    }
  });

  test("leaf counts of 0 and of 2^31 end in a value", () => {
    expect(nodeCount(0)).toBe(0);
    expect(fullLeafCount(0)).toBe(1);
    expect(root(2 ** 31)).toBe(2 ** 31 - 1);
    expect(directPath(nodeIndex(0), 2 ** 31)).toHaveLength(31);
  });
});

test("tree-2 casts refuse what is not an index", () => {
  for (const value of [-1, 0.5, Number.NaN, 2 ** 40]) {
    expect(() => leafIndex(value)).toThrow(InternalError);
    expect(() => nodeIndex(value)).toThrow(InternalError);
  }
});

test("tree-3 relations hold at and above 2^31", () => {
  const leaves = 2 ** 31;
  const last = nodeOfLeaf(leafIndex(leaves - 1));
  expect(last).toBe(2 ** 32 - 2);
  const path = directPath(last, leaves);
  expect(path.at(0)).toBe(2 ** 32 - 3);
  expect(path.at(-1)).toBe(2 ** 31 - 1);
  let below = last;
  for (const up of path) {
    expect(right(up)).toBe(below);
    expect(parent(below, leaves)).toBe(up);
    expect(level(up)).toBe(level(below) + 1);
    expect(isInSubtree(last, up)).toBe(true);
    expect(isInSubtree(nodeIndex(0), up)).toBe(up === root(leaves));
    below = up;
  }
  expect(commonAncestor(leafIndex(0), leafIndex(leaves - 1))).toBe(root(leaves));
});

test("the common ancestor is the lowest shared node of both direct paths", () => {
  for (let a = 0; a < 16; a++) {
    for (let b = 0; b < 16; b++) {
      const pathOf = (leaf: number): number[] => {
        const node = nodeOfLeaf(leafIndex(leaf));
        return [node, ...directPath(node, 16)];
      };
      const other = new Set(pathOf(b));
      expect(commonAncestor(leafIndex(a), leafIndex(b))).toBe(pathOf(a).find((n) => other.has(n)));
    }
  }
});
