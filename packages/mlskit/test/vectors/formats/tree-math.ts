/** tree-math: relations between the nodes of a tree in an array. RFC 9420 Appendix C. */
import {
  left,
  nodeCount,
  nodeIndex,
  parent,
  right,
  root,
  sibling,
} from "../../../src/tree/tree-math.ts";
import { expected, type Format } from "../format.ts";

const KEYS = ["n_leaves", "n_nodes", "root", "left", "right", "parent", "sibling"] as const;

export const treeMath: Format = {
  type: "tree-math",
  keys: KEYS,
  hasSuite: false,
  verify(value, { checks }) {
    const fields = value.object(...KEYS);
    const leaves = fields.n_leaves.integer();
    const nodes = fields.n_nodes.integer();
    checks.same("sizes and roots", nodeCount(leaves), nodes);
    checks.same("sizes and roots", root(leaves), fields.root.integer());
    const relations = {
      left: (at: number) => left(nodeIndex(at)),
      right: (at: number) => right(nodeIndex(at)),
      parent: (at: number) => parent(nodeIndex(at), leaves),
      sibling: (at: number) => sibling(nodeIndex(at), leaves),
    };
    for (const name of ["left", "right", "parent", "sibling"] as const) {
      const entries = fields[name].list();
      if (entries.length !== nodes) throw fields[name].error(`${nodes} entries are expected`);
      for (const [at, entry] of entries.entries()) {
        checks.same("relations", relations[name](at), entry.integerOrNull());
      }
    }
  },
  controls: expected("n_nodes", "root", "left.*", "right.*", "parent.*", "sibling.*"),
};
