/** Believing a GroupInfo and its tree. RFC 9420 §12.4.3, §12.4.3.1. */
import { type Checked, sealed } from "../checked.ts";
import { equalBytes, type WireTypes } from "../codec/index.ts";
import type { SuiteCrypto } from "../crypto/index.ts";
import { CryptoError, StateError, UnsupportedError } from "../errors.ts";
import {
  ExtensionType,
  findExtension,
  readExtension,
  RequiredCapabilities,
} from "../extensions/extension.ts";
import { type GroupInfo, groupInfoVerifyJob } from "../messages/group-info.ts";
import { check, violation } from "../rules.ts";
import { isDefaultType, supports } from "../tree/capabilities.ts";
import type { ValidationNotice } from "../tree/leaf-node-validation.ts";
import type { LeafNode } from "../tree/nodes.ts";
import { RatchetTree } from "../tree/ratchet-tree.ts";
import { leafIndex } from "../tree/tree-math.ts";
import { validateTree, type ValidatedTree } from "../tree/tree-validation.ts";
import { checkExternalSenderList } from "./context-extensions.ts";
import { checkCredentials } from "./credential-checks.ts";
import { type Environment, wireTypes } from "./environment.ts";
import { type PublicEpoch, publicEpoch } from "./epoch.ts";
import { receivedLifetimes } from "./lifetimes.ts";
import { checkContextExtensionTypes } from "./proposal-rules.ts";

export type ValidatedGroupInfo = Checked<
  {
    readonly epoch: PublicEpoch & { readonly tree: ValidatedTree };
    readonly groupInfo: GroupInfo;
    /** What is odd but no reason to refuse, such as expired leaves of others. */
    readonly notices: readonly ValidationNotice[];
  },
  "validateGroupInfo"
>;

/** What does not come by the GroupInfo. */
export interface JoinerKnowledge {
  /** The tree if it came by other means than the ratchet_tree extension. */
  readonly ratchetTree?: Uint8Array | undefined;
  /** The leaf by which we join, which we signed ourselves. */
  readonly ownLeaf?: LeafNode | undefined;
}

/**
 * Checks signature, tree hash, tree and leaves. Not the confirmation tag, which takes a member's
 * secrets.
 *
 * @throws StateError `TREE_REQUIRED`, ValidationError, CryptoError, PolicyError, UnsupportedError
 */
export async function validateGroupInfo(
  crypto: SuiteCrypto,
  groupInfo: GroupInfo,
  environment: Environment,
  { ratchetTree, ownLeaf }: JoinerKnowledge = {},
): Promise<ValidatedGroupInfo> {
  const { groupContext: context } = groupInfo;
  check(
    context.cipherSuite === crypto.suite.id,
    "valn1404",
    "INVALID_GROUP_INFO",
    "the GroupInfo is for another cipher suite",
    { cipherSuite: context.cipherSuite },
  );
  checkContextExtensionTypes(context.extensions);
  checkExtensionsKnown(groupInfo, environment);
  const types = wireTypes(environment);
  const received = treeOf(crypto, groupInfo, ratchetTree, environment, types);
  await checkSignature(crypto, groupInfo, received);
  check(
    equalBytes(received.treeHash(), context.treeHash),
    "valn1405",
    "INVALID_TREE",
    "the tree does not have the hash that the GroupInfo names",
  );
  const { tree, notices } = await validateTree(received, {
    groupId: context.groupId,
    requiredCapabilities: readExtension(
      context.extensions,
      ExtensionType.requiredCapabilities,
      RequiredCapabilities,
    ),
    lifetime: receivedLifetimes(environment),
    ownLeaf,
  });
  const epoch = publicEpoch(crypto, context, tree, groupInfo.confirmationTag);
  const members = [...tree.members()].map(([, next]) => ({ next }));
  await checkCredentials(environment, members, "join", context.groupId);
  await checkExternalSenderList(epoch, context.extensions, environment);
  tree.compact(types);
  return sealed({ epoch, groupInfo, notices });
}

/** Rule mk-96: from the extension or the caller; if both, they agree. */
function treeOf(
  crypto: SuiteCrypto,
  groupInfo: GroupInfo,
  given: Uint8Array | undefined,
  { limits }: Environment,
  types: WireTypes,
): RatchetTree {
  const inside = findExtension(groupInfo.extensions, ExtensionType.ratchetTree);
  const bytes = inside ?? given;
  if (bytes === undefined) {
    throw new StateError("TREE_REQUIRED", "the ratchet tree must be given", { rule: "mk-96" });
  }
  if (inside !== undefined && given !== undefined && !equalBytes(inside, given)) {
    throw violation("mk-96", "TREE_MISMATCH", "the given tree is not the one in the GroupInfo");
  }
  return RatchetTree.decode(crypto, bytes, types, { maxNodes: 2 * limits.maximumLeaves });
}

async function checkSignature(
  crypto: SuiteCrypto,
  groupInfo: GroupInfo,
  tree: RatchetTree,
): Promise<void> {
  const leaf = tree.leaf(leafIndex(groupInfo.signer));
  check(
    leaf !== undefined,
    "valn1402",
    "INVALID_GROUP_INFO",
    "the signer of the GroupInfo is not a member",
    { signer: groupInfo.signer },
  );
  const job = groupInfoVerifyJob(groupInfo, leaf.signatureKey);
  if (!(await crypto.verify(job.publicKey, job.message, job.signature))) {
    throw new CryptoError("SIGNATURE_INVALID", "the signature of the GroupInfo is wrong", {
      rule: "valn1402",
    });
  }
}

/** Rule valn1415: we understand what the group agreed on. */
function checkExtensionsKnown(
  { groupContext }: GroupInfo,
  { types }: Pick<Environment, "types">,
): void {
  for (const { type } of groupContext.extensions) {
    if (isDefaultType("extensions", type) || types.extensions.has(type)) continue;
    throw new UnsupportedError("UNSUPPORTED_EXTENSION", UNSUPPORTED, {
      rule: "valn1415",
      details: { extensionType: type },
    });
  }
}

/** Rule valn1415: and we said so, in the leaf by which we join. */
export function checkExtensionsListed(
  { groupContext }: GroupInfo,
  { capabilities }: Pick<LeafNode, "capabilities">,
): void {
  for (const { type } of groupContext.extensions) {
    if (supports(capabilities, "extensions", type)) continue;
    throw new UnsupportedError("UNSUPPORTED_EXTENSION", UNSUPPORTED, {
      rule: "valn1415",
      details: { extensionType: type },
    });
  }
}

const UNSUPPORTED = "the group uses an extension that is not supported here";
