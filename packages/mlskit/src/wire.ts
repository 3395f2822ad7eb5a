/** Messages as they travel, for delivery services and tools. No keys, no groups. */
export {
  type Codec,
  decode,
  encode,
  RFC_TYPES,
  type SkipBody,
  skipOpaque,
  type WireTypes,
} from "./codec/index.ts";
export { Credential, CredentialType, credentialTypeOf } from "./credentials/credential.ts";
export {
  ApplicationId,
  Extension,
  Extensions,
  ExtensionType,
  ExternalPub,
  ExternalSender,
  ExternalSenders,
  findExtension,
  makeExtension,
  readExtension,
  RequiredCapabilities,
} from "./extensions/extension.ts";
export { AuthenticatedContent } from "./framing/authenticated-content.ts";
export { Content, ContentType, FramedContent, Sender } from "./framing/framed-content.ts";
export {
  decodeMlsMessage,
  encodeMlsMessage,
  MlsMessage,
  PrivateMessage,
  PublicMessage,
  WireFormat,
} from "./framing/mls-message.ts";
export {
  type KeyPackageView,
  type PublicCommitView,
  type Route,
  routeMessage,
  routeOf,
  viewKeyPackage,
  viewPublicCommit,
} from "./framing/route.ts";
export { KeyPackage, keyPackageRef } from "./key-packages/key-package.ts";
export { GroupContext } from "./key-schedule/group-context.ts";
export { PreSharedKeyId } from "./key-schedule/pre-shared-key.ts";
export { Commit, ProposalOrRef } from "./messages/commit.ts";
export { GroupInfo } from "./messages/group-info.ts";
export { Proposal, ProposalType, proposalTypeOf } from "./messages/proposal.ts";
export { EncryptedGroupSecrets, GroupSecrets, Welcome } from "./messages/welcome.ts";
export {
  Capabilities,
  HpkeCiphertext,
  LeafNode,
  Lifetime,
  ParentNode,
  RatchetTreeNodes,
  TreeNode,
  UpdatePath,
} from "./tree/nodes.ts";
