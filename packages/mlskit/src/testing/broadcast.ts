/** Handing messages to members, in the order in which a delivery service would. M-TST-02. */
import type { AcceptedCommit } from "../client/receiving/accept-commit.ts";
import type { Client } from "../client/client.ts";
import type { CommitRequest } from "../client/sending/commit.ts";
import type { Group } from "../client/group.ts";
import type { Outcome } from "../client/state/outcome.ts";
import type { ProcessOptions } from "../client/receiving/process.ts";

/** One message for every group; outcomes in the same order. Commits and proposals are accepted. */
export async function broadcast(
  bytes: Uint8Array,
  groups: readonly Group[],
  options: ProcessOptions = { accept: true },
): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  for (const group of groups) outcomes.push(await group.process(bytes, options));
  return outcomes;
}

export interface DeliveredCommit extends AcceptedCommit {
  /** Groups of the clients that joined by it, in the order in which they were given. */
  readonly joined: readonly Group[];
}

/** Commits, tells the other members, accepts, and hands the Welcomes to those who join. */
export async function commitAndBroadcast(
  committer: Group,
  request: CommitRequest,
  others: readonly Group[],
  joiners: readonly Client[] = [],
): Promise<DeliveredCommit> {
  const { commit } = await committer.commit(request);
  await broadcast(commit, others);
  const accepted = await committer.acceptCommit();
  const joined: Group[] = [];
  for (const client of joiners) joined.push(await joinByOneOf(client, accepted));
  await committer.handedOut(accepted);
  return { ...accepted, joined };
}

async function joinByOneOf(client: Client, accepted: AcceptedCommit): Promise<Group> {
  const failures: unknown[] = [];
  for (const { bytes } of accepted.welcomes) {
    try {
      return await client.join(bytes, { ratchetTree: accepted.ratchetTree });
    } catch (error) {
      failures.push(error);
    }
  }
  throw new AggregateError(failures, "no Welcome of the Commit lets this client join");
}
