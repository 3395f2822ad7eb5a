/** Making key packages of our own. RFC 9420 §10. */
import { EMPTY_BYTES, MLS10, signedPart, withEncoding, withSignature } from "../codec/index.ts";
import { type Credential, credentialTypeOf } from "../credentials/credential.ts";
import type { Signer, SuiteCrypto } from "../crypto/crypto-provider.ts";
import { KEY_PACKAGE_TBS, signWithLabel } from "../crypto/labels.ts";
import { Secret } from "../crypto/secret.ts";
import { UsageError } from "../errors.ts";
import {
  ApplicationId,
  type Extension,
  ExtensionType,
  readExtension,
} from "../extensions/extension.ts";
import type { RuleId } from "../rules.ts";
import { isDefaultType, listsDefaultTypes, supports } from "../tree/capabilities.ts";
import { signLeafNode } from "../tree/leaf-node.ts";
import type { Capabilities, Lifetime } from "../tree/nodes.ts";
import { type KeyPackage, KeyPackageFields } from "./key-package.ts";

export interface CreateKeyPackageOptions {
  readonly crypto: SuiteCrypto;
  readonly signer: Signer;
  readonly credential: Credential;
  readonly capabilities: Capabilities;
  readonly lifetime: Lifetime;
  /** Of the key package itself. */
  readonly extensions?: readonly Extension[] | undefined;
  readonly leafExtensions?: readonly Extension[] | undefined;
  /** Longest lifetime in seconds that the application allows. */
  readonly maxLifetime?: bigint | undefined;
}

/** What the owner keeps until a Welcome arrives. */
export interface KeyPackagePrivateKeys {
  readonly initKey: Secret;
  /** Of the leaf node. */
  readonly encryptionKey: Secret;
}

export interface CreatedKeyPackage {
  readonly keyPackage: KeyPackage;
  readonly privateKeys: KeyPackagePrivateKeys;
}

/**
 * A new key package with fresh keys (mk-57: none is ever used for a second one).
 *
 * @throws UsageError `INVALID_KEY_PACKAGE` if peers would have to refuse it
 */
export async function createKeyPackage(
  options: CreateKeyPackageOptions,
): Promise<CreatedKeyPackage> {
  const { crypto, signer, credential, capabilities, lifetime } = options;
  const extensions = options.extensions ?? [];
  const leafExtensions = options.leafExtensions ?? [];
  checkOwnCapabilities(capabilities, crypto.suite.id, credential);
  checkOwnExtensions(capabilities, extensions);
  checkOwnLeafExtensions(capabilities, leafExtensions);
  demand(lifetime.notBefore <= lifetime.notAfter, "mk-54", "a lifetime ends before it begins");
  const { maxLifetime } = options;
  const isShort =
    maxLifetime === undefined || lifetime.notAfter - lifetime.notBefore <= maxLifetime;
  demand(isShort, "mk-55", "a lifetime is longer than the application allows");
  const initKeys = await crypto.generateKeyPair();
  const encryptionKeys = await crypto.generateKeyPair();
  const leafNode = await signLeafNode(crypto, signer, {
    encryptionKey: encryptionKeys.publicKey,
    signatureKey: signer.publicKey,
    credential,
    capabilities,
    origin: { source: "keyPackage", lifetime },
    extensions: leafExtensions,
  });
  const unsigned = withEncoding(KeyPackageFields, {
    version: MLS10,
    cipherSuite: crypto.suite.id,
    initKey: initKeys.publicKey,
    leafNode,
    extensions,
    signature: EMPTY_BYTES,
  });
  const signature = await signWithLabel(signer, KEY_PACKAGE_TBS, signedPart(unsigned));
  return {
    keyPackage: withSignature(unsigned, signature),
    privateKeys: {
      initKey: new Secret(initKeys.privateKey),
      encryptionKey: new Secret(encryptionKeys.privateKey),
    },
  };
}

/**
 * What our own leaves must and must not list, in whatever leaf we sign: mk-49, mk-50, valn0113.
 *
 * @throws UsageError `INVALID_KEY_PACKAGE`
 */
export function checkOwnCapabilities(
  capabilities: Capabilities,
  cipherSuite: number,
  credential: Credential,
): void {
  demand(capabilities.versions.includes(MLS10), "mk-49", "capabilities must list the version");
  const listsSuite = capabilities.cipherSuites.includes(cipherSuite);
  demand(listsSuite, "mk-49", "capabilities must list the suite in use");
  demand(!listsDefaultTypes(capabilities), "mk-50", "capabilities must not list default types");
  const listsCredential = capabilities.credentials.includes(credentialTypeOf(credential));
  demand(listsCredential, "valn0113", "capabilities must list the type of the credential");
}

/**
 * valn1601, valn0107: the extensions of a leaf of ours are in their place and listed.
 *
 * @throws UsageError `INVALID_KEY_PACKAGE`, `INVALID_EXTENSION`, DecodeError
 */
export function checkOwnLeafExtensions(
  capabilities: Capabilities,
  leafExtensions: readonly Extension[],
): void {
  for (const { type } of leafExtensions) {
    const isPlaced = type === ExtensionType.applicationId || !isDefaultType("extensions", type);
    demand(isPlaced, "valn1601", `extension ${type} does not belong in a leaf node`);
    const isListed = supports(capabilities, "extensions", type);
    if (isListed) continue;
    throw new UsageError("INVALID_EXTENSION", `capabilities must list extension ${type}`, {
      rule: "valn0107",
    });
  }
  // mk-16: others decode it.
  readExtension(leafExtensions, ExtensionType.applicationId, ApplicationId);
}

/** valn1604, mk-59: the package's own extensions are in their place and listed. */
function checkOwnExtensions(capabilities: Capabilities, extensions: readonly Extension[]): void {
  for (const { type } of extensions) {
    const isPlaced = !isDefaultType("extensions", type);
    demand(isPlaced, "valn1604", `extension ${type} does not belong in a key package`);
    const isListed = supports(capabilities, "extensions", type);
    demand(isListed, "mk-59", `capabilities must list extension ${type}`);
  }
}

function demand(condition: boolean, rule: RuleId, message: string): asserts condition {
  if (!condition) throw new UsageError("INVALID_KEY_PACKAGE", message, { rule });
}
