/**
 * The tree of secrets under an epoch's encryption_secret, which gives every sender two ratchets.
 * RFC 9420 §9.
 */
import { EMPTY_BYTES, utf8 } from "../codec/index.ts";
import { Secret, type SuiteCrypto } from "../crypto/index.ts";
import { expandWithLabel } from "../crypto/labels.ts";
import { InternalError } from "../errors.ts";
import {
  children,
  childTowards,
  isInSubtree,
  leafIndex,
  type NodeIndex,
  nodeOfLeaf,
  root,
} from "../tree/tree-math.ts";
import {
  eraseMessageKey,
  type HashRatchet,
  type MessageKey,
  newRatchet,
  type RatchetKind,
  type RatchetLimits,
  seek,
  step,
  trim,
} from "./hash-ratchet.ts";

/** A ratchet with its place in the tree. */
export interface RatchetEntry {
  readonly leaf: number;
  readonly kind: RatchetKind;
  readonly ratchet: HashRatchet;
}

/**
 * What using one key changes. It is computed aside and takes effect by {@link SecretTree.apply},
 * after the message proved genuine and the change is durable. RFC 9420 §9.2.
 */
export interface SecretTreeChange {
  /** Node secrets to store, or to delete where undefined. */
  readonly nodes: readonly (readonly [node: number, secret: Secret | undefined])[];
  readonly ratchets: readonly RatchetEntry[];
}

export interface PreparedKey {
  readonly messageKey: MessageKey;
  readonly change: SecretTreeChange;
}

/** A sender's ratchet. On its leaf's first use the leaf's other ratchet begins as well. */
interface Located extends Pick<SecretTreeChange, "nodes"> {
  readonly entry: RatchetEntry;
  readonly sibling: readonly RatchetEntry[];
}

export interface SecretTreeLimits extends RatchetLimits {
  /** Skipped keys kept in the whole tree; the oldest ratchets lose theirs first. */
  readonly maximumSkippedKeys: number;
}

/**
 * Holds what §9.2 allows to be held and nothing above it. `prepare…` computes, `apply` changes; a
 * prepared key that is not applied costs nothing and leaves no trace.
 */
export class SecretTree {
  readonly #crypto: SuiteCrypto;
  readonly #leafCount: number;
  readonly #nodes: Map<number, Secret>;
  readonly #ratchets: Map<RatchetKey, RatchetEntry>;
  /** Ratchets with skipped keys, in the order in which they began to skip. */
  readonly #skipping: Set<RatchetKey> = new Set();
  #skippedKeys = 0;

  private constructor(crypto: SuiteCrypto, leafCount: number, nodes: Map<number, Secret>) {
    this.#crypto = crypto;
    this.#leafCount = leafCount;
    this.#nodes = nodes;
    this.#ratchets = new Map();
  }

  /** The tree of a new epoch. Takes ownership of the secret. */
  static fromEncryptionSecret(
    crypto: SuiteCrypto,
    leafCount: number,
    encryptionSecret: Secret,
  ): SecretTree {
    return new SecretTree(crypto, leafCount, new Map([[root(leafCount), encryptionSecret]]));
  }

  /** A tree as it was stored. */
  static restore(
    crypto: SuiteCrypto,
    leafCount: number,
    nodes: Iterable<readonly [number, Secret]>,
    ratchets: Iterable<RatchetEntry>,
  ): SecretTree {
    const tree = new SecretTree(crypto, leafCount, new Map(nodes));
    for (const entry of ratchets) tree.#put(entry);
    return tree;
  }

  get leafCount(): number {
    return this.#leafCount;
  }

  /** Unconsumed node secrets, for storing. */
  nodes(): IterableIterator<[number, Secret]> {
    return this.#nodes.entries();
  }

  /** Ratchets in use, for storing. */
  ratchets(): IterableIterator<RatchetEntry> {
    return this.#ratchets.values();
  }

  get skippedKeyCount(): number {
    return this.#skippedKeys;
  }

  /** The next own generation, without deriving anything. */
  nextGeneration(leaf: number, kind: RatchetKind): number {
    return this.#ratchets.get(keyFor(leaf, kind))?.ratchet.generation ?? 0;
  }

  /** The next key of our own ratchet. @throws StateError `RATCHET_EXHAUSTED` */
  prepareSend(leaf: number, kind: RatchetKind): PreparedKey {
    const { entry, sibling, nodes } = this.#locate(leaf, kind);
    const { messageKey, next } = step(this.#crypto, entry.ratchet);
    return { messageKey, change: { nodes, ratchets: [{ leaf, kind, ratchet: next }, ...sibling] } };
  }

  /**
   * The key of a received message. The leaf must exist in the epoch's tree.
   * @throws StateError `ALREADY_CONSUMED`, `GENERATION_TOO_OLD`, `GENERATION_TOO_FAR`
   */
  prepareReceive(
    leaf: number,
    kind: RatchetKind,
    generation: number,
    limits: SecretTreeLimits,
  ): PreparedKey {
    // A fresh sender's distance is known without deriving the way down to its leaf.
    const known = this.#ratchets.get(keyFor(leaf, kind));
    if (known === undefined && generation > limits.maximumForwardDistance) {
      seek(this.#crypto, FRESH, generation, limits);
    }
    const { entry, sibling, nodes } = this.#locate(leaf, kind);
    const { maximumSkippedKeys } = limits;
    // What one ratchet may keep, all others being emptied for it.
    const outOfOrderTolerance = Math.min(limits.outOfOrderTolerance, maximumSkippedKeys);
    const { messageKey, next } = seek(this.#crypto, entry.ratchet, generation, {
      ...limits,
      outOfOrderTolerance,
    });
    const more = next.skipped.length - entry.ratchet.skipped.length;
    const surplus = this.#skippedKeys + more - maximumSkippedKeys;
    const evicted = this.#evict(surplus, keyFor(leaf, kind));
    const ratchets = [{ leaf, kind, ratchet: next }, ...sibling, ...evicted];
    return { messageKey, change: { nodes, ratchets } };
  }

  /** Makes a prepared key's use final; what it replaces is erased. */
  apply(change: SecretTreeChange): void {
    for (const [node, secret] of change.nodes) {
      if (secret === undefined) {
        this.#nodes.get(node)?.erase();
        this.#nodes.delete(node);
      } else this.#nodes.set(node, secret);
    }
    for (const entry of change.ratchets) this.#put(entry);
  }

  /** Drops skipped keys beyond the limits; returns the rows that changed. */
  shrink({ outOfOrderTolerance, maximumSkippedKeys }: SecretTreeLimits): SecretTreeChange {
    const changed = new Map<RatchetKey, RatchetEntry>();
    const change = (entry: RatchetEntry): void => {
      changed.set(keyFor(entry.leaf, entry.kind), entry);
      this.#put(entry);
    };
    for (const entry of this.#ratchets.values()) {
      if (entry.ratchet.skipped.length <= outOfOrderTolerance) continue;
      change({ ...entry, ratchet: trim(entry.ratchet, outOfOrderTolerance) });
    }
    this.#evict(this.#skippedKeys - maximumSkippedKeys).forEach(change);
    return { nodes: NONE, ratchets: [...changed.values()] };
  }

  /** Overwrites everything. */
  erase(): void {
    for (const secret of this.#nodes.values()) secret.erase();
    for (const { ratchet } of this.#ratchets.values()) {
      ratchet.secret.erase();
      ratchet.skipped.forEach(eraseMessageKey);
    }
    this.#nodes.clear();
    this.#ratchets.clear();
    this.#skipping.clear();
    this.#skippedKeys = 0;
  }

  #put(entry: RatchetEntry): void {
    const key = keyFor(entry.leaf, entry.kind);
    const old = this.#ratchets.get(key);
    if (old !== undefined && old !== entry) eraseReplaced(old.ratchet, entry.ratchet);
    this.#skippedKeys += entry.ratchet.skipped.length - (old?.ratchet.skipped.length ?? 0);
    if (entry.ratchet.skipped.length > 0) this.#skipping.add(key);
    else this.#skipping.delete(key);
    this.#ratchets.set(key, entry);
  }

  #locate(leaf: number, kind: RatchetKind): Located {
    const entry = this.#ratchets.get(keyFor(leaf, kind));
    return entry === undefined ? this.#derive(leaf, kind) : { entry, sibling: NONE, nodes: NONE };
  }

  /** Both ratchets of a leaf, from the nearest stored node above it. */
  #derive(leaf: number, kind: RatchetKind): Located {
    const target = nodeOfLeaf(leafIndex(leaf));
    const nodes: (readonly [number, Secret | undefined])[] = [];
    let [node, secret] = this.#nearest(target);
    nodes.push([node, undefined]);
    const owned = secret;
    while (node !== target) {
      const [near, far] = childrenFrom(node, target);
      const nearSecret = this.#child(secret, near < node);
      nodes.push([far, this.#child(secret, far < node)]);
      if (secret !== owned) secret.erase();
      [node, secret] = [near, nearSecret];
    }
    const size = this.#crypto.suite.kdf.size;
    const ratchet = (of: RatchetKind): RatchetEntry => {
      const first = expandWithLabel(this.#crypto, secret.bytes, of, EMPTY_BYTES, size);
      return { leaf, kind: of, ratchet: newRatchet(new Secret(first)) };
    };
    const entry = ratchet(kind);
    const sibling = ratchet(kind === "handshake" ? "application" : "handshake");
    if (secret !== owned) secret.erase();
    return { entry, sibling: [sibling], nodes };
  }

  #nearest(target: NodeIndex): [NodeIndex, Secret] {
    let node: NodeIndex | undefined = root(this.#leafCount);
    while (node !== undefined && isInSubtree(target, node)) {
      const secret = this.#nodes.get(node);
      if (secret !== undefined) return [node, secret];
      node = childTowards(node, target);
    }
    throw new InternalError("the leaf has no secret in this epoch");
  }

  #child(secret: Secret, isLeft: boolean): Secret {
    const size = this.#crypto.suite.kdf.size;
    return new Secret(
      expandWithLabel(this.#crypto, secret.bytes, "tree", isLeft ? LEFT : RIGHT, size),
    );
  }

  /** Rows other than the spared one, which lose so many skipped keys. */
  #evict(surplus: number, spared?: RatchetKey): RatchetEntry[] {
    const evicted: RatchetEntry[] = [];
    for (const key of this.#skipping) {
      if (surplus <= 0) break;
      const entry = this.#ratchets.get(key);
      if (key === spared || entry === undefined) continue;
      const kept = Math.max(0, entry.ratchet.skipped.length - surplus);
      surplus -= entry.ratchet.skipped.length - kept;
      evicted.push({ ...entry, ratchet: trim(entry.ratchet, kept) });
    }
    return evicted;
  }
}

const NONE: readonly never[] = [];
const LEFT: Uint8Array = /* @__PURE__ */ utf8("left");
const RIGHT: Uint8Array = /* @__PURE__ */ utf8("right");
/** Stands for a ratchet at generation 0 where only the distance matters. */
const FRESH: HashRatchet = {
  generation: 0,
  secret: new Secret(EMPTY_BYTES),
  skipped: [],
  floor: 0,
};

/** Leaf and kind in one number. */
type RatchetKey = number;

function keyFor(leaf: number, kind: RatchetKind): RatchetKey {
  return 2 * leaf + (kind === "handshake" ? 0 : 1);
}

function childrenFrom(node: NodeIndex, target: NodeIndex): [near: NodeIndex, far: NodeIndex] {
  const pair = children(node);
  if (pair === undefined) throw new InternalError("a leaf has no children");
  const [l, r] = pair;
  return target < node ? [l, r] : [r, l];
}

/** Erases what the old value held and the new one does not. */
function eraseReplaced(old: HashRatchet, now: HashRatchet): void {
  if (old.secret !== now.secret) old.secret.erase();
  if (old.skipped.length === 0) return;
  const kept = new Set(now.skipped);
  for (const messageKey of old.skipped) if (!kept.has(messageKey)) eraseMessageKey(messageKey);
}
