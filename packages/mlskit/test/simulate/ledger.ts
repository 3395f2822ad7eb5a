/** What an all-knowing observer knows: who was a member when, who was told what. */
export interface CommitEffect {
  readonly added: readonly string[];
  readonly removed: readonly string[];
}

/** A stay of one client in one group; coming back begins another. */
export interface Stay {
  readonly number: number;
  readonly from: bigint;
}

export interface LedgerMessage {
  readonly group: string;
  readonly epoch: bigint;
  readonly sender: string;
  readonly sequence: number;
}

/** Why a member could not read a message, as the library put it, with what it follows from. */
export interface Excuse {
  readonly kind: string;
  readonly epoch: bigint;
}

interface LedgerGroup {
  readonly epochs: Map<bigint, ReadonlyMap<string, Stay>>;
  /** By name and stay: the sequence number of the Commit that ended it; none after a resync. */
  readonly ends: Map<string, number | undefined>;
  /** Ids by sender and epoch; a later one has a higher number. */
  readonly sentBy: Map<string, string[]>;
}

export class Ledger {
  readonly #groups = new Map<string, LedgerGroup>();
  readonly #messages = new Map<string, LedgerMessage>();
  readonly #excuses = new Map<string, Excuse>();
  #stays = 0;

  found(group: string, epoch: bigint, names: readonly string[]): void {
    const members = new Map(names.map((name) => [name, { number: ++this.#stays, from: epoch }]));
    const epochs = new Map([[epoch, members]]);
    this.#groups.set(group, { epochs, ends: new Map(), sentBy: new Map() });
  }

  /** A Commit took effect that ends `epoch`. */
  advance(group: string, epoch: bigint, effect: CommitEffect, sequence: number): void {
    const { epochs, ends } = this.#group(group);
    const members = new Map(this.membersAt(group, epoch));
    for (const name of [...effect.removed, ...effect.added]) {
      const stay = members.get(name);
      if (stay === undefined) continue;
      const isReplaced = effect.added.includes(name);
      const key = `${name} ${stay.number}`;
      if (!ends.has(key)) ends.set(key, isReplaced ? undefined : sequence);
      members.delete(name);
    }
    for (const name of effect.added) {
      members.set(name, { number: ++this.#stays, from: epoch + 1n });
    }
    epochs.set(epoch + 1n, members);
  }

  epochOf(group: string): bigint {
    return [...this.#group(group).epochs.keys()].at(-1) ?? 0n;
  }

  membersOf(group: string): ReadonlyMap<string, Stay> {
    return this.membersAt(group, this.epochOf(group));
  }

  membersAt(group: string, epoch: bigint): ReadonlyMap<string, Stay> {
    return this.#group(group).epochs.get(epoch) ?? new Map();
  }

  deliver(id: string, message: LedgerMessage): void {
    this.#messages.set(id, message);
    const { sentBy } = this.#group(message.group);
    const key = `${message.sender} ${message.epoch}`;
    sentBy.set(key, [...(sentBy.get(key) ?? []), id]);
  }

  /** A client could not use the Welcome to this epoch: nothing of that stay is owed to it. */
  miss(group: string, name: string, epoch: bigint): void {
    const stay = this.membersAt(group, epoch).get(name);
    if (stay !== undefined) this.#group(group).ends.set(`${name} ${stay.number}`, undefined);
  }

  /** A client was told that it cannot read this message. */
  excuse(client: string, sequence: number, group: string, excuse: Excuse): void {
    this.#excuses.set(`${client} ${group} ${sequence}`, excuse);
  }

  /** Problems of the messages since the last time, and counts; `readBy` names all who read one. */
  settle(readBy: ReadonlyMap<string, readonly string[]>): {
    readonly problems: readonly string[];
    readonly messages: number;
    readonly reads: number;
    readonly excused: number;
  } {
    const problems: string[] = [];
    let [reads, excused] = [0, 0];
    for (const id of readBy.keys()) {
      if (!this.#messages.has(id)) problems.push(`message ${id} was read but never delivered`);
    }
    for (const [id, message] of this.#messages) {
      const readers = new Set(readBy.get(id));
      const members = this.membersAt(message.group, message.epoch);
      reads += readers.size;
      for (const name of readers) {
        if (members.has(name) && name !== message.sender) continue;
        problems.push(`${name} read message ${id} of ${message.sender}, which is not for it`);
      }
      for (const [name, stay] of members) {
        if (name === message.sender || readers.has(name)) continue;
        if (!this.#isOwed(name, stay, message)) continue;
        const excuse = this.#excuses.get(`${name} ${message.group} ${message.sequence}`);
        if (excuse !== undefined && this.#isValid(name, excuse, id, message)) {
          excused++;
          continue;
        }
        problems.push(
          `${name} did not read message ${id} of ${message.sender} in epoch ${message.epoch}: ${excuse?.kind ?? "no reason"}`,
        );
      }
    }
    const messages = this.#messages.size;
    this.#forget();
    return { problems, messages, reads, excused };
  }

  /** Who left may miss what came after; who replaced its own leaf gave up what it had not read. */
  #isOwed(name: string, stay: Stay, { group, sequence }: LedgerMessage): boolean {
    const { ends } = this.#group(group);
    const key = `${name} ${stay.number}`;
    if (!ends.has(key)) return true;
    const end = ends.get(key);
    return end !== undefined && sequence < end;
  }

  #isValid(name: string, { kind, epoch }: Excuse, id: string, message: LedgerMessage): boolean {
    switch (kind) {
      case "epochTooOld":
        return epoch - message.epoch > PAST_EPOCHS;
      case "groupInactive":
        return !this.membersAt(message.group, message.epoch + 1n).has(name);
      case "generationTooOld": {
        const { sentBy } = this.#group(message.group);
        const sent = sentBy.get(`${message.sender} ${message.epoch}`) ?? [];
        return sent.filter((other) => numberOf(other) > numberOf(id)).length >= OUT_OF_ORDER;
      }
      default:
        return false;
    }
  }

  #forget(): void {
    this.#messages.clear();
    this.#excuses.clear();
    for (const { epochs, ends, sentBy } of this.#groups.values()) {
      sentBy.clear();
      const current = [...epochs.values()].at(-1) ?? new Map<string, Stay>();
      const numbers = new Set([...current.values()].map(({ number }) => String(number)));
      for (const key of ends.keys())
        if (!numbers.has(key.split(" ").at(-1) ?? "")) ends.delete(key);
      const old = [...epochs.keys()].slice(0, -8);
      for (const epoch of old) epochs.delete(epoch);
    }
  }

  #group(group: string): LedgerGroup {
    const found = this.#groups.get(group);
    if (found === undefined) throw new Error("no such group in the ledger");
    return found;
  }
}

const numberOf = (id: string): number => Number(id.slice(1));

/** Defaults of GroupConfig. */
const PAST_EPOCHS = 3n;
const OUT_OF_ORDER = 32;
