/** New keys for a direct path, encrypted to its copath: TreeKEM. RFC 9420 §7.4–7.6. */
import { bytesKey, copyBytes, equalBytes } from "../codec/index.ts";
import type { SealJob, Signer } from "../crypto/crypto-provider.ts";
import { decryptWithLabel, UPDATE_PATH_NODE, encryptContext } from "../crypto/labels.ts";
import { all } from "../crypto/maybe-promise.ts";
import { Secret } from "../crypto/secret.ts";
import { CryptoError, InternalError } from "../errors.ts";
import { check } from "../rules.ts";
import { encryptionKeyOf } from "./key-index.ts";
import { signLeafNode } from "./leaf-node.ts";
import {
  ciphertextAt,
  ciphertextCount,
  type LeafNodeFields,
  type ParentNode,
  type UpdatePath,
} from "./nodes.ts";
import { type PathParentHashes, pathParentHashes } from "./parent-hash.ts";
import { derivePathKeys } from "./path-secrets.ts";
import { type PrivateKeys, retainPrivateKeys } from "./private-keys.ts";
import type { PathStep, RatchetTree } from "./ratchet-tree.ts";
import { isInSubtree, type LeafIndex, type NodeIndex, nodeOfLeaf } from "./tree-math.ts";

/** What the committer chooses about its new leaf; the rest follows from the path. */
export type PathLeafFields = Pick<LeafNodeFields, "credential" | "capabilities" | "extensions">;

export interface CreateUpdatePathOptions {
  /** After the proposals of the Commit. The sender's leaf may be blank: it joins by this path. */
  readonly tree: RatchetTree;
  readonly sender: LeafIndex;
  readonly leaf: PathLeafFields;
  readonly signer: Signer;
  readonly groupId: Uint8Array;
  /** Leaves added by this Commit, which get their path secret in the Welcome. */
  readonly excludedLeaves: ReadonlySet<number>;
  /** The encoded provisional GroupContext with this tree hash. */
  readonly groupContextBytes: (treeHash: Uint8Array) => Uint8Array;
}

export interface CreatedUpdatePath {
  readonly tree: RatchetTree;
  readonly updatePath: UpdatePath;
  readonly commitSecret: Secret;
  readonly leafPrivateKey: Secret;
  /** The sender's leaf and each node of the path, by node index. */
  readonly privateKeys: PrivateKeys;
  /** By node index, for the Welcome. */
  readonly pathSecrets: ReadonlyMap<number, Secret>;
}

/** Makes a path, merges it, and encrypts its secrets in one batch. RFC 9420 §7.4, §7.5. */
export async function createUpdatePath(
  options: CreateUpdatePathOptions,
): Promise<CreatedUpdatePath> {
  const { tree: before, sender, excludedLeaves } = options;
  const { crypto } = before;
  const path = before.filteredDirectPath(sender);
  const firstSecret = crypto.randomBytes(crypto.suite.kdf.size);
  const keys = await derivePathKeys(crypto, firstSecret, path.length);
  firstSecret.fill(0);
  const leafKeys = await crypto.generateKeyPair();
  const publicKeys = keys.keyPairs.map(({ publicKey }) => publicKey);
  const parentHashes = pathParentHashes(before, path, publicKeys);
  const leafNode = await signLeafNode(
    crypto,
    options.signer,
    {
      encryptionKey: leafKeys.publicKey,
      signatureKey: options.signer.publicKey,
      credential: options.leaf.credential,
      capabilities: options.leaf.capabilities,
      origin: { source: "commit", parentHash: parentHashes.leaf },
      extensions: options.leaf.extensions,
    },
    { groupId: options.groupId, leafIndex: sender },
  );
  const editor = before.edit();
  editor.setPath(sender, leafNode, newParents(path, publicKeys, parentHashes));
  const leafPrivateKey = new Secret(leafKeys.privateKey);
  const privateKeys = new Map<number, Secret>([[nodeOfLeaf(sender), leafPrivateKey]]);
  const pathSecrets = new Map<number, Secret>();
  const jobs: SealJob[] = [];
  const recipients: number[] = [];
  for (const [i, { node, copathChild }] of path.entries()) {
    const keyPair = keys.keyPairs[i];
    const secret = keys.pathSecrets[i];
    if (keyPair === undefined || secret === undefined) continue;
    privateKeys.set(node, keyPair.privateKey);
    pathSecrets.set(node, secret);
    const resolution = before.resolution(copathChild, excludedLeaves);
    recipients.push(resolution.length);
    for (const to of resolution) {
      jobs.push({ publicKey: publicKeyAt(before, to), plaintext: secret.bytes });
    }
  }
  const tree = editor.finish();
  const context = options.groupContextBytes(tree.treeHash());
  const sealed =
    jobs.length === 0 ? [] : await crypto.sealMany(encryptContext(UPDATE_PATH_NODE, context), jobs);
  let next = 0;
  const nodes = publicKeys.map((encryptionKey, i) => {
    const first = next;
    next += recipients[i] ?? 0;
    return { encryptionKey, encryptedPathSecret: sealed.slice(first, next) };
  });
  const updatePath = { leafNode, nodes };
  // Nobody would accept a path with keys of a generator that repeats itself.
  checkPathKeys(before, sender, updatePath);
  return {
    tree,
    updatePath,
    commitSecret: keys.commitSecret,
    leafPrivateKey,
    privateKeys,
    pathSecrets,
  };
}

export interface MergeUpdatePathOptions {
  /** After the proposals of the Commit. The sender's leaf may be blank: it joins by this path. */
  readonly tree: RatchetTree;
  readonly sender: LeafIndex;
  readonly updatePath: UpdatePath;
  /** Leaves added by this Commit. */
  readonly excludedLeaves: ReadonlySet<number>;
}

export interface MergedUpdatePath {
  readonly tree: RatchetTree;
  /** The sender's filtered direct path, one step per node of the update path. */
  readonly path: readonly PathStep[];
}

/**
 * The public half of processing a path, which needs no secrets. The rules for the path's leaf
 * itself (valn1207) are the caller's. RFC 9420 §7.5, §12.4.2.
 *
 * @throws ValidationError `INVALID_COMMIT`
 */
export async function mergeUpdatePath({
  tree: before,
  sender,
  updatePath,
  excludedLeaves,
}: MergeUpdatePathOptions): Promise<MergedUpdatePath> {
  const path = before.filteredDirectPath(sender);
  checkPathShape(before, path, updatePath, excludedLeaves);
  checkPathKeys(before, sender, updatePath);
  await checkPathKeyFormats(before, updatePath);
  // In memory of their own: views would keep the Commit for as long as the tree has these nodes.
  const publicKeys = updatePath.nodes.map(({ encryptionKey }) => copyBytes(encryptionKey));
  const parentHashes = pathParentHashes(before, path, publicKeys);
  const { origin } = updatePath.leafNode;
  check(origin.source === "commit", "valn0110", "INVALID_COMMIT", "a path leaf is no path leaf");
  const matches = equalBytes(origin.parentHash, parentHashes.leaf);
  check(matches, "mk-74", "INVALID_COMMIT", "the parent hash of a path does not match", { sender });
  const parents = newParents(path, publicKeys, parentHashes);
  const editor = before.edit();
  editor.setPath(sender, updatePath.leafNode, parents);
  return { tree: editor.finish(), path };
}

/** What the path puts at its nodes. RFC 9420 §7.5. */
function newParents(
  path: readonly PathStep[],
  publicKeys: readonly Uint8Array[],
  parentHashes: PathParentHashes,
): ReadonlyMap<NodeIndex, ParentNode> {
  const parents = new Map<NodeIndex, ParentNode>();
  for (const [i, { node }] of path.entries()) {
    const encryptionKey = publicKeys[i];
    const parentHash = parentHashes.nodes[i];
    if (encryptionKey === undefined || parentHash === undefined) continue;
    parents.set(node, { encryptionKey, parentHash, unmergedLeaves: [] });
  }
  return parents;
}

/** mk-72: one entry per node. valn1101: one ciphertext per recipient. */
function checkPathShape(
  tree: RatchetTree,
  path: readonly PathStep[],
  { nodes }: UpdatePath,
  excludedLeaves: ReadonlySet<number>,
): void {
  const counts = { expected: path.length, found: nodes.length };
  const isComplete = counts.expected === counts.found;
  check(isComplete, "mk-72", "INVALID_COMMIT", "a path has the wrong number of nodes", counts);
  for (const [i, { node, copathChild }] of path.entries()) {
    const received = nodes[i];
    const found = received === undefined ? 0 : ciphertextCount(received);
    const expected = tree.resolution(copathChild, excludedLeaves).length;
    check(found === expected, "valn1101", "INVALID_COMMIT", "a path has the wrong recipients", {
      node,
      expected,
      found,
    });
  }
}

/** valn1208, valn1209, mk-73: all public keys of a path are new. */
function checkPathKeys(tree: RatchetTree, sender: LeafIndex, updatePath: UpdatePath): void {
  const { encryptionKey } = updatePath.leafNode;
  const current = tree.leaf(sender)?.encryptionKey;
  const isFresh = current === undefined || !equalBytes(current, encryptionKey);
  check(isFresh, "valn1208", "INVALID_COMMIT", "a committer keeps its encryption key", { sender });
  const seen = new Set<string>();
  for (const key of publicKeysOf(updatePath)) {
    const at = tree.nodeWithEncryptionKey(key);
    check(at === undefined, "valn1209", "INVALID_COMMIT", "a path repeats a key of the tree", {
      node: at,
    });
    const id = bytesKey(key);
    check(!seen.has(id), "mk-73", "INVALID_COMMIT", "a path has the same key twice", { sender });
    seen.add(id);
  }
}

/** mk-18. The leaf's key is checked with the leaf. */
async function checkPathKeyFormats(tree: RatchetTree, { nodes }: UpdatePath): Promise<void> {
  const results = nodes.map(({ encryptionKey }) => tree.crypto.isValidPublicKey(encryptionKey));
  for (const isValid of await all(results)) {
    check(isValid, "mk-18", "INVALID_COMMIT", "an encryption key of a path is malformed");
  }
}

function publicKeysOf(updatePath: UpdatePath): Uint8Array[] {
  return [
    updatePath.leafNode.encryptionKey,
    ...updatePath.nodes.map(({ encryptionKey }) => encryptionKey),
  ];
}

export interface DecryptUpdatePathOptions {
  /** As merged by {@link mergeUpdatePath}. */
  readonly tree: RatchetTree;
  /** After the proposals, before the path: the tree whose keys the secrets are encrypted to. */
  readonly treeBefore: RatchetTree;
  /** The sender's filtered direct path, as merged. */
  readonly path: readonly PathStep[];
  readonly updatePath: UpdatePath;
  readonly ownLeaf: LeafIndex;
  /** Valid in `treeBefore`. */
  readonly privateKeys: PrivateKeys;
  readonly excludedLeaves: ReadonlySet<number>;
  /** The encoded provisional GroupContext, with the hash of `tree`. */
  readonly groupContextBytes: Uint8Array;
}

export interface DecryptedUpdatePath {
  readonly commitSecret: Secret;
  /** Valid in the merged tree: keys of replaced and blanked nodes are gone. */
  readonly privateKeys: PrivateKeys;
  /** Of the lowest node above both the sender and us. */
  readonly pathSecret: Secret;
}

/**
 * The secret half of processing a path. RFC 9420 §7.5.
 *
 * @throws CryptoError `DECRYPTION_FAILED`, rule mk-75
 * @throws ValidationError `INVALID_COMMIT`, rules mk-22, mk-76
 */
export async function decryptUpdatePath(
  options: DecryptUpdatePathOptions,
): Promise<DecryptedUpdatePath> {
  const { tree, treeBefore, path, updatePath, ownLeaf } = options;
  const { crypto } = tree;
  const own = nodeOfLeaf(ownLeaf);
  const start = path.findIndex(({ copathChild }) => isInSubtree(own, copathChild));
  const overlap = path[start];
  if (overlap === undefined) throw new InternalError("a path has no secret");
  const opened = await openPathSecret(options, overlap, start);
  const isSized = opened.length === crypto.suite.kdf.size;
  check(isSized, "mk-22", "INVALID_COMMIT", "a path secret has the wrong length");
  const steps = path.slice(start);
  const keys = await derivePathKeys(crypto, opened, steps.length);
  opened.fill(0);
  const [pathSecret, ...higher] = keys.pathSecrets;
  if (pathSecret === undefined) throw new InternalError("a path has no secret");
  for (const secret of higher) secret.erase();
  const privateKeys = new Map(retainPrivateKeys(tree, options.privateKeys, treeBefore));
  for (const [i, { node }] of steps.entries()) {
    const derived = keys.keyPairs[i];
    const announced = updatePath.nodes[start + i]?.encryptionKey;
    const matches =
      derived !== undefined && announced !== undefined && equalBytes(derived.publicKey, announced);
    check(matches, "mk-76", "INVALID_COMMIT", "a path secret does not fit its path", { node });
    privateKeys.set(node, derived.privateKey);
  }
  return {
    commitSecret: keys.commitSecret,
    privateKeys,
    pathSecret,
  };
}

/** mk-75: the ciphertext for the node of the copath's resolution whose private key we hold. */
async function openPathSecret(
  options: DecryptUpdatePathOptions,
  overlap: PathStep,
  position: number,
): Promise<Uint8Array> {
  const { treeBefore, excludedLeaves, privateKeys, updatePath } = options;
  const resolution = treeBefore.resolution(overlap.copathChild, excludedLeaves);
  const at = resolution.findIndex((node) => privateKeys.has(node));
  const recipient = resolution[at];
  const privateKey = recipient === undefined ? undefined : privateKeys.get(recipient);
  const received = updatePath.nodes[position];
  const sealed = received === undefined ? undefined : ciphertextAt(received, at);
  const details = { node: overlap.node };
  if (privateKey === undefined || sealed === undefined) {
    const message = "a path has no secret for us";
    throw new CryptoError("DECRYPTION_FAILED", message, { rule: "mk-75", details });
  }
  try {
    return await decryptWithLabel(
      treeBefore.crypto,
      privateKey.bytes,
      UPDATE_PATH_NODE,
      options.groupContextBytes,
      sealed,
    );
  } catch (cause) {
    if (!(cause instanceof CryptoError)) throw cause;
    const message = "a path secret could not be decrypted";
    throw new CryptoError("DECRYPTION_FAILED", message, { rule: "mk-75", details, cause });
  }
}

function publicKeyAt(tree: RatchetTree, at: NodeIndex): Uint8Array {
  const node = tree.node(at);
  if (node === undefined) throw new InternalError(`node ${at} is blank`);
  return encryptionKeyOf(node);
}
