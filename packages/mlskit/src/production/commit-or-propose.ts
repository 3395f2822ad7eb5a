/** Committing in competition with others. Rules P-OWN-01, P-OWN-02. */
import { bytesKey } from "../codec/index.ts";
import type { MaybePromise } from "../crypto/index.ts";
import { MlsError } from "../errors.ts";
import type { AcceptedCommit } from "../client/receiving/accept-commit.ts";
import type { CommitRequest } from "../client/sending/commit.ts";
import { leafUpdate, proposalsByValue, requireRequestSeen } from "../client/sending/commit.ts";
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
   * returns, they are not kept any more; if it throws or the process dies, they come again, and what
   * else there is to do goes on. Default: they stay in {@link Group.toHandOut}.
   */
  accepted?(accepted: AcceptedCommit, group: Group): MaybePromise<unknown>;
}

/** What is wanted of a group as it is now; undefined: nothing any more. */
export type Wishes = (group: Group) => MaybePromise<CommitRequest | undefined>;

export type WishesResult = HandedOut &
  (
    | { readonly type: "committed"; readonly accepted: AcceptedCommit }
    /** Others will commit it. */
    | { readonly type: "proposed"; readonly proposals: readonly SentProposalView[] }
    | { readonly type: "nothingToDo" }
  );

interface HandedOut {
  /** What `accepted` threw, for each Commit of which the next call hands out again. */
  readonly handOutErrors: readonly unknown[];
}

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
export function commitOrPropose(
  group: Group,
  wishes: Wishes,
  transport: GroupTransport,
  options?: CommitOrProposeOptions,
): Promise<WishesResult> {
  return new Contender(group, transport).carryOut(wishes, options);
}

/** One call's work on a group. */
export class Contender {
  readonly #group: Group;
  readonly #transport: GroupTransport;
  /** By what names the Commit: it is tried once in a call. */
  readonly #handOutErrors = new Map<string, unknown>();

  constructor(group: Group, transport: GroupTransport) {
    this.#group = group;
    this.#transport = transport;
  }

  get handOutErrors(): readonly unknown[] {
    return [...this.#handOutErrors.values()];
  }

  /** {@link commitOrPropose} */
  async carryOut(
    wishes: Wishes,
    { attempts = DEFAULT_ATTEMPTS, signal }: CommitOrProposeOptions = {},
  ): Promise<WishesResult> {
    const group = this.#group;
    for (let lost = 0; lost < attempts; lost++) {
      signal?.throwIfAborted();
      try {
        // From before a crash, or from a call whose answer was lost: settled first.
        await this.handOutAll();
        await this.#settlePending();
        signal?.throwIfAborted();
        const { epoch } = group;
        const request = await wishes(group);
        if (request === undefined) return this.#result({ type: "nothingToDo" });
        const accepted = await group.commitAndDeliver(this.#deliver, { epoch, ...request });
        await this.#handOut(accepted);
        return this.#result({ type: "committed", accepted });
      } catch (error) {
        if (!isConflict(error)) throw error;
        await this.#transport.catchUp(group);
      }
    }
    const proposals = await this.#propose(wishes, signal);
    if (proposals === undefined) return this.#result({ type: "nothingToDo" });
    for (const proposal of proposals) await this.#transport.propose(proposal, group);
    return this.#result({ type: "proposed", proposals });
  }

  async #propose(
    wishes: Wishes,
    signal: AbortSignal | undefined,
  ): Promise<readonly SentProposalView[] | undefined> {
    for (;;) {
      signal?.throwIfAborted();
      const { epoch } = this.#group;
      const request = await wishes(this.#group);
      if (request === undefined) return undefined;
      try {
        return await accessOf(this.#group).operate((session) => {
          requireRequestSeen(session, { epoch, ...request });
          return proposeAll(session, request);
        });
      } catch (error) {
        // The group went on while the wishes were made; they are made anew.
        if (!MlsError.is(error, "EPOCH_CHANGED") || this.#group.epoch === epoch) throw error;
      }
    }
  }

  /** What earlier Commits of ours have for others: from before a crash, or a failure of the transport. */
  async handOutAll(): Promise<void> {
    for (const accepted of this.#group.toHandOut) await this.#handOut(accepted);
  }

  /**
   * Kept by the group until the transport has it; where there is none, by whoever takes it from there.
   * Nobody whom a Welcome does not reach keeps us from removing a stolen device.
   */
  async #handOut(accepted: AcceptedCommit): Promise<void> {
    const key = bytesKey(accepted.confirmationTag);
    if (this.#transport.accepted === undefined || this.#handOutErrors.has(key)) return;
    try {
      await this.#transport.accepted(accepted, this.#group);
    } catch (error) {
      this.#handOutErrors.set(key, error);
      return;
    }
    await this.#group.handedOut(accepted);
  }

  async #settlePending(): Promise<void> {
    if (this.#group.pendingCommit === undefined) return;
    try {
      await this.#handOut(await this.#group.redeliver(this.#deliver));
    } catch (error) {
      // Settled by somebody else meanwhile, another process perhaps.
      if (!MlsError.is(error, "NO_PENDING_COMMIT")) throw error;
    }
  }

  readonly #deliver: DeliverCommit = (pending) => this.#transport.deliver(pending, this.#group);

  #result<T>(result: T): T & HandedOut {
    return { ...result, handOutErrors: this.handOutErrors };
  }
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

/** Another Commit won the epoch, or did so before ours was made. */
function isConflict(error: unknown): boolean {
  if (MlsError.is(error, "EPOCH_CHANGED")) return true;
  return MlsError.is(error, "TRANSPORT_REJECTED") && error.details["reason"] === "conflict";
}
