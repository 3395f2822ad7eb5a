/** The end of a join by external commit. Catalogue M-JOIN. */
import { wireTypes } from "../../group/environment.ts";
import { readHandOuts } from "../records/read-group.ts";
import { storedTypes } from "../records/record-codecs.ts";
import { deleteGroupRecords, GroupKeys } from "../records/record-keys.ts";
import { afterEpoch, type HandOut } from "../state/hand-out.ts";
import { ownEntry } from "../state/events.ts";
import { noPendingCommit } from "./settle-commit.ts";
import type { GroupSession } from "../session/session.ts";

/** The delivery service accepted it. @throws StateError `NO_PENDING_COMMIT` */
export async function completeJoin(session: GroupSession): Promise<void> {
  const { status, replaces, epoch } = session.state;
  if (status !== "pendingJoin") throw noPendingCommit();
  let { handOuts } = session.state;
  if (replaces !== undefined) {
    // Rule M-FRK-06: nothing of the state that was replaced stays, but what it has for others.
    handOuts = await handOutsOf(session, replaces);
    await deleteGroupRecords(session.transaction, replaces);
  }
  session.state = {
    ...session.state,
    handOuts,
    status: "active",
    joinCommit: undefined,
    replaces: undefined,
  };
  const { groupId, epoch: number } = epoch.context;
  session.emit(ownEntry(epoch));
  session.emit({ type: "epochAdvanced", groupId, epoch: number, committer: epoch.ownLeaf });
}

async function handOutsOf(
  { transaction, environment }: GroupSession,
  handle: number,
): Promise<readonly HandOut[]> {
  const rows = await transaction.list(new GroupKeys(handle).handOuts);
  const types = storedTypes(wireTypes(environment));
  return afterEpoch(readHandOuts([...rows.values()], types));
}
