/** When the delivery service has accepted a Commit of ours. RFC 9420 §14. */
import { StateError } from "../../errors.ts";
import type { CommitSummary } from "../../group/commit-summary.ts";
import type { CreatedWelcome } from "../../group/welcome-creation.ts";
import type { DroppedProposal } from "../state/dropped-proposals.ts";
import type { GroupAccess } from "../session/group-access.ts";
import type { Outcome } from "../state/outcome.ts";
import { replayBuffered } from "./process.ts";
import type { GroupSession } from "../session/session.ts";
import { mergeOwn } from "./settle-commit.ts";

/** What is to be handed out now that our Commit counts. */
export interface AcceptedCommit {
  readonly epoch: bigint;
  readonly summary: CommitSummary;
  readonly welcomes: readonly CreatedWelcome[];
  /** GroupInfo of the new epoch, if it was asked for. */
  readonly groupInfo: Uint8Array | undefined;
  /** The tree for the joiners, if it is not in the Welcomes. */
  readonly ratchetTree: Uint8Array | undefined;
  /** Pending proposals that it did not cover, which are gone; see `proposeAgain` of mlskit/production. */
  readonly dropped: readonly DroppedProposal[];
  /** Outcomes of messages that had come too early. */
  readonly replayed: readonly Outcome[];
}

/** @throws StateError `NO_PENDING_COMMIT` */
export async function acceptPending(
  access: GroupAccess,
  session: GroupSession,
): Promise<AcceptedCommit> {
  session.requireActive();
  const { pending } = session.state;
  if (pending === undefined) {
    throw new StateError("NO_PENDING_COMMIT", "there is no pending Commit", { rule: "mk-82" });
  }
  const dropped = mergeOwn(session, pending);
  const replayed = await replayBuffered(access, session);
  const { summary, welcomes, groupInfo, ratchetTree, next } = pending;
  const { epoch } = next.context;
  return { epoch, summary, welcomes, groupInfo, ratchetTree, dropped, replayed };
}
