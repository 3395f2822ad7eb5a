/**
 * The protocol as pure functions, for programs that keep state and put calls in order by themselves:
 * no storage, no locks, no events. Each takes an {@link Epoch} and what it needs, checks everything,
 * and returns the next state beside the bytes to send. What changes in place is the secret tree alone:
 * a message's `change` is applied once it is durable (RFC 9420 §9.2). RFC 9420 §11–§14.
 *
 *   receive   MLSMessage -> OpenedContent -> VerifiedContent -> StagedCommit | CachedProposal | data
 *   send      Epoch + options -> bytes + the state they lead to
 *
 * `Client` is built on these functions; both levels make the same bytes.
 */
export type { Signer } from "../crypto/index.ts";
export { createSigner } from "../crypto/signer.ts";
export {
  type CreatedKeyPackage,
  createKeyPackage,
  type CreateKeyPackageOptions,
} from "../key-packages/create-key-package.ts";
export {
  type ValidatedKeyPackage,
  validateKeyPackages,
} from "../key-packages/key-package-validation.ts";
export { exportSecret } from "../key-schedule/exporter.ts";
export { type SecretTree, type SecretTreeChange } from "../secret-tree/secret-tree.ts";
export {
  noPadding,
  type PaddingPolicy,
  padme,
  padToMultiple,
  padToSize,
  padToSteps,
} from "../framing/padding.ts";
export {
  type ApplicationMessageOptions,
  protectApplicationData,
  type SentMessage,
} from "./application-message.ts";
export type { CommitSummary } from "./commit-summary.ts";
export { checkGroupAndEpoch, type EpochKeys, OpenedContent, VerifiedContent } from "./content.ts";
export {
  type CommitOptions,
  createCommit,
  type CreatedCommit,
} from "./create-commit.ts";
export type { LeafUpdate } from "./own-leaf.ts";
export { createGroup, type CreateGroupOptions } from "./create-group.ts";
export {
  DEFAULT_LIMITS,
  type Environment,
  type GroupLimits,
  type GroupPolicy,
  type PskSource,
  type RegisteredTypes,
  wireTypes,
} from "./environment.ts";
export { type Epoch, eraseEpoch, type PublicEpoch } from "./epoch.ts";
export { createExternalProposal, createNewMemberProposal } from "./external-proposal.ts";
export { createGroupInfo, type GroupInfoOptions } from "./group-info-creation.ts";
export {
  type ExternalJoin,
  type ExternalJoinOptions,
  joinByExternalCommit,
} from "./join-by-external-commit.ts";
export {
  type FindKeyPackage,
  type KeyPackageBundle,
  type OpenedWelcome,
  openWelcome,
  type StagedJoin,
  stageJoin,
} from "./join-by-welcome.ts";
export { currentKeys, type PastEpoch, pastKeys, retire } from "./past-epoch.ts";
export { processCommit, type StagedCommit } from "./process-commit.ts";
export { type CachedProposal, cacheKey, type ProposalCache } from "./proposal-entry.ts";
export {
  acceptProposal,
  createProposal,
  createUpdate,
  type ProposalMessageOptions,
  type SentProposal,
} from "./proposal-message.ts";
export { checkSuccession, createBranch, createSuccessor, type Succession } from "./successor.ts";
export { type ValidatedGroupInfo, validateGroupInfo } from "./validate-group-info.ts";
