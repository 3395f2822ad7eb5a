/** tree-validation: resolutions, hashes, parent hashes and signatures of a tree. RFC 9420 §7.8, §7.9. */
import { decode, encode, equalBytes, toHex } from "../../../src/codec/index.ts";
import type { CryptoProvider } from "../../../src/crypto/index.ts";
import { verifyJob } from "../../../src/tree/leaf-node.ts";
import { RatchetTreeNodes, type TreeNode } from "../../../src/tree/nodes.ts";
import { RatchetTree } from "../../../src/tree/ratchet-tree.ts";
import { nodeCount, nodeIndex } from "../../../src/tree/tree-math.ts";
import { checkParentHashes, validateTree } from "../../../src/tree/tree-validation.ts";
import { expected, type Format, suiteOf } from "../format.ts";
import { isObject, Value } from "../value.ts";
import { FAR_FUTURE, lifetimesOf } from "./lifetimes.ts";

const KEYS = ["cipher_suite", "tree", "group_id", "resolutions", "tree_hashes"] as const;

export const treeValidation: Format = {
  type: "tree-validation",
  keys: KEYS,
  hasSuite: true,
  async verify(value, run) {
    const fields = value.object(...KEYS);
    const crypto = suiteOf(fields.cipher_suite, run);
    const { checks } = run;
    const groupId = fields.group_id.hex();
    const bytes = fields.tree.hex();
    const tree = RatchetTree.decode(crypto, bytes);
    checks.bytes("encodings", tree.encode(), bytes);
    const nodes = nodeCount(tree.leafCount);
    const [resolutions, hashes] = [fields.resolutions.list(), fields.tree_hashes.list()];
    if (resolutions.length !== nodes) throw value.error(`${nodes} resolutions are expected`);
    if (hashes.length !== nodes) throw value.error(`${nodes} tree hashes are expected`);
    for (const [at, entry] of resolutions.entries()) {
      const found = tree.resolution(nodeIndex(at));
      const listed = entry.list().map((node) => node.integer());
      const isEqual =
        found.length === listed.length && found.every((node, i) => node === listed[i]);
      checks.that("resolutions", isEqual, `node ${at} resolves to ${found.join(", ")}`);
    }
    for (const [at, entry] of hashes.entries()) {
      checks.bytes("tree hashes", tree.nodeHash(nodeIndex(at)), entry.hex());
    }
    const members = [...tree.members()];
    const jobs = members.map(([leafIndex, leaf]) => verifyJob(leaf, { groupId, leafIndex }));
    for (const [at, isSigned] of (await crypto.verifyMany(jobs)).entries()) {
      checks.that("leaf signatures", isSigned, `the signature of member ${at} is refused`);
    }
    checkParentHashes(tree);
    for (const [, node] of tree.nodes()) {
      if (node.type === "parent") checks.that("parent hashes", true, "");
    }
    const now = run.now(lifetimesOf(bytes));
    await validateTree(tree, { groupId, lifetime: { now, mode: "strict" } });
    checks.that("valid trees", true, "");
  },
  controls: [
    ...expected("resolutions.*.*", "tree_hashes.*"),
    { kind: "tree node", path: "tree" },
    { kind: "signed context", path: "group_id", caughtBy: ["leaf signatures"] },
    {
      kind: "signature, rehashed",
      path: "",
      rewrite: flipSignature,
      caughtBy: ["leaf signatures"],
    },
    { kind: "parent hash, rehashed", path: "", rewrite: flipParentHash, caughtBy: ["valn1406"] },
    { kind: "clock", path: "", now: FAR_FUTURE, caughtBy: ["valn0106"] },
  ],
};

/** Breaks a leaf's signature and brings the hashes up to date, so that only signatures can tell. */
function flipSignature(json: unknown, provider: CryptoProvider): unknown {
  return rewriteTree(json, provider, (nodes) => {
    // The leaf at node 0 may be blank.
    const at = nodes.findIndex((node) => node?.type === "leaf");
    const node = nodes[at];
    if (node?.type !== "leaf") return false;
    const encoded = node.leaf.encoded.slice();
    encoded[encoded.length - 1] = (encoded[encoded.length - 1] ?? 0) ^ 0x10;
    nodes[at] = { type: "leaf", leaf: { ...node.leaf, encoded } };
    return true;
  });
}

/** Breaks a parent's parent hash and brings the hashes up to date. */
function flipParentHash(json: unknown, provider: CryptoProvider): unknown {
  return rewriteTree(json, provider, (nodes) => {
    const at = nodes.findIndex(
      (node) => node?.type === "parent" && node.parent.parentHash.length > 0,
    );
    const node = nodes[at];
    if (node?.type !== "parent") return false;
    const parentHash = node.parent.parentHash.slice();
    parentHash[0] = (parentHash[0] ?? 0) ^ 0x10;
    nodes[at] = { type: "parent", parent: { ...node.parent, parentHash } };
    return true;
  });
}

function rewriteTree(
  json: unknown,
  provider: CryptoProvider,
  change: (nodes: (TreeNode | undefined)[]) => boolean,
): unknown {
  if (!isObject(json)) return undefined;
  const fields = new Value(json).object(...KEYS);
  const before = fields.tree.hex();
  const nodes = [...decode(RatchetTreeNodes, before)];
  if (!change(nodes)) return undefined;
  const bytes = encode(RatchetTreeNodes, nodes);
  if (equalBytes(bytes, before)) return undefined;
  const tree = RatchetTree.decode(provider.suite(fields.cipher_suite.integer()), bytes);
  const hashes = fields.tree_hashes.list().map((_, at) => toHex(tree.nodeHash(nodeIndex(at))));
  return { ...json, tree: toHex(bytes), tree_hashes: hashes };
}
