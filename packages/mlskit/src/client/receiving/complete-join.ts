/** The end of a join by external commit. Catalogue M-JOIN. */
import { deleteStates } from "../records/delete-state.ts";
import { readHandOuts } from "../records/read-group.ts";
import { storedTypes } from "../records/record-codecs.ts";
import { GroupKeys } from "../records/record-keys.ts";
import { afterEpoch, type HandOut, isReadable } from "../state/hand-out.ts";
import { epochBegins, ownEntry } from "../state/events.ts";
import { wireTypes } from "../../group/environment.ts";
import { noPendingCommit, remember } from "./settle-commit.ts";
import { stepBack } from "../session/step-back.ts";
import type { GroupSession } from "../session/session.ts";

/** The delivery service accepted it. @throws StateError `NO_PENDING_COMMIT` */
export async function completeJoin(session: GroupSession): Promise<void> {
  const { status, replaces, epoch, joinCommit } = session.state;
  if (status !== "pendingJoin") throw noPendingCommit();
  let { handOuts } = session.state;
  if (replaces !== undefined) {
    // Rule M-FRK-06: nothing of the states that were replaced stays, but what they have for others.
    const types = storedTypes(wireTypes(session.environment));
    const rows = new Map<bigint, Uint8Array>();
    await deleteStates(session.transaction, replaces, types, async (handle) => {
      const { handOuts: prefix } = new GroupKeys(handle);
      for (const [key, value] of await session.transaction.list(prefix)) {
        rows.set(BigInt(key.slice(prefix.length)), value);
      }
    });
    const all: HandOut[] = [];
    for (const row of [...rows].sort(([a], [b]) => (a < b ? -1 : 1))) {
      try {
        all.push(...readHandOuts(new Map([row]), types));
      } catch {
        session.emit({ type: "handOutDropped", groupId: epoch.context.groupId, epoch: row[0] });
      }
    }
    // Those of a branch that was left lead into it. Whether an older epoch was of it nobody can tell here.
    const { groupId, epoch: joined } = epoch.context;
    handOuts = afterEpoch(all).filter((one) => one.epoch < joined);
    for (const one of all) {
      if (isReadable(one) && (one.epoch < joined || one.welcomes.length === 0)) continue;
      session.emit({ type: "handOutDropped", groupId, epoch: one.epoch });
    }
  }
  session.state = {
    ...session.state,
    handOuts,
    status: "active",
    joinCommit: undefined,
    replaces: undefined,
  };
  // Its echo may come yet.
  if (joinCommit !== undefined) remember(session, joinCommit, epoch.confirmationTag);
  session.emit(ownEntry(epoch));
  session.emit(epochBegins(epoch, epoch.ownLeaf));
}

/** The delivery service refused it. False: a later join has taken its place. @throws as above */
export async function rejectJoin(session: GroupSession): Promise<boolean> {
  session.requireWritable();
  if (session.state.status !== "pendingJoin") throw noPendingCommit();
  return stepBack(session);
}
