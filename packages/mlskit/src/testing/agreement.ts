/** What must hold between members of one epoch. */
import { equalBytes, toHex } from "../codec/index.ts";
import type { Group } from "../client/group.ts";

/** Why these groups are not one group in one epoch; undefined if they are. */
export function disagreement(groups: readonly Group[]): string | undefined {
  const [first, ...others] = groups;
  if (first === undefined) return undefined;
  for (const [index, group] of others.entries()) {
    const who = `members 0 and ${index + 1}`;
    if (!equalBytes(group.id, first.id)) return `${who} are in different groups`;
    if (group.epoch !== first.epoch) {
      return `${who} are in epochs ${first.epoch} and ${group.epoch}`;
    }
    if (!equalBytes(group.epochAuthenticator, first.epochAuthenticator)) {
      return `${who} have different epoch authenticators`;
    }
    if (describeMembers(group) !== describeMembers(first)) return `${who} see different members`;
  }
  return undefined;
}

/** @throws Error that says how they differ */
export function assertAgreement(groups: readonly Group[]): void {
  const difference = disagreement(groups);
  if (difference !== undefined) throw new Error(`the groups disagree: ${difference}`);
}

function describeMembers(group: Group): string {
  const members = group.members();
  return members.map(({ leafIndex, signatureKey }) => leafIndex + toHex(signatureKey)).join();
}
