/** Resolutions: the nodes that together cover all members of a subtree. RFC 9420 §4.1.1. */
import { locate } from "./chunk.ts";
import { level as levelOf, type NodeIndex } from "./tree-math.ts";
import type { TreeState } from "./tree-state.ts";

export interface ResolutionOptions {
  /** Leaves that are left out. */
  readonly excluded: ReadonlySet<number>;
  /** Enough for callers that only ask whether there are so many. */
  readonly limit: number;
}

/** Unmerged leaves after their parent, everything else from left to right. */
export function resolve(
  state: Pick<TreeState, "levels" | "lastLeaf">,
  node: NodeIndex,
  { excluded, limit }: ResolutionOptions,
): NodeIndex[] {
  const found: NodeIndex[] = [];
  collect({ state, excluded, limit, found }, node, levelOf(node));
  return found;
}

interface Search extends ResolutionOptions {
  readonly state: Pick<TreeState, "levels" | "lastLeaf">;
  readonly found: NodeIndex[];
}

/** Recursion is as deep as the tree. */
function collect(search: Search, at: number, height: number): void {
  const { state, excluded, limit, found } = search;
  const reach = 2 ** height - 1;
  if (found.length >= limit || at - reach > 2 * state.lastLeaf) return;
  const { level, id, slot } = locate(at);
  const chunk = state.levels[level]?.[id];
  if (chunk?.has(slot) === true) {
    if (height > 0 || !excluded.has(at / 2)) found.push(at as NodeIndex);
    const node = height === 0 ? undefined : chunk.node(slot);
    for (const leaf of node?.type === "parent" ? node.parent.unmergedLeaves : []) {
      if (!excluded.has(leaf)) found.push((2 * leaf) as NodeIndex);
    }
    return;
  }
  if (height === 0) return;
  if (level === 0 && chunk !== undefined) {
    // The whole subtree is in this chunk, where bits tell which leaves have no parent among them.
    const present = chunk.presence(slot - reach, slot + reach);
    if ((present & PARENT_SLOTS) === 0) {
      for (let bits = present; bits !== 0 && found.length < limit; bits &= bits - 1) {
        const leaf = at - slot + 31 - Math.clz32(bits & -bits);
        if (!excluded.has(leaf / 2)) found.push(leaf as NodeIndex);
      }
      return;
    }
  }
  const step = 2 ** (height - 1);
  collect(search, at - step, height - 1);
  collect(search, at + step, height - 1);
}

const PARENT_SLOTS = 0x2aaa_aaaa;
