/** Counts how many members support what, so that no rule walks over all leaves. RFC 9420 §7.2. */
import { credentialTypeOf } from "../credentials/credential.ts";
import { isDefaultType, type SupportKind } from "./capabilities.ts";
import type { LeafNode } from "./nodes.ts";

/** A leaf's content before and after a change. */
export interface LeafChange {
  readonly before: LeafNode | undefined;
  readonly after: LeafNode | undefined;
}

const KINDS: readonly SupportKind[] = ["versions", "extensions", "proposals", "credentials"];

type Counts = Map<number, number>;

/** Immutable. Leaves of one group list nearly the same few types, so the counters stay small. */
export class Support {
  readonly #leafCount: number;
  readonly #listed: Readonly<Record<SupportKind, Counts>>;
  readonly #credentialsInUse: Counts;

  private constructor(leafCount: number, listed: Record<SupportKind, Counts>, inUse: Counts) {
    this.#leafCount = leafCount;
    this.#listed = listed;
    this.#credentialsInUse = inUse;
  }

  static of(leaves: Iterable<LeafNode>): Support {
    const listed = emptyCounts();
    const inUse: Counts = new Map();
    let leafCount = 0;
    for (const leaf of leaves) {
      leafCount++;
      count(listed, inUse, leaf, 1);
    }
    return new Support(leafCount, listed, inUse);
  }

  /** The counters after some leaves changed. */
  with(changes: readonly LeafChange[]): Support {
    if (changes.every(countsTheSame)) return this;
    const listed = emptyCounts();
    for (const kind of KINDS) listed[kind] = new Map(this.#listed[kind]);
    const inUse = new Map(this.#credentialsInUse);
    let leafCount = this.#leafCount;
    for (const { before, after } of changes) {
      if (before !== undefined) {
        leafCount--;
        count(listed, inUse, before, -1);
      }
      if (after !== undefined) {
        leafCount++;
        count(listed, inUse, after, 1);
      }
    }
    return new Support(leafCount, listed, inUse);
  }

  supportedByAll(kind: SupportKind, type: number): boolean {
    return isDefaultType(kind, type) || this.#listed[kind].get(type) === this.#leafCount;
  }

  credentialTypesInUse(): ReadonlySet<number> {
    return new Set(this.#credentialsInUse.keys());
  }
}

/** Most new leaves differ from those that they replace in keys alone. */
function countsTheSame({ before, after }: LeafChange): boolean {
  if (before === undefined || after === undefined) return before === after;
  return (
    credentialTypeOf(before.credential) === credentialTypeOf(after.credential) &&
    KINDS.every((kind) => isSameList(before.capabilities[kind], after.capabilities[kind]))
  );
}

function isSameList(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((type, i) => type === b[i]);
}

function emptyCounts(): Record<SupportKind, Counts> {
  return {
    versions: new Map(),
    extensions: new Map(),
    proposals: new Map(),
    credentials: new Map(),
  };
}

function count(
  listed: Record<SupportKind, Counts>,
  inUse: Counts,
  leaf: LeafNode,
  by: 1 | -1,
): void {
  for (const kind of KINDS) {
    // A type listed twice by one leaf counts once.
    for (const type of new Set(leaf.capabilities[kind])) bump(listed[kind], type, by);
  }
  bump(inUse, credentialTypeOf(leaf.credential), by);
}

function bump(counts: Counts, type: number, by: 1 | -1): void {
  const next = (counts.get(type) ?? 0) + by;
  if (next === 0) counts.delete(type);
  else counts.set(type, next);
}
