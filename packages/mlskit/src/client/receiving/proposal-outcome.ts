/** What becomes of a received proposal, and of the Commits that waited for it. Rule P-BUF-04. */
import { authorOf, requireEpoch } from "./commit-outcome.ts";
import { contentTypeOf, infoOf, type Received } from "./receive.ts";
import { decodeBuffered } from "./replay-order.ts";
import { isCommitOutcome, type Receiver, replayOne } from "./replay.ts";
import { remember, useUp } from "./settle-commit.ts";
import { equalBytes } from "../../codec/index.ts";
import { checkNotRepeated } from "../../group/proposal-rules.ts";
import { reviewStored, withProposal } from "../sending/propose.ts";
import type { GroupSession } from "../session/session.ts";
import type {
  AuthenticatedInfo,
  CommitOutcome,
  Outcome,
  ProposalOutcome,
} from "../state/outcome.ts";
import { checkRoom } from "../state/proposal-room.ts";

export async function proposalOutcome(
  receiver: Receiver,
  session: GroupSession,
  bytes: Uint8Array,
  received: Extract<Received, { kind: "proposal" }>,
  accept: boolean,
): Promise<Outcome> {
  const { info, cached } = received;
  const { reference } = cached;
  const author: AuthenticatedInfo = authorOf(received);
  const kinds = {
    member: "proposal",
    external: "externalProposal",
    newMember: "newMemberProposal",
  } as const;
  const epoch = session.state.epoch.context.epoch;
  if (accept) {
    const replayed = await storeProposal(receiver, session, received, bytes, accept);
    if (replayed !== undefined) return replayed;
  }
  const outcome: ProposalOutcome = {
    kind: kinds[received.sender.type],
    ...author,
    proposal: cached.proposal,
    reference,
    isStored: accept,
    accept: () =>
      receiver.operate(async (later) => {
        requireEpoch(later.state, epoch);
        const { autoAccept } = later.state.config;
        return storeProposal(receiver, later, received, bytes, autoAccept);
      }),
  };
  session.emit({ type: "proposalReceived", groupId: info.groupId, epoch: info.epoch, reference });
  return outcome;
}

/** Rule P-BUF-04: a Commit that waited for this proposal takes the place of its outcome. */
async function storeProposal(
  receiver: Receiver,
  session: GroupSession,
  { info, cached, key, authenticatedData }: Extract<Received, { kind: "proposal" }>,
  bytes: Uint8Array,
  acceptCommits: boolean,
): Promise<Outcome | undefined> {
  const staged = new Set<string>();
  const missing: Uint8Array[] = [];
  const early = await replayCommits(receiver, session, acceptCommits, staged, missing);
  // One that only waits to be accepted does not keep the proposal from being stored.
  if (early?.isMerged === true) return early;
  const isAwaited = missing.some((one) => equalBytes(one, cached.reference));
  checkRoom(session.state, cached.sender, isAwaited);
  checkNotRepeated(cached, session.state.proposals, session.environment.types);
  await reviewStored(session, cached, authenticatedData);
  remember(session, bytes, cached.reference);
  if (key !== undefined) useUp(session, key);
  const { wireFormat } = info;
  session.state = withProposal(session.state, { ...cached, bytes: undefined, wireFormat });
  return (await replayCommits(receiver, session, acceptCommits, staged)) ?? early;
}

/**
 * Tries the Commits again that lack proposals. The outcome of the first that lacks none any more. Those
 * that only wait to be accepted then are added to `staged`, and are not tried if they are there
 * already; the proposals that the others lack are added to `missing`.
 */
async function replayCommits(
  receiver: Receiver,
  session: GroupSession,
  accept: boolean,
  staged: Set<string>,
  missing: Uint8Array[] = [],
): Promise<CommitOutcome | undefined> {
  const { buffer: kept, epoch } = session.state;
  let first: CommitOutcome | undefined;
  for (const [hash, message] of kept) {
    if (staged.has(hash)) continue;
    const decoded = decodeBuffered(session, message);
    if (decoded === undefined || contentTypeOf(decoded) !== "commit") continue;
    if (infoOf(decoded).epoch !== epoch.context.epoch) continue;
    const outcome = await replayOne(receiver, session, hash, message, accept);
    if (outcome !== undefined && isCommitOutcome(outcome)) {
      if (outcome.isMerged) return outcome;
      staged.add(hash);
      first ??= outcome;
    }
    if (outcome?.kind === "missingProposal") missing.push(...outcome.missing);
  }
  return first;
}
