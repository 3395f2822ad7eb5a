/** Key packages: what is needed to add a client while it is away. RFC 9420 §10. */
import {
  type Codec,
  captured,
  type Encoded,
  opaque,
  ProtocolVersion,
  signedPart,
  struct,
  type StructCodec,
  uint16,
} from "../codec/index.ts";
import type { SuiteCrypto } from "../crypto/crypto-provider.ts";
import { makeKeyPackageRef } from "../crypto/hash-reference.ts";
import { labeledContent, KEY_PACKAGE_TBS } from "../crypto/labels.ts";
import { type Extension, Extensions, ExtensionType } from "../extensions/extension.ts";
import { LeafNode } from "../tree/nodes.ts";
import type { SignatureJob } from "../tree/signature-batch.ts";

/** The fields of a key package before it is encoded. */
export interface KeyPackageFields {
  readonly version: number;
  readonly cipherSuite: number;
  readonly initKey: Uint8Array;
  readonly leafNode: LeafNode;
  readonly extensions: readonly Extension[];
  /** Over KeyPackageTBS: all fields above. */
  readonly signature: Uint8Array;
}

export interface KeyPackage extends KeyPackageFields, Encoded {}

/** Field-wise codec, for building; {@link KeyPackage} reads and writes whole values. */
export const KeyPackageFields: StructCodec<KeyPackageFields> = struct({
  version: ProtocolVersion,
  cipherSuite: uint16,
  initKey: opaque,
  leafNode: LeafNode,
  extensions: Extensions,
  signature: opaque,
});

export const KeyPackage: Codec<KeyPackage> = captured(KeyPackageFields);

/** KeyPackageRef, RFC 9420 §5.2. */
export function keyPackageRef(crypto: SuiteCrypto, keyPackage: KeyPackage): Uint8Array {
  return makeKeyPackageRef(crypto, keyPackage.encoded);
}

/** The check of the package's own signature (valn0203), for a batch. RFC 9420 §10.1. */
export function keyPackageVerifyJob(keyPackage: KeyPackage): SignatureJob {
  return {
    publicKey: keyPackage.leafNode.signatureKey,
    message: labeledContent(KEY_PACKAGE_TBS, signedPart(keyPackage)),
    signature: keyPackage.signature,
    rule: "valn0203",
    what: "key package",
  };
}

/** Whether the package is marked as a last resort, to be kept after use. */
export function isLastResort(keyPackage: KeyPackage): boolean {
  return keyPackage.extensions.some(({ type }) => type === ExtensionType.lastResort);
}
