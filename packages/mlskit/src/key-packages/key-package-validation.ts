/** Whether a key package may be used to add its owner. RFC 9420 §10.1. */
import { type Checked, sealed } from "../checked.ts";
import { equalBytes, MLS10 } from "../codec/index.ts";
import type { MaybePromise, SuiteCrypto } from "../crypto/crypto-provider.ts";
import { andThen } from "../crypto/maybe-promise.ts";
import type { RequiredCapabilities } from "../extensions/extension.ts";
import { check } from "../rules.ts";
import { isDefaultType } from "../tree/capabilities.ts";
import { verifyJob } from "../tree/leaf-node.ts";
import {
  checkLeafNode,
  type LifetimeRules,
  type ValidationNotice,
} from "../tree/leaf-node-validation.ts";
import { type SignatureJob, verifySignatures } from "../tree/signature-batch.ts";
import { type KeyPackage, keyPackageVerifyJob } from "./key-package.ts";

export interface KeyPackageRequirements {
  /** Of the group's suite. */
  readonly crypto: SuiteCrypto;
  readonly requiredCapabilities?: RequiredCapabilities | undefined;
  /** Types of the GroupContext's extensions that will be in force. */
  readonly groupExtensionTypes?: readonly number[] | undefined;
  readonly lifetime?: LifetimeRules | undefined;
  /** Reject known extensions that do not belong in a key package (valn1604). */
  readonly strictExtensions?: boolean | undefined;
}

/**
 * All rules but the signatures, which {@link keyPackageSignatures} collects for a batch.
 *
 * @throws ValidationError `INVALID_KEY_PACKAGE`
 */
export function checkKeyPackage(
  keyPackage: KeyPackage,
  requirements: KeyPackageRequirements,
): MaybePromise<readonly ValidationNotice[]> {
  const { crypto } = requirements;
  checkSuiteAndVersion(keyPackage, crypto.suite.id);
  checkInitKey(keyPackage);
  if (requirements.strictExtensions === true) checkExtensionPlaces(keyPackage);
  const isValidKey = crypto.isValidPublicKey(keyPackage.initKey);
  return andThen(isValidKey, (isValid) => {
    check(isValid, "mk-18", "INVALID_KEY_PACKAGE", "an init key is malformed");
    // valn0202: the leaf by the rules for leaves.
    return checkLeafNode(keyPackage.leafNode, {
      crypto,
      code: "INVALID_KEY_PACKAGE",
      source: "keyPackage",
      requiredCapabilities: requirements.requiredCapabilities,
      groupExtensionTypes: requirements.groupExtensionTypes,
      lifetime: requirements.lifetime,
    });
  });
}

/** The two signatures of a package, by the same key: of its leaf and its own (valn0102, valn0203). */
export function keyPackageSignatures(keyPackage: KeyPackage): readonly SignatureJob[] {
  return [verifyJob(keyPackage.leafNode, undefined), keyPackageVerifyJob(keyPackage)];
}

/** A key package whose owner may be added. RFC 9420 §10.1. */
export type ValidatedKeyPackage = Checked<KeyPackage, "validateKeyPackages">;

/** Rules and signatures of many packages, with one batch for all signatures. */
export async function validateKeyPackages(
  keyPackages: readonly KeyPackage[],
  requirements: KeyPackageRequirements,
): Promise<{
  readonly keyPackages: readonly ValidatedKeyPackage[];
  readonly notices: readonly ValidationNotice[];
}> {
  const notices: ValidationNotice[] = [];
  const jobs: SignatureJob[] = [];
  for (const keyPackage of keyPackages) {
    for (const notice of await checkKeyPackage(keyPackage, requirements)) notices.push(notice);
    for (const job of keyPackageSignatures(keyPackage)) jobs.push(job);
  }
  await verifySignatures(requirements.crypto, jobs);
  return { keyPackages: keyPackages.map((keyPackage) => sealed(keyPackage)), notices };
}

/** valn0201: suite and version are the group's. */
export function checkSuiteAndVersion(keyPackage: KeyPackage, cipherSuite: number): void {
  const isMatch = keyPackage.cipherSuite === cipherSuite && keyPackage.version === MLS10;
  check(isMatch, "valn0201", "INVALID_KEY_PACKAGE", "a key package is for another suite", {
    expected: cipherSuite,
    found: keyPackage.cipherSuite,
  });
}

/** valn0204: the init key is not the leaf's encryption key. */
export function checkInitKey({ initKey, leafNode }: KeyPackage): void {
  const differ = !equalBytes(initKey, leafNode.encryptionKey);
  check(differ, "valn0204", "INVALID_KEY_PACKAGE", "a key package uses one key for two purposes");
}

/** valn1604: no extension of the RFC belongs in a key package. Unknown ones pass (mk-59). */
function checkExtensionPlaces({ extensions }: KeyPackage): void {
  for (const { type } of extensions) {
    const isPlaced = !isDefaultType("extensions", type);
    check(isPlaced, "valn1604", "INVALID_KEY_PACKAGE", "an extension is out of place", {
      extensionType: type,
    });
  }
}
