/** A group seen from outside: what a delivery service can know and check. RFC 9420 §6.2, §12.4.3. */
import { EMPTY_BYTES, equalBytes } from "../codec/index.ts";
import type { CryptoProvider, Signer } from "../crypto/index.ts";
import { type MlsError, StateError } from "../errors.ts";
import { decodeMlsMessage } from "../framing/mls-message.ts";
import { type Environment, type MemberView, wireTypes } from "../group/environment.ts";
import { groupView, type PublicEpoch } from "../group/epoch.ts";
import { createCheckedProposal } from "../group/external-proposal.ts";
import { keyPackageObstacles } from "../group/key-package-obstacles.ts";
import type { CachedProposal } from "../group/proposal-entry.ts";
import { validateGroupInfo, type ValidatedGroupInfo } from "../group/validate-group-info.ts";
import type { KeyPackage } from "../key-packages/key-package.ts";
import type { GroupContext } from "../key-schedule/group-context.ts";
import type { GroupInfo } from "../messages/group-info.ts";
import type { Proposal } from "../messages/proposal.ts";
import { check } from "../rules.ts";
import type { LeafNode } from "../tree/nodes.ts";
import { leafIndex as asLeafIndex } from "../tree/tree-math.ts";
import { observe, type ObservationStep, type ObserveOptions } from "./observe.ts";
import { decodeState, encodeState, initialState, type ObserverState } from "./observer-state.ts";
import type { Observation, Unverified } from "./outcome.ts";

export interface PublicGroupOptions {
  /** Epochs that are over and whose messages are not refused. Default: none. */
  readonly pastEpochs?: number | undefined;
  /**
   * Whether proposals are kept until a Commit takes them. Without, they are handed in with the
   * Commit that refers to them. Default: yes.
   */
  readonly remembersProposals?: boolean | undefined;
}

/** What {@link PublicGroup.start} begins with. */
export interface GroupDescription {
  /** As decoded, or a complete MLSMessage. */
  readonly groupInfo: GroupInfo | Uint8Array;
  /** The tree, unless it is in the GroupInfo. */
  readonly ratchetTree?: Uint8Array | undefined;
}

/** An observer with what it could not check, and what it found odd. */
export interface StartedObserver extends Pick<ValidatedGroupInfo, "notices"> {
  readonly group: PublicGroup;
  readonly unverified: readonly Unverified[];
}

/**
 * Follows a group by its public handshakes, with the rules of a member and without its secrets.
 * Calls that change it are carried out one after the other; a call that fails changes nothing.
 */
export class PublicGroup {
  readonly #provider: CryptoProvider;
  readonly #options: PublicGroupOptions;
  #state: ObserverState;
  #last: Promise<unknown> = Promise.resolve();

  private constructor(provider: CryptoProvider, state: ObserverState, options: PublicGroupOptions) {
    this.#provider = provider;
    this.#state = state;
    this.#options = options;
  }

  /** From a GroupInfo and its tree, which are validated as by a joiner (rule mk-112). */
  static async start(
    provider: CryptoProvider,
    description: GroupDescription,
    environment: Environment,
    options: PublicGroupOptions = {},
  ): Promise<StartedObserver> {
    const { epoch, notices } = await validate(provider, description, environment);
    const group = new PublicGroup(provider, initialState(epoch), options);
    return { group, notices, unverified: ["confirmationTag"] };
  }

  /** From a {@link snapshot}. `ratchetTree` is needed if it was made without the tree. */
  static restore(
    provider: CryptoProvider,
    snapshot: Uint8Array,
    environment: Pick<Environment, "types" | "limits">,
    options: PublicGroupOptions & { readonly ratchetTree?: Uint8Array | undefined } = {},
  ): PublicGroup {
    const state = decodeState(provider, snapshot, options.ratchetTree, environment);
    return new PublicGroup(provider, state, options);
  }

  /** For {@link restore}. Epochs that are over are left out. */
  snapshot(content: { readonly withTree: boolean } = { withTree: true }): Uint8Array {
    return encodeState(this.#state, content);
  }

  /**
   * Takes in a message that the group accepted. After a Commit as PrivateMessage nothing more can be
   * followed until {@link rebase}.
   *
   * @param proposals Proposal messages that a Commit may refer to, beside those observed before.
   * @throws StateError `NEEDS_GROUP_INFO`, `WRONG_EPOCH`, `UNKNOWN_PROPOSAL`, ValidationError,
   * CryptoError, PolicyError
   */
  process(
    message: Uint8Array,
    environment: Environment,
    proposals?: readonly Uint8Array[],
  ): Promise<Observation> {
    return this.#inTurn(async () => {
      const { observation, next } = await this.#observe(message, environment, proposals);
      this.#state = next;
      return observation;
    });
  }

  /** What {@link process} would say; nothing changes. */
  async examine(
    message: Uint8Array,
    environment: Environment,
    proposals?: readonly Uint8Array[],
  ): Promise<Observation> {
    return (await this.#observe(message, environment, proposals)).observation;
  }

  /** Goes on from a GroupInfo of a later epoch of the same group, after a Commit that was private. */
  rebase(description: GroupDescription, environment: Environment): Promise<StartedObserver> {
    return this.#inTurn(async () => {
      const { epoch, notices } = await validate(this.#provider, description, environment);
      const { context } = this.#state.epoch;
      check(
        equalBytes(epoch.context.groupId, context.groupId),
        "mk-24",
        "INVALID_GROUP_INFO",
        "the GroupInfo belongs to another group",
      );
      if (epoch.context.epoch <= context.epoch) {
        throw new StateError("WRONG_EPOCH", "the GroupInfo is not of a later epoch", {
          details: { epoch: epoch.context.epoch, currentEpoch: context.epoch },
        });
      }
      this.#state = initialState(epoch);
      return { group: this, notices, unverified: ["confirmationTag"] };
    });
  }

  get context(): GroupContext {
    return this.#state.epoch.context;
  }

  get groupId(): Uint8Array {
    return this.context.groupId;
  }

  get epoch(): bigint {
    return this.context.epoch;
  }

  /** Whether a private Commit went by and a GroupInfo is needed. */
  get needsGroupInfo(): boolean {
    return this.#state.isBlind;
  }

  get memberCount(): number {
    return this.#state.epoch.tree.memberCount;
  }

  /** Proposals that the next Commit may refer to. */
  get proposals(): readonly CachedProposal[] {
    return [...this.#state.proposals.values()];
  }

  /** The body of a ratchet_tree extension, for joiners. */
  ratchetTree(): Uint8Array {
    return this.#state.epoch.tree.encode();
  }

  /** The public side of the epoch, for functions that take one. */
  get publicEpoch(): PublicEpoch {
    return this.#state.epoch;
  }

  *members(): Iterable<MemberView> {
    yield* groupView(this.context, this.#state.epoch.tree).members();
  }

  leaf(leafIndex: number): LeafNode | undefined {
    return this.#state.epoch.tree.leaf(asLeafIndex(leafIndex));
  }

  /** The leaf of the member with this signature key. */
  leafWithSignatureKey(signatureKey: Uint8Array): number | undefined {
    return this.#state.epoch.tree.leafWithSignatureKey(signatureKey);
  }

  /** The leaf that an external committer takes unless it removes one. RFC 9420 §12.4.3.2. */
  nextExternalLeaf(): number {
    return this.#state.epoch.tree.leftmostBlankLeaf();
  }

  /** Why this key package cannot be added now; empty if it can. */
  keyPackageObstacles(
    keyPackage: KeyPackage,
    environment: Environment,
  ): Promise<readonly MlsError[]> {
    return keyPackageObstacles(this.#state.epoch, keyPackage, environment);
  }

  /**
   * A proposal by a sender that the group lists; to be sent, and to be processed here as well. What
   * members would refuse on arrival is refused.
   */
  createExternalProposal(
    proposal: Proposal,
    signer: Signer,
    environment: Environment,
    authenticatedData: Uint8Array = EMPTY_BYTES,
  ): Promise<Uint8Array> {
    const { epoch } = this.#state;
    return createCheckedProposal(epoch, proposal, signer, environment, authenticatedData);
  }

  #observe(
    message: Uint8Array,
    environment: Environment,
    proposals: readonly Uint8Array[] | undefined,
  ): Promise<ObservationStep> {
    const { pastEpochs, remembersProposals } = this.#options;
    const options: ObserveOptions = { proposals, pastEpochs, remember: remembersProposals };
    return observe(this.#state, message, environment, options);
  }

  #inTurn<T>(step: () => Promise<T>): Promise<T> {
    const result = this.#last.then(step);
    this.#last = result.catch(() => undefined);
    return result;
  }
}

/** An observer need not understand the group's extensions, so that all of them count as known. */
async function validate(
  provider: CryptoProvider,
  { groupInfo, ratchetTree }: GroupDescription,
  environment: Environment,
): Promise<ValidatedGroupInfo> {
  const info =
    groupInfo instanceof Uint8Array ? decodeGroupInfo(groupInfo, environment) : groupInfo;
  const { cipherSuite, extensions } = info.groupContext;
  const known = new Set([...environment.types.extensions, ...extensions.map(({ type }) => type)]);
  const types = { ...environment.types, extensions: known };
  const crypto = provider.suite(cipherSuite);
  return validateGroupInfo(crypto, info, { ...environment, types }, { ratchetTree });
}

function decodeGroupInfo(bytes: Uint8Array, environment: Environment): GroupInfo {
  const message = decodeMlsMessage(bytes, wireTypes(environment));
  if (message.wireFormat === "groupInfo") return message.message;
  throw new StateError("NOT_A_GROUP_INFO", "the message is not a GroupInfo");
}
