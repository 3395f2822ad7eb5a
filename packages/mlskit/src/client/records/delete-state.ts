/** Deleting what is stored of a group. Catalogue M-FRK-06, M-STO-15. */
import type { WireTypes } from "../../codec/index.ts";
import { MlsError } from "../../errors.ts";
import type { GroupConfig } from "../state/config.ts";
import { decodeRecord, headRecord } from "./record-codecs.ts";
import { bufferedKey, GroupKeys } from "./record-keys.ts";
import type { Transaction } from "./transaction.ts";

/**
 * Every record of a state of a group but the name under which it is found; whoever has it open is told.
 * A writer that is faster makes the transaction fail.
 */
export async function deleteState(transaction: Transaction, handle: number): Promise<void> {
  const keys = new GroupKeys(handle);
  await transaction.expectCurrent(keys.version);
  for (const key of (await transaction.list(keys.prefix)).keys()) transaction.delete(key);
  transaction.delete(bufferedKey(handle));
  transaction.deleted.add(handle);
}

/** The same for it and all that it was to replace, which nobody could reach any more. `before`: each. */
export async function deleteStates(
  transaction: Transaction,
  first: number,
  types: WireTypes,
  before?: (handle: number) => Promise<unknown>,
): Promise<void> {
  let handle: number | undefined = first;
  while (handle !== undefined) {
    const head = await transaction.get(new GroupKeys(handle).head);
    await before?.(handle);
    await deleteState(transaction, handle);
    handle = head === undefined ? undefined : replacedBy(head, types);
  }
}

/** The state that one was to replace; none is known of a head that is damaged. */
export function replacedBy(head: Uint8Array, types: WireTypes): number | undefined {
  try {
    return decodeRecord(headRecord<GroupConfig>(), head, types).replaces;
  } catch (error) {
    if (!(error instanceof MlsError)) throw error;
    return undefined;
  } finally {
    head.fill(0);
  }
}
