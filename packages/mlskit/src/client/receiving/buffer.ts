/** Messages that came too early, and how many of them are kept. Rules P-BUF-01, P-BUF-02. */
import { type Codec, EMPTY_BYTES } from "../../codec/index.ts";
import { bufferedSize, bufferedTotal } from "../records/buffered-total.ts";
import { type BufferedMessage, byArrival } from "../state/group-state.ts";
import { messageHash } from "./receive.ts";
import {
  type BufferedRecord,
  bufferedRecord,
  bufferedTotalRecord,
  decodeRecord,
  encodeRecord,
} from "../records/record-codecs.ts";
import { BUFFERED_PREFIX, bufferedKey, GroupKeys } from "../records/record-keys.ts";
import { isUnreadable } from "../session/unreadable.ts";
import type { GroupSession } from "../session/session.ts";

/** Keeps a message for later; the oldest make room. False if it is not kept. */
export async function buffer(session: GroupSession, bytes: Uint8Array): Promise<boolean> {
  if (bytes.length > session.state.config.bufferedBytes) return false;
  expireBuffered(session);
  const hash = messageHash(session, bytes);
  if (session.state.buffer.has(hash)) return true;
  const kept = new Map(session.state.buffer);
  let number = 0;
  for (const other of kept.values()) number = Math.max(number, (other.number ?? 0) + 1);
  kept.set(hash, { bytes, receivedAt: session.environment.now, number });
  session.state = { ...session.state, buffer: kept };
  limitBuffer(session);
  await shareRoom(session);
  return session.state.buffer.has(hash);
}

/** The oldest go for which the group's settings leave no room. */
export function limitBuffer(session: GroupSession): void {
  const { bufferedMessages, bufferedBytes } = session.state.config;
  while (
    session.state.buffer.size > bufferedMessages ||
    bufferedSize(session.state) > bufferedBytes
  ) {
    dropOldest(session);
  }
}

/** What became of it is known. */
export function unbuffer(session: GroupSession, hash: string): void {
  const kept = new Map(session.state.buffer);
  if (kept.delete(hash)) session.state = { ...session.state, buffer: kept };
}

/** Whether no event has told yet of a Commit that waits to be accepted; afterwards one has, if it is kept. */
export function isToBeAnnounced(session: GroupSession, bytes: Uint8Array): boolean {
  const { buffer: kept, handle } = session.state;
  const hash = messageHash(session, bytes);
  if (!kept.has(hash)) return true;
  const announced = session.host.announced.get(handle) ?? new Set();
  if (announced.has(hash)) return false;
  for (const one of announced) if (!kept.has(one)) announced.delete(one);
  session.host.announced.set(handle, announced.add(hash));
  // The event goes with the transaction.
  session.transaction.onAbort(() => announced.delete(hash));
  return true;
}

/** Nothing waits for ever. */
export function expireBuffered(session: GroupSession): void {
  const { state } = session;
  const kept = [...state.buffer].filter(([, message]) => !isOver(session, message.receivedAt));
  if (kept.length < state.buffer.size) session.state = { ...state, buffer: new Map(kept) };
}

function isOver({ state, environment }: GroupSession, receivedAt: bigint): boolean {
  return receivedAt < environment.now - BigInt(state.config.bufferedSeconds);
}

function dropOldest(session: GroupSession): void {
  const [oldest] = session.state.buffer.keys();
  if (oldest === undefined) return;
  const kept = new Map(session.state.buffer);
  kept.delete(oldest);
  session.state = { ...session.state, buffer: kept };
  const { groupId, epoch } = session.state.epoch.context;
  session.emit({ type: "bufferFull", groupId, epoch });
}

/** The limit of the client: the oldest message of all groups goes first, and so does what is over. */
async function shareRoom(session: GroupSession): Promise<void> {
  const others = await otherGroups(session);
  const limit = session.host.bufferedBytes;
  for (;;) {
    const own = bufferedTotal(session.state);
    let total = own?.size ?? 0;
    for (const { record } of others) total += record.size;
    const [first] = others.sort((a, b) => Number(a.record.oldest - b.record.oldest));
    const isFirstOver = first !== undefined && isOver(session, first.record.oldest);
    if (total <= limit && !isFirstOver) return;
    if (first === undefined || (own !== undefined && own.oldest < first.record.oldest)) {
      dropOldest(session);
    } else {
      await first.dropOldest();
      if (first.record.size === 0) others.shift();
    }
  }
}

async function otherGroups(session: GroupSession): Promise<OtherBuffer[]> {
  const own = bufferedKey(session.state.handle);
  const found: OtherBuffer[] = [];
  for (const [key, value] of await session.transaction.list(BUFFERED_PREFIX)) {
    if (key === own) continue;
    const handle = Number(key.slice(BUFFERED_PREFIX.length));
    // One that is damaged is made anew, as if it were over.
    const record = readable(bufferedTotalRecord, value) ?? { size: 0, oldest: 0n };
    found.push(new OtherBuffer(session, handle, record));
  }
  return found;
}

/** Undefined if it is damaged. @throws StorageError `STORAGE_VERSION` */
function readable<T>(codec: Codec<T>, value: Uint8Array): T | undefined {
  try {
    return decodeRecord(codec, value);
  } catch (error) {
    if (!isUnreadable(error)) throw error;
    return undefined;
  }
}

/**
 * The buffer of a group that this operation is not about. It is changed like by another process: its
 * version is raised, so that whoever works on it just now reads it again.
 */
class OtherBuffer {
  readonly #session: GroupSession;
  readonly #handle: number;
  #messages: [key: string, message: BufferedMessage][] | undefined;
  record: BufferedRecord;

  constructor(session: GroupSession, handle: number, record: BufferedRecord) {
    this.#session = session;
    this.#handle = handle;
    this.record = record;
  }

  async dropOldest(): Promise<void> {
    const { transaction, host } = this.#session;
    const messages = (this.#messages ??= await this.#open());
    const oldest = messages.shift();
    if (oldest !== undefined) {
      try {
        const { groupId, epoch } = await host.contextOf(this.#handle);
        this.#session.emit({ type: "bufferFull", groupId, epoch });
      } catch (error) {
        // A group that cannot be read keeps no other from its messages.
        if (!isUnreadable(error)) throw error;
      }
      transaction.delete(oldest[0]);
    }
    const left = new Map(messages);
    this.record = bufferedTotal({ buffer: left }) ?? { size: 0, oldest: 0n };
    const key = bufferedKey(this.#handle);
    if (left.size === 0) transaction.delete(key);
    else transaction.put(key, encodeRecord(bufferedTotalRecord, this.record));
  }

  async #open(): Promise<[key: string, message: BufferedMessage][]> {
    const { transaction } = this.#session;
    const keys = new GroupKeys(this.#handle);
    await transaction.expectCurrent(keys.version);
    transaction.put(keys.version, EMPTY_BYTES);
    transaction.overtaken.add(this.#handle);
    const found: [string, BufferedMessage][] = [];
    for (const [key, value] of await transaction.list(keys.buffered(""))) {
      const message = readable(bufferedRecord, value);
      if (message === undefined) transaction.delete(key);
      else found.push([key, message]);
    }
    return found.sort(byArrival);
  }
}
