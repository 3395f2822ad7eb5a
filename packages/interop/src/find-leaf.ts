/** Members in trees that came by themselves. */
import type { SuiteCrypto } from "mlskit";
import { sameBytes } from "./bytes.ts";
import { type LeafNode, trees } from "./internals.ts";

/** The leaf with this identity. */
export function findLeaf(
  crypto: SuiteCrypto,
  tree: Uint8Array,
  identity: Uint8Array,
): readonly [index: number, leaf: LeafNode] {
  for (const [index, leaf] of trees.RatchetTree.decode(crypto, tree).members()) {
    const { credential } = leaf;
    if (credential.type === "basic" && sameBytes(credential.identity, identity)) {
      return [index, leaf];
    }
  }
  throw new Error("no member has this identity");
}
