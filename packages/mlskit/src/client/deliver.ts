/** Committing together with the transport. Catalogue M-DS-06; rules P-OWN-01, P-CR-02. */
import type { MaybePromise } from "../crypto/index.ts";
import { TransportError, UsageError } from "../errors.ts";
import type { AcceptedCommit } from "./receiving/accept-commit.ts";
import type { CommitRequest, PendingCommitView } from "./sending/commit.ts";
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

/** What is needed of a `Group`. */
interface Committing {
  readonly pendingCommit: PendingCommitView | undefined;
  commit(request: CommitRequest): Promise<PendingCommitView>;
  acceptCommit(): Promise<AcceptedCommit>;
  discardCommit(): Promise<void>;
}

/** Builds a Commit, sends it, and does what the answer says: merge, discard, or keep it pending. */
export async function commitAndDeliver(
  group: Committing,
  access: GroupAccess,
  request: CommitRequest,
  deliver: DeliverCommit,
): Promise<AcceptedCommit> {
  requireDurable(access);
  const pending = await group.commit(request);
  return settle(group, await ask(access, pending, deliver));
}

/** Sends the pending Commit again, the same bytes, after an answer was lost. */
export async function deliverAgain(
  group: Committing,
  access: GroupAccess,
  deliver: DeliverCommit,
): Promise<AcceptedCommit> {
  requireDurable(access);
  const pending = group.pendingCommit;
  if (pending === undefined) return group.acceptCommit();
  return settle(group, await ask(access, pending, deliver));
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
): Promise<DeliveryAnswer> {
  try {
    return await withTimeLimit(deliver(pending), options.transportTimeout);
  } catch (cause) {
    throw new TransportError("TRANSPORT_RETRY", "it is not known whether the message arrived", {
      cause,
    });
  }
}

async function settle(group: Committing, answer: DeliveryAnswer): Promise<AcceptedCommit> {
  switch (answer.type) {
    case "accepted":
      return group.acceptCommit();
    case "conflict":
      throw new TransportError("TRANSPORT_REJECTED", "another Commit won the epoch", {
        details: { reason: "conflict" },
      });
    case "rejected":
      await group.discardCommit();
      throw new TransportError("TRANSPORT_REJECTED", "the delivery service refused the Commit", {
        details: { reason: answer.reason },
      });
    case "retry":
      throw new TransportError("TRANSPORT_RETRY", "it is not known whether the message arrived", {
        details: { reason: answer.reason },
      });
  }
}
