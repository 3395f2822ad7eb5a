/** A network that loses, repeats, delays and reorders, all by a seed. M-TST-04. */
import { SeededRandom } from "./random.ts";

export interface NetworkConditions {
  /** Probability that a packet is lost. */
  readonly loss: number;
  /** Probability that a packet arrives twice. */
  readonly duplication: number;
  /** A packet takes from 1 to so many ticks; more than 1 reorders. */
  readonly delay: number;
}

/** Everything arrives once, at the next tick, in order. */
export const RELIABLE: NetworkConditions = { loss: 0, duplication: 0, delay: 1 };

export interface Packet<T> {
  readonly from: string;
  readonly to: string;
  readonly payload: T;
}

interface InFlight<T> extends Packet<T> {
  readonly at: number;
  readonly number: number;
}

/** Carries payloads of any type between named nodes. Time passes only by {@link tick}. */
export class VirtualNetwork<T = Uint8Array> {
  conditions: NetworkConditions;
  readonly #random: SeededRandom;
  readonly #offline = new Set<string>();
  #sides: ReadonlyMap<string, number> = new Map();
  #inFlight: InFlight<T>[] = [];
  #now = 0;
  #sent = 0;
  #lost = 0;
  #delivered = 0;

  constructor(seed: number | string, conditions: Partial<NetworkConditions> = {}) {
    this.#random = new SeededRandom(seed);
    this.conditions = { ...RELIABLE, ...conditions };
  }

  get now(): number {
    return this.#now;
  }

  /** Packets on their way. */
  get inFlight(): number {
    return this.#inFlight.length;
  }

  get counts(): { readonly sent: number; readonly lost: number; readonly delivered: number } {
    return { sent: this.#sent, lost: this.#lost, delivered: this.#delivered };
  }

  send(from: string, to: string, payload: T): void {
    const copies = this.#random.chance(this.conditions.duplication) ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      const number = ++this.#sent;
      if (this.#random.chance(this.conditions.loss)) {
        this.#lost++;
        continue;
      }
      const at = this.#now + 1 + this.#random.below(this.conditions.delay);
      this.#inFlight.push({ from, to, payload, at, number });
    }
  }

  /** Splits the nodes; those that are not named can reach everybody. Replaces an earlier split. */
  partition(...sides: readonly (readonly string[])[]): void {
    this.#sides = new Map(sides.flatMap((side, i) => side.map((name) => [name, i] as const)));
  }

  heal(): void {
    this.#sides = new Map();
  }

  /** What is for a node that is off when it arrives is lost. */
  setOnline(node: string, isOnline: boolean): void {
    if (isOnline) this.#offline.delete(node);
    else this.#offline.add(node);
  }

  isOnline(node: string): boolean {
    return !this.#offline.has(node);
  }

  /** What arrives in the next moment, in the order of arrival. */
  tick(): readonly Packet<T>[] {
    this.#now++;
    const due: InFlight<T>[] = [];
    this.#inFlight = this.#inFlight.filter((packet) => {
      if (packet.at > this.#now) return true;
      due.push(packet);
      return false;
    });
    due.sort((a, b) => (a.at === b.at ? a.number - b.number : a.at - b.at));
    const arrived = due.filter((packet) => this.#connects(packet));
    this.#lost += due.length - arrived.length;
    this.#delivered += arrived.length;
    return arrived;
  }

  #connects({ from, to }: Packet<T>): boolean {
    if (this.#offline.has(from) || this.#offline.has(to)) return false;
    const [a, b] = [this.#sides.get(from), this.#sides.get(to)];
    return a === undefined || b === undefined || a === b;
  }
}
