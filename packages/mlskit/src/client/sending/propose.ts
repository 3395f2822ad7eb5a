/** Sending proposals. RFC 9420 §12.1. */
import { EMPTY_BYTES } from "../../codec/index.ts";
import { StateError } from "../../errors.ts";
import { groupView } from "../../group/epoch.ts";
import { type CachedProposal, cacheKey } from "../../group/proposal-entry.ts";
import { checkNotRepeated } from "../../group/proposal-rules.ts";
import { createProposal, createUpdate } from "../../group/proposal-message.ts";
import type { LeafUpdate } from "../../group/own-leaf.ts";
import { rememberRefusal } from "../../group/refused-proposals.ts";
import { reviewProposal } from "../../group/review.ts";
import type { Proposal } from "../../messages/proposal.ts";
import { paddingPolicy } from "../state/padding.ts";
import type { GroupState, StoredProposal } from "../state/group-state.ts";
import { decodeKeyPackage } from "../state/messages.ts";
import { checkRoom } from "../state/proposal-room.ts";
import type { GroupSession } from "../session/session.ts";

export interface ProposeOptions {
  readonly authenticatedData?: Uint8Array | undefined;
}

export interface SentProposalView {
  /** A complete MLSMessage. */
  readonly bytes: Uint8Array;
  /** ProposalRef. */
  readonly reference: Uint8Array;
  readonly epoch: bigint;
}

/** A proposal as it is, or what it takes to make one. */
export type ProposalRequest =
  | Proposal
  | { readonly keyPackage: Uint8Array; readonly type?: undefined }
  | { readonly leaf: LeafUpdate; readonly type?: undefined };

export async function sendProposal(
  session: GroupSession,
  request: ProposalRequest,
  options: ProposeOptions,
): Promise<SentProposalView> {
  session.requireIdle();
  const { state, environment } = session;
  const { epoch, config } = state;
  // What the others would not keep, a Commit of ours must not name.
  checkRoom(state, { type: "member", leafIndex: epoch.ownLeaf });
  const { proposal, ownUpdate } = await complete(session, request);
  const wireFormat = config.handshake.send === "private" ? "privateMessage" : "publicMessage";
  if (wireFormat === "privateMessage") session.requireGeneration("handshake");
  const sent = await createProposal(
    epoch,
    proposal,
    {
      authenticatedData: options.authenticatedData ?? EMPTY_BYTES,
      wireFormat,
      padding: paddingPolicy(config.padding),
    },
    environment,
    ownUpdate,
  );
  const { bytes, cached } = sent;
  checkNotRepeated(cached, state.proposals, environment.types);
  await reviewStored(session, cached, options.authenticatedData);
  session.useOwnKey(sent.change);
  session.state = withProposal(session.state, { ...cached, bytes, wireFormat });
  return { bytes, reference: cached.reference, epoch: epoch.context.epoch };
}

/** Remove(self): the leaver never commits it. RFC 9420 §12.1.3. */
export async function proposeLeave(
  session: GroupSession,
  options: ProposeOptions,
): Promise<SentProposalView> {
  const removed = session.state.epoch.ownLeaf;
  const sent = await sendProposal(session, { type: "remove", removed }, options);
  session.state = { ...session.state, isLeaving: true };
  return sent;
}

/** It is kept apart, for Commits of members who keep it. */
export async function dropProposal(session: GroupSession, reference: Uint8Array): Promise<void> {
  const key = cacheKey(reference);
  const dropped = session.state.proposals.get(key);
  if (dropped === undefined) {
    throw new StateError("UNKNOWN_PROPOSAL", "there is no such pending proposal");
  }
  setAside(session, new Map([[key, dropped]]));
}

export async function dropAllProposals(session: GroupSession): Promise<void> {
  setAside(session, session.state.proposals);
  session.state = { ...session.state, queued: [] };
}

function setAside(session: GroupSession, dropped: GroupState["proposals"]): void {
  const { state } = session;
  const proposals = new Map([...state.proposals].filter(([key]) => !dropped.has(key)));
  const all = [...state.setAside, ...dropped];
  const kept = new Map(all.slice(Math.max(0, all.length - state.config.pendingProposals)));
  session.state = { ...state, proposals, setAside: kept };
}

/** Asks the policy about a proposal that is to be kept. @throws PolicyError `POLICY_REJECTED` */
export async function reviewStored(
  { state, environment }: GroupSession,
  proposal: CachedProposal,
  authenticatedData: Uint8Array | undefined,
): Promise<void> {
  const { epoch } = state;
  const how = { direction: "store", committer: undefined, authenticatedData } as const;
  try {
    await reviewProposal(environment, proposal, how, groupView(epoch.context, epoch.tree));
  } catch (reason) {
    rememberRefusal(epoch, proposal.reference, reason);
    throw reason;
  }
}

/** The state with one more proposal at the end of the queue. */
export function withProposal(
  state: GroupState,
  proposal: Omit<StoredProposal, "number">,
): GroupState {
  let number = 0;
  for (const known of [...state.proposals.values(), ...state.setAside.values()]) {
    number = Math.max(number, known.number + 1);
  }
  const proposals = new Map(state.proposals);
  proposals.set(cacheKey(proposal.reference), { ...proposal, number });
  return { ...state, proposals };
}

async function complete(
  { state, environment }: GroupSession,
  request: ProposalRequest,
): Promise<Pick<StoredProposal, "proposal" | "ownUpdate">> {
  if (request.type !== undefined) return { proposal: request };
  if ("leaf" in request) return createUpdate(state.epoch, request.leaf, environment);
  const keyPackage = decodeKeyPackage(request.keyPackage, environment);
  return { proposal: { type: "add", keyPackage } };
}
