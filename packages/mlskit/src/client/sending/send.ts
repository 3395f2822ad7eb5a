/** Sending application messages. RFC 9420 §12.4, §15. */
import { EMPTY_BYTES, utf8 } from "../../codec/index.ts";
import { StateError, UsageError } from "../../errors.ts";
import { protectApplicationData } from "../../group/application-message.ts";
import { type Padding, paddingPolicy } from "../state/padding.ts";
import type { GroupSession } from "../session/session.ts";
import { committableProposals } from "../state/committable.ts";

export interface SendOptions {
  /** Authenticated, not encrypted, and not kept for the next message. */
  readonly authenticatedData?: Uint8Array | undefined;
  /** Instead of the group's policy. */
  readonly padding?: Padding | undefined;
}

export interface SentApplicationMessage {
  /** A complete MLSMessage. */
  readonly bytes: Uint8Array;
  readonly epoch: bigint;
  readonly generation: number;
}

/** @throws StateError `COMMIT_REQUIRED`, `RATCHET_EXHAUSTED`, UsageError `INVALID_LENGTH` */
export async function sendApplication(
  session: GroupSession,
  data: Uint8Array | string,
  options: SendOptions,
): Promise<SentApplicationMessage> {
  session.requireWriter();
  const { state } = session;
  const { epoch, config } = state;
  const plaintext = typeof data === "string" ? utf8(data) : data;
  if (plaintext.length > config.maximumMessageSize) {
    throw new UsageError("INVALID_LENGTH", "the message is larger than the group's limit", {
      details: { length: plaintext.length, maximum: config.maximumMessageSize },
    });
  }
  if (state.proposals.size > 0) await requireNothingToCommit(session);
  session.requireGeneration("application");
  const sent = await protectApplicationData(epoch, {
    data: plaintext,
    authenticatedData: options.authenticatedData ?? EMPTY_BYTES,
    padding: paddingPolicy(config.padding, options.padding),
  });
  session.useOwnKey(sent.change);
  return { bytes: sent.bytes, epoch: epoch.context.epoch, generation: sent.generation };
}

/** RFC 9420 §12.4: first the Commit, then data. @throws StateError `COMMIT_REQUIRED` */
export async function requireNothingToCommit({ state, environment }: GroupSession): Promise<void> {
  const waiting = await committableProposals(state, environment);
  if (waiting.length === 0) return;
  throw new StateError("COMMIT_REQUIRED", "pending proposals must be committed first", {
    rule: "mk-45",
    details: { proposals: waiting.map(({ reference }) => reference) },
  });
}
