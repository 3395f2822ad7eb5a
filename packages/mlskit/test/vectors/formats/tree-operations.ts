/** tree-operations: a proposal applied to a tree. RFC 9420 §7.7, §12.1. */
import { decode, encode, toHex } from "../../../src/codec/index.ts";
import { Proposal } from "../../../src/messages/proposal.ts";
import { RatchetTree } from "../../../src/tree/ratchet-tree.ts";
import { leafIndex } from "../../../src/tree/tree-math.ts";
import { expected, type Format, suiteOf } from "../format.ts";
import { isObject, Value } from "../value.ts";

const KEYS = [
  "cipher_suite",
  "tree_before",
  "proposal",
  "proposal_sender",
  "tree_hash_before",
  "tree_after",
  "tree_hash_after",
] as const;

export const treeOperations: Format = {
  type: "tree-operations",
  keys: KEYS,
  hasSuite: true,
  verify(value, run) {
    const fields = value.object(...KEYS);
    const crypto = suiteOf(fields.cipher_suite, run);
    const { checks } = run;
    const bytes = fields.tree_before.hex();
    const before = RatchetTree.decode(crypto, bytes);
    checks.bytes("tree hashes", before.treeHash(), fields.tree_hash_before.hex());
    const proposal = decode(Proposal, fields.proposal.hex());
    const after = apply(before, proposal, fields.proposal_sender.integer());
    checks.bytes("trees", after.encode(), fields.tree_after.hex());
    checks.bytes("tree hashes", after.treeHash(), fields.tree_hash_after.hex());
    checks.bytes("untouched trees", before.encode(), bytes);
  },
  controls: [
    ...expected("tree_hash_before", "tree_after", "tree_hash_after"),
    { kind: "tree node", path: "tree_before" },
    // Of an Add only the leaf counts, and which leaf a Remove names lies at the end.
    { kind: "proposal", path: "proposal", rewrite: removeAnother },
    { kind: "proposal type", path: "proposal", at: "first" },
  ],
};

/** A Remove of the leaf beside the one that was removed. */
function removeAnother(json: unknown): unknown {
  if (!isObject(json)) return undefined;
  const proposal = decode(Proposal, new Value(json).object(...KEYS).proposal.hex());
  if (proposal.type !== "remove") return undefined;
  const removed = proposal.removed ^ 1;
  return { ...json, proposal: toHex(encode(Proposal, { type: "remove", removed })) };
}

function apply(tree: RatchetTree, proposal: Proposal, sender: number): RatchetTree {
  const editor = tree.edit();
  switch (proposal.type) {
    case "add":
      editor.addLeaf(proposal.keyPackage.leafNode);
      break;
    case "update":
      editor.updateLeaf(leafIndex(sender), proposal.leafNode);
      break;
    case "remove":
      editor.removeLeaf(leafIndex(proposal.removed));
      break;
    default:
      throw new Error(`a proposal of type ${proposal.type} does not change the tree`);
  }
  return editor.finish();
}
