/** What the limits need to know about a tree. RFC 9420 §4.1. */
import { type Epoch, treeMath } from "./internals.ts";
import type { Shape } from "./limits.ts";

/**
 * The tree that `committer` meets; `receiver` follows it, and `changed` are leaves that change beside
 * its own.
 */
export function shapeOf(
  tree: Epoch["tree"],
  committer: number,
  receiver: number,
  changed: readonly number[] = [],
): Shape {
  const own = treeMath.leafIndex(committer);
  const path = tree.filteredDirectPath(own);
  let parents = 0;
  for (const [, { type }] of tree.nodes()) if (type === "parent") parents++;
  const above = treeMath.commonAncestor(own, treeMath.leafIndex(receiver));
  const dirty = new Set<number>();
  for (const leaf of [committer, ...changed]) {
    const node = treeMath.nodeOfLeaf(treeMath.leafIndex(leaf));
    if (node > 2 * tree.root) continue;
    for (const each of [node, ...treeMath.directPath(node, tree.leafCount)]) dirty.add(each);
  }
  return {
    members: tree.memberCount,
    slots: tree.leafCount,
    parents,
    path: path.length,
    seals: path.reduce((sum, { copathChild }) => sum + tree.resolution(copathChild).length, 0),
    shared: path.filter(({ node }) => treeMath.isInSubtree(above, node)).length,
    changed: dirty.size,
  };
}
