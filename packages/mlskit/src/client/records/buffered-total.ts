/** How much of the room for early messages a group takes. Rule P-BUF-01. */
import type { GroupState } from "../state/group-state.ts";
import type { BufferedRecord } from "./record-codecs.ts";

/** The record of a group's buffer; undefined if it is empty. */
export function bufferedTotal(state: Pick<GroupState, "buffer">): BufferedRecord | undefined {
  let oldest: bigint | undefined;
  for (const { receivedAt } of state.buffer.values()) {
    if (oldest === undefined || receivedAt < oldest) oldest = receivedAt;
  }
  return oldest === undefined ? undefined : { size: bufferedSize(state), oldest };
}

/** In bytes. */
export function bufferedSize({ buffer: messages }: Pick<GroupState, "buffer">): number {
  let size = 0;
  for (const { bytes } of messages.values()) size += bytes.length;
  return size;
}
