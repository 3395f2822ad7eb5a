/** The end of one state of a group. Catalogue M-FRK-06, M-STO-15. */
import { uint32 } from "../../codec/index.ts";
import { deleteState } from "../records/delete-state.ts";
import { decodeRecord, encodeRecord } from "../records/record-codecs.ts";
import { GroupKeys, groupKey } from "../records/record-keys.ts";
import type { GroupSession } from "./session.ts";

/**
 * Deletes the state that the session is on and has not changed; the one that it was to replace is back
 * in force, if there is one. False: another one has taken its place, and nothing was done.
 */
export async function stepBack({ transaction, state, version }: GroupSession): Promise<boolean> {
  const { handle, epoch, replaces } = state;
  const name = groupKey(epoch.context.groupId);
  await transaction.expectCurrent(name);
  const current = await transaction.get(name);
  if (current === undefined || decodeRecord(uint32, current) !== handle) return false;
  // What was read from memory must still be in force.
  transaction.expect(new GroupKeys(handle).version, version);
  await deleteState(transaction, handle);
  if (replaces === undefined) transaction.delete(name);
  else transaction.put(name, encodeRecord(uint32, replaces));
  return true;
}
