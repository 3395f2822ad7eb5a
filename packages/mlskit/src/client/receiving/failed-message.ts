/** What becomes of a message that could not be processed. Catalogue M-RCV, M-ERR. */
import { buffer } from "./buffer.ts";
import { DecodeError, MlsError, PolicyError } from "../../errors.ts";
import { noteDecryption } from "./fork.ts";
import type { InvalidOutcome, Outcome } from "../state/outcome.ts";
import { authorOfFailure, contentTypeOf, type GroupMessage, infoOf } from "./receive.ts";
import type { GroupSession } from "../session/session.ts";

/** What the network caused becomes an outcome; what we or the store caused is thrown. */
export async function outcomeOfFailure(
  session: GroupSession,
  bytes: Uint8Array,
  decoded: GroupMessage,
  error: unknown,
): Promise<Outcome> {
  const info = infoOf(decoded);
  const contentType = contentTypeOf(decoded);
  // A hook that did not answer is our own trouble: the message can be processed again.
  if (!(error instanceof MlsError) || isOfHook(error)) throw error;
  if (error.code === "DECRYPTION_FAILED" && info.epoch === session.state.epoch.context.epoch) {
    noteDecryption(session, false);
  }
  switch (error.code) {
    case "ALREADY_CONSUMED":
      return { kind: "duplicate", ...info };
    case "GENERATION_TOO_OLD":
      return { kind: "generationTooOld", ...info, contentType, isBuffered: false };
    case "GENERATION_TOO_FAR":
      return { kind: "generationTooFar", ...info, contentType, isBuffered: false };
    case "PROPOSAL_REFUSED":
      return { kind: "invalid", groupId: info.groupId, error };
    case "UNKNOWN_PROPOSAL": {
      const missing = error.details["missing"];
      if (!Array.isArray(missing)) throw error;
      await buffer(session, bytes);
      return { kind: "missingProposal", ...info, missing: missing as readonly Uint8Array[] };
    }
    default:
      break;
  }
  if (contentType === "proposal" && error.blame !== "storage" && error.blame !== "usage") {
    if (error.blame === "state" || error.blame === "provider") throw error;
    return { kind: "invalidProposal", groupId: info.groupId, error };
  }
  return invalid(error, info.groupId);
}

/** @throws the error itself, unless the sender is to blame for it */
export function invalid(error: unknown, groupId: Uint8Array | undefined): Outcome {
  if (!(error instanceof MlsError)) throw error;
  const isNetwork =
    error instanceof DecodeError ||
    ["unsupported", "validation", "crypto", "policy"].includes(error.blame);
  // A hook that did not answer is our own trouble: the message can be processed again.
  if (!isNetwork || isOfHook(error)) throw error;
  return { kind: "invalid", groupId, error };
}

/**
 * Rules P-BUF-03, P-TX-08: one of many messages that cannot be used, whoever is to blame, does not stop
 * the others; a member could send such a message on purpose.
 *
 * @throws the error itself if the store failed, or the caller ended what the message was part of
 */
export function failedAmongMany(error: unknown, groupId: Uint8Array): InvalidOutcome {
  if (!(error instanceof MlsError) || error.blame === "storage" || ENDED.has(error.code))
    throw error;
  return { kind: "invalid", groupId, error, sender: authorOfFailure(error) };
}

/** A hook gave no answer. */
export const isOfHook = (error: MlsError): boolean =>
  error instanceof PolicyError && error.retryable;

/** Rule M-POL-07: trouble of ours that may be over the next time. */
export function isPassing(error: MlsError): boolean {
  return isOfHook(error) || error.code === "MISSING_PSK";
}

const ENDED: ReadonlySet<string> = new Set(["CLIENT_CLOSED", "TRANSACTION_CLOSED", "CLIENT_MOVED"]);
