/** Whether a key package could be added to a group now, without building a Commit. RFC 9420 §10.1, §12.1.1. */
import { MlsError, PolicyError } from "../errors.ts";
import {
  checkInitKey,
  checkSuiteAndVersion,
  keyPackageSignatures,
} from "../key-packages/key-package-validation.ts";
import type { KeyPackage } from "../key-packages/key-package.ts";
import { check } from "../rules.ts";
import { verifySignatures } from "../tree/signature-batch.ts";
import {
  checkGroupExtensions,
  checkKeyFormats,
  checkLifetime,
  checkOwnCredentialType,
  checkOwnExtensions,
  checkRequiredCapabilities,
  checkSource,
  checkVersionAndSuite,
  type LeafContext,
} from "../tree/leaf-node-validation.ts";
import type { RatchetTree } from "../tree/ratchet-tree.ts";
import { contextRequirements } from "./context-extensions.ts";
import { checkCredentials } from "./credential-checks.ts";
import type { Environment } from "./environment.ts";
import type { PublicEpoch } from "./epoch.ts";
import { checkCredentialSupport, checkSignatureKeyIsNew } from "./leaf-among-members.ts";

/**
 * Every reason why an Add of this key package would be refused, as the errors that the Add would
 * meet. Empty if there is none. Members and observers get the same answer; the policy for proposals
 * is not asked, because it depends on the proposer.
 */
export async function keyPackageObstacles(
  epoch: PublicEpoch,
  keyPackage: KeyPackage,
  environment: Environment,
): Promise<readonly MlsError[]> {
  const obstacles: MlsError[] = [];
  for (const run of checksFor(epoch, keyPackage, environment)) {
    try {
      await run();
    } catch (error) {
      // A service that gave no answer says nothing of the package.
      if (!MlsError.is(error) || (error instanceof PolicyError && error.retryable)) throw error;
      obstacles.push(error);
    }
  }
  return obstacles;
}

function checksFor(
  { crypto, context, tree }: PublicEpoch,
  keyPackage: KeyPackage,
  environment: Environment,
): readonly (() => unknown)[] {
  const { leafNode: leaf } = keyPackage;
  const { now, limits } = environment;
  const leafIndex = tree.leftmostBlankLeaf();
  const where: LeafContext = { code: "INVALID_KEY_PACKAGE", details: undefined };
  const lifetime = { now, mode: "sending", maximum: limits.maximumLifetime } as const;
  const requirements = contextRequirements(crypto, context.extensions);
  const { requiredCapabilities, groupExtensionTypes = [] } = requirements;
  return [
    () => checkSuiteAndVersion(keyPackage, crypto.suite.id),
    () => checkInitKey(keyPackage),
    () => checkInitKeyFormat(crypto, keyPackage),
    () => checkKeyFormats(leaf, crypto, where),
    () => checkSource(leaf, "keyPackage", where),
    () => checkLifetime(leaf, lifetime, where),
    () => checkVersionAndSuite(leaf, crypto.suite.id, where),
    () => checkOwnCredentialType(leaf, where),
    () => checkOwnExtensions(leaf, where),
    () => checkRequiredCapabilities(leaf, requiredCapabilities, where),
    () => checkGroupExtensions(leaf, "keyPackage", groupExtensionTypes, where),
    () => verifySignatures(crypto, keyPackageSignatures(keyPackage)),
    () => checkSignatureKeyIsNew(tree, leafIndex, leaf.signatureKey, "valn0306"),
    () => checkEncryptionKeyIsNew(tree, leaf.encryptionKey),
    () => checkCredentialSupport(tree, leaf, { leafIndex }),
    () => checkCredentials(environment, [{ next: leaf }], "add", context.groupId),
  ];
}

async function checkInitKeyFormat(
  crypto: PublicEpoch["crypto"],
  { initKey }: KeyPackage,
): Promise<void> {
  const isValid = await crypto.isValidPublicKey(initKey);
  check(isValid, "mk-18", "INVALID_KEY_PACKAGE", "an init key is malformed");
}

function checkEncryptionKeyIsNew(tree: RatchetTree, encryptionKey: Uint8Array): void {
  const isNew = tree.nodeWithEncryptionKey(encryptionKey) === undefined;
  check(isNew, "valn0112", "INVALID_KEY_PACKAGE", "a node of the tree has this encryption key");
}
