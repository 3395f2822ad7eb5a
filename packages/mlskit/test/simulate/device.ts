/**
 * One client as a careful application would run it: what must be sent is in an outbox beside the
 * group state, what was read is stored with the key that was used, and a cursor says how far the
 * delivery service's log is processed. Everything else is lost in a crash.
 */
import { fromUtf8, toHex, utf8 } from "../../src/codec/index.ts";
import { MlsError } from "../../src/errors.ts";
import {
  type AcceptedCommit,
  Client,
  type ClientOptions,
  type ClientTransaction,
  type CommitRequest,
  type Group,
  type Outcome,
} from "../../src/index.ts";
import type { LostCommit } from "../../src/client/state/rebuild.ts";
import { memoryStorage } from "../../src/storage/memory.ts";
import type { Storage } from "../../src/storage/storage.ts";
import { FaultStorage, type LogEntry } from "../../src/testing/index.ts";

/** Stored under `outbox/<number>/<kind>/<note>` until the delivery service has it. */
export interface OutboxItem {
  readonly key: string;
  readonly kind: "message" | "welcome" | "groupInfo";
  /** Of a message: its id; of a Welcome: the epoch to which it leads, and for whom it is. */
  readonly note: string;
  readonly group: string;
  readonly bytes: Uint8Array;
}

export interface Received {
  readonly outcome: Outcome;
  readonly discarded: LostCommit | undefined;
}

export class Device {
  readonly name: string;
  readonly disk: Storage = memoryStorage();
  faults: FaultStorage;
  readonly #options: Omit<ClientOptions, "storage">;
  #client: Client | undefined;
  readonly outbox = new Map<string, OutboxItem>();
  #cursors = new Map<string, number>();
  /** Processed, above the cursor. */
  #ahead = new Map<string, Set<number>>();
  #nextItem = 0;
  /** Wishes of a Commit that lost. */
  lost: { readonly group: string; readonly wishes: LostCommit } | undefined;
  isOnline = true;
  /** Processes whatever comes; others fetch what is missing first. */
  isEager = false;

  constructor(name: string, options: Omit<ClientOptions, "storage">) {
    this.name = name;
    this.#options = options;
    this.faults = new FaultStorage(this.disk, {});
  }

  get isUp(): boolean {
    return this.#client !== undefined;
  }

  get client(): Client {
    if (this.#client === undefined) throw new Error(`${this.name} is down`);
    return this.#client;
  }

  async create(): Promise<void> {
    const storage = this.faults;
    this.#client = await Client.create({ ...this.#options, storage, identity: this.name });
  }

  /** The process is gone, with all it had in memory. */
  die(): void {
    this.faults.crash();
    this.#client = undefined;
    this.lost = undefined;
    this.outbox.clear();
    this.#cursors.clear();
    this.#ahead.clear();
  }

  async restart(): Promise<void> {
    this.faults = this.faults.reopen();
    this.#client = await Client.open({ ...this.#options, storage: this.faults });
    await this.#client.transaction(async (tx) => {
      this.#cursors = decodeCursors(await tx.checkpoint());
    });
    for (const { key, value } of await this.disk.list("app/outbox/")) {
      const [, , number = "0", kind = "", group = "", note = ""] = key.split("/");
      const name = key.slice("app/".length);
      this.outbox.set(name, {
        key: name,
        kind: kind as OutboxItem["kind"],
        group,
        note,
        bytes: value,
      });
      this.#nextItem = Math.max(this.#nextItem, Number(number) + 1);
    }
  }

  /** Its group of this id, unless there is none. */
  async group(id: Uint8Array): Promise<Group | undefined> {
    try {
      return await this.client.group(id);
    } catch (error) {
      if (MlsError.is(error, "GROUP_NOT_FOUND")) return undefined;
      throw error;
    }
  }

  cursor(group: string): number {
    return this.#cursors.get(group) ?? 0;
  }

  has(group: string, sequence: number): boolean {
    return sequence <= this.cursor(group) || this.#ahead.get(group)?.has(sequence) === true;
  }

  /** Encrypts, and keeps the bytes until they are delivered. */
  async send(groupId: Uint8Array, id: string): Promise<void> {
    await this.#transaction(async (tx, keep) => {
      const group = await tx.group(groupId);
      const { bytes } = await group.send(id);
      keep("message", toHex(groupId), id, bytes);
    });
  }

  async propose(
    groupId: Uint8Array,
    make: (group: Group) => Promise<{ readonly bytes: Uint8Array }>,
  ): Promise<void> {
    await this.#transaction(async (tx, keep) => {
      const { bytes } = await make(await tx.group(groupId));
      keep("message", toHex(groupId), "", bytes);
    });
  }

  async commit(groupId: Uint8Array, request: CommitRequest): Promise<void> {
    const group = await this.client.group(groupId);
    await group.commit({ groupInfo: true, ...request });
  }

  async accept(groupId: Uint8Array): Promise<readonly Outcome[]> {
    return this.#transaction(async (tx) => {
      const accepted = await (await tx.group(groupId)).acceptCommit();
      for (const outcome of accepted.replayed) await store(tx, outcome);
      return accepted.replayed;
    });
  }

  /** The echo of our own making: in a transaction, what is replayed is stored with its keys. */
  async acceptJoin(groupId: Uint8Array): Promise<void> {
    await this.#transaction(async (tx) => {
      const group = await tx.group(groupId);
      if (group.joinCommit !== undefined) await store(tx, await group.process(group.joinCommit));
    });
  }

  /** Processes one entry of the log; reads, results and cursor are written together. */
  async receive(groupId: Uint8Array, entry: LogEntry): Promise<Received> {
    const key = toHex(groupId);
    let moved: Map<string, number> | undefined;
    let settled = false;
    const received = await this.#transaction(async (tx) => {
      const group = await tx.group(groupId);
      const outcome = await group.process(entry.bytes, { accept: true });
      await store(tx, outcome);
      settled = !UNSETTLED.includes(outcome.kind);
      if (settled) {
        moved = this.#advance(key, entry.sequence);
        if (moved !== undefined) tx.setCheckpoint(encodeCursors(moved));
      }
      const discarded = "discarded" in outcome ? outcome.discarded : undefined;
      return { outcome, discarded };
    });
    if (settled && !this.has(key, entry.sequence)) {
      const ahead = this.#ahead.get(key) ?? new Set();
      this.#ahead.set(key, ahead.add(entry.sequence));
    }
    if (moved !== undefined) this.#cursors = moved;
    this.#trim(key);
    return received;
  }

  async setCursor(group: string, sequence: number): Promise<void> {
    const cursors = new Map(this.#cursors).set(group, sequence);
    await this.#transaction(async (tx) => tx.setCheckpoint(encodeCursors(cursors)));
    this.#cursors = cursors;
    this.#ahead.delete(group);
  }

  /** The log begins after this entry by now. */
  skipTo(group: string, sequence: number): void {
    if (sequence > this.cursor(group)) this.#cursors.set(group, sequence);
  }

  /** The delivery service has these. */
  async sent(keys: readonly string[]): Promise<void> {
    await this.#transaction(async (tx) => {
      for (const key of keys) tx.delete(key);
    });
    for (const key of keys) this.outbox.delete(key);
  }

  /** How often each message was read, and the records of it deleted. */
  async collectReads(): Promise<ReadonlyMap<string, number>> {
    const reads = new Map<string, number>();
    for (const { key, version } of await this.disk.list("app/read/")) {
      reads.set(key.slice("app/read/".length), version);
    }
    await this.#transaction(async (tx) => {
      for (const id of reads.keys()) tx.delete(`read/${id}`);
    });
    return reads;
  }

  /** Bytes of keys and values in the store, the application's own records left out. */
  async storeSize(): Promise<{ readonly bytes: number; readonly records: number }> {
    let [bytes, count] = [0, 0];
    for (const { key, value } of await this.disk.list("")) {
      if (key.startsWith("app")) continue;
      bytes += key.length + value.length;
      count++;
    }
    return { bytes, records: count };
  }

  /** What the library keeps of Commits that were accepted goes to our outbox. */
  async takeHandOuts(groupId: Uint8Array): Promise<void> {
    await this.#transaction(async (tx, keep) => {
      const own = await tx.group(groupId);
      for (const accepted of own.toHandOut) {
        keepResults(keep, toHex(groupId), accepted);
        await own.handedOut(accepted);
      }
    });
  }

  /** Outbox items appear in memory when they are durable. */
  async #transaction<T>(work: (tx: ClientTransaction, keep: Keep) => Promise<T>): Promise<T> {
    const items: OutboxItem[] = [];
    const result = await this.client.transaction((tx) =>
      work(tx, (kind, group, note, bytes) => {
        const number = String(this.#nextItem++).padStart(9, "0");
        const key = `outbox/${number}/${kind}/${group}/${note}`;
        tx.put(key, bytes);
        items.push({ key, kind, group, note, bytes });
      }),
    );
    for (const item of items) this.outbox.set(item.key, item);
    return result;
  }

  /** The cursors, if this entry moves them. */
  #advance(group: string, sequence: number): Map<string, number> | undefined {
    let cursor = this.cursor(group);
    if (sequence !== cursor + 1) return undefined;
    const ahead = this.#ahead.get(group);
    for (cursor++; ahead?.has(cursor + 1) === true; cursor++);
    return new Map(this.#cursors).set(group, cursor);
  }

  #trim(group: string): void {
    const ahead = this.#ahead.get(group);
    for (const sequence of ahead ?? []) if (sequence <= this.cursor(group)) ahead?.delete(sequence);
  }
}

type Keep = (kind: OutboxItem["kind"], group: string, note: string, bytes: Uint8Array) => void;

function keepResults(
  keep: Keep,
  group: string,
  { epoch, welcomes, groupInfo }: AcceptedCommit,
): void {
  for (const { bytes, keyPackageRefs } of welcomes) {
    const joiners = keyPackageRefs.map((reference) => toHex(reference)).join("+");
    keep("welcome", group, `${epoch}+${joiners}`, bytes);
  }
  if (groupInfo !== undefined) keep("groupInfo", group, "", groupInfo);
}

/** To be fetched again: the library may keep them for itself, but need not. */
const UNSETTLED: readonly Outcome["kind"][] = [
  "future",
  "farFuture",
  "buffered",
  "missingProposal",
];

/** Plaintexts go into the write that uses up their keys. Rule P-TX-07. */
async function store(tx: ClientTransaction, outcome: Outcome): Promise<void> {
  if (outcome.kind === "application") {
    const id = fromUtf8(outcome.data);
    const isKnown = (await tx.get(`read/${id}`)) !== undefined;
    if (isKnown) throw new Error(`message ${id} was read again`);
    tx.put(`read/${id}`, utf8("read"));
  }
  if ("replayed" in outcome) for (const replayed of outcome.replayed) await store(tx, replayed);
}

function encodeCursors(cursors: ReadonlyMap<string, number>): Uint8Array {
  return utf8([...cursors].map(([group, cursor]) => `${group} ${cursor}`).join("\n"));
}

function decodeCursors(bytes: Uint8Array | undefined): Map<string, number> {
  const cursors = new Map<string, number>();
  if (bytes === undefined) return cursors;
  for (const line of fromUtf8(bytes).split("\n")) {
    const [group, cursor] = line.split(" ");
    if (group !== undefined && cursor !== undefined) cursors.set(group, Number(cursor));
  }
  return cursors;
}
