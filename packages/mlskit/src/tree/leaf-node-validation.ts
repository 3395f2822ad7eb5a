/**
 * The rules for one leaf node. RFC 9420 §7.3.
 *
 * Pure checks, one per rule, and {@link checkLeafNode}, which runs those that apply wherever a leaf
 * occurs: in key packages, Updates, path leaves and trees. Signatures are not checked here but
 * collected for a batch, see leaf-node.ts.
 */
import { equalBytes, MLS10 } from "../codec/index.ts";
import { credentialTypeOf } from "../credentials/credential.ts";
import { certifiesKey } from "../credentials/x509.ts";
import type { MaybePromise, SuiteCrypto } from "../crypto/crypto-provider.ts";
import { all, andThen } from "../crypto/maybe-promise.ts";
import type { ErrorDetails } from "../errors.ts";
import {
  ApplicationId,
  ExtensionType,
  readExtension,
  type RequiredCapabilities,
} from "../extensions/extension.ts";
import { check, type RuleId, type ValidationCode } from "../rules.ts";
import { isDefaultType, requiredTypes, supports } from "./capabilities.ts";
import type { LeafNode, LeafNodeOrigin } from "./nodes.ts";
import type { RatchetTree } from "./ratchet-tree.ts";

/** Something worth knowing that is no reason to reject. */
export interface ValidationNotice {
  readonly rule: RuleId;
  readonly message: string;
  readonly details?: ErrorDetails | undefined;
}

/** How a leaf's lifetime is judged. Seconds since 1970; the caller reads its clock once. */
export interface LifetimeRules {
  /** Absent: the current time is not compared. */
  readonly now?: bigint | undefined;
  /** `sending`: outside is an error (valn0105). `strict`: too (valn0106). Default: a notice. */
  readonly mode?: "sending" | "strict" | "notice" | undefined;
  /** Longest acceptable `notAfter - notBefore`. Absent: any. */
  readonly maximum?: bigint | undefined;
}

/** What the leaf is for, and what the group demands of it. */
export interface LeafNodeRequirements {
  readonly crypto: SuiteCrypto;
  /** Error code: the kind of object that the leaf is part of. */
  readonly code: ValidationCode;
  /** Absent in a tree, where any source is legal. */
  readonly source?: LeafNodeOrigin["source"] | undefined;
  /** The leaf being replaced by an Update or a path. */
  readonly replaces?: LeafNode | undefined;
  readonly requiredCapabilities?: RequiredCapabilities | undefined;
  /** Types of the GroupContext's extensions that will be in force; not asked of leaves in a tree. */
  readonly groupExtensionTypes?: readonly number[] | undefined;
  readonly lifetime?: LifetimeRules | undefined;
  /** For error reports. */
  readonly leafIndex?: number | undefined;
}

/** All rules for a leaf that need neither the rest of the tree nor its signature. */
export function checkLeafNode(
  leaf: LeafNode,
  requirements: LeafNodeRequirements,
): MaybePromise<readonly ValidationNotice[]> {
  const { crypto, code, source, leafIndex } = requirements;
  const details = leafIndex === undefined ? undefined : { leafIndex };
  const context: LeafContext = { code, details };
  if (source !== undefined) checkSource(leaf, source, context);
  if (requirements.replaces !== undefined) checkKeyIsFresh(leaf, requirements.replaces, context);
  checkOwnCredentialType(leaf, context);
  checkOwnExtensions(leaf, context);
  checkRequiredCapabilities(leaf, requirements.requiredCapabilities, context);
  if (source !== undefined) {
    checkGroupExtensions(leaf, source, requirements.groupExtensionTypes ?? [], context);
  }
  const notices = [
    ...checkVersionAndSuite(leaf, crypto.suite.id, context),
    ...checkLifetime(leaf, requirements.lifetime ?? {}, context),
  ];
  return andThen(checkKeyFormats(leaf, crypto, context), () => notices);
}

export interface LeafContext {
  readonly code: ValidationCode;
  readonly details: ErrorDetails | undefined;
}

/** valn0108, valn0109, valn0110: the leaf says where it is used. */
export function checkSource(
  leaf: LeafNode,
  source: LeafNodeOrigin["source"],
  { code, details }: LeafContext,
): void {
  const found = leaf.origin.source;
  const isRight = found === source;
  const message = "a leaf node has the wrong source";
  const where = { expected: source, found, ...details };
  if (source === "keyPackage") check(isRight, "valn0108", code, message, where);
  if (source === "update") check(isRight, "valn0109", code, message, where);
  if (source === "commit") check(isRight, "valn0110", code, message, where);
}

/** valn0109, valn1208: a replaced leaf gets a new encryption key. */
export function checkKeyIsFresh(
  leaf: LeafNode,
  replaced: LeafNode,
  { code, details }: LeafContext,
): void {
  const isFresh = !equalBytes(leaf.encryptionKey, replaced.encryptionKey);
  const message = "a leaf node keeps the encryption key that it replaces";
  if (leaf.origin.source === "commit") check(isFresh, "valn1208", code, message, details);
  else check(isFresh, "valn0109", code, message, details);
}

/** valn0113: the leaf's own credential type is in its capabilities. mk-17: it certifies the key. */
export function checkOwnCredentialType(leaf: LeafNode, { code, details }: LeafContext): void {
  const credentialType = credentialTypeOf(leaf.credential);
  check(
    leaf.capabilities.credentials.includes(credentialType),
    "valn0113",
    code,
    "a leaf node does not list its own credential type",
    { credentialType, ...details },
  );
  const isCertified = certifiesKey(leaf.credential, leaf.signatureKey);
  check(isCertified, "mk-17", code, "a certificate is not for the leaf's key", details);
}

/** valn0107, valn1601: extensions are listed, and no known one is out of place. mk-16: they decode. */
export function checkOwnExtensions(leaf: LeafNode, { code, details }: LeafContext): void {
  for (const { type } of leaf.extensions) {
    const place = { extensionType: type, ...details };
    const misplaced = type !== ExtensionType.applicationId && isDefaultType("extensions", type);
    check(!misplaced, "valn1601", code, `extension ${type} does not belong in a leaf node`, place);
    const listed = supports(leaf.capabilities, "extensions", type);
    check(listed, "valn0107", code, `a leaf node does not list its own extension ${type}`, place);
  }
  readExtension(leaf.extensions, ExtensionType.applicationId, ApplicationId);
}

/** valn0103: the leaf lists what the group requires. Default types count as listed. */
export function checkRequiredCapabilities(
  leaf: LeafNode,
  required: RequiredCapabilities | undefined,
  { code, details }: LeafContext,
): void {
  for (const { kind, type } of requiredTypes(required)) {
    const listed = supports(leaf.capabilities, kind, type);
    const where = { ...details, kind, type };
    check(listed, "valn0103", code, "a leaf node lacks support that the group requires", where);
  }
}

/** valn0502, valn0602, valn1210: the leaf supports the extensions of the GroupContext. */
export function checkGroupExtensions(
  leaf: LeafNode,
  source: LeafNodeOrigin["source"],
  types: readonly number[],
  { code, details }: LeafContext,
): void {
  const message = "a leaf node lacks support for an extension of the group";
  for (const extensionType of types) {
    const isListed = supports(leaf.capabilities, "extensions", extensionType);
    const where = { extensionType, ...details };
    if (source === "keyPackage") check(isListed, "valn0502", code, message, where);
    if (source === "update") check(isListed, "valn0602", code, message, where);
    if (source === "commit") check(isListed, "valn1210", code, message, where);
  }
}

/** mk-49: the leaf lists the version. A suite that is not listed is a notice: deployed peers do it. */
export function checkVersionAndSuite(
  leaf: LeafNode,
  cipherSuite: number,
  { code, details }: LeafContext,
): readonly ValidationNotice[] {
  const listed = leaf.capabilities.versions.includes(MLS10);
  check(listed, "mk-49", code, "a leaf node does not list the protocol version", details);
  if (leaf.capabilities.cipherSuites.includes(cipherSuite)) return [];
  return [{ rule: "mk-49", message: "a leaf node does not list the suite in use", details }];
}

/** mk-54, mk-55, valn0105, valn0106: both bounds belong to the lifetime. */
export function checkLifetime(
  leaf: LeafNode,
  { now, mode, maximum }: LifetimeRules,
  { code, details }: LeafContext,
): readonly ValidationNotice[] {
  if (leaf.origin.source !== "keyPackage") return [];
  const { notBefore, notAfter } = leaf.origin.lifetime;
  check(notBefore <= notAfter, "mk-54", code, "a lifetime ends before it begins", details);
  if (maximum !== undefined) {
    check(notAfter - notBefore <= maximum, "mk-55", code, "a lifetime is too long", details);
  }
  if (now === undefined || (notBefore <= now && now <= notAfter)) return [];
  const message = "a leaf node is outside its lifetime";
  const where = { ...details, notBefore, notAfter, now };
  check(mode !== "sending", "valn0105", code, message, where);
  check(mode !== "strict", "valn0106", code, message, where);
  return [{ rule: "valn0106", message, details: where }];
}

/** mk-18, mk-19: both public keys have the format of the suite. */
export function checkKeyFormats(
  leaf: LeafNode,
  crypto: SuiteCrypto,
  { code, details }: LeafContext,
): MaybePromise<void> {
  const validity = all([
    crypto.isValidPublicKey(leaf.encryptionKey),
    crypto.isValidSignatureKey(leaf.signatureKey),
  ]);
  return andThen(validity, ([encryption, signature]) => {
    check(encryption === true, "mk-18", code, "a leaf's encryption key is malformed", details);
    check(signature === true, "mk-19", code, "a leaf's signature key is malformed", details);
  });
}

/** valn0104: every member supports every credential type in use. On the resulting tree. */
export function checkCredentialTypes(tree: RatchetTree, code: ValidationCode): void {
  for (const credentialType of tree.credentialTypesInUse()) {
    check(
      tree.supportedByAll("credentials", credentialType),
      "valn0104",
      code,
      "a credential type in use is not supported by all members",
      { credentialType },
    );
  }
}
