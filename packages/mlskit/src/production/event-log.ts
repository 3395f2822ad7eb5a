/** Events that wait in the store for those who missed them. Catalogue M-EVT-05. */
import { fromHex, fromUtf8, toHex, uint64, utf8 } from "../codec/index.ts";
import { type Client, coreOfClient } from "../client/client.ts";
import type { EventLog } from "../client/records/event-log.ts";
import type { ClientEvent } from "../client/state/events.ts";
import { countOf } from "../client/state/settings.ts";
import { decodeRecord, encodeRecord, RAW } from "../client/records/record-codecs.ts";
import { EVENT_HEAD_KEY, EVENT_PREFIX, eventKey } from "../client/records/record-keys.ts";

export interface EventLogOptions {
  /** Events that are kept when nobody acknowledges them; the oldest go first. Default: 10,000. */
  readonly limit?: number | undefined;
}

export interface LoggedEvent {
  /** From 1, without gaps. */
  readonly sequence: bigint;
  readonly event: ClientEvent;
}

/** For `ClientOptions.eventLog`: every event is written together with the change that it tells of. */
export function eventLog({ limit = 10_000 }: EventLogOptions = {}): EventLog {
  const most = BigInt(countOf("limit", limit));
  return {
    append: async (storage, transaction, events) => {
      const head = await storage.get(EVENT_HEAD_KEY);
      const first = head === undefined ? 1n : decodeRecord(uint64, head.value);
      transaction.expect(EVENT_HEAD_KEY, head?.version ?? 0);
      for (const [i, event] of events.entries()) {
        const sequence = first + BigInt(i);
        transaction.put(eventKey(sequence), encodeRecord(RAW, utf8(toJson(event))));
        const surplus = sequence - most;
        if (surplus > 0n) transaction.delete(eventKey(surplus));
      }
      const next = first + BigInt(events.length);
      transaction.put(EVENT_HEAD_KEY, encodeRecord(uint64, next));
      return first;
    },
  };
}

/** Stored events after this number, in order: what a listener has not heard before a crash. */
export async function replayEvents(client: Client, after = 0n): Promise<readonly LoggedEvent[]> {
  const core = coreOfClient(client);
  core.checkOpen();
  const found: LoggedEvent[] = [];
  for (const { key, value } of await core.storage.list(EVENT_PREFIX)) {
    const sequence = BigInt(`0x${key.slice(EVENT_PREFIX.length)}`);
    if (sequence <= after) continue;
    found.push({ sequence, event: fromJson(fromUtf8(decodeRecord(RAW, value))) });
  }
  return found.sort((a, b) => (a.sequence < b.sequence ? -1 : 1));
}

/** Deletes events up to and including this number. */
export function acknowledgeEvents(client: Client, sequence: bigint): Promise<void> {
  return coreOfClient(client).write(async (transaction) => {
    const last = eventKey(sequence);
    for (const key of (await transaction.list(EVENT_PREFIX)).keys()) {
      if (key <= last) transaction.delete(key);
    }
  });
}

// JSON with two tags, for events are plain data: byte strings and 64-bit numbers.

function toJson(event: ClientEvent): string {
  return JSON.stringify(event, (_, value: unknown) => {
    if (value instanceof Uint8Array) return { $bytes: toHex(value) };
    return typeof value === "bigint" ? { $uint64: value.toString() } : value;
  });
}

function fromJson(text: string): ClientEvent {
  return JSON.parse(text, (_, value: unknown) => {
    if (typeof value !== "object" || value === null) return value;
    if ("$bytes" in value && typeof value.$bytes === "string") return fromHex(value.$bytes);
    if ("$uint64" in value && typeof value.$uint64 === "string") return BigInt(value.$uint64);
    return value;
  }) as ClientEvent;
}
