/** Our own Commits: from a request to a pending commit. RFC 9420 §12.4, §14. */
import { EMPTY_BYTES } from "../../codec/index.ts";
import { MlsError, StateError, UsageError } from "../../errors.ts";
import { type Extension, withExtension } from "../../extensions/extension.ts";
import { createCommit } from "../../group/create-commit.ts";
import type { LeafUpdate } from "../../group/own-leaf.ts";
import type { CommitSummary } from "../../group/commit-summary.ts";
import { requiresPath } from "../../group/apply-proposals.ts";
import type { CommitDefaults } from "../../group/environment.ts";
import { cacheKey } from "../../group/proposal-entry.ts";
import type { CreatedWelcome } from "../../group/welcome-creation.ts";
import type { UnusedProposal } from "../../group/select-proposals.ts";
import type { PreSharedKeyId, PskName } from "../../key-schedule/pre-shared-key.ts";
import type { Proposal, ReInit } from "../../messages/proposal.ts";
import { leafIndex } from "../../tree/tree-math.ts";
import { type ComingEpoch, comingEpoch } from "../state/coming-epoch.ts";
import { commitDefaults } from "./commit-defaults.ts";
import { type Padding, paddingPolicy } from "../state/padding.ts";
import type { PendingCommit, StoredProposal } from "../state/group-state.ts";
import type { Identity } from "../identity/identity.ts";
import { type MemberSelector, requireMembers } from "../state/members.ts";
import { decodeKeyPackage } from "../state/messages.ts";
import { pskId, type ResumptionPsk, resumptionPskId } from "./psk-id.ts";
import type { GroupSession } from "../session/session.ts";

/** What a Commit should do. Everything is optional; an empty request renews our own keys. */
export interface CommitRequest {
  /**
   * The epoch that leaf indices and whole lists of extensions are of; in another one the call throws
   * `EPOCH_CHANGED`. Default: the one that the group showed when the call was made.
   */
  readonly epoch?: bigint | undefined;
  /** Key packages (MLSMessage bytes). */
  readonly add?: readonly Uint8Array[] | undefined;
  /** Leaf indices. */
  readonly remove?: readonly number[] | undefined;
  /** As many removals as additions; freed places are used again. */
  readonly swap?:
    | { readonly remove: readonly number[]; readonly add: readonly Uint8Array[] }
    | undefined;
  /** Ids of external PSKs, and PSKs of registered types. */
  readonly psks?: readonly PskName[] | undefined;
  /** Earlier or current epochs, of this group unless said otherwise. */
  readonly resumptionPsks?: readonly ResumptionPsk[] | undefined;
  /** The whole new list of GroupContext extensions. */
  readonly extensions?: readonly Extension[] | undefined;
  /** One extension to set; the others stay. */
  readonly setExtension?: Extension | undefined;
  readonly reInit?: Omit<ReInit, "type"> | undefined;
  /** Any other proposals by value. */
  readonly proposals?: readonly Proposal[] | undefined;
  /** Pending proposals to include, by reference; default: all. */
  readonly include?: readonly Uint8Array[] | undefined;
  /** Pending proposals to leave out. */
  readonly exclude?: readonly Uint8Array[] | undefined;
  /** Leave the path out where that is legal. */
  readonly withoutPath?: boolean | undefined;
  readonly forcePath?: boolean | undefined;
  /** Changes to our own leaf. */
  readonly leaf?: LeafUpdate | undefined;
  /** Another identity of this client to continue as: its credential and signature key. */
  readonly identity?: Identity | undefined;
  readonly authenticatedData?: Uint8Array | undefined;
  readonly padding?: Padding | undefined;
  readonly wireForm?: "private" | "public" | undefined;
  /** Also make a GroupInfo of the new epoch. */
  readonly groupInfo?: boolean | undefined;
  readonly groupInfoExtensions?: readonly Extension[] | undefined;
  readonly ratchetTree?: boolean | undefined;
  /** Joiners per Welcome; default: one Welcome for all. */
  readonly joinersPerWelcome?: number | undefined;
  /**
   * Hand out the Welcomes before the delivery service has taken the Commit. If it refuses it after
   * all, whoever joined is alone in an epoch that nobody else has.
   */
  readonly dangerouslyReleaseWelcomes?: boolean | undefined;
}

export interface PendingCommitView {
  /** A complete MLSMessage, to be sent. */
  readonly commit: Uint8Array;
  readonly summary: CommitSummary;
  /** The epoch that it would start. */
  readonly epoch: bigint;
  readonly confirmationTag: Uint8Array;
  readonly next: ComingEpoch;
  /** Pending proposals that were left out, and why. */
  readonly unused?: readonly UnusedProposal[];
  /** If they were asked for early; else they come with the acceptance. */
  readonly welcomes?: readonly CreatedWelcome[] | undefined;
}

/** A Commit as the caller asks for it. @throws UsageError `EPOCH_CHANGED` and others, StateError */
export function stageRequest(
  session: GroupSession,
  request: CommitRequest,
): Promise<PendingCommitView> {
  requireRequestSeen(session, request);
  return stageOwnCommit(session, request);
}

/** @throws UsageError `EPOCH_CHANGED` if it is about leaves or extensions of another epoch */
export function requireRequestSeen(session: GroupSession, request: CommitRequest): void {
  const { epoch, remove = [], swap, extensions, proposals = [] } = request;
  const isOfEpoch =
    remove.length + (swap?.remove.length ?? 0) > 0 ||
    extensions !== undefined ||
    proposals.some(({ type }) => type === "remove" || type === "groupContextExtensions");
  if (isOfEpoch) session.requireSeen(epoch);
}

/** Changes nothing but the pending slot. @throws StateError `PENDING_COMMIT`, UsageError */
export async function stageOwnCommit(
  session: GroupSession,
  request: CommitRequest,
): Promise<PendingCommitView> {
  session.requireIdle();
  const { state, environment } = session;
  const { epoch, config } = state;
  const proposals = [...state.queued, ...proposalsByValue(session, request)];
  const leaf = await leafUpdate(session, request);
  const pending = selectPending(session, request);
  const defaults = await commitDefaults(session);
  const wireForm = request.wireForm ?? defaults.handshakes;
  if (wireForm === "private") session.requireGeneration("handshake");
  const created = await createCommit(
    epoch,
    {
      proposals,
      pending,
      forcePath: wantsPath(session, request, defaults, proposals, pending),
      leaf,
      authenticatedData: request.authenticatedData ?? EMPTY_BYTES,
      wireFormat: wireForm === "private" ? "privateMessage" : "publicMessage",
      padding: paddingPolicy(config.padding, request.padding),
      ratchetTree: request.ratchetTree ?? defaults.ratchetTree,
      groupInfo:
        request.groupInfo === true
          ? { externalPub: defaults.externalCommits, extensions: request.groupInfoExtensions }
          : undefined,
      welcomeExtensions: request.groupInfoExtensions,
      joinersPerWelcome: request.joinersPerWelcome ?? defaults.joinersPerWelcome,
    },
    environment,
  ).catch(asUnsupported);
  const { change, unused, ...kept } = created;
  session.useOwnKey(change);
  session.state = { ...session.state, pending: { ...kept, proposals } };
  const { groupId } = epoch.context;
  session.emit({ type: "commitStaged", groupId, epoch: epoch.context.epoch, isOwn: true });
  const welcomes = request.dangerouslyReleaseWelcomes === true ? created.welcomes : undefined;
  return { ...pendingCommitView(created), unused, welcomes };
}

export function pendingCommitView({
  commit,
  summary,
  confirmationTag,
  next,
}: Omit<PendingCommit, "proposals">): PendingCommitView {
  const { epoch } = next.context;
  return { commit, summary, epoch, confirmationTag, next: comingEpoch(next) };
}

/** A type that members do not know is a mistake of the caller here. */
function asUnsupported(cause: unknown): never {
  if (!(cause instanceof MlsError) || cause.rule !== "valn0311") throw cause;
  const { rule, details } = cause;
  const message = "a member does not support this type of proposal";
  throw new UsageError("UNSUPPORTED_PROPOSAL", message, { rule, details, cause });
}

/** The leaf's changes, with the credential and signer of the identity that is to take over. */
export async function leafUpdate(
  session: GroupSession,
  { leaf, identity }: CommitRequest,
): Promise<LeafUpdate | undefined> {
  if (identity === undefined) return leaf;
  const signer = await session.signer(identity.signatureKey);
  return { ...leaf, credential: identity.credential, signer };
}

/** Removes the members that match, besides what is asked for. @throws UsageError `EPOCH_CHANGED` */
export function makeCommitRequest(
  session: GroupSession,
  selector: MemberSelector,
  request: CommitRequest,
): CommitRequest {
  requireRequestSeen(session, request);
  if (selector.leafIndex !== undefined) session.requireSeen(request.epoch);
  const { tree } = session.state.epoch;
  return { ...request, remove: [...(request.remove ?? []), ...requireMembers(tree, selector)] };
}

export function proposalsByValue(session: GroupSession, request: CommitRequest): Proposal[] {
  const { swap } = request;
  if (swap !== undefined && swap.remove.length !== swap.add.length) {
    throw new UsageError("LENGTH_MISMATCH", "a swap removes as many members as it adds");
  }
  const removes = [...(swap?.remove ?? []), ...(request.remove ?? [])];
  const adds = [...(swap?.add ?? []), ...(request.add ?? [])];
  const proposals: Proposal[] = [];
  for (const removed of removes) proposals.push(removal(session, removed));
  for (const bytes of adds) {
    proposals.push({ type: "add", keyPackage: decodeKeyPackage(bytes, session.environment) });
  }
  for (const psk of pskIds(session, request)) proposals.push({ type: "psk", psk });
  const extensions = newExtensions(session, request);
  if (extensions !== undefined) proposals.push({ type: "groupContextExtensions", extensions });
  if (request.reInit !== undefined) proposals.push({ type: "reInit", ...request.reInit });
  for (const proposal of request.proposals ?? []) proposals.push(proposal);
  return proposals;
}

function removal({ state }: GroupSession, removed: number): Proposal {
  const { tree, ownLeaf } = state.epoch;
  if (removed === ownLeaf) {
    throw new UsageError("CANNOT_REMOVE_SELF", "a committer cannot remove itself; use leave()", {
      rule: "valn0303",
    });
  }
  const isLeaf = Number.isInteger(removed) && removed >= 0 && removed < tree.leafCount;
  if (!isLeaf || tree.leaf(leafIndex(removed)) === undefined) {
    throw new StateError("MEMBER_NOT_FOUND", "there is no member at this leaf", {
      rule: "valn0701",
      details: { leafIndex: removed },
    });
  }
  return { type: "remove", removed };
}

function pskIds(session: GroupSession, request: CommitRequest): PreSharedKeyId[] {
  return [
    ...(request.psks ?? []).map((name) => pskId(session, name)),
    ...(request.resumptionPsks ?? []).map((psk) => resumptionPskId(session, psk)),
  ];
}

function newExtensions(
  { state }: GroupSession,
  { extensions, setExtension }: CommitRequest,
): readonly Extension[] | undefined {
  if (setExtension === undefined) return extensions;
  return withExtension(extensions ?? state.epoch.context.extensions, setExtension);
}

function selectPending({ state }: GroupSession, request: CommitRequest): StoredProposal[] {
  const { include, exclude } = request;
  const wanted = include?.map(cacheKey);
  for (const key of wanted ?? []) {
    if (!state.proposals.has(key)) {
      throw new StateError("UNKNOWN_PROPOSAL", "there is no such pending proposal");
    }
  }
  const unwanted = new Set(exclude?.map(cacheKey));
  const chosen: StoredProposal[] = [];
  for (const [key, proposal] of state.proposals) {
    if (unwanted.has(key) || (wanted !== undefined && !wanted.includes(key))) continue;
    chosen.push(proposal);
  }
  return chosen;
}

/** A path is sent unless it is asked to be left out and nothing requires it. */
function wantsPath(
  { environment }: GroupSession,
  request: CommitRequest,
  { path }: Pick<CommitDefaults, "path">,
  proposals: readonly Proposal[],
  pending: readonly StoredProposal[],
): boolean {
  const { forcePath, withoutPath = path === "whenRequired" && request.leaf === undefined } =
    request;
  if (forcePath === true || !withoutPath) return true;
  const sender = { type: "member", leafIndex: 0 } as const;
  const entries = proposals.map((proposal) => ({ proposal, sender, reference: undefined }));
  return requiresPath([...pending, ...entries], environment.types);
}
