/** Members whose credentials run out. Catalogue M-ID-13. */
import { leafIndex } from "../tree/tree-math.ts";
import { expiryOfLeaf } from "./expiry.ts";
import { accessOf, type Group, type Member } from "../client/group.ts";

/** A member whose credential has to be renewed. */
export interface ExpiringMember extends Member {
  /** Seconds since 1970. */
  readonly expiresAt: bigint;
  readonly isExpired: boolean;
}

const MONTH = 30n * 86_400n;

/**
 * Members whose leaf or credential has expired or will within so many seconds, in leaf order. Their
 * own Update or Commit with a valid credential makes it good. Default: 30 days.
 */
export function expiringMembers(group: Group, within: bigint = MONTH): Promise<ExpiringMember[]> {
  return accessOf(group).operate(async ({ state, environment }) => {
    const expiring: ExpiringMember[] = [];
    for (const member of group.members()) {
      const leaf = state.epoch.tree.leaf(leafIndex(member.leafIndex));
      if (leaf === undefined) continue;
      const expiresAt = expiryOfLeaf(leaf, environment.authenticationService);
      if (expiresAt === undefined || expiresAt - environment.now > within) continue;
      expiring.push({ ...member, expiresAt, isExpired: expiresAt < environment.now });
    }
    return expiring;
  });
}
