/** What became of an incoming message. One tagged value for everything that a network can deliver. */
import type { Credential } from "../../credentials/credential.ts";
import type { MlsError } from "../../errors.ts";
import type { CommitSummary } from "../../group/commit-summary.ts";
import type { CreatedWelcome } from "../../group/welcome-creation.ts";
import type { Proposal, ReInit } from "../../messages/proposal.ts";
import type { ValidationNotice } from "../../tree/leaf-node-validation.ts";
import type { ComingEpoch } from "./coming-epoch.ts";
import type { IncomingCredential } from "./credentials-in-commit.ts";
import type { DroppedProposal } from "./dropped-proposals.ts";
import type { LostCommit } from "./rebuild.ts";
import type { MemberRemoval } from "./removal.ts";

/** Who sent a message, as of the message's own epoch. */
export type MessageSender =
  | {
      readonly type: "member";
      readonly leafIndex: number;
      readonly credential: Credential;
      readonly signatureKey: Uint8Array;
    }
  | { readonly type: "external"; readonly senderIndex: number; readonly credential: Credential }
  | { readonly type: "newMember"; readonly credential: Credential };

/** What is known of every message that belongs to a group. */
export interface MessageInfo {
  readonly groupId: Uint8Array;
  readonly epoch: bigint;
  readonly wireFormat: "publicMessage" | "privateMessage";
}

/** And of every message whose author is known. */
export interface AuthenticatedInfo extends MessageInfo {
  readonly sender: MessageSender;
  readonly authenticatedData: Uint8Array;
}

export interface ApplicationOutcome extends AuthenticatedInfo {
  readonly kind: "application";
  readonly data: Uint8Array;
  readonly generation: number;
}

export interface ProposalOutcome extends AuthenticatedInfo {
  readonly kind: "proposal" | "externalProposal" | "newMemberProposal";
  readonly proposal: Proposal;
  readonly reference: Uint8Array;
  /** Whether it is stored already; otherwise `accept` stores it. */
  readonly isStored: boolean;
  /** Stores it. The outcome of a Commit that had waited for it, merged only with `autoAccept`. */
  accept(): Promise<Outcome | undefined>;
}

/** A Commit that was merged, or that waits for `accept`. */
export interface CommitOutcome extends AuthenticatedInfo {
  readonly kind: "commit" | "removed" | "reinit";
  readonly summary: CommitSummary;
  readonly removals: readonly MemberRemoval[];
  /** Who comes in or takes a leaf over, for the application to check before it accepts. */
  readonly credentials: readonly IncomingCredential[];
  readonly reInit: ReInit | undefined;
  /** What is odd about it but no reason to refuse, such as an expired leaf. */
  readonly notices: readonly ValidationNotice[];
  readonly isMerged: boolean;
  /** The pending commit of ours that lost against this one, once merged; see `Group.rebuild`. */
  readonly discarded: LostCommit | undefined;
  /** Pending proposals that it did not cover, once merged; see `proposeAgain` of mlskit/production. */
  readonly dropped: readonly DroppedProposal[];
  /** Outcomes of messages that had come too early, once merged. */
  readonly replayed: readonly Outcome[];
  /** The epoch that it starts; undefined if it removes us. */
  readonly next: ComingEpoch | undefined;
  /** Merges it. The result is this outcome again, merged. */
  accept(): Promise<CommitOutcome>;
}

/** The echo of our own pending Commit, or of the external commit by which we join. */
export interface OwnCommitOutcome extends MessageInfo {
  readonly kind: "ownCommit";
  /** Undefined for the external commit by which we joined. */
  readonly summary: CommitSummary | undefined;
  /** Of the epoch that it starts; names it for {@link Group.handedOut}. */
  readonly confirmationTag: Uint8Array;
  readonly isMerged: boolean;
  /** To be handed out, once merged; empty before. */
  readonly welcomes: readonly CreatedWelcome[];
  /** GroupInfo of the new epoch, once merged and if it was asked for. */
  readonly groupInfo: Uint8Array | undefined;
  /** The tree for the joiners, once merged and if it is not in the Welcomes. */
  readonly ratchetTree: Uint8Array | undefined;
  /** Pending proposals that it did not cover, once merged. */
  readonly dropped: readonly DroppedProposal[];
  readonly replayed: readonly Outcome[];
  accept(): Promise<OwnCommitOutcome>;
}

/** Nothing happened, and nothing is wrong. */
export interface IgnoredOutcome extends MessageInfo {
  readonly kind: "ownMessage" | "duplicate";
}

/** A proposal that we sent, and that is still pending. */
export interface OwnProposalOutcome extends MessageInfo {
  readonly kind: "ownProposal";
  /** ProposalRef. */
  readonly reference: Uint8Array;
}

/** Not now, or not any more. */
export interface UntimelyOutcome extends MessageInfo {
  readonly kind:
    | "future"
    | "farFuture"
    | "stale"
    | "epochTooOld"
    | "generationTooOld"
    | "generationTooFar"
    | "buffered"
    | "groupInactive";
  readonly contentType: "application" | "proposal" | "commit";
  /** Whether it is kept and tried again by itself. */
  readonly isBuffered: boolean;
}

export interface MissingProposalOutcome extends MessageInfo {
  readonly kind: "missingProposal";
  readonly missing: readonly Uint8Array[];
}

export interface UnknownGroupOutcome {
  readonly kind: "unknownGroup" | "wrongGroup";
  readonly groupId: Uint8Array;
}

/** Recognised, and to be handed to the call that it belongs to. */
export interface OtherOutcome {
  readonly kind: "welcome" | "groupInfo" | "keyPackage";
  readonly bytes: Uint8Array;
}

/**
 * The sender broke a rule, or the bytes are damaged. Nothing changed. Among many messages also what
 * `process` throws: `error.blame` tells, and `error.retryable` whether the message may be used yet.
 */
export interface InvalidOutcome {
  readonly kind: "invalid" | "invalidProposal";
  readonly groupId: Uint8Array | undefined;
  readonly error: MlsError;
  /** Only if it is certain who sent it. */
  readonly sender?: MessageSender | undefined;
  /** Kept all the same, for the trouble was ours: see {@link Group.retryBuffered}. */
  readonly isBuffered?: boolean | undefined;
}

export type Outcome =
  | ApplicationOutcome
  | ProposalOutcome
  | CommitOutcome
  | OwnCommitOutcome
  | IgnoredOutcome
  | OwnProposalOutcome
  | UntimelyOutcome
  | MissingProposalOutcome
  | UnknownGroupOutcome
  | OtherOutcome
  | InvalidOutcome;
