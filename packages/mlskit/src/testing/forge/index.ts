/**
 * The forge: what a hostile insider can make. Messages, trees, key packages, GroupInfos and Welcomes
 * that break one rule and are right in everything else, so that a test sees that very rule refuse
 * them. An {@link Insider} is a member in the hands of the test, made with `mlskit/group`; its victims
 * may be clients. Without a forgery, all of it is honest and accepted. Catalogue M-TST-05.
 */
export { Secret } from "../../crypto/index.ts";
export {
  type CommitForgery,
  type ExternalCommitForgery,
  type ForgedCommit,
  forgeCommit,
  forgeExternalCommit,
} from "./commit.ts";
export { type Insider } from "./insider.ts";
export {
  forgeKeyPackage,
  forgeLeaf,
  type KeyPackageForgery,
  type LeafChanges,
  type LeafForgery,
  LooseExtensions,
  LooseKeyPackage,
  LooseLeafNode,
} from "./leaf.ts";
export {
  type ContentForgery,
  type ForgedProposal,
  flipped,
  forgeEnvelope,
  forgeMessage,
  forgeProposal,
  forgeSigned,
  type PrivateForgery,
  type PublicForgery,
  type SignedForgery,
} from "./message.ts";
export { type ForgedPath, forgePath, type PathForgery, type PathInput } from "./path.ts";
export {
  hashOfNodes,
  type Nodes,
  nodesOf,
  treeOfLeaves,
  withLeaf,
  withNode,
  withParent,
} from "./tree.ts";
export {
  type Describer,
  type ForgedGroupInfo,
  type ForgedWelcome,
  forgeGroupInfo,
  forgeWelcome,
  type GroupInfoFields,
  type GroupInfoForgery,
  groupInfoMessage,
  LooseGroupContext,
  LooseGroupInfo,
  type WelcomeForgery,
} from "./welcome.ts";
