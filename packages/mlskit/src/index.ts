/** mlskit: Messaging Layer Security, RFC 9420. */

export type { AcceptedCommit } from "./client/receiving/accept-commit.ts";
export type { NewGroup } from "./client/client.ts";
export type {
  ClientOptions,
  CreateGroupRequest,
  NewIdentityOptions,
} from "./client/client-options.ts";
export type { ClientTransaction, TransactionOptions } from "./client/client-transaction.ts";
export { type Clock, systemClock } from "./client/state/clock.ts";
export type { ComingEpoch } from "./client/state/coming-epoch.ts";
export type { CommitRequest, PendingCommitView } from "./client/sending/commit.ts";
export { commitDelay } from "./client/state/commit-delay.ts";
export {
  DEFAULT_CONFIG,
  type GroupConfig,
  type HandshakePolicy,
  type UpdatePolicy,
} from "./client/state/config.ts";
export type { Padding } from "./client/state/padding.ts";
export type { EventLog } from "./client/records/event-log.ts";
export { DefaultClient as Client } from "./client/default-client.ts";
export {
  acceptDetached,
  commitDetached,
  type DetachedCommit,
} from "./client/detached-commit.ts";
export type { DeliverCommit, DeliveryAnswer } from "./client/deliver.ts";
export type { DroppedProposal, DropReason } from "./client/state/dropped-proposals.ts";
export type {
  ClientEvent,
  EventListener,
  ForkEvidence,
  ForkFingerprints,
} from "./client/state/events.ts";
export { deleteExporterSecret, exportCryptoKey } from "./client/exporter-secret.ts";
export type { CacheStrategy } from "./client/session/client-core.ts";
export { exportClient, importClient, type ImportRequest } from "./client/session/move.ts";
export { Group, type GroupStatusView, type Member } from "./client/group.ts";
export type { Identity, IdentitySelector } from "./client/identity/identity.ts";
export type { ExternalJoinRequest, JoinOptions, WelcomePeek } from "./client/joining/join.ts";
export { KeyDirectory } from "./client/identity/key-directory.ts";
export {
  type ExportedMessageKey,
  exportReceivingKey,
  exportSendingKey,
} from "./client/message-keys.ts";
export type {
  KeyPackageOptions,
  KeyPackageStock,
  PublishedKeyPackage,
  StoredKeyPackage,
} from "./client/identity/key-packages.ts";
export type { MemberSelector } from "./client/state/members.ts";
export type * from "./client/state/outcome.ts";
export type { TreeSource } from "./client/state/outside-tree.ts";
export type { PendingProposal } from "./client/state/pending-proposals.ts";
export {
  isBadSignature,
  isCommitRequired,
  isDecryptionFailure,
  isEpochMismatch,
  isKeyPackageMissing,
  isNotOperational,
  isPskMissing,
  isUnknownMember,
  isWrongGroup,
} from "./production/predicates.ts";
export type { IncomingCredential } from "./client/state/credentials-in-commit.ts";
export type { ProcessOptions } from "./client/receiving/process.ts";
export type { ProposeOptions, SentProposalView } from "./client/sending/propose.ts";
export type { MemberRemoval, RemovalReason } from "./client/state/removal.ts";
export type { UnreadableGroup } from "./client/session/unreadable.ts";
export type { SendOptions, SentApplicationMessage } from "./client/sending/send.ts";
export type { UpdateReason } from "./client/state/update-advice.ts";
export type {
  AuthenticationService,
  CredentialContext,
  CredentialEvent,
  Identity as CredentialIdentity,
  Verdict,
} from "./credentials/authentication-service.ts";
export type { Credential } from "./credentials/credential.ts";
export { judgeEach } from "./credentials/judge-each.ts";
export {
  CIPHER_SUITES,
  type CipherSuite,
  type CryptoProvider,
  cipherSuite,
  createProvider,
  createSuiteCrypto,
  type KemPrimitives,
  type SignaturePrimitives,
  type Signer,
  type SuiteCrypto,
  type SuiteFactory,
  type SuitePrimitives,
} from "./crypto/index.ts";
export { KEM_FORMATS, SIGNATURE_FORMATS } from "./crypto/curve-formats.ts";
export type { KemFormat, PrivateKeyFormat, SignatureFormat } from "./crypto/key-format.ts";
export { createSigner } from "./crypto/signer.ts";
export * from "./errors.ts";
export {
  type Extension,
  ExtensionType,
  ExternalSender,
  ExternalSenders,
  makeExtension,
  RequiredCapabilities,
  readExtension,
} from "./extensions/extension.ts";
export {
  APPLICATION_ID,
  EXTERNAL_PUB,
  EXTERNAL_SENDERS,
  type ExtensionKind,
  type ExtensionPlace,
  ExtensionRegistry,
  REQUIRED_CAPABILITIES,
  TypedExtensions,
} from "./extensions/typed-extensions.ts";
export type { CommitSummary } from "./group/commit-summary.ts";
export {
  type CommitCandidate,
  type CommitDefaults,
  type CustomProposalType,
  DEFAULT_LIMITS,
  type GroupLimits,
  type GroupPolicy,
  type GroupView,
  type MemberView,
  type ProposalCandidate,
  type PskSource,
  type RegisteredTypes,
} from "./group/environment.ts";
export {
  createExternalProposal,
  createNewMemberProposal,
  type GroupAddress,
} from "./group/external-proposal.ts";
export type { StagedJoin } from "./group/join-by-welcome.ts";
export type { CreatedWelcome } from "./group/welcome-creation.ts";
export type { CustomPskId, PskName } from "./key-schedule/pre-shared-key.ts";
export {
  type CustomProposal,
  customProposal,
  type Proposal,
  ProposalType,
  type ReInit,
} from "./messages/proposal.ts";
export { defaultProvider } from "./providers/default.ts";
export { memoryStorage } from "./storage/memory.ts";
export type { Storage, StoredRecord, WriteBatch } from "./storage/storage.ts";
