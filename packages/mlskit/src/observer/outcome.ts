/** What an observer can say about a message. RFC 9420 §6.2, §6.3, §12.4.2. */
import type { ContentType, Sender } from "../framing/framed-content.ts";
import type { CommitSummary } from "../group/commit-summary.ts";
import type { CachedProposal } from "../group/proposal-entry.ts";
import type { PublicEpoch } from "../group/epoch.ts";

/**
 * What takes secrets to check and was therefore taken on trust: whether the sender knew the epoch's
 * keys, whether the committer knows the next ones, whether path secrets decrypt to the keys that were
 * announced, whether PSKs exist, and everything inside a PrivateMessage.
 */
export type Unverified =
  | "membershipTag"
  | "confirmationTag"
  | "pathSecrets"
  | "psks"
  | "externalInit"
  | "content";

interface Observed {
  /** Never empty is good news: read it before relying on a message. */
  readonly unverified: readonly Unverified[];
}

/** A proposal of the current epoch. */
export interface ObservedProposal extends Observed {
  readonly type: "proposal";
  readonly proposal: CachedProposal;
  readonly authenticatedData: Uint8Array;
}

/** A Commit that members would accept as far as can be told. */
export interface ObservedCommit extends Observed {
  readonly type: "commit";
  readonly summary: CommitSummary;
  readonly authenticatedData: Uint8Array;
  /** The epoch that it starts. */
  readonly epoch: PublicEpoch;
  /** Leaves of the epoch before that need the Commit: removed members too, the committer not. */
  readonly recipients: readonly number[];
  /** KeyPackageRefs of the joiners that need a Welcome. */
  readonly welcomed: readonly Uint8Array[];
}

/** A PrivateMessage: only its outside can be read. */
export interface ObservedPrivateMessage extends Observed {
  readonly type: "private";
  readonly contentType: ContentType;
  readonly epoch: bigint;
  readonly authenticatedData: Uint8Array;
  /** Whether it belongs to an epoch that is over. */
  readonly isLate: boolean;
}

/** A message in the clear of an epoch that is over: genuine, and without effect. */
export interface ObservedLateMessage extends Observed {
  readonly type: "late";
  readonly contentType: ContentType;
  readonly epoch: bigint;
  readonly sender: Sender;
  readonly authenticatedData: Uint8Array;
}

export type Observation =
  | ObservedProposal
  | ObservedCommit
  | ObservedPrivateMessage
  | ObservedLateMessage;
