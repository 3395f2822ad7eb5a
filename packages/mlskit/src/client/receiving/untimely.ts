/** Messages that a group does not look at in the state that it is in. Rule P-BUF-02, mk-104. */
import { buffer } from "./buffer.ts";
import { equalBytes } from "../../codec/index.ts";
import { StateError } from "../../errors.ts";
import type { Outcome } from "../state/outcome.ts";
import { contentTypeOf, type GroupMessage, infoOf } from "./receive.ts";
import type { GroupSession } from "../session/session.ts";

/** The outcome of such a message; undefined for one that is to be read. */
export async function untimelyOutcome(
  session: GroupSession,
  bytes: Uint8Array,
  decoded: GroupMessage,
): Promise<Outcome | undefined> {
  const { status, joinCommit, epoch, replaces } = session.state;
  const info = infoOf(decoded);
  const contentType = contentTypeOf(decoded);
  if (status === "pendingJoin" && joinCommit !== undefined) {
    if (equalBytes(joinCommit, bytes)) return undefined;
    // Rule P-BUF-02: what could not be read even after the join is not stored.
    const distance = info.epoch - epoch.context.epoch;
    if (distance > 1n) return { kind: "farFuture", ...info, contentType, isBuffered: false };
    // A former state reads it, should the join be refused: whoever has the message keeps it.
    if (distance < 0n && replaces !== undefined) {
      return { kind: "buffered", ...info, contentType, isBuffered: false };
    }
    if (distance < 0n) {
      const kind = contentType === "application" ? "epochTooOld" : "stale";
      return { kind, ...info, contentType, isBuffered: false };
    }
    return { kind: "buffered", ...info, contentType, isBuffered: await buffer(session, bytes) };
  }
  // Nobody may say anything in the epoch that a ReInit began.
  if (status === "suspended" && info.epoch >= epoch.context.epoch) {
    const error = new StateError("GROUP_SUSPENDED", "the group was closed by a ReInit", {
      rule: "mk-104",
    });
    return { kind: "invalid", groupId: info.groupId, error };
  }
  // Keys of past epochs are kept for their time; those of the last one went with our membership.
  const isReadable = contentType === "application" && info.epoch < epoch.context.epoch;
  if (status === "inactive" && !isReadable) {
    return { kind: "groupInactive", ...info, contentType, isBuffered: false };
  }
  return undefined;
}
