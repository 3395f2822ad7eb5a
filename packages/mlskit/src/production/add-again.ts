/** Bringing back who followed another branch. Catalogue M-FRK-04. */
import { UsageError } from "../errors.ts";
import type { MaybePromise } from "../crypto/index.ts";
import type { Group, Member } from "../client/group.ts";
import type { CommitRequest, PendingCommitView } from "../client/sending/commit.ts";

export interface AddAgainOptions {
  /** Leaf indices of the members that are known to be in our epoch, by their beacons perhaps. */
  readonly present: Iterable<number>;
  /** A fresh key package (MLSMessage) of a member that is lost, from wherever they are published. */
  readonly keyPackage: (lost: Member) => MaybePromise<Uint8Array>;
  readonly request?: CommitRequest | undefined;
}

/**
 * One Commit that removes everybody who is not present and adds them again. They delete their own
 * branch and join by the Welcome.
 *
 * @throws UsageError `EMPTY_INPUT` if nobody is lost, `EPOCH_CHANGED` if the group moves on meanwhile
 */
export async function addAgain(
  group: Group,
  { present, keyPackage, request = {} }: AddAgainOptions,
): Promise<PendingCommitView> {
  const { epoch } = group;
  const here = new Set(present);
  const lost = group.members().filter(({ isOwn, leafIndex }) => !isOwn && !here.has(leafIndex));
  if (lost.length === 0) throw new UsageError("EMPTY_INPUT", "all members are present");
  const add = await Promise.all(lost.map(async (member) => keyPackage(member)));
  const remove = lost.map(({ leafIndex }) => leafIndex);
  return group.commit({ epoch, ...request, swap: { remove, add } });
}
