/** The HPKE private keys that one member holds. RFC 9420 §4.2, §7.5, §12.4.3.1. */
import { equalBytes } from "../codec/index.ts";
import type { Secret } from "../crypto/secret.ts";
import { check } from "../rules.ts";
import { encryptionKeyOf } from "./key-index.ts";
import { derivePathKeys } from "./path-secrets.ts";
import type { RatchetTree } from "./ratchet-tree.ts";
import { commonAncestor, type LeafIndex, nodeIndex } from "./tree-math.ts";

/** By node index: the member's leaf and the nodes above it whose keys it was told. */
export type PrivateKeys = ReadonlyMap<number, Secret>;

/**
 * The keys that are still of use in `tree`: those of nodes that became blank are dropped and, if
 * the tree they were valid in is given, those of nodes that got another key. RFC 9420 §7.5.
 */
export function retainPrivateKeys(
  tree: RatchetTree,
  privateKeys: PrivateKeys,
  before?: RatchetTree,
): PrivateKeys {
  const kept = new Map<number, Secret>();
  for (const [at, secret] of privateKeys) {
    const node = tree.node(nodeIndex(at));
    if (node === undefined) continue;
    const old = before?.node(nodeIndex(at));
    const isReplaced =
      before !== undefined &&
      (old === undefined || !equalBytes(encryptionKeyOf(old), encryptionKeyOf(node)));
    if (!isReplaced) kept.set(at, secret);
  }
  return kept;
}

export interface WelcomePathOptions {
  /** The tree that the Welcome describes. */
  readonly tree: RatchetTree;
  /** The committer, who signed the GroupInfo. */
  readonly sender: LeafIndex;
  readonly ownLeaf: LeafIndex;
  readonly pathSecret: Uint8Array;
}

/**
 * The private keys that a path secret in a Welcome gives access to: of the lowest node above both
 * the committer and us, and of the nodes that the committer set above it. RFC 9420 §12.4.3.1.
 *
 * @throws ValidationError `INVALID_WELCOME`, rules mk-22, mk-100
 */
export async function privateKeysFromPathSecret({
  tree,
  sender,
  ownLeaf,
  pathSecret,
}: WelcomePathOptions): Promise<PrivateKeys> {
  const { crypto } = tree;
  const isSized = pathSecret.length === crypto.suite.kdf.size;
  check(isSized, "mk-22", "INVALID_WELCOME", "a path secret has the wrong length");
  check(sender !== ownLeaf, "mk-100", "INVALID_WELCOME", "a path secret comes from our own leaf");
  const ancestor = commonAncestor(sender, ownLeaf);
  const path = tree.filteredDirectPath(sender).map(({ node }) => node);
  const start = path.indexOf(ancestor);
  check(start !== -1, "mk-100", "INVALID_WELCOME", "a path secret belongs to no node", {
    node: ancestor,
  });
  const nodes = path.slice(start);
  const { keyPairs } = await derivePathKeys(crypto, pathSecret, nodes.length);
  const keys = new Map<number, Secret>();
  for (const [i, node] of nodes.entries()) {
    const derived = keyPairs[i];
    const expected = tree.parent(node)?.encryptionKey;
    const matches =
      derived !== undefined && expected !== undefined && equalBytes(derived.publicKey, expected);
    check(matches, "mk-100", "INVALID_WELCOME", "a path secret does not fit the tree", { node });
    keys.set(node, derived.privateKey);
  }
  return keys;
}
