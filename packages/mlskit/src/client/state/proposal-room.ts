/** How many proposals wait for a Commit at most, in all and from one sender. */
import { PolicyError } from "../../errors.ts";
import type { CachedProposal } from "../../group/proposal-entry.ts";
import type { GroupState } from "./group-state.ts";

/** Rule M-PROP-20: nobody can fill our memory. @throws PolicyError `POLICY_REJECTED` */
export function checkRoom({ proposals, config }: GroupState, { sender }: CachedProposal): void {
  let fromSender = 0;
  for (const known of proposals.values()) {
    if (known.sender.type !== sender.type) continue;
    if (sender.type === "member" && known.sender.type === "member") {
      if (known.sender.leafIndex === sender.leafIndex) fromSender += 1;
    } else fromSender += 1;
  }
  if (proposals.size < config.pendingProposals && fromSender < config.pendingProposalsPerSender)
    return;
  throw new PolicyError("POLICY_REJECTED", "there are too many pending proposals", {
    details: { reason: "too many pending proposals" },
  });
}
