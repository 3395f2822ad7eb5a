/** The end of a join by external commit. Catalogue M-JOIN. */
import { deleteGroupRecords } from "../records/record-keys.ts";
import { ownEntry } from "../state/events.ts";
import { noPendingCommit } from "./settle-commit.ts";
import type { GroupSession } from "../session/session.ts";

/** The delivery service accepted it. @throws StateError `NO_PENDING_COMMIT` */
export async function completeJoin(session: GroupSession): Promise<void> {
  const { status, replaces, epoch } = session.state;
  if (status !== "pendingJoin") throw noPendingCommit();
  if (replaces !== undefined) {
    // Rule M-FRK-06: nothing of the state that was replaced stays.
    await deleteGroupRecords(session.transaction, replaces);
  }
  session.state = {
    ...session.state,
    status: "active",
    joinCommit: undefined,
    replaces: undefined,
  };
  const { groupId, epoch: number } = epoch.context;
  session.emit(ownEntry(epoch));
  session.emit({ type: "epochAdvanced", groupId, epoch: number, committer: epoch.ownLeaf });
}
