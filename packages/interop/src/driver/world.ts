/** One run of one script: who plays whom, and what was said so far. */
import { createHash } from "node:crypto";
import { hex } from "../bytes.ts";
import type { CallName, Extension, RequestOf, ResponseOf } from "../protocol.ts";
import type { Connection } from "./connection.ts";
import { identityOf } from "./script.ts";

/** Something is wrong although every call was answered. */
export class CheckError extends Error {
  /** Names of the servers of which at least one is to blame. */
  readonly servers: readonly string[];

  constructor(message: string, servers: readonly string[]) {
    super(`${message} (${[...new Set(servers)].join(", ")})`);
    this.servers = servers;
  }
}

export interface RunSetting {
  readonly suite: number;
  /** Whether proposals and Commits travel encrypted. */
  readonly encrypt: boolean;
  /** The server of each actor. */
  readonly cast: ReadonlyMap<string, Connection>;
  /** Makes group ids, PSKs and choices the same in every run of the same name. */
  readonly seed: string;
  /** Whether peers are tampered with too, not only ours. */
  readonly provokesPeers: boolean;
}

/** What the checks of a run came to. */
export interface Tally {
  epochs: number;
  authenticators: number;
  exports: number;
  messages: number;
  flags: number;
  refusals: number;
}

/** Private keys that a server showed beside a key package. */
export interface KeyPackageKeys {
  readonly keyPackage: Uint8Array;
  readonly initKey: Uint8Array;
}

/** What a group that follows another is to be. */
export interface Successor {
  readonly groupId: Uint8Array;
  readonly extensions: readonly Extension[];
  /** Who asked for it. */
  readonly proposer: string;
}

export class World {
  readonly setting: RunSetting;
  readonly states: Map<string, number> = new Map();
  readonly transactions: Map<string, number> = new Map();
  /** With their places in the group's list of external senders. */
  readonly signers: Map<string, { readonly id: number; readonly index: number }> = new Map();
  readonly keys: Map<string, KeyPackageKeys> = new Map();
  /** External PSKs by the hex of their id. */
  readonly psks: Map<string, Uint8Array> = new Map();
  /** Those who take part in the present epoch, as far as the script goes on with them. */
  members: readonly string[] = [];
  groupId: Uint8Array = new Uint8Array(0);
  suite: number;
  /** Of the last ReInit that was proposed. */
  successor: Successor | undefined;
  /** Of the last epoch in which it was checked. */
  authenticator: Uint8Array | undefined;
  /** The Commit that began the present epoch. */
  lastCommit: Uint8Array | undefined;
  readonly tally: Tally = {
    epochs: 0,
    authenticators: 0,
    exports: 0,
    messages: 0,
    flags: 0,
    refusals: 0,
  };
  /** What peers do differently from what was asked, without failing. */
  readonly observations: Set<string> = new Set();
  readonly #messages = new Map<string, Uint8Array>();
  #isLeftOut = false;
  /** Of those that were asked for private handshakes and made some, whether one was. */
  readonly #madePrivate = new Map<string, boolean>();
  #drawn = 0;

  constructor(setting: RunSetting) {
    this.setting = setting;
    this.suite = setting.suite;
  }

  server(actor: string): Connection {
    const connection = this.setting.cast.get(actor);
    if (connection === undefined) throw new Error(`nobody plays ${actor}`);
    return connection;
  }

  isOurs(actor: string): boolean {
    return this.server(actor).description.isOurs;
  }

  /** Whether this actor may be given what it must refuse. */
  mayProvoke(actor: string): boolean {
    return this.isOurs(actor) || this.setting.provokesPeers;
  }

  firstToProvoke(actors: readonly string[]): string | undefined {
    return actors.find((actor) => this.mayProvoke(actor));
  }

  call<Name extends CallName>(
    actor: string,
    name: Name,
    request: RequestOf<Name>,
  ): Promise<ResponseOf<Name>> {
    return this.server(actor).call(name, request);
  }

  state(actor: string): number {
    const id = this.states.get(actor);
    if (id === undefined) throw new Error(`${actor} is in no group`);
    return id;
  }

  transaction(actor: string): number {
    const id = this.transactions.get(actor);
    if (id === undefined) throw new Error(`${actor} has no key package`);
    return id;
  }

  /** The private keys belong to the actor's latest key package. */
  showedKeys(actor: string, keys: KeyPackageKeys): void {
    this.keys.set(actor, keys);
  }

  /** Keeps what a step made, under the number by which later steps name it. */
  keep(step: number, what: string, bytes: Uint8Array): void {
    this.#messages.set(`${step} ${what}`, bytes);
  }

  kept(step: number, what: string): Uint8Array {
    const bytes = this.#messages.get(`${step} ${what}`);
    if (bytes === undefined) throw new Error(`step ${step} made no ${what}`);
    return bytes;
  }

  /** Bytes that look random and are the same in every run with this seed. */
  draw(length: number): Uint8Array {
    this.#drawn += 1;
    const hash = createHash("sha512").update(`${this.setting.seed} ${this.#drawn}`).digest();
    return new Uint8Array(hash.subarray(0, length));
  }

  /** The names of the servers that play these actors. */
  serversOf(actors: readonly string[]): string[] {
    return actors.map((actor) => this.server(actor).description.name);
  }

  identity(actor: string): Uint8Array {
    return identityOf(actor);
  }

  /** Wrong of ours; of peers only noted, for they may lack what was asked for. */
  report(actor: string, isRight: boolean, complaint: string): void {
    this.tally.flags += 1;
    if (isRight) return;
    const { name, family } = this.server(actor).description;
    if (this.isOurs(actor)) throw new CheckError(complaint, [name]);
    this.observations.add(`${family}: ${complaint}`);
  }

  /** As `report`; what a peer leaves out makes the run vacuous. */
  requireDone(actor: string, isDone: boolean, complaint: string): void {
    this.report(actor, isDone, complaint);
    if (!isDone) this.#isLeftOut = true;
  }

  /** One that was to be private. */
  sawHandshake(author: string, isPrivate: boolean): void {
    const { family } = this.server(author).description;
    this.#madePrivate.set(family, isPrivate || this.#madePrivate.get(family) === true);
  }

  /** Whether a peer left out what the run is about, which therefore shows nothing. */
  get isVacuous(): boolean {
    return this.#isLeftOut || [...this.#madePrivate.values()].includes(false);
  }

  rememberPsk(id: Uint8Array, secret: Uint8Array): void {
    this.psks.set(hex(id), secret);
  }
}
