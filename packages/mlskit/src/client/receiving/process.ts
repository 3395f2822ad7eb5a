/** From received bytes to an outcome. Catalogue M-RCV. */
import { buffer } from "./buffer.ts";
import { commitOutcome, ownCommitOutcome } from "./commit-outcome.ts";
import { failedAmongMany, invalid, outcomeOfFailure } from "./failed-message.ts";
import { noteDecryption } from "./fork.ts";
import { proposalOutcome } from "./proposal-outcome.ts";
import type { Receiver } from "./replay.ts";
import { untimelyOutcome } from "./untimely.ts";
import { equalBytes } from "../../codec/index.ts";
import { andThen, type MaybePromise } from "../../crypto/index.ts";
import type { GroupAccess } from "../session/group-access.ts";
import type { Arrived } from "../state/messages.ts";
import type { Outcome } from "../state/outcome.ts";
import {
  authorOfFailure,
  type GroupMessage,
  infoOf,
  type Received,
  receiveMessage,
} from "./receive.ts";
import type { GroupSession } from "../session/session.ts";

export interface ProcessOptions {
  /** Merge Commits and store proposals at once. Default: the group's `autoAccept`. */
  readonly accept?: boolean | undefined;
}

export function processForGroup(
  access: GroupAccess,
  session: GroupSession,
  arrived: Arrived,
  options: ProcessOptions,
): MaybePromise<Outcome> {
  const { groupId } = session.state.epoch.context;
  if ("failure" in arrived) return invalid(arrived.failure, groupId);
  const { bytes, message } = arrived;
  if (message.wireFormat !== "publicMessage" && message.wireFormat !== "privateMessage") {
    return { kind: message.wireFormat, bytes };
  }
  const { groupId: addressed } = infoOf(message);
  if (!equalBytes(addressed, groupId)) return { kind: "wrongGroup", groupId: addressed };
  return processGroupMessage(toReceiver(access), session, bytes, message, options);
}

/** Rule M-RCV-32: many messages, each with an outcome, at the same place in the list. */
export async function processManyForGroup(
  access: GroupAccess,
  session: GroupSession,
  arrivals: readonly Arrived[],
  options: ProcessOptions,
): Promise<readonly Outcome[]> {
  const outcomes: Outcome[] = [];
  for (const arrived of arrivals) {
    try {
      outcomes.push(await processForGroup(access, session, arrived, options));
    } catch (error) {
      outcomes.push(failedAmongMany(error, session.state.epoch.context.groupId));
    }
  }
  return outcomes;
}

/** How the group's messages are processed, for those who replay the ones that it kept. */
export function toReceiver(access: GroupAccess): Receiver {
  const receiver: Receiver = {
    operate: (operation) => access.operate(operation),
    process: (session, bytes, decoded, options) =>
      processGroupMessage(receiver, session, bytes, decoded, options),
  };
  return receiver;
}

async function processGroupMessage(
  receiver: Receiver,
  session: GroupSession,
  bytes: Uint8Array,
  decoded: GroupMessage,
  options: ProcessOptions,
): Promise<Outcome> {
  const accept = options.accept ?? session.state.config.autoAccept;
  const early = await untimelyOutcome(session, bytes, decoded);
  if (early !== undefined) return early;
  const before = session.state;
  try {
    const received = await receiveMessage(session, bytes, decoded);
    return await outcomeOf(receiver, session, bytes, received, accept);
  } catch (error) {
    const { epoch, status, proposals } = session.state;
    const isBegun =
      epoch !== before.epoch || status !== before.status || proposals !== before.proposals;
    session.state = before;
    let outcome: Outcome;
    try {
      outcome = await outcomeOfFailure(session, bytes, decoded, error);
    } catch (thrown) {
      // What has begun has told of itself, and is about to erase what it replaced. Rule P-TX-05.
      if (isBegun) session.transaction.abort();
      throw thrown;
    }
    if (outcome.kind !== "invalid" && outcome.kind !== "invalidProposal") return outcome;
    return { ...outcome, sender: authorOfFailure(outcome.error) };
  }
}

function outcomeOf(
  receiver: Receiver,
  session: GroupSession,
  bytes: Uint8Array,
  received: Received,
  accept: boolean,
): MaybePromise<Outcome> {
  const { info } = received;
  switch (received.kind) {
    case "application": {
      const { sender, authenticatedData, data, generation } = received;
      noteDecryption(session, true);
      if (sender.type === "member") {
        const { leafIndex, credential } = sender;
        const { groupId, epoch } = info;
        session.emit({
          type: "messageReceived",
          groupId,
          epoch,
          leafIndex,
          credential,
          generation,
        });
      }
      return { kind: "application", sender, authenticatedData, data, generation, ...info };
    }
    case "proposal":
      return proposalOutcome(receiver, session, bytes, received, accept);
    case "commit":
      return commitOutcome(receiver, session, bytes, received, accept);
    case "ownCommit":
      return ownCommitOutcome(receiver, session, info, accept);
    case "ownProposal":
      return { kind: "ownProposal", ...info, reference: received.reference };
    case "ownMessage":
    case "duplicate":
      return { kind: received.kind, ...info };
    case "future": {
      const { contentType } = received;
      return andThen(buffer(session, bytes), (isBuffered): Outcome => {
        return { kind: "future", ...info, contentType, isBuffered };
      });
    }
    case "farFuture":
    case "stale":
    case "epochTooOld":
      return { kind: received.kind, ...info, contentType: received.contentType, isBuffered: false };
  }
}
