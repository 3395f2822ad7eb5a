/** Reserving generations in blocks. P-MP-04. */
import type { SuiteCrypto } from "../../crypto/index.ts";
import {
  eraseMessageKey,
  GENERATION_LIMIT,
  type RatchetKind,
  step,
} from "../../secret-tree/hash-ratchet.ts";
import type { RatchetEntry, SecretTree, SecretTreeChange } from "../../secret-tree/secret-tree.ts";

const MAXIMUM_BLOCK = 16;

/**
 * Generations that the store counts as used and this process has not used yet, by secret tree: they go
 * with the tree, when the group is read again.
 */
const reserved = new WeakMap<SecretTree, Map<RatchetKind, number>>();

/** Whether the store knows already that this own key is used. */
export function isReserved(tree: SecretTree, change: SecretTreeChange, leaf: number): boolean {
  const entry = moved(change, leaf);
  if (entry === undefined || change.nodes.length > 0 || change.ratchets.length > 1) return false;
  return entry.ratchet.generation <= (reserved.get(tree)?.get(entry.kind) ?? 0);
}

/**
 * The change as it is to be stored, with our own ratchet at the end of a new block; `erase` when it is
 * written. The keys between are derived again, from what this process has in memory.
 */
export function reserveBlock(
  crypto: SuiteCrypto,
  tree: SecretTree,
  change: SecretTreeChange,
  leaf: number,
  size: number,
): { readonly stored: SecretTreeChange; readonly erase: () => void } {
  const entry = moved(change, leaf);
  if (entry === undefined) return { stored: change, erase: () => undefined };
  let { ratchet } = entry;
  for (let i = 1; i < Math.min(size, MAXIMUM_BLOCK); i++) {
    if (ratchet.generation >= GENERATION_LIMIT) break;
    const { messageKey, next } = step(crypto, ratchet);
    eraseMessageKey(messageKey);
    if (ratchet !== entry.ratchet) ratchet.secret.erase();
    ratchet = next;
  }
  const known = reserved.get(tree) ?? new Map<RatchetKind, number>();
  reserved.set(tree, known.set(entry.kind, ratchet.generation));
  const ratchets = change.ratchets.map((each) => (each === entry ? { ...entry, ratchet } : each));
  const erase = (): void => {
    if (ratchet !== entry.ratchet) ratchet.secret.erase();
  };
  return { stored: { ...change, ratchets }, erase };
}

/** Of the two ratchets that appear with a leaf's first message the one that has moved. */
function moved({ ratchets }: SecretTreeChange, leaf: number): RatchetEntry | undefined {
  return ratchets.find((entry) => entry.leaf === leaf && entry.ratchet.generation > 0);
}
