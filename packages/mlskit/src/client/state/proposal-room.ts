/** How many proposals wait for a Commit at most, in all and from one sender. */
import { PolicyError } from "../../errors.ts";
import type { Sender } from "../../framing/framed-content.ts";
import type { GroupState } from "./group-state.ts";

/**
 * Rule M-PROP-20: nobody can fill our memory. A proposal that a Commit waits for counts towards the
 * limit of the group only: its sender may keep fewer than we do, having dropped some of its own.
 *
 * @throws PolicyError `POLICY_REJECTED`
 */
export function checkRoom(
  { proposals, config }: GroupState,
  sender: Sender,
  isAwaited = false,
): void {
  const own = placeOf(sender);
  let fromSender = 0;
  for (const known of proposals.values()) if (placeOf(known.sender) === own) fromSender += 1;
  const hasRoom = isAwaited || fromSender < config.pendingProposalsPerSender;
  if (hasRoom && proposals.size < config.pendingProposals) return;
  throw new PolicyError("POLICY_REJECTED", "too many pending proposals", {
    details: { reason: "too many pending proposals" },
  });
}

/** Senders outside the group count as one. */
function placeOf(sender: Sender): number | string {
  return sender.type === "member" ? sender.leafIndex : sender.type;
}
