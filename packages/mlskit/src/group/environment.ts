/** What the protocol asks of the application: clock, credentials, policy, PSKs, registered types. */
import type { Credential } from "../credentials/credential.ts";
import type { AuthenticationService, Verdict } from "../credentials/authentication-service.ts";
import { type SkipBody, skipOpaque, type WireTypes } from "../codec/index.ts";
import type { MaybePromise, Secret } from "../crypto/index.ts";
import type { Extension } from "../extensions/extension.ts";
import type { Sender } from "../framing/framed-content.ts";
import { GENERATION_LIMIT } from "../secret-tree/hash-ratchet.ts";
import type { SecretTreeLimits } from "../secret-tree/secret-tree.ts";
import { MAX_PSKS, type PreSharedKeyId } from "../key-schedule/pre-shared-key.ts";
import type { CustomProposal, Proposal } from "../messages/proposal.ts";

/** Everything an operation needs from outside, read once when it starts. */
export interface Environment {
  /** Seconds since 1970. */
  readonly now: bigint;
  readonly authenticationService: AuthenticationService;
  readonly policy: GroupPolicy;
  readonly psks: PskSource;
  readonly types: RegisteredTypes;
  readonly limits: GroupLimits;
}

/** The secret behind a PSK id, or undefined if it is not at hand. The nonce plays no part in it. */
export type PskSource = (id: PreSharedKeyId) => MaybePromise<Secret | undefined>;

/** What becomes of a proposal: it arrives, is kept for a Commit, or is in a Commit of ours or of others. */
export type Direction = "receive" | "store" | "createCommit" | "receiveCommit";

export interface ProposalCandidate {
  readonly proposal: Proposal;
  readonly sender: Sender;
  /** The sender's credential where the group knows it. */
  readonly credential: Credential | undefined;
  readonly byReference: boolean;
  readonly direction: Direction;
  /** What the message carried in the clear; known while it arrives, not when it is committed. */
  readonly authenticatedData: Uint8Array | undefined;
  /** Leaf of the member whose Commit it is in; undefined before, and for external commits. */
  readonly committer: number | undefined;
  readonly group: GroupView;
}

export interface MemberView {
  readonly leafIndex: number;
  readonly credential: Credential;
  readonly signatureKey: Uint8Array;
}

/** What hooks may look at. */
export interface GroupView {
  readonly groupId: Uint8Array;
  readonly epoch: bigint;
  readonly extensions: readonly Extension[];
  member(leafIndex: number): MemberView | undefined;
  members(): Iterable<MemberView>;
}

export interface CommitCandidate {
  /** Leaf of the committer; for an external commit the leaf it takes. */
  readonly committer: number;
  readonly isExternal: boolean;
  readonly proposals: readonly { readonly proposal: Proposal; readonly sender: Sender }[];
  readonly authenticatedData: Uint8Array;
  readonly before: GroupView;
  readonly after: GroupView;
}

/** How Commits are made where their request says nothing; what is left out, the group's config says. */
export interface CommitDefaults {
  /** `whenRequired`: left out where that is legal. */
  readonly path?: "always" | "whenRequired" | undefined;
  /** Whether Welcomes and GroupInfos carry the tree. */
  readonly ratchetTree?: boolean | undefined;
  readonly joinersPerWelcome?: number | undefined;
  /** Whether GroupInfos invite external commits, and whether they are accepted. */
  readonly externalCommits?: boolean | undefined;
  readonly handshakes?: "private" | "public" | undefined;
}

/**
 * The application's rules about group changes. Consensus-critical: all members must answer alike.
 * Hooks that are left out accept, except that proposals of new members are refused without one.
 */
export interface GroupPolicy {
  /**
   * Asked for each proposal when it arrives, when it is stored as pending (ours too), when we commit
   * it, and when another commits it.
   */
  reviewProposal?(candidate: ProposalCandidate): MaybePromise<Verdict>;
  /** Asked after all cryptographic checks of a Commit, ours and others'. */
  reviewCommit?(candidate: CommitCandidate): MaybePromise<Verdict>;
  /** Asked before each Commit of ours. Not consensus-critical, except for external commits. */
  commitDefaults?(group: GroupView): MaybePromise<CommitDefaults>;
}

/** A proposal type of the application or of a draft. RFC 9420 §13.2. */
export interface CustomProposalType {
  /** Where the body ends. Default: after one `opaque<V>`. */
  readonly skip?: SkipBody;
  /** Whether a Commit with it needs a path. Default: yes. */
  readonly requiresPath?: boolean;
  /** Whether external senders may send it. Default: no. */
  readonly fromExternalSender?: boolean;
  /** Whether an external commit may carry it, and how. Default: "never". */
  readonly inExternalCommit?: "never" | "byValue" | "byReference";
  /** Whether a Commit may carry it by reference only. Default: no. */
  readonly byReferenceOnly?: boolean;
  /** Whether it must travel as PublicMessage, for readers outside the group. Default: no. */
  readonly publicOnly?: boolean;
  /** Throws an MlsError if the proposal is not acceptable. Called on arrival and in a Commit. */
  validate?(proposal: CustomProposal, sender: Sender): void;
  /** Throws an MlsError unless a GroupContextExtensions proposal may replace `before` by `after`. */
  checkExtensions?(before: readonly Extension[], after: readonly Extension[]): void;
  /**
   * What all proposals of this type in a Commit, in its order, make of the group's extensions once
   * the RFC's own proposals are applied. Throws an MlsError if they make no sense together.
   */
  changeExtensions?(
    extensions: readonly Extension[],
    proposals: readonly CustomProposal[],
  ): readonly Extension[];
  /** The leaf that the proposal removes, if it removes one. */
  removes?(proposal: CustomProposal, sender: Sender): number | undefined;
}

/** The types beyond the RFC's own that this application knows. */
export interface RegisteredTypes {
  readonly proposals: ReadonlyMap<number, CustomProposalType>;
  readonly credentials: ReadonlyMap<number, SkipBody>;
  /** GroupContext extension types that the application can act on. */
  readonly extensions: ReadonlySet<number>;
  /** PSK types, and where the ids end. */
  readonly psks?: ReadonlyMap<number, SkipBody> | undefined;
}

const wireTypesOf: WeakMap<RegisteredTypes, WireTypes> = /* @__PURE__ */ new WeakMap();

/** What decoders have to know. */
export type DecodingRules = Pick<Environment, "types" | "limits">;

/** For decoding what the registered types may occur in. Asked once per message. */
export function wireTypes({ types, limits }: DecodingRules): WireTypes {
  const { maximumExtensions, maximumCertificates } = limits;
  const known = wireTypesOf.get(types);
  if (
    known !== undefined &&
    known.maximumExtensions === maximumExtensions &&
    known.maximumCertificates === maximumCertificates
  ) {
    return known;
  }
  const proposals = new Map<number, SkipBody>();
  for (const [type, { skip }] of types.proposals) proposals.set(type, skip ?? skipOpaque);
  const { credentials, psks } = types;
  const made = { proposals, credentials, psks, maximumExtensions, maximumCertificates };
  wireTypesOf.set(types, made);
  return made;
}

/** Bounds on what peers can make us do, and on what we produce. */
export interface GroupLimits extends SecretTreeLimits {
  /**
   * Longest not_after - not_before in leaves we make or add, and with `strictLifetimes` in those of
   * others too, in seconds; undefined: no limit.
   */
  readonly maximumLifetime: bigint | undefined;
  /** Whether leaves of others that are not valid now are refused, or only reported. RFC 9420 §7.3. */
  readonly strictLifetimes: boolean;
  /** Whether key packages with extensions of the RFC, which belong elsewhere, are refused. */
  readonly strictExtensions: boolean;
  /** Leaves a tree may have. */
  readonly maximumLeaves: number;
  readonly maximumProposalsPerCommit: number;
  /** PSKs that a Commit or a Welcome may name. RFC 9420 §8.4 cannot count more than 65535. */
  readonly maximumPsks: number;
  /** Extensions of one leaf, key package, GroupContext or GroupInfo of others. */
  readonly maximumExtensions: number;
  /** Certificates of one X.509 credential, before any of them is looked at. */
  readonly maximumCertificates: number;
  readonly maximumWelcomeSecrets: number;
  /** Messages that each of our ratchets encrypts in an epoch, at most. RFC 9420 §15.2. */
  readonly maximumGenerations: number;
}

export const DEFAULT_LIMITS: GroupLimits = {
  outOfOrderTolerance: 32,
  maximumForwardDistance: 1000,
  maximumSkippedKeys: 4096,
  maximumLifetime: 366n * 86_400n,
  strictLifetimes: false,
  strictExtensions: false,
  maximumLeaves: 2 ** 20,
  maximumProposalsPerCommit: 100_000,
  maximumPsks: MAX_PSKS,
  maximumExtensions: 1000,
  maximumCertificates: 100,
  maximumWelcomeSecrets: 100_000,
  maximumGenerations: GENERATION_LIMIT,
};
