/** The official vectors about trees: tree-operations, tree-validation. */
import { describe, expect, test } from "vitest";
import { decode, fromHex, toHex } from "../../../src/codec/index.ts";
import { Proposal } from "../../../src/messages/proposal.ts";
import { RatchetTree } from "../../../src/tree/ratchet-tree.ts";
import { leafIndex, nodeIndex } from "../../../src/tree/tree-math.ts";
import { validateTree } from "../../../src/tree/tree-validation.ts";
import { suiteCrypto } from "./samples.ts";
import { vectors, vectorTest } from "./vector-files.ts";

interface TreeOperationVector {
  readonly cipher_suite: number;
  readonly tree_before: string;
  readonly proposal: string;
  readonly proposal_sender: number;
  readonly tree_hash_before: string;
  readonly tree_after: string;
  readonly tree_hash_after: string;
}

interface TreeValidationVector {
  readonly cipher_suite: number;
  readonly tree: string;
  readonly group_id: string;
  readonly resolutions: readonly (readonly number[])[];
  readonly tree_hashes: readonly string[];
}

function apply(tree: RatchetTree, proposal: Proposal, sender: number): RatchetTree {
  const editor = tree.edit();
  if (proposal.type === "add") editor.addLeaf(proposal.keyPackage.leafNode);
  else if (proposal.type === "update") editor.updateLeaf(leafIndex(sender), proposal.leafNode);
  else if (proposal.type === "remove") editor.removeLeaf(leafIndex(proposal.removed));
  else throw new Error(`no tree operation: ${proposal.type}`);
  return editor.finish();
}

vectorTest("tree-operations")("the official tree-operations vectors hold", () => {
  const cases = vectors<TreeOperationVector>("tree-operations");
  expect(cases.length).toBe(5);
  for (const vector of cases) {
    const crypto = suiteCrypto(vector.cipher_suite);
    const before = RatchetTree.decode(crypto, fromHex(vector.tree_before));
    expect(toHex(before.treeHash())).toBe(vector.tree_hash_before);
    const proposal = decode(Proposal, fromHex(vector.proposal));
    const after = apply(before, proposal, vector.proposal_sender);
    expect(toHex(after.encode())).toBe(vector.tree_after);
    expect(toHex(after.treeHash())).toBe(vector.tree_hash_after);
    expect(toHex(before.encode())).toBe(vector.tree_before);
  }
});

describe.skipIf(vectors("tree-validation").length === 0)(
  "the official tree-validation vectors",
  () => {
    const cases = vectors<TreeValidationVector>("tree-validation");
    test.each([1, 2, 3, 4, 5, 6, 7])("hold for suite %i", async (suite) => {
      const ofSuite = cases.filter((vector) => vector.cipher_suite === suite);
      expect(ofSuite.length).toBe(14);
      for (const vector of ofSuite) {
        const tree = RatchetTree.decode(suiteCrypto(suite), fromHex(vector.tree));
        expect(vector.resolutions.length).toBe(2 * tree.leafCount - 1);
        vector.resolutions.forEach((resolution, at) => {
          expect(tree.resolution(nodeIndex(at))).toEqual(resolution);
        });
        vector.tree_hashes.forEach((hash, at) => {
          expect(toHex(tree.nodeHash(nodeIndex(at)))).toBe(hash);
        });
        expect(toHex(tree.encode())).toBe(vector.tree);
        await validateTree(tree, { groupId: fromHex(vector.group_id) });
      }
    });
  },
);
