/** What ties a successor or a branch to the group it follows from. RFC 9420 §11.2, §11.3, §12.4.3.1. */
import { equalBytes } from "../codec/index.ts";
import { areSameExtensions } from "../extensions/extension.ts";
import type { ResumptionPskId } from "../key-schedule/pre-shared-key.ts";
import { check } from "../rules.ts";
import type { Environment } from "./environment.ts";
import type { PublicEpoch } from "./epoch.ts";
import { identityOf } from "./credential-checks.ts";
import { membersFromElsewhere, membersWithoutCounterpart } from "./same-client.ts";
import type { Parent, Predecessor } from "./parent-group.ts";

type NewGroup = Pick<PublicEpoch, "context" | "tree">;

/** The PSK is that of a group whose last Commit asked for a successor. */
export function checkSuccessorParameters(
  psk: ResumptionPskId,
  parent: Parent | Predecessor,
): Predecessor {
  check(
    "reInit" in parent,
    "valn1413",
    "INVALID_WELCOME",
    "the group that this one would succeed did not end with a ReInit",
  );
  check(
    psk.epoch === parent.epoch && equalBytes(psk.groupId, parent.groupId),
    "mk-103",
    "INVALID_WELCOME",
    "the PSK does not belong to the epoch that the ReInit started",
    { epoch: psk.epoch, expected: parent.epoch },
  );
  return parent;
}

/** The new group is what the ReInit asked for, and nobody was left behind. */
export async function checkReInitSuccessor(
  { context, tree }: NewGroup,
  { reInit, members }: Predecessor,
  environment: Environment,
): Promise<void> {
  const matches = {
    groupId: equalBytes(context.groupId, reInit.groupId),
    version: context.version === reInit.version,
    cipherSuite: context.cipherSuite === reInit.cipherSuite,
    extensions: areSameExtensions(context.extensions, reInit.extensions),
  };
  const differing = Object.entries(matches).flatMap(([name, isEqual]) => (isEqual ? [] : [name]));
  check(
    differing.length === 0,
    "valn1413",
    "INVALID_WELCOME",
    "the new group is not the one that the ReInit asked for",
    { differing },
  );
  checkFirstEpoch(context.epoch);
  const present = [...tree.members()].map(([, leaf]) => identityOf(leaf));
  const { groupId } = context;
  const missing = await membersWithoutCounterpart(environment, members, present, groupId);
  check(
    missing.length === 0,
    "valn1413",
    "INVALID_WELCOME",
    "members of the old group are not in the new one",
    { missing: missing.length },
  );
}

/** The new group has the parent's parameters, an id of its own, and no members from elsewhere. */
export async function checkBranch(
  { context, tree }: NewGroup,
  parent: Parent,
  environment: Environment,
): Promise<void> {
  check(
    context.version === parent.version && context.cipherSuite === parent.cipherSuite,
    "valn1414",
    "INVALID_WELCOME",
    "a branch has another version or suite than its parent",
    { cipherSuite: context.cipherSuite },
  );
  check(
    !equalBytes(context.groupId, parent.groupId),
    "mk-105",
    "INVALID_WELCOME",
    "a branch has the group id of its parent",
  );
  checkFirstEpoch(context.epoch);
  const members = [...tree.members()].map(([, leaf]) => identityOf(leaf));
  const { groupId } = context;
  const strangers = await membersFromElsewhere(environment, members, parent.members, groupId);
  check(
    strangers.length === 0,
    "valn1414",
    "INVALID_WELCOME",
    "a branch has members that its parent does not have",
    { strangers: strangers.length },
  );
}

function checkFirstEpoch(epoch: bigint): void {
  check(epoch === 1n, "valn1412", "INVALID_WELCOME", "a successor group begins with epoch 1", {
    epoch,
  });
}
