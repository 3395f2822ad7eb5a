/** Whether a tree received from somebody else is sound. RFC 9420 §7.9.2, §12.4.3.1. */
import { type Checked, sealed } from "../checked.ts";
import { equalBytes } from "../codec/index.ts";
import { all } from "../crypto/maybe-promise.ts";
import type { RequiredCapabilities } from "../extensions/extension.ts";
import { check, violation } from "../rules.ts";
import { verifyJob } from "./leaf-node.ts";
import {
  checkCredentialTypes,
  checkLeafNode,
  type LifetimeRules,
  type ValidationNotice,
} from "./leaf-node-validation.ts";
import type { LeafNode, ParentNode, TreeNode } from "./nodes.ts";
import { originalTreeHash, parentHash } from "./parent-hash.ts";
import type { RatchetTree } from "./ratchet-tree.ts";
import { type SignatureJob, verifySignatures } from "./signature-batch.ts";
import {
  children,
  childTowards,
  isInSubtree,
  leafIndex,
  type NodeIndex,
  nodeOfLeaf,
} from "./tree-math.ts";

export interface TreeValidationOptions {
  readonly groupId: Uint8Array;
  readonly requiredCapabilities?: RequiredCapabilities | undefined;
  readonly lifetime?: LifetimeRules | undefined;
  /** A leaf that we signed ourselves: where it stands in every byte, its signature is right. */
  readonly ownLeaf?: LeafNode | undefined;
}

/** A tree that may be joined. Trees that follow from it by proposals and paths are checked as they change. */
export type ValidatedTree = Checked<RatchetTree, "validateTree">;

export interface TreeValidationResult {
  readonly tree: ValidatedTree;
  readonly notices: readonly ValidationNotice[];
}

/**
 * Checks everything about a tree but its hash, which the caller compares with the GroupContext
 * (valn1405), and whether the members' credentials are to be trusted. One signature verification per
 * leaf, in large batches; all else is linear in the size of the tree, up to a logarithm.
 *
 * @throws ValidationError `INVALID_TREE`
 * @throws CryptoError `SIGNATURE_INVALID`
 */
export async function validateTree(
  tree: RatchetTree,
  options: TreeValidationOptions,
): Promise<TreeValidationResult> {
  // A provider with other threads verifies while this one checks everything else.
  const signatures = verifyLeaves(tree, options);
  const [structure, verification] = await Promise.allSettled([
    checkStructure(tree, options),
    signatures,
  ]);
  if (structure.status === "rejected") throw structure.reason;
  if (verification.status === "rejected") throw verification.reason;
  return { tree: sealed(tree), notices: structure.value };
}

/** Everything but the signatures. */
async function checkStructure(
  tree: RatchetTree,
  options: TreeValidationOptions,
): Promise<readonly ValidationNotice[]> {
  // Ranges first: everything after this may walk along unmerged leaves.
  checkUnmergedLeaves(tree);
  checkKeysAreUnique(tree);
  const notices = await checkNodes(tree, options);
  checkCredentialTypes(tree, "INVALID_TREE");
  checkParentHashes(tree);
  return notices;
}

/** valn1408, valn1409: unmerged leaves are members below, and known to all nodes on the way. */
export function checkUnmergedLeaves(tree: RatchetTree): void {
  for (const [at, parent] of parentsOf(tree)) {
    for (const leaf of parent.unmergedLeaves) {
      const details = { node: at, leaf };
      const isMember = leaf < tree.leafCount && !tree.isBlank(nodeOfLeaf(leafIndex(leaf)));
      check(isMember, "valn1408", "INVALID_TREE", "an unmerged leaf is no member", details);
      const node = nodeOfLeaf(leafIndex(leaf));
      const isBelow = isInSubtree(node, at);
      check(isBelow, "valn1408", "INVALID_TREE", "an unmerged leaf is not below", details);
      // The next non-blank node below is enough: it answers for those below itself.
      const next = nextParentTowards(tree, at, node);
      const isListed = next === undefined || includesSorted(next.unmergedLeaves, leaf);
      check(isListed, "valn1409", "INVALID_TREE", "an unmerged leaf is not listed below", details);
    }
  }
}

/** valn1406: each parent was set together with exactly one node below it. RFC 9420 §7.9.2. */
export function checkParentHashes(tree: RatchetTree): void {
  for (const [at, parent] of parentsOf(tree)) {
    if (at === tree.root) {
      const isTop = parent.parentHash.length === 0;
      check(isTop, "valn1406", "INVALID_TREE", "the root has a parent hash", { node: at });
    }
    const pair = children(at);
    if (pair === undefined) continue;
    const [below, beside] = pair;
    const chains =
      (isChained(tree, parent, below, beside) ? 1 : 0) +
      (isChained(tree, parent, beside, below) ? 1 : 0);
    // That node is a leaf or was found to be chained itself, so each parent hangs on a leaf.
    check(chains === 1, "valn1406", "INVALID_TREE", "a parent hash does not match", {
      node: at,
      chains,
    });
  }
}

/** Whether a node in the resolution of `child` has the parent hash of P with this sibling. */
function isChained(
  tree: RatchetTree,
  parent: ParentNode,
  child: NodeIndex,
  sibling: NodeIndex,
): boolean {
  const unmergedHere = parent.unmergedLeaves.filter((leaf) =>
    isInSubtree((2 * leaf) as NodeIndex, child),
  );
  const expected = unmergedHere.length + 1;
  const resolution = tree.resolution(child, undefined, expected + 1);
  // The resolution is the unmerged leaves and one node more: the only one that can be chained.
  if (resolution.length !== expected) return false;
  const unmerged = new Set<number>(unmergedHere.map((leaf) => 2 * leaf));
  const others = resolution.filter((node) => !unmerged.has(node));
  const [candidate] = others;
  if (candidate === undefined || others.length !== 1) return false;
  const claimed = parentHashIn(tree.node(candidate));
  if (claimed === undefined || claimed.length === 0) return false;
  const unmergedBeside = parent.unmergedLeaves.filter((leaf) =>
    isInSubtree((2 * leaf) as NodeIndex, sibling),
  );
  const actual = parentHash(tree.crypto, {
    encryptionKey: parent.encryptionKey,
    parentHash: parent.parentHash,
    originalSiblingTreeHash: originalTreeHash(tree, sibling, unmergedBeside),
  });
  return equalBytes(claimed, actual);
}

function parentHashIn(node: TreeNode | undefined): Uint8Array | undefined {
  if (node?.type === "parent") return node.parent.parentHash;
  if (node?.type !== "leaf" || node.leaf.origin.source !== "commit") return undefined;
  return node.leaf.origin.parentHash;
}

/** valn0111, valn0112, valn1410: no key occurs twice. */
function checkKeysAreUnique(tree: RatchetTree): void {
  const leaves = tree.repeatedSignatureKey();
  check(leaves === undefined, "valn0111", "INVALID_TREE", "two leaves have one signature key", {
    nodes: leaves,
  });
  const nodes = tree.repeatedEncryptionKey();
  if (nodes === undefined) return;
  const message = "two nodes have one encryption key";
  const areLeaves = nodes.every((node) => node % 2 === 0);
  if (areLeaves) throw violation("valn0112", "INVALID_TREE", message, { nodes });
  throw violation("valn1410", "INVALID_TREE", message, { nodes });
}

/** valn1407: each leaf by the rules of §7.3. mk-18: each parent's key. */
async function checkNodes(
  tree: RatchetTree,
  options: TreeValidationOptions,
): Promise<ValidationNotice[]> {
  const { crypto } = tree;
  const leaves = [];
  for (const [index, leaf] of tree.members()) {
    const requirements = {
      crypto,
      code: "INVALID_TREE" as const,
      requiredCapabilities: options.requiredCapabilities,
      lifetime: options.lifetime,
      leafIndex: index,
    };
    leaves.push(checkLeafNode(leaf, requirements));
  }
  const parents: NodeIndex[] = [];
  const parentKeys = [];
  for (const [at, parent] of parentsOf(tree)) {
    parents.push(at);
    parentKeys.push(crypto.isValidPublicKey(parent.encryptionKey));
  }
  const notices = (await all(leaves)).flat();
  for (const [i, isValid] of (await all(parentKeys)).entries()) {
    const details = { node: parents[i] };
    check(isValid, "mk-18", "INVALID_TREE", "a parent's encryption key is malformed", details);
  }
  return notices;
}

/** valn0102. In portions, because what was signed takes as much memory as the tree. */
async function verifyLeaves(
  tree: RatchetTree,
  { groupId, ownLeaf }: TreeValidationOptions,
): Promise<void> {
  let jobs: SignatureJob[] = [];
  for (const [index, leaf] of tree.members()) {
    if (ownLeaf !== undefined && equalBytes(leaf.encoded, ownLeaf.encoded)) continue;
    jobs.push(verifyJob(leaf, { groupId, leafIndex: index }));
    if (jobs.length < PORTION) continue;
    await verifySignatures(tree.crypto, jobs);
    jobs = [];
  }
  await verifySignatures(tree.crypto, jobs);
}

const PORTION = 512;

function* parentsOf(tree: RatchetTree): Generator<readonly [NodeIndex, ParentNode]> {
  for (const [at, node] of tree.nodes()) if (node.type === "parent") yield [at, node.parent];
}

/** The first non-blank parent on the way from `from` (not itself) down to a leaf. */
function nextParentTowards(
  tree: RatchetTree,
  from: NodeIndex,
  leaf: NodeIndex,
): ParentNode | undefined {
  let at = childTowards(from, leaf);
  while (at !== undefined) {
    const parent = tree.parent(at);
    if (parent !== undefined) return parent;
    at = childTowards(at, leaf);
  }
  return undefined;
}

function includesSorted(list: readonly number[], value: number): boolean {
  let [low, high] = [0, list.length];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if ((list[middle] ?? value) < value) low = middle + 1;
    else high = middle;
  }
  return list[low] === value;
}
