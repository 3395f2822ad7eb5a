/** Messages that came too early. Rules P-BUF-01 to P-BUF-05. */
import { expireBuffered, unbuffer } from "./buffer.ts";
import { failedAmongMany, isPassing } from "./failed-message.ts";
import { decodeBuffered, nextToReplay } from "./replay-order.ts";
import type { GroupAccess } from "../session/group-access.ts";
import type { BufferedMessage } from "../state/group-state.ts";
import type { CommitOutcome, Outcome } from "../state/outcome.ts";
import { type GroupMessage, infoOf } from "./receive.ts";
import type { GroupSession } from "../session/session.ts";

/** What a Commit made readable is processed, and may be a Commit: the two call each other through this. */
export interface Receiver extends Pick<GroupAccess, "operate"> {
  process(
    session: GroupSession,
    bytes: Uint8Array,
    decoded: GroupMessage,
    options: { readonly accept: boolean },
  ): Promise<Outcome>;
}

/** Groups in which a replay is under way. */
const replaying = new WeakSet<GroupSession>();

/**
 * Once per merge: application messages, then proposals, then Commits, as they came. A replayed
 * Commit starts no replay of its own; the messages that it makes readable come up in this one.
 */
export async function replayBuffered(
  receiver: Receiver,
  session: GroupSession,
  accept: boolean = session.state.config.autoAccept,
): Promise<readonly Outcome[]> {
  if (replaying.has(session)) return [];
  replaying.add(session);
  try {
    expireBuffered(session);
    const outcomes: Outcome[] = [];
    const tried = new Set<string>();
    for (;;) {
      const next = nextToReplay(session, tried);
      if (next === undefined) return outcomes;
      const [hash, message] = next;
      tried.add(hash);
      const outcome = await replayOne(receiver, session, hash, message, accept);
      if (outcome !== undefined) outcomes.push(outcome);
    }
  } finally {
    replaying.delete(session);
  }
}

/** It stays in the buffer as long as it may come to something. */
export async function replayOne(
  receiver: Receiver,
  session: GroupSession,
  hash: string,
  message: BufferedMessage,
  accept: boolean,
): Promise<Outcome | undefined> {
  const decoded = decodeBuffered(session, message);
  if (decoded === undefined) {
    unbuffer(session, hash);
    return undefined;
  }
  try {
    const outcome = await receiver.process(session, message.bytes, decoded, { accept });
    if (!isWaiting(outcome)) unbuffer(session, hash);
    return outcome;
  } catch (error) {
    const outcome = failedAmongMany(error, infoOf(decoded).groupId);
    if (isPassing(outcome.error)) return { ...outcome, isBuffered: true };
    unbuffer(session, hash);
    return outcome;
  }
}

/** For a proposal, for an earlier message, or for being accepted. */
function isWaiting(outcome: Outcome): boolean {
  if (isCommitOutcome(outcome)) return !outcome.isMerged;
  if (outcome.kind === "missingProposal") return true;
  return "isBuffered" in outcome && outcome.isBuffered === true;
}

export function isCommitOutcome(outcome: Outcome): outcome is CommitOutcome {
  return ["commit", "removed", "reinit"].includes(outcome.kind);
}
