/** Committing together with the transport. Catalogue M-DS-06; rules P-OWN-01, P-CR-02. */
import type { MaybePromise } from "../crypto/index.ts";
import { TransportError } from "../errors.ts";
import type { AcceptedCommit } from "./accept-commit.ts";
import type { CommitRequest, PendingCommitView } from "./commit.ts";
import type { Group } from "./group.ts";

/** What the delivery service says of a Commit. */
export type DeliveryAnswer =
  | { readonly type: "accepted" }
  /** Refused for good, or another Commit won. */
  | { readonly type: "rejected"; readonly reason: string }
  /** Not known: time-out, lost connection. The same bytes may be sent again. */
  | { readonly type: "retry"; readonly reason: string };

/** Sends a Commit that is durable already. A throw counts as "retry". */
export type DeliverCommit = (pending: PendingCommitView) => MaybePromise<DeliveryAnswer>;

/** Builds a Commit, sends it, and does what the answer says: merge, discard, or keep it pending. */
export async function commitAndDeliver(
  group: Group,
  request: CommitRequest,
  deliver: DeliverCommit,
): Promise<AcceptedCommit> {
  const pending = await group.commit(request);
  return settle(group, await ask(pending, deliver));
}

/** Sends the pending Commit again, the same bytes, after an answer was lost. */
export async function deliverAgain(group: Group, deliver: DeliverCommit): Promise<AcceptedCommit> {
  const pending = group.pendingCommit;
  if (pending === undefined) return group.acceptCommit();
  return settle(group, await ask(pending, deliver));
}

async function ask(pending: PendingCommitView, deliver: DeliverCommit): Promise<DeliveryAnswer> {
  try {
    return await deliver(pending);
  } catch (cause) {
    throw new TransportError("TRANSPORT_RETRY", "it is not known whether the Commit arrived", {
      cause,
    });
  }
}

async function settle(group: Group, answer: DeliveryAnswer): Promise<AcceptedCommit> {
  switch (answer.type) {
    case "accepted":
      return group.acceptCommit();
    case "rejected":
      await group.discardCommit();
      throw new TransportError("TRANSPORT_REJECTED", "the delivery service refused the Commit", {
        details: { reason: answer.reason },
      });
    case "retry":
      throw new TransportError("TRANSPORT_RETRY", "it is not known whether the Commit arrived", {
        details: { reason: answer.reason },
      });
  }
}
