/** Finds a key among all nodes of a tree without walking it. RFC 9420 §7.3, §16.7. */
import { bytesKey, equalBytes } from "../codec/index.ts";
import type { TreeNode } from "./nodes.ts";
import type { NodeIndex } from "./tree-math.ts";

/** A node and where it is, or was at some time in some tree. */
export type PlacedNode = readonly [index: NodeIndex, node: TreeNode];

/** The tree that a hint is checked against. */
export type NodeLookup = (index: NodeIndex) => TreeNode | undefined;

/**
 * Remembers at which nodes a key was ever put, in any of the trees that descend from one. Entries
 * are hints: each is confirmed against the tree that asks, so dropped commits and forks that share
 * the index cannot make it lie. Nothing is ever deleted; an editor starts a new index when most
 * hints are stale.
 */
export class KeyIndex {
  readonly #encryption = new Map<string, NodeIndex | NodeIndex[]>();
  readonly #signature = new Map<string, NodeIndex | NodeIndex[]>();
  /** What was put but not indexed yet: nothing is hashed before the first question. */
  #pending: (() => Iterable<PlacedNode>)[];
  #noted: number;

  /** `nodes` lists the non-blank nodes of the tree that the index starts from, about `size` many. */
  constructor(nodes: () => Iterable<PlacedNode>, size: number) {
    this.#pending = [nodes];
    this.#noted = size;
  }

  /** How many hints there are, or will be once they are indexed. */
  get size(): number {
    return this.#noted;
  }

  /** Remembers nodes that an editor has put into a tree. */
  note(nodes: readonly PlacedNode[]): void {
    this.#noted += nodes.length;
    this.#pending.push(() => nodes);
  }

  /** A node other than `except` that holds this HPKE key in the tree that `lookup` reads. */
  encryptionKey(
    key: Uint8Array,
    lookup: NodeLookup,
    except: NodeIndex | undefined,
  ): NodeIndex | undefined {
    this.#catchUp();
    return confirmed(this.#encryption.get(bytesKey(key)), (at) => {
      const node = at === except ? undefined : lookup(at);
      return node !== undefined && equalBytes(encryptionKeyOf(node), key);
    });
  }

  /** A leaf, as a node, other than `except` that holds this signature key. */
  signatureKey(
    key: Uint8Array,
    lookup: NodeLookup,
    except: NodeIndex | undefined,
  ): NodeIndex | undefined {
    this.#catchUp();
    return confirmed(this.#signature.get(bytesKey(key)), (at) => {
      const node = at === except ? undefined : lookup(at);
      return node?.type === "leaf" && equalBytes(node.leaf.signatureKey, key);
    });
  }

  /** Two nodes of the tree that hold the same HPKE key. Linear in the size of the index. */
  repeatedEncryptionKey(lookup: NodeLookup): readonly [NodeIndex, NodeIndex] | undefined {
    this.#catchUp();
    return repeated(this.#encryption.values(), (at) => {
      const node = lookup(at);
      return node === undefined ? undefined : bytesKey(encryptionKeyOf(node));
    });
  }

  /** Two leaves, as nodes, that hold the same signature key. */
  repeatedSignatureKey(lookup: NodeLookup): readonly [NodeIndex, NodeIndex] | undefined {
    this.#catchUp();
    return repeated(this.#signature.values(), (at) => {
      const node = lookup(at);
      return node?.type === "leaf" ? bytesKey(node.leaf.signatureKey) : undefined;
    });
  }

  #catchUp(): void {
    if (this.#pending.length === 0) return;
    const pending = this.#pending;
    this.#pending = [];
    for (const nodes of pending) {
      for (const [index, node] of nodes()) {
        insert(this.#encryption, bytesKey(encryptionKeyOf(node)), index);
        if (node.type === "leaf") insert(this.#signature, bytesKey(node.leaf.signatureKey), index);
      }
    }
  }
}

export function encryptionKeyOf(node: TreeNode): Uint8Array {
  return node.type === "leaf" ? node.leaf.encryptionKey : node.parent.encryptionKey;
}

function insert(index: Map<string, NodeIndex | NodeIndex[]>, key: string, at: NodeIndex): void {
  const known = index.get(key);
  if (known === undefined) index.set(key, at);
  else if (typeof known === "number") {
    if (known !== at) index.set(key, [known, at]);
  } else if (known[known.length - 1] !== at) known.push(at);
}

function confirmed(
  hints: NodeIndex | readonly NodeIndex[] | undefined,
  holds: (at: NodeIndex) => boolean,
): NodeIndex | undefined {
  if (hints === undefined) return undefined;
  if (typeof hints === "number") return holds(hints) ? hints : undefined;
  return hints.find(holds);
}

function repeated(
  entries: Iterable<NodeIndex | readonly NodeIndex[]>,
  keyAt: (at: NodeIndex) => string | undefined,
): readonly [NodeIndex, NodeIndex] | undefined {
  for (const hints of entries) {
    if (typeof hints === "number") continue;
    const seen = new Map<string, NodeIndex>();
    for (const at of hints) {
      const key = keyAt(at);
      if (key === undefined) continue;
      const first = seen.get(key);
      if (first !== undefined && first !== at) return [first, at];
      seen.set(key, at);
    }
  }
  return undefined;
}
