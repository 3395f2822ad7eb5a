/**
 * Following the public part of a group, one message at a time. RFC 9420 §6.2, §6.3, §12.4.2.
 *
 * The rules are those of members: this file adds nothing to them but the list of what was left out.
 */
import { equalBytes } from "../codec/index.ts";
import { StateError } from "../errors.ts";
import {
  decodeMlsMessage,
  type PrivateMessage,
  type PublicMessage,
} from "../framing/mls-message.ts";
import type { VerifiedContent } from "../group/content.ts";
import { type Environment, wireTypes } from "../group/environment.ts";
import type { PublicEpoch } from "../group/epoch.ts";
import { startNextPublicEpoch } from "../group/next-epoch.ts";
import {
  processPublicCommit,
  type PublicCommit,
  reviewPublicCommit,
  tagOf,
} from "../group/process-commit.ts";
import { cacheKey, type ProposalCache } from "../group/proposal-entry.ts";
import { acceptProposal } from "../group/proposal-message.ts";
import { checkNotRepeated } from "../group/proposal-rules.ts";
import { acceptPublicProposals, verifyPublicMessage } from "../group/public-proposal.ts";
import { keyPackageRef } from "../key-packages/key-package.ts";
import { check } from "../rules.ts";
import type { ObserverState } from "./observer-state.ts";
import type { Observation, ObservedCommit, Unverified } from "./outcome.ts";

export interface ObserveOptions {
  /** Proposal messages that a Commit may refer to, beside those that were observed before. */
  readonly proposals?: readonly Uint8Array[] | undefined;
  /** Remember proposals for later Commits. Default: yes. */
  readonly remember?: boolean | undefined;
  /** Epochs that are over and whose messages are not refused. Default: none. */
  readonly pastEpochs?: number | undefined;
}

export interface ObservationStep {
  readonly observation: Observation;
  /** The state after the message; the given one is not changed. */
  readonly next: ObserverState;
}

/**
 * @throws StateError `NEEDS_GROUP_INFO` after a Commit that could not be read, `WRONG_EPOCH`,
 * `UNKNOWN_PROPOSAL`; ValidationError, CryptoError, PolicyError as a member would
 */
export async function observe(
  state: ObserverState,
  bytes: Uint8Array,
  environment: Environment,
  options: ObserveOptions = {},
): Promise<ObservationStep> {
  const message = decodeMlsMessage(bytes, wireTypes(environment));
  switch (message.wireFormat) {
    case "privateMessage":
      return observePrivate(state, message.message);
    case "publicMessage":
      checkSighted(state);
      return observePublic(state, message.message, environment, options);
    default:
      throw new StateError("NOT_A_GROUP_MESSAGE", "this is no message to a group");
  }
}

function checkSighted({ isBlind, epoch }: ObserverState): void {
  if (!isBlind) return;
  throw new StateError("NEEDS_GROUP_INFO", "a Commit went by that an observer cannot read", {
    rule: "mk-114",
    details: { epoch: epoch.context.epoch },
  });
}

/** Nothing inside is guessed at: after a Commit the epoch is unknown. Rule mk-114. */
function observePrivate(state: ObserverState, message: PrivateMessage): ObservationStep {
  const { groupId, epoch, contentType, authenticatedData } = message;
  const current = state.epoch.context;
  check(
    equalBytes(groupId, current.groupId),
    "mk-24",
    "INVALID_MESSAGE",
    "the message belongs to another group",
  );
  // Whoever lost sight of the epoch cannot tell what is ahead of it.
  if (epoch > current.epoch && !state.isBlind) throw wrongEpoch(epoch, current.epoch);
  const isLate = epoch < current.epoch;
  const isBlind = state.isBlind || (contentType === "commit" && !isLate);
  return {
    observation: {
      type: "private",
      contentType,
      epoch,
      authenticatedData,
      isLate,
      unverified: ["content"],
    },
    next: isBlind === state.isBlind ? state : { ...state, isBlind },
  };
}

async function observePublic(
  state: ObserverState,
  message: PublicMessage,
  environment: Environment,
  options: ObserveOptions,
): Promise<ObservationStep> {
  checkTagSizes(state.epoch, message);
  const past = state.past.find(({ context }) => context.epoch === message.content.epoch);
  if (past !== undefined) return observeLate(state, past, message, environment);
  const verified = await verifyPublicMessage(state.epoch, message, environment);
  if (verified.content.contentType === "commit") {
    return observeCommit(state, verified, environment, options);
  }
  const proposal = await acceptProposal(state.epoch, verified, environment);
  checkNotRepeated(proposal, state.proposals, environment.types);
  const { authenticatedData } = message.content;
  const unverified = ofSender(verified);
  const observation = { type: "proposal", proposal, authenticatedData, unverified } as const;
  if (options.remember === false) return { observation, next: state };
  const proposals = new Map(state.proposals).set(cacheKey(proposal.reference), proposal);
  return { observation, next: { ...state, proposals } };
}

async function observeLate(
  state: ObserverState,
  past: PublicEpoch,
  message: PublicMessage,
  environment: Environment,
): Promise<ObservationStep> {
  const verified = await verifyPublicMessage(past, message, environment);
  const { epoch, sender, authenticatedData, content } = message.content;
  const { contentType } = content;
  const unverified = ofSender(verified);
  return {
    observation: { type: "late", contentType, epoch, sender, authenticatedData, unverified },
    next: state,
  };
}

async function observeCommit(
  state: ObserverState,
  verified: VerifiedContent,
  environment: Environment,
  options: ObserveOptions,
): Promise<ObservationStep> {
  const before = state.epoch;
  const cache = await withProposals(state, options.proposals ?? [], environment);
  const accepted = await processPublicCommit(
    before,
    verified,
    cache,
    environment,
    "ordinary",
    undefined,
  );
  await reviewPublicCommit(before, accepted, environment);
  const { content, auth, wireFormat } = verified.authenticated;
  const epoch = startNextPublicEpoch(
    {
      before,
      tree: accepted.tree,
      extensions: accepted.list.extensions,
      commit: { wireFormat, content, signature: auth.signature },
    },
    tagOf(verified),
  );
  const past = [before, ...state.past].slice(0, options.pastEpochs ?? 0);
  return {
    observation: describe(before, verified, accepted, epoch),
    next: { epoch, proposals: new Map(), past, isBlind: false },
  };
}

async function withProposals(
  { epoch, proposals }: ObserverState,
  messages: readonly Uint8Array[],
  environment: Environment,
): Promise<ProposalCache> {
  if (messages.length === 0) return proposals;
  const given = await acceptPublicProposals(epoch, messages, environment);
  const all = new Map(proposals);
  for (const proposal of given) all.set(cacheKey(proposal.reference), proposal);
  return all;
}

function describe(
  before: PublicEpoch,
  verified: VerifiedContent,
  { list, commit, committer, summary }: PublicCommit,
  epoch: PublicEpoch,
): ObservedCommit {
  const unverified: Unverified[] = [...ofSender(verified), "confirmationTag"];
  if (commit.path !== undefined) unverified.push("pathSecrets");
  if (list.psks.length > 0) unverified.push("psks");
  if (list.externalInit !== undefined) unverified.push("externalInit");
  const recipients: number[] = [];
  for (const [leaf] of before.tree.members()) {
    if (committer.type === "newMember" || leaf !== committer.leafIndex) recipients.push(leaf);
  }
  const welcomed = list.added.map(({ keyPackage }) => keyPackageRef(before.crypto, keyPackage));
  const { authenticatedData } = verified.authenticated.content;
  return {
    type: "commit",
    summary,
    authenticatedData,
    epoch,
    recipients,
    welcomed,
    unverified,
  };
}

function ofSender({ sender }: VerifiedContent): readonly Unverified[] {
  return sender.type === "member" ? ["membershipTag"] : [];
}

/** Rule mk-113: what cannot be verified has at least the right size. */
function checkTagSizes({ crypto }: PublicEpoch, { membershipTag, auth }: PublicMessage): void {
  const { size } = crypto.suite.kdf;
  for (const tag of [membershipTag, auth.confirmationTag]) {
    check(
      tag === undefined || tag.length === size,
      "mk-113",
      "INVALID_MESSAGE",
      "a tag has the wrong length",
    );
  }
}

function wrongEpoch(messageEpoch: bigint, currentEpoch: bigint): StateError {
  return new StateError("WRONG_EPOCH", "the message belongs to a future epoch", {
    rule: "valn1307",
    details: { relation: "future", messageEpoch, currentEpoch },
  });
}
