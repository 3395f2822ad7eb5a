/** Committing together with the transport. Catalogue M-DS-06; rules P-OWN-01, P-CR-02. */
import type { MaybePromise } from "../crypto/index.ts";
import { TransportError, UsageError } from "../errors.ts";
import { type AcceptedCommit, acceptPending, findMerged } from "./receiving/accept-commit.ts";
import { discardPending, noPendingCommit } from "./receiving/settle-commit.ts";
import {
  type CommitRequest,
  type PendingCommitView,
  pendingCommitView,
  stageRequest,
} from "./sending/commit.ts";
import type { GroupAccess } from "./session/group-access.ts";
import { withTimeLimit } from "./session/time-limit.ts";

/** What the delivery service says of a Commit. */
export type DeliveryAnswer =
  | { readonly type: "accepted" }
  /** Refused for good: by a policy, or because it is invalid. */
  | { readonly type: "rejected"; readonly reason: string }
  /** Another Commit won the epoch. Once it is processed, ours is discarded. */
  | { readonly type: "conflict" }
  /** Not known: time-out, lost connection. The same bytes may be sent again. */
  | { readonly type: "retry"; readonly reason: string };

/** Sends a Commit that is durable already. A throw counts as "retry". */
export type DeliverCommit = (pending: PendingCommitView) => MaybePromise<DeliveryAnswer>;

/** Builds a Commit, sends it, and does what the answer says: merge, discard, or keep it pending. */
export async function commitAndDeliver(
  access: GroupAccess,
  request: CommitRequest,
  deliver: DeliverCommit,
): Promise<AcceptedCommit> {
  requireDurable(access);
  const pending = await access.operate((session) => stageRequest(session, request));
  return settle(access, pending, await ask(access, pending, deliver));
}

/** Sends the pending Commit again, the same bytes, after an answer was lost. */
export async function deliverAgain(
  access: GroupAccess,
  deliver: DeliverCommit,
): Promise<AcceptedCommit> {
  requireDurable(access);
  const pending = await access.operate((session) => {
    session.requireCurrent();
    if (session.state.pending === undefined) throw noPendingCommit();
    return pendingCommitView(session.state.pending);
  });
  return settle(access, pending, await ask(access, pending, deliver));
}

/** Rule P-TX-08: inside a transaction nothing is durable yet, so nothing may leave. */
function requireDurable({ isTransaction }: GroupAccess): void {
  if (!isTransaction) return;
  throw new UsageError(
    "TRANSACTION_OPEN",
    "deliver after the write; see ClientTransaction.deliver",
  );
}

async function ask(
  { options }: GroupAccess,
  pending: PendingCommitView,
  deliver: DeliverCommit,
): Promise<DeliveryAnswer | { readonly type: "failed"; readonly cause: unknown }> {
  try {
    return await withTimeLimit(deliver(pending), options.transportTimeout);
  } catch (cause) {
    return { type: "failed", cause };
  }
}

/**
 * The answer is about this Commit, whatever is pending by the time it comes. Who has seen the echo
 * knows better than an answer that is late, or that a second delivery got.
 */
async function settle(
  access: GroupAccess,
  pending: PendingCommitView,
  answer: Awaited<ReturnType<typeof ask>>,
): Promise<AcceptedCommit> {
  if (answer.type === "accepted") {
    return access.operate((session) => acceptPending(access, session, pending));
  }
  const merged = await access.operate((session) => {
    session.requireCurrent();
    if (answer.type === "rejected") discardPending(session, pending.commit);
    return findMerged(session, pending);
  });
  if (merged !== undefined) return merged;
  switch (answer.type) {
    case "conflict":
      throw new TransportError("TRANSPORT_REJECTED", "another Commit won the epoch", {
        details: { reason: "conflict" },
      });
    case "rejected":
      throw new TransportError("TRANSPORT_REJECTED", "the delivery service refused the Commit", {
        details: { reason: answer.reason },
      });
    case "retry":
      throw unknownOutcome({ details: { reason: answer.reason } });
    case "failed":
      throw unknownOutcome({ cause: answer.cause });
  }
}

const unknownOutcome = (options: ConstructorParameters<typeof TransportError>[2]): TransportError =>
  new TransportError("TRANSPORT_RETRY", "it is not known whether the message arrived", options);
