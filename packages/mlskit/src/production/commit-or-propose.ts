/** Committing in competition with others. Rules P-OWN-01, P-OWN-02. */
import type { MaybePromise } from "../crypto/index.ts";
import { MlsError } from "../errors.ts";
import type { AcceptedCommit } from "../client/receiving/accept-commit.ts";
import type { CommitRequest } from "../client/sending/commit.ts";
import { leafUpdate, proposalsByValue } from "../client/sending/commit.ts";
import type { DeliverCommit } from "../client/deliver.ts";
import { accessOf, type Group } from "../client/group.ts";
import { sendProposal, type SentProposalView } from "../client/sending/propose.ts";
import type { GroupSession } from "../client/session/session.ts";

/** What an application lends for work on its groups. */
export interface GroupTransport {
  /** Sends a Commit; the same bytes may come twice. */
  deliver(pending: Parameters<DeliverCommit>[0], group: Group): ReturnType<DeliverCommit>;
  /** Fetches and processes what the group has missed. */
  catchUp(group: Group): MaybePromise<unknown>;
  /** Sends a proposal that is durable. */
  propose(proposal: SentProposalView, group: Group): MaybePromise<unknown>;
  /**
   * Hands out Welcomes and GroupInfo of a Commit that was accepted, this one or an earlier one. When it
   * returns, they are not kept any more; if it throws or the process dies, they come again. Default:
   * they stay in {@link Group.toHandOut}.
   */
  accepted?(accepted: AcceptedCommit, group: Group): MaybePromise<unknown>;
}

/** What is wanted of a group as it is now; undefined: nothing any more. */
export type Wishes = (group: Group) => MaybePromise<CommitRequest | undefined>;

export type WishesResult =
  | { readonly type: "committed"; readonly accepted: AcceptedCommit }
  /** Others will commit it. */
  | { readonly type: "proposed"; readonly proposals: readonly SentProposalView[] }
  | { readonly type: "nothingToDo" };

export interface CommitOrProposeOptions {
  /** Races lost in a row before proposing. Default: 3. */
  readonly attempts?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

const DEFAULT_ATTEMPTS = 3;

/**
 * Commits what is wanted. Whenever another Commit wins, catches up and looks at the wishes anew; after
 * three lost races in a row the wishes go out as proposals.
 *
 * @throws TransportError `TRANSPORT_RETRY`: call again, the Commit is pending; `TRANSPORT_REJECTED`
 */
export async function commitOrPropose(
  group: Group,
  wishes: Wishes,
  transport: GroupTransport,
  { attempts = DEFAULT_ATTEMPTS, signal }: CommitOrProposeOptions = {},
): Promise<WishesResult> {
  const deliver: DeliverCommit = (pending) => transport.deliver(pending, group);
  for (let lost = 0; lost < attempts; lost++) {
    signal?.throwIfAborted();
    try {
      // From before a crash, or from a call whose answer was lost: settled first.
      await handOutAll(group, transport);
      await settlePending(group, deliver, transport);
      const request = await wishes(group);
      if (request === undefined) return { type: "nothingToDo" };
      const accepted = await group.commitAndDeliver(deliver, request);
      await handOut(accepted, group, transport);
      return { type: "committed", accepted };
    } catch (error) {
      if (!isConflict(error)) throw error;
      await transport.catchUp(group);
    }
  }
  signal?.throwIfAborted();
  const request = await wishes(group);
  if (request === undefined) return { type: "nothingToDo" };
  const proposals = await accessOf(group).operate((session) => proposeAll(session, request));
  for (const proposal of proposals) await transport.propose(proposal, group);
  return { type: "proposed", proposals };
}

async function settlePending(
  group: Group,
  deliver: DeliverCommit,
  transport: GroupTransport,
): Promise<void> {
  if (group.pendingCommit === undefined) return;
  try {
    await handOut(await group.redeliver(deliver), group, transport);
  } catch (error) {
    // Settled by somebody else meanwhile, another process perhaps.
    if (!MlsError.is(error, "NO_PENDING_COMMIT")) throw error;
  }
}

/** What earlier Commits of ours have for others: from before a crash, or a failure of the transport. */
export async function handOutAll(group: Group, transport: GroupTransport): Promise<void> {
  for (const accepted of group.toHandOut) await handOut(accepted, group, transport);
}

/** Kept by the group until the transport has it; where there is none, by whoever takes it from there. */
async function handOut(
  accepted: AcceptedCommit,
  group: Group,
  transport: GroupTransport,
): Promise<void> {
  if (transport.accepted === undefined) return;
  await transport.accepted(accepted, group);
  await group.handedOut(accepted);
}

/** Everything that a Commit would have carried by value, and the change of our leaf as an Update. */
async function proposeAll(
  session: GroupSession,
  request: CommitRequest,
): Promise<readonly SentProposalView[]> {
  const sent: SentProposalView[] = [];
  const { authenticatedData } = request;
  const proposals = proposalsByValue(session, request);
  for (const proposal of proposals) {
    sent.push(await sendProposal(session, proposal, { authenticatedData }));
  }
  const leaf = await leafUpdate(session, request);
  if (leaf !== undefined || proposals.length === 0) {
    sent.push(await sendProposal(session, { leaf: leaf ?? {} }, { authenticatedData }));
  }
  return sent;
}

/** Another Commit won the epoch. */
function isConflict(error: unknown): boolean {
  return MlsError.is(error, "TRANSPORT_REJECTED") && error.details["reason"] === "conflict";
}
