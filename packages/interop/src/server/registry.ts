/** What the numbers in requests stand for. One counter for all kinds, beginning at 1. */
import type { Group, Signer } from "mlskit";
import type { Actor } from "./actors.ts";

/** A member of a group. */
export interface State {
  readonly kind: "state";
  readonly actor: Actor;
  readonly group: Group;
  readonly encrypt: boolean;
  /** References of this epoch's proposals by the bytes they travelled in. */
  readonly proposals: Map<string, Uint8Array>;
}

/** A key package that waits for its Welcome. */
export interface KeyPackageTransaction {
  readonly kind: "transaction";
  readonly actor: Actor;
  readonly reference: Uint8Array;
}

/** A group that ended with a ReInit, and who we are going to be in its successor. */
export interface Reinitialization {
  readonly kind: "reinit";
  readonly actor: Actor;
  readonly groupId: Uint8Array;
  readonly keyPackage: Uint8Array;
  readonly encrypt: boolean;
}

export interface ExternalSigner {
  readonly kind: "signer";
  readonly signer: Signer;
  readonly cipherSuite: number;
}

type Entry = State | KeyPackageTransaction | Reinitialization | ExternalSigner;

/** A number that stands for nothing, or for something else. */
export class UnknownIdError extends Error {}

export class Registry {
  readonly #entries = new Map<number, Entry>();
  #last = 0;

  add(entry: Entry): number {
    this.#last += 1;
    this.#entries.set(this.#last, entry);
    return this.#last;
  }

  state(id: number): State {
    return this.#find(id, "state");
  }

  transaction(id: number): KeyPackageTransaction {
    return this.#find(id, "transaction");
  }

  reinitialization(id: number): Reinitialization {
    return this.#find(id, "reinit");
  }

  signer(id: number): ExternalSigner {
    return this.#find(id, "signer");
  }

  /** The actor that a state or a transaction belongs to. */
  actor(id: number): Actor {
    const entry = this.#entries.get(id);
    if (entry?.kind !== "state" && entry?.kind !== "transaction") {
      throw new UnknownIdError(`there is no state and no transaction ${id}`);
    }
    return entry.actor;
  }

  /** Forgets an entry, and its actor's client with the last thing that needs it. */
  async release(id: number): Promise<void> {
    const entry = this.#entries.get(id);
    this.#entries.delete(id);
    if (entry === undefined || entry.kind === "signer") return;
    const { client } = entry.actor;
    const others = [...this.#entries].filter(([, other]) => {
      return other.kind !== "signer" && other.actor.client === client;
    });
    // A transaction that was used lives on only for PSKs that may still be stored through it.
    if (others.some(([, { kind }]) => kind !== "transaction")) return;
    for (const [other] of others) this.#entries.delete(other);
    await client.close();
  }

  /** Forgets an entry whose actor goes on. */
  forget(id: number): void {
    this.#entries.delete(id);
  }

  #find<Kind extends Entry["kind"]>(id: number, kind: Kind): Extract<Entry, { kind: Kind }> {
    const entry = this.#entries.get(id);
    if (entry?.kind !== kind) throw new UnknownIdError(`there is no ${kind} ${id}`);
    return entry as Extract<Entry, { kind: Kind }>;
  }
}
