/** Where events are kept for those who missed them; mlskit/production has one. Catalogue M-EVT. */
import type { Storage } from "../../storage/storage.ts";
import type { ClientEvent } from "../state/events.ts";
import type { RecordSink } from "./record-sink.ts";

/** Writes events into the transaction that they come from; the number of the first. */
export interface EventLog {
  append(
    storage: Pick<Storage, "get">,
    transaction: RecordSink & { expect(key: string, version: number): void },
    events: readonly ClientEvent[],
  ): Promise<bigint>;
}
