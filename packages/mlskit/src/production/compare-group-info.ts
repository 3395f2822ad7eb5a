/** Whether a GroupInfo that is about belongs to our branch of the group. Catalogue M-FRK-02. */
import { decode, equalBytes } from "../codec/index.ts";
import { CryptoError } from "../errors.ts";
import { GroupContext } from "../key-schedule/group-context.ts";
import { groupInfoVerifyJob } from "../messages/group-info.ts";
import { check } from "../rules.ts";
import { leafIndex } from "../tree/tree-math.ts";
import { suspectFork } from "../client/receiving/fork.ts";
import { accessOf, type Group } from "../client/group.ts";
import type { GroupState } from "../client/state/group-state.ts";
import { decodeGroupInfo } from "../client/state/messages.ts";

export interface GroupInfoComparison {
  readonly epoch: bigint;
  /** `other`: of an epoch that we do not know (yet, or any more), which is no sign of a fork. */
  readonly result: "equal" | "different" | "other";
}

/**
 * Compares the confirmed transcript hash of a GroupInfo that a member signed, such as the one that the
 * delivery service publishes, with ours of the same epoch. A difference raises `forkSuspected`.
 *
 * @throws CryptoError `SIGNATURE_INVALID` if no member of ours made it, which is no evidence
 */
export function compareGroupInfo(group: Group, bytes: Uint8Array): Promise<GroupInfoComparison> {
  return accessOf(group).operate(async (session) => {
    const { state, environment } = session;
    const groupInfo = decodeGroupInfo(bytes, environment);
    const { groupId, epoch, confirmedTranscriptHash: theirs } = groupInfo.groupContext;
    const { crypto, context } = state.epoch;
    check(
      equalBytes(groupId, context.groupId),
      "mk-24",
      "INVALID_MESSAGE",
      "the GroupInfo belongs to another group",
    );
    const known = knownEpoch(state, epoch, groupInfo.signer);
    if (known === undefined) return { epoch, result: "other" };
    const { publicKey, message, signature } = groupInfoVerifyJob(groupInfo, known.signatureKey);
    if (!(await crypto.verify(publicKey, message, signature))) {
      throw new CryptoError("SIGNATURE_INVALID", "the signature of the GroupInfo is wrong");
    }
    const { ours } = known;
    if (equalBytes(ours, theirs)) return { epoch, result: "equal" };
    suspectFork(session, "transcript", { ours, theirs });
    return { epoch, result: "different" };
  });
}

/** Our transcript hash of an epoch, and the key of a member in it. */
function knownEpoch(
  { epoch, past }: GroupState,
  number: bigint,
  signer: number,
): { readonly ours: Uint8Array; readonly signatureKey: Uint8Array } | undefined {
  const isCurrent = epoch.context.epoch === number;
  const ended = past.find(({ context }) => context.epoch === number);
  const contextBytes = isCurrent ? epoch.contextBytes : ended?.contextBytes;
  const member = isCurrent ? epoch.tree.leaf(leafIndex(signer)) : ended?.member(signer);
  if (contextBytes === undefined || member === undefined) return undefined;
  const { confirmedTranscriptHash } = decode(GroupContext, contextBytes, "GroupContext");
  return { ours: confirmedTranscriptHash, signatureKey: member.signatureKey };
}
