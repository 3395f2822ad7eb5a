/** What a new leaf must satisfy beside the members that are there. RFC 9420 §7.3, §16.7. */
import { check } from "../rules.ts";
import { supports } from "../tree/capabilities.ts";
import { credentialTypeOf } from "../credentials/credential.ts";
import type { LeafNode } from "../tree/nodes.ts";
import type { RatchetTree } from "../tree/ratchet-tree.ts";
import { type LeafIndex, leafIndex, nodeOfLeaf } from "../tree/tree-math.ts";

/** What a repeated signature key means where it is met. */
export type DuplicateRule = "valn0111" | "valn0306";

/**
 * `tree` is the tree that results, with the leaf in its place (or without it, for a path leaf that
 * is still to be merged). `duplicateRule` names a repeated signature key in the caller's terms.
 */
export function checkLeafAmongMembers(
  tree: RatchetTree,
  index: LeafIndex,
  leaf: LeafNode,
  duplicateRule: DuplicateRule,
): void {
  const where = { leafIndex: index };
  checkSignatureKeyIsNew(tree, index, leaf.signatureKey, duplicateRule);
  check(
    tree.nodeWithEncryptionKey(leaf.encryptionKey, nodeOfLeaf(index)) === undefined,
    "valn0112",
    "INVALID_PROPOSAL",
    "another node has this encryption key",
    where,
  );
  checkCredentialSupport(tree, leaf, where);
}

/** Rule valn0306 for a client that comes in by an Add, valn0111 for everybody else. */
export function checkSignatureKeyIsNew(
  tree: RatchetTree,
  index: LeafIndex,
  signatureKey: Uint8Array,
  duplicateRule: DuplicateRule,
): void {
  const isNew = tree.leafWithSignatureKey(signatureKey, index) === undefined;
  const where = { leafIndex: index };
  if (duplicateRule === "valn0306") {
    check(isNew, "valn0306", "INVALID_PROPOSAL", "the client is a member already", where);
  } else {
    check(isNew, "valn0111", "INVALID_PROPOSAL", "another member has this signature key", where);
  }
}

type Supporter = Pick<LeafNode, "credential" | "capabilities">;

/**
 * Rule valn0104: every member can verify every other member's credential. What stands at the leaf's
 * place before it comes there does not count.
 */
export function checkCredentialSupport(
  tree: RatchetTree,
  leaf: Supporter,
  where: { readonly leafIndex: number },
): void {
  const others = suits(tree, leaf) ? undefined : withoutLeaf(tree, leafIndex(where.leafIndex));
  if (others === undefined) return;
  check(
    others.supportedByAll("credentials", credentialTypeOf(leaf.credential)),
    "valn0104",
    "INVALID_PROPOSAL",
    "a member does not support the credential type of this leaf",
    where,
  );
  for (const type of others.credentialTypesInUse()) {
    check(
      supports(leaf.capabilities, "credentials", type),
      "valn0104",
      "INVALID_PROPOSAL",
      "the leaf does not support a credential type that is in use",
      { ...where, credentialType: type },
    );
  }
}

function suits(tree: RatchetTree, { credential, capabilities }: Supporter): boolean {
  if (!tree.supportedByAll("credentials", credentialTypeOf(credential))) return false;
  const types = [...tree.credentialTypesInUse()];
  return types.every((type) => supports(capabilities, "credentials", type));
}

/** Undefined if nobody else is there. */
function withoutLeaf(tree: RatchetTree, index: LeafIndex): RatchetTree | undefined {
  if (tree.leaf(index) === undefined) return tree;
  if (tree.memberCount === 1) return undefined;
  const editor = tree.edit();
  editor.removeLeaf(index);
  return editor.finish();
}
