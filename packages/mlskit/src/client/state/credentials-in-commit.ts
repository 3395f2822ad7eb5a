/** Which credentials a Commit brings in. RFC 9420 §5.3.1. */
import type { Identity } from "../../credentials/authentication-service.ts";
import type { WireTypes } from "../../codec/index.ts";
import { readExternalSenders } from "../../extensions/extension.ts";
import type { CommitSummary } from "../../group/commit-summary.ts";
import { identityOf } from "../../group/credential-checks.ts";

/**
 * A credential that the application has to be content with. Its authentication service was asked
 * before the Commit was staged; this is for showing it to people, or to ask those that take longer.
 */
export interface IncomingCredential {
  /** Undefined: an external sender. */
  readonly leafIndex: number | undefined;
  /** Whose place it takes: of the same leaf, or of the former leaf of a member that comes back. */
  readonly current: Identity | undefined;
  readonly next: Identity;
}

/** Of new leaves, of renewed ones, and of the external senders in a list of extensions that is set. */
export function incomingCredentials(
  summary: CommitSummary,
  types?: WireTypes,
): readonly IncomingCredential[] {
  const { added, updated, removed, isExternal, committer, extensions } = summary;
  const former = isExternal
    ? removed.find(({ by }) => by.type === "newMemberCommit")?.leaf
    : undefined;
  const found: IncomingCredential[] = [];
  for (const { leafIndex, leaf } of added) {
    const isBack = former !== undefined && leafIndex === committer;
    const current = isBack ? identityOf(former) : undefined;
    found.push({ leafIndex, current, next: identityOf(leaf) });
  }
  for (const { leafIndex, before, after } of updated) {
    found.push({ leafIndex, current: identityOf(before), next: identityOf(after) });
  }
  for (const next of readExternalSenders(extensions ?? [], types)) {
    found.push({ leafIndex: undefined, current: undefined, next });
  }
  return found;
}
