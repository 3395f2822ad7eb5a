/**
 * A delivery service in one process: keeps key packages, takes one Commit per epoch, and has a
 * mailbox for every member. It sees ciphertext only. RFC 9750 §5.
 */
export interface Envelope {
  readonly kind: "commit" | "message";
  readonly from: string;
  readonly bytes: Uint8Array;
}

export type Verdict =
  | { readonly isAccepted: true }
  /** Somebody else's Commit has ended that epoch. */
  | { readonly isAccepted: false; readonly winner: string };

export class DeliveryService {
  readonly #keyPackages = new Map<string, Uint8Array[]>();
  readonly #mailboxes = new Map<string, Envelope[]>();
  /** Who ended which epoch. */
  readonly #winners = new Map<bigint, string>();

  publishKeyPackage(name: string, bytes: Uint8Array): void {
    this.#keyPackages.set(name, [...(this.#keyPackages.get(name) ?? []), bytes]);
  }

  /** Hands a key package out, once. */
  takeKeyPackage(name: string): Uint8Array {
    const bytes = this.#keyPackages.get(name)?.shift();
    if (bytes === undefined) throw new Error(`there is no key package of ${name} left`);
    return bytes;
  }

  subscribe(name: string): void {
    if (!this.#mailboxes.has(name)) this.#mailboxes.set(name, []);
  }

  unsubscribe(name: string): void {
    this.#mailboxes.delete(name);
  }

  /** The first Commit that ends an epoch counts, and goes to everybody, its author included. */
  submitCommit(from: string, epoch: bigint, bytes: Uint8Array): Verdict {
    const winner = this.#winners.get(epoch);
    if (winner !== undefined) return { isAccepted: false, winner };
    this.#winners.set(epoch, from);
    for (const mailbox of this.#mailboxes.values()) mailbox.push({ kind: "commit", from, bytes });
    return { isAccepted: true };
  }

  /** To everybody else, or to those named. */
  send(
    from: string,
    bytes: Uint8Array,
    recipients: Iterable<string> = this.#mailboxes.keys(),
  ): void {
    for (const name of recipients) {
      if (name !== from) this.#mailboxes.get(name)?.push({ kind: "message", from, bytes });
    }
  }

  hasMail(name: string): boolean {
    return (this.#mailboxes.get(name)?.length ?? 0) > 0;
  }

  /** Empties a mailbox. */
  collect(name: string): Envelope[] {
    return this.#mailboxes.get(name)?.splice(0) ?? [];
  }
}
