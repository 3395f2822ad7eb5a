/** One group of a client. */
import { UsageError } from "../errors.ts";
import type { Credential } from "../credentials/credential.ts";
import type { Extension } from "../extensions/extension.ts";
import { encodeMlsMessage } from "../framing/mls-message.ts";
import { wireTypes } from "../group/environment.ts";
import { createGroupInfo } from "../group/group-info-creation.ts";
import { withoutKeys } from "../group/proposal-entry.ts";
import { checkProposal } from "../group/proposal-rules.ts";
import { exportSecret } from "../key-schedule/exporter.ts";
import type { Proposal, ReInit } from "../messages/proposal.ts";
import type { Capabilities } from "../tree/nodes.ts";
import {
  type AcceptedCommit,
  acceptedBefore,
  acceptPending,
  type OwnCommit,
} from "./receiving/accept-commit.ts";
import {
  type CommitRequest,
  makeCommitRequest,
  type PendingCommitView,
  pendingCommitView,
  requireRequestSeen,
  stageOwnCommit,
  stageRequest,
} from "./sending/commit.ts";
import { commitDefaults } from "./sending/commit-defaults.ts";
import { commitDelayFor } from "./state/commit-delay.ts";
import type { GroupConfig, UpdatePolicy } from "./state/config.ts";
import { configWith } from "./state/settings.ts";
import { commitAndDeliver, type DeliverCommit, deliverAgain } from "./deliver.ts";
import type { GroupAccess } from "./session/group-access.ts";
import type { GroupState, StoredProposal } from "./state/group-state.ts";
import { readArrived } from "./state/messages.ts";
import {
  findMembers,
  identityOfCredential,
  type MemberSelector,
  requireMembers,
} from "./state/members.ts";
import type { Outcome } from "./state/outcome.ts";
import {
  processForGroup,
  processManyForGroup,
  type ProcessOptions,
  toReceiver,
} from "./receiving/process.ts";
import { expireBuffered, limitBuffer } from "./receiving/buffer.ts";
import { replayBuffered } from "./receiving/replay.ts";
import { describePendingProposals, type PendingProposal } from "./state/pending-proposals.ts";
import {
  dropAllProposals,
  dropProposal,
  proposeLeave,
  type ProposeOptions,
  sendProposal,
  type SentProposalView,
} from "./sending/propose.ts";
import { type SendOptions, type SentApplicationMessage, sendApplication } from "./sending/send.ts";
import { type LostCommit, remainingProposals } from "./state/rebuild.ts";
import { limitFreeze } from "./rollback.ts";
import { checkSecrets } from "./session/session.ts";
import type { PskName } from "../key-schedule/pre-shared-key.ts";
import { pskId, type ResumptionPsk, resumptionPskId } from "./sending/psk-id.ts";
import { keepOnlyPast, keepPast, newestPsks } from "./receiving/merge.ts";
import { discardPending, forgetHandOut } from "./receiving/settle-commit.ts";
import { isReadable, limitHandOuts } from "./state/hand-out.ts";
import { reasonsToUpdate, type UpdateReason } from "./state/update-advice.ts";
import type { LeafUpdate } from "../group/own-leaf.ts";

export interface Member {
  readonly leafIndex: number;
  /** Of a Basic credential. */
  readonly identity: Uint8Array | undefined;
  readonly credential: Credential;
  readonly signatureKey: Uint8Array;
  readonly encryptionKey: Uint8Array;
  readonly capabilities: Capabilities;
  readonly extensions: readonly Extension[];
  readonly isOwn: boolean;
}

export type GroupStatusView = GroupState["status"] | "pendingCommit";

/** How a group reaches its state, for the modules beside it that an application may leave out. */
export let accessOf: (group: Group) => GroupAccess;

/**
 * All methods that change something are durable when they return, run one after the other for a
 * group, and change nothing if they throw.
 */
export class Group {
  static {
    accessOf = (group) => group.#access;
  }

  readonly #access: GroupAccess;

  constructor(access: GroupAccess) {
    this.#access = access;
  }

  get #state(): GroupState {
    return this.#access.peek();
  }

  // Reading

  get id(): Uint8Array {
    return this.#state.epoch.context.groupId.slice();
  }

  get epoch(): bigint {
    return this.#state.epoch.context.epoch;
  }

  /** Of the protocol. */
  get version(): number {
    return this.#state.epoch.context.version;
  }

  get cipherSuite(): number {
    return this.#state.epoch.context.cipherSuite;
  }

  /** `pendingCommit` while a Commit of ours is pending. */
  get status(): GroupStatusView {
    const { status, pending } = this.#state;
    return status === "active" && pending !== undefined ? "pendingCommit" : status;
  }

  /**
   * The store was set back or copied, and nothing is encrypted in this group until it is healed: see
   * `Client.suspectRollback`.
   */
  get isFrozen(): boolean {
    return this.#state.frozenUpTo !== undefined;
  }

  /** What the successor has to be like, while the group is suspended. */
  get reInit(): ReInit | undefined {
    return this.#state.reInit;
  }

  get isLeaving(): boolean {
    return this.#state.isLeaving;
  }

  get config(): GroupConfig {
    return this.#state.config;
  }

  /** GroupContext extensions. */
  get extensions(): readonly Extension[] {
    return this.#state.epoch.context.extensions;
  }

  get ownLeafIndex(): number {
    return this.#state.epoch.ownLeaf;
  }

  /** Encoded GroupContext. */
  get contextBytes(): Uint8Array {
    return this.#state.epoch.contextBytes.slice();
  }

  get treeHash(): Uint8Array {
    return this.#state.epoch.context.treeHash.slice();
  }

  get confirmationTag(): Uint8Array {
    return this.#state.epoch.confirmationTag.slice();
  }

  get confirmedTranscriptHash(): Uint8Array {
    return this.#state.epoch.context.confirmedTranscriptHash.slice();
  }

  /** Equal for all members of an epoch, and for nobody else. RFC 9420 §8.7. */
  get epochAuthenticator(): Uint8Array {
    this.#requireSecrets();
    return this.#state.epoch.secrets.epochAuthenticator.bytes.slice();
  }

  /** In leaf order. */
  members(): Member[] {
    const { tree, ownLeaf } = this.#state.epoch;
    const members: Member[] = [];
    for (const [leafIndex, leaf] of tree.members()) {
      const { credential, signatureKey, encryptionKey, capabilities, extensions } = leaf;
      members.push({
        leafIndex,
        identity: identityOfCredential(credential),
        credential,
        signatureKey,
        encryptionKey,
        capabilities,
        extensions,
        isOwn: leafIndex === ownLeaf,
      });
    }
    return members;
  }

  get memberCount(): number {
    return this.#state.epoch.tree.memberCount;
  }

  /** Members that match; none is not an error. */
  findMembers(selector: MemberSelector): Member[] {
    const found = new Set<number>(findMembers(this.#state.epoch.tree, selector));
    return this.members().filter(({ leafIndex }) => found.has(leafIndex));
  }

  /** Body of the ratchet_tree extension. */
  ratchetTree(): Uint8Array {
    return this.#state.epoch.tree.encode();
  }

  get pendingProposals(): readonly Omit<StoredProposal, "ownUpdate">[] {
    return [...this.#state.proposals.values()].map(withoutKeys);
  }

  /** Pending proposals with what is to be known of them, in order of arrival. */
  proposals(): Promise<readonly PendingProposal[]> {
    return this.#access.operate(({ state, environment }) => {
      return describePendingProposals(state, environment);
    });
  }

  get pendingCommit(): PendingCommitView | undefined {
    const { pending } = this.#state;
    if (pending === undefined) return undefined;
    return pendingCommitView(pending);
  }

  /** The external commit by which we join, to be sent again after a restart; while it waits. */
  get joinCommit(): Uint8Array | undefined {
    return this.#state.joinCommit?.slice();
  }

  /** MLS-Exporter, RFC 9420 §8.5. @throws UsageError `INVALID_LENGTH` */
  export(label: string, context: Uint8Array, length: number): Uint8Array {
    this.#requireSecrets();
    const { crypto, secrets } = this.#state.epoch;
    return exportSecret(crypto, secrets.exporterSecret, label, context, length);
  }

  // Application messages

  /** Encrypts; the bytes may be sent as soon as this returns. */
  send(data: Uint8Array | string, options: SendOptions = {}): Promise<SentApplicationMessage> {
    return this.#access.operate((session) => sendApplication(session, data, options));
  }

  /** Takes any message for this group. Throws for our own mistakes and the store's, not for the network's. */
  process(bytes: Uint8Array, options: ProcessOptions = {}): Promise<Outcome> {
    const access = this.#access;
    const arrived = readArrived(bytes, wireTypes(access.options));
    return access.operate((session) => processForGroup(access, session, arrived, options));
  }

  /**
   * Many messages in one write; outcomes in order, one for each. What {@link process} would throw because
   * of a message is its outcome here, `invalid`, so that no message keeps the others from being read.
   */
  processMany(
    messages: readonly Uint8Array[],
    options: ProcessOptions = {},
  ): Promise<readonly Outcome[]> {
    const access = this.#access;
    const arrivals = messages.map((bytes) => readArrived(bytes, wireTypes(access.options)));
    return access.operate((session) => processManyForGroup(access, session, arrivals, options));
  }

  /**
   * Tries what was kept for later once more: Commits that were not accepted yet, or that a hook or a
   * missing PSK had stopped (`isBuffered`). Outcomes of what could be tried in the present epoch.
   */
  retryBuffered({ accept }: ProcessOptions = {}): Promise<readonly Outcome[]> {
    const access = this.#access;
    return access.operate((session) => replayBuffered(toReceiver(access), session, accept));
  }

  /** Many application messages in one write, in order. */
  sendMany(
    messages: readonly (Uint8Array | string)[],
    options: SendOptions = {},
  ): Promise<readonly SentApplicationMessage[]> {
    return this.#access.operate(async (session) => {
      const sent: SentApplicationMessage[] = [];
      for (const data of messages) sent.push(await sendApplication(session, data, options));
      return sent;
    });
  }

  /** The generation that our next application message will have. */
  get nextGeneration(): number {
    return this.#access.nextGeneration();
  }

  /**
   * Resumption PSK of the current epoch, for uses outside of this library. Handle with care: whoever
   * has it can take part in groups that rely on it.
   */
  dangerouslyExportResumptionPsk(): Uint8Array {
    this.#requireSecrets();
    return this.#state.epoch.secrets.resumptionPsk.bytes.slice();
  }

  // Commits

  /**
   * Commits and begins the new epoch at once, for callers that put Commits in order by themselves.
   * If another Commit wins after all, this member is out of step with the group.
   */
  commitImmediately(request: CommitRequest = {}): Promise<AcceptedCommit & PendingCommitView> {
    const access = this.#access;
    return access.operate(async (session) => {
      const staged = await stageRequest(session, request);
      return { ...staged, ...(await acceptPending(access, session)) };
    });
  }

  /** Builds a Commit. It takes effect by {@link acceptCommit}, when the delivery service took it. */
  commit(request: CommitRequest = {}): Promise<PendingCommitView> {
    return this.#access.operate((session) => stageRequest(session, request));
  }

  /** Adds members by their key packages (MLSMessage bytes). */
  async add(
    keyPackages: readonly Uint8Array[],
    request: CommitRequest = {},
  ): Promise<PendingCommitView> {
    requireSome(keyPackages);
    return this.commit({ ...request, add: keyPackages });
  }

  /** Removes members by leaf index. @throws UsageError `EPOCH_CHANGED` if the group moves on meanwhile */
  async remove(leaves: readonly number[], request: CommitRequest = {}): Promise<PendingCommitView> {
    requireSome(leaves);
    return this.commit({ ...request, remove: leaves });
  }

  /** Removes all leaves of a member that is described, or fails if it is not clear which is meant. */
  removeMember(selector: MemberSelector, request: CommitRequest = {}): Promise<PendingCommitView> {
    return this.#access.operate((session) => {
      return stageOwnCommit(session, makeCommitRequest(session, selector, request));
    });
  }

  /** Renews our own keys, and whatever else of our leaf is given. */
  update(leaf: LeafUpdate = {}, request: CommitRequest = {}): Promise<PendingCommitView> {
    return this.commit({ ...request, leaf, forcePath: true });
  }

  /**
   * What a Commit that lost a race wanted, minus what came true or makes no sense any more, in a new
   * Commit. Undefined if nothing is left to do.
   */
  rebuild(lost: LostCommit, request: CommitRequest = {}): Promise<PendingCommitView | undefined> {
    return this.#access.operate(async (session) => {
      session.requireActive();
      requireRequestSeen(session, request);
      const proposals = remainingProposals(session.state, lost, session.environment.now);
      if (proposals.length === 0 && session.state.proposals.size === 0) return undefined;
      return stageOwnCommit(session, { ...request, proposals });
    });
  }

  /**
   * The delivery service took our Commit: begins its epoch and hands out the Welcomes. With `commit`
   * it is that one or none: if it took effect already, the result is what is still to be handed out.
   *
   * @throws StateError `NO_PENDING_COMMIT`
   */
  acceptCommit(commit?: OwnCommit): Promise<AcceptedCommit> {
    const access = this.#access;
    return access.operate((session) => acceptPending(access, session, commit));
  }

  /**
   * The delivery service refused our Commit for good: everything is as before. With `commit` it is
   * that one or none.
   */
  discardCommit(commit?: Pick<OwnCommit, "commit">): Promise<void> {
    return this.#access.operate(async (session) => discardPending(session, commit?.commit));
  }

  /**
   * Accepted Commits of ours with Welcomes, or a GroupInfo of the present epoch, of which
   * {@link handedOut} was not said yet; oldest first, also after a restart.
   */
  get toHandOut(): readonly AcceptedCommit[] {
    return this.#state.handOuts.filter(isReadable).map(acceptedBefore);
  }

  /**
   * Welcomes and GroupInfo of an accepted Commit are where they belong, so that the store need not
   * keep them. In the transaction that accepts, nothing of them is written. May be said twice.
   */
  handedOut(commit: Pick<AcceptedCommit, "confirmationTag">): Promise<void> {
    return this.#access.operate((session) => forgetHandOut(session, commit));
  }

  /**
   * Builds a Commit and sends it through `deliver`, once it is durable. Accepted: it is merged;
   * rejected: it is discarded; conflict: it waits for the winner, whose Commit discards it; unknown:
   * it stays pending, see {@link redeliver}.
   *
   * @throws TransportError `TRANSPORT_REJECTED`, `TRANSPORT_RETRY`, UsageError `TRANSACTION_OPEN`
   */
  commitAndDeliver(deliver: DeliverCommit, request: CommitRequest = {}): Promise<AcceptedCommit> {
    return commitAndDeliver(this.#access, request, deliver);
  }

  /** Sends the pending Commit again, the same bytes. @throws TransportError, StateError */
  redeliver(deliver: DeliverCommit): Promise<AcceptedCommit> {
    return deliverAgain(this.#access, deliver);
  }

  /**
   * Seconds to wait before committing the pending proposals, different for every member; undefined
   * if there is nothing for us to commit. Who proposed may commit at once.
   */
  get commitDelay(): number | undefined {
    return commitDelayFor(this.#state, this.#access.options.types);
  }

  // Proposals

  propose(proposal: Proposal, options: ProposeOptions = {}): Promise<SentProposalView> {
    return this.#access.operate((session) => {
      requireRequestSeen(session, { proposals: [proposal] });
      return sendProposal(session, proposal, options);
    });
  }

  proposeAdd(keyPackage: Uint8Array, options: ProposeOptions = {}): Promise<SentProposalView> {
    return this.#access.operate((session) => sendProposal(session, { keyPackage }, options));
  }

  /**
   * By leaf index, or by a description that fits one member.
   *
   * @throws StateError `MEMBER_NOT_FOUND`, UsageError `AMBIGUOUS_MEMBER` with the leaf indices
   */
  proposeRemove(
    member: number | Omit<MemberSelector, "all">,
    options: ProposeOptions = {},
  ): Promise<SentProposalView> {
    return this.#access.operate(async (session) => {
      if (typeof member === "number" || member.leafIndex !== undefined) session.requireSeen();
      const { tree } = session.state.epoch;
      const [removed] =
        typeof member === "number" ? [member] : requireMembers(tree, { ...member, all: false });
      return sendProposal(session, { type: "remove", removed: removed as number }, options);
    });
  }

  /** To inject an external PSK, or one of a registered type, which whoever commits must know. */
  proposePsk(name: PskName, options: ProposeOptions = {}): Promise<SentProposalView> {
    return this.#access.operate((session) => {
      return sendProposal(session, { type: "psk", psk: pskId(session, name) }, options);
    });
  }

  /** To inject the resumption PSK of an earlier or the current epoch. */
  proposeResumptionPsk(
    psk: ResumptionPsk,
    options: ProposeOptions = {},
  ): Promise<SentProposalView> {
    return this.#access.operate((session) => {
      return sendProposal(session, { type: "psk", psk: resumptionPskId(session, psk) }, options);
    });
  }

  /** New keys for our leaf, to be committed by somebody else. */
  proposeUpdate(leaf: LeafUpdate = {}, options: ProposeOptions = {}): Promise<SentProposalView> {
    return this.#access.operate((session) => sendProposal(session, { leaf }, options));
  }

  /** Asks the others to remove us. The group ends for us when one of them commits it. */
  leave(options: ProposeOptions = {}): Promise<SentProposalView> {
    return this.#access.operate((session) => proposeLeave(session, options));
  }

  /**
   * Leaves a pending proposal out; others keep theirs, and may commit it.
   *
   * @throws StateError `UNKNOWN_PROPOSAL`
   */
  dropProposal(reference: Uint8Array): Promise<void> {
    return this.#access.operate((session) => dropProposal(session, reference));
  }

  /**
   * Keeps a proposal for our next Commit, by value, without telling anybody yet. It goes, as the event
   * `proposalDropped` tells, when another Commit leaves no reason for it.
   */
  queue(proposal: Proposal): Promise<void> {
    return this.#access.operate(async (session) => {
      session.requireIdle();
      requireRequestSeen(session, { proposals: [proposal] });
      const { state, environment } = session;
      const sender = { type: "member", leafIndex: state.epoch.ownLeaf } as const;
      checkProposal(state.epoch, proposal, sender, environment.types);
      session.state = { ...state, queued: [...state.queued, proposal] };
    });
  }

  get queuedProposals(): readonly Proposal[] {
    return this.#state.queued;
  }

  dropAllProposals(): Promise<void> {
    return this.#access.operate((session) => dropAllProposals(session));
  }

  // Administration

  /** A signed GroupInfo as MLSMessage, for joiners and delivery services. */
  groupInfo(
    options: { readonly ratchetTree?: boolean; readonly extensions?: readonly Extension[] } = {},
  ): Promise<Uint8Array> {
    return this.#access.operate(async (session) => {
      session.requireActive();
      const { epoch } = session.state;
      const defaults = await commitDefaults(session);
      const message = await createGroupInfo(epoch, epoch.ownLeaf, epoch.signer, {
        ratchetTree: options.ratchetTree ?? defaults.ratchetTree,
        externalPub: defaults.externalCommits,
        extensions: options.extensions,
      });
      return encodeMlsMessage({ wireFormat: "groupInfo", message });
    });
  }

  /** Why our own keys should be renewed; empty if there is no reason. */
  needsUpdate(policy?: UpdatePolicy): Promise<readonly UpdateReason[]> {
    return this.#access.operate(async ({ state, environment }) => {
      return reasonsToUpdate(state, environment.now, policy ?? state.config.updatePolicy);
    });
  }

  /**
   * Changes how this client treats the group. What becomes surplus is deleted.
   * @throws UsageError `INVALID_SETTING`
   */
  configure(changes: Partial<GroupConfig>): Promise<void> {
    return this.#access.operate(async (session) => {
      const config = configWith(session.state.config, changes);
      const { environment } = session;
      const state = { ...session.state, config };
      const past = keepPast(state, state.past, environment.now);
      const resumptionPsks = newestPsks(state.resumptionPsks, config);
      for (const [epoch, psk] of state.resumptionPsks) {
        if (!resumptionPsks.has(epoch)) session.eraseLater(() => psk.erase());
      }
      const { kept: handOuts } = limitHandOuts(state.handOuts, config);
      session.state = { ...state, resumptionPsks, handOuts };
      keepOnlyPast(session, past);
      expireBuffered(session);
      limitBuffer(session);
      const limits = { ...environment.limits, ...config };
      for (const { secretTree, context } of [...past, session.state.epoch]) {
        const change = secretTree.shrink(limits);
        if (change.ratchets.length > 0) session.useKey(secretTree, context.epoch, change);
      }
    });
  }

  /**
   * Of a frozen group: the lost state is gone for good and had not got beyond epoch `reached`, which
   * the delivery service knows. The next Commit of another member after it heals the group. Not for
   * copies that may still run: only a resync helps against those.
   */
  limitRollback(reached: bigint): Promise<void> {
    return this.#access.operate(async (session) => limitFreeze(session, reached));
  }

  /** Deletes keys for late messages: all, or of epochs that ended before the given time. */
  deletePastEpochs(before?: bigint): Promise<void> {
    return this.#access.operate(async (session) => {
      const past = session.state.past.filter(
        ({ endedAt }) => before !== undefined && endedAt >= before,
      );
      keepOnlyPast(session, past);
    });
  }

  #requireSecrets(): void {
    checkSecrets(this.#state);
  }
}

export function requireSome(list: readonly unknown[]): void {
  if (list.length === 0) throw new UsageError("EMPTY_INPUT", "the list is empty");
}
