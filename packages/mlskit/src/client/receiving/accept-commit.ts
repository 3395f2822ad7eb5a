/** When the delivery service has accepted a Commit of ours. RFC 9420 §14. */
import { equalBytes } from "../../codec/index.ts";
import type { DroppedProposal } from "../state/dropped-proposals.ts";
import type { GroupAccess } from "../session/group-access.ts";
import { type HandOut, handOutOf } from "../state/hand-out.ts";
import type { Outcome } from "../state/outcome.ts";
import type { PendingCommitView } from "../sending/commit.ts";
import { toReceiver } from "./process.ts";
import { replayBuffered } from "./replay.ts";
import { isSeen } from "./receive.ts";
import type { GroupSession } from "../session/session.ts";
import { mergeOwn, noPendingCommit } from "./settle-commit.ts";

/** What is to be handed out now that our Commit counts; see {@link Group.handedOut}. */
export interface AcceptedCommit extends HandOut {
  /** Pending proposals that it did not cover, which are gone; see `proposeAgain` of mlskit/production. */
  readonly dropped: readonly DroppedProposal[];
  /** Outcomes of messages that had come too early. */
  readonly replayed: readonly Outcome[];
}

/** What tells a Commit of ours from others, also when it is not pending any more. */
export type OwnCommit = Pick<PendingCommitView, "commit" | "summary" | "epoch" | "confirmationTag">;

/**
 * Begins the epoch of the pending Commit, or of the one that is meant; if that one has begun already,
 * what is still to be handed out.
 *
 * @throws StateError `NO_PENDING_COMMIT`
 */
export async function acceptPending(
  access: GroupAccess,
  session: GroupSession,
  meant?: OwnCommit,
): Promise<AcceptedCommit> {
  const { pending } = session.state;
  if (meant !== undefined && (pending === undefined || !equalBytes(pending.commit, meant.commit))) {
    const merged = findMerged(session, meant);
    if (merged === undefined) throw noPendingCommit("mk-82");
    return merged;
  }
  session.requireActive();
  if (pending === undefined) throw noPendingCommit("mk-82");
  const dropped = mergeOwn(session, pending);
  const replayed = await replayBuffered(toReceiver(access), session);
  const { summary, confirmationTag, welcomes, groupInfo, ratchetTree, next } = pending;
  const { epoch } = next.context;
  return { epoch, confirmationTag, summary, welcomes, groupInfo, ratchetTree, dropped, replayed };
}

/** A Commit of ours that has taken effect before, by its echo or by an answer. */
export function findMerged(session: GroupSession, meant: OwnCommit): AcceptedCommit | undefined {
  if (!isSeen(session, meant.commit)) return undefined;
  const { epoch, confirmationTag, summary } = meant;
  const kept = handOutOf(session.state.handOuts, meant);
  return acceptedBefore(
    kept ?? {
      epoch,
      confirmationTag,
      summary,
      welcomes: [],
      groupInfo: undefined,
      ratchetTree: undefined,
    },
  );
}

/** What else there was to tell was told when it took effect. */
export const acceptedBefore = (handOut: HandOut): AcceptedCommit => ({
  ...handOut,
  dropped: [],
  replayed: [],
});
