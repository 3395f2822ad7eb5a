/** Everything one client knows about one group. Values do not change; operations make new ones. */
import type { Secret } from "../../crypto/index.ts";
import type { ContentWireFormat } from "../../framing/authenticated-content.ts";
import type { CommitSummary } from "../../group/commit-summary.ts";
import type { Epoch } from "../../group/epoch.ts";
import type { PastEpoch, PastMember } from "../../group/past-epoch.ts";
import type { CachedProposal } from "../../group/proposal-entry.ts";
import type { CreatedWelcome } from "../../group/welcome-creation.ts";
import type { Proposal, ReInit } from "../../messages/proposal.ts";
import type { GroupConfig } from "./config.ts";
import type { HandOut } from "./hand-out.ts";

/** `pendingCommit` is shown to users for an active group that has one. */
export type GroupStatus = "active" | "pendingJoin" | "suspended" | "inactive";

/** A proposal of the current epoch, ours or another's. */
export interface StoredProposal extends CachedProposal {
  /** Storage slot, and order of arrival. */
  readonly number: number;
  /** Of our own proposals, to know them again and to send them again. */
  readonly bytes: Uint8Array | undefined;
  readonly wireFormat: ContentWireFormat;
}

/** A Commit of ours that the delivery service has not accepted yet. */
export interface PendingCommit {
  /** An MLSMessage. */
  readonly commit: Uint8Array;
  readonly confirmationTag: Uint8Array;
  readonly welcomes: readonly CreatedWelcome[];
  readonly groupInfo: Uint8Array | undefined;
  readonly ratchetTree: Uint8Array | undefined;
  readonly summary: CommitSummary;
  /** What we asked for by value, in case another Commit wins. */
  readonly proposals: readonly Proposal[];
  readonly next: Epoch;
}

/** A past epoch with what its own member table says differently from the next epoch's. */
export interface StoredPastEpoch extends PastEpoch {
  readonly changes: readonly (readonly [leaf: number, member: PastMember | undefined])[];
}

/** What has happened since our leaf got its keys. */
export interface UpdateRecord {
  readonly updatedAt: bigint;
  /** Messages sent in the epochs before the current one. */
  readonly messages: number;
  readonly sawRemoval: boolean;
}

export interface GroupState {
  readonly handle: number;
  readonly status: GroupStatus;
  readonly epoch: Epoch;
  readonly config: GroupConfig;
  /** By cache key of the reference, in order of arrival. */
  readonly proposals: ReadonlyMap<string, StoredProposal>;
  /** Dropped by the application. Other members may commit them all the same. */
  readonly setAside: ReadonlyMap<string, StoredProposal>;
  /** Proposals that our next Commit carries by value; nobody else knows them. */
  readonly queued: readonly Proposal[];
  readonly pending: PendingCommit | undefined;
  /** Of accepted Commits, oldest first. */
  readonly handOuts: readonly HandOut[];
  /** Newest first. */
  readonly past: readonly StoredPastEpoch[];
  /** Of past epochs, oldest first. The current one is in the epoch. */
  readonly resumptionPsks: ReadonlyMap<bigint, Secret>;
  /** Set while suspended. */
  readonly reInit: ReInit | undefined;
  /** We proposed our own removal. */
  readonly isLeaving: boolean;
  /** The Commit that we sent in order to join; its echo completes the join. */
  readonly joinCommit: Uint8Array | undefined;
  /** Handle of our former state of this group, which goes when the join is accepted. */
  readonly replaces: number | undefined;
  /** Nothing is encrypted up to this epoch: another copy of this state may have been there. P-MP-06. */
  readonly frozenUpTo: bigint | undefined;
  /** Since when our leaf has its keys, and what happened since. */
  readonly ownUpdate: UpdateRecord;
  /** Raw messages that came too early, by hash, oldest first. */
  readonly buffer: ReadonlyMap<string, BufferedMessage>;
  /** Handshake messages that took effect. */
  readonly seen: SeenMessages;
}

export interface SeenMessages {
  /**
   * Two hashes each, in hex, by running number; the last {@link SEEN_SLOTS} of them. Of the bytes, and
   * of the confirmation tag or reference; earlier builds kept the first one only.
   */
  readonly hashes: ReadonlyMap<number, string>;
  /** The next running number. */
  readonly next: number;
}

/** Handshake messages that are remembered. */
export const SEEN_SLOTS = 1024;

export interface BufferedMessage {
  readonly bytes: Uint8Array;
  readonly receivedAt: bigint;
  /** In order of arrival, for those of one second; earlier builds kept none. */
  readonly number: number | undefined;
}

/** As they came. */
export function byArrival(
  [, a]: readonly [string, BufferedMessage],
  [, b]: readonly [string, BufferedMessage],
): number {
  const seconds = Number(a.receivedAt - b.receivedAt);
  return seconds === 0 ? (a.number ?? 0) - (b.number ?? 0) : seconds;
}
