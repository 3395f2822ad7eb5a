/** Signing leaf nodes and checking their signatures. RFC 9420 §7.2. */
import {
  encode,
  equalBytes,
  signedPart,
  struct,
  opaque,
  uint32,
  withEncoding,
  withSignature,
  type Codec,
  EMPTY_BYTES,
} from "../codec/index.ts";
import { certifiesKey } from "../credentials/x509.ts";
import type { Signer, SuiteCrypto } from "../crypto/crypto-provider.ts";
import { labeledContent, LEAF_NODE_TBS, signWithLabel } from "../crypto/labels.ts";
import { InternalError, UsageError } from "../errors.ts";
import { type LeafNode, LeafNodeFields } from "./nodes.ts";
import type { SignatureJob } from "./signature-batch.ts";
import type { LeafIndex } from "./tree-math.ts";

/** A leaf node before it is signed. */
export type UnsignedLeafNode = Omit<LeafNodeFields, "signature">;

/** Where in which group a leaf is: part of what its signature covers, except in key packages. */
export interface LeafBinding {
  readonly groupId: Uint8Array;
  readonly leafIndex: LeafIndex;
}

const LeafBinding: Codec<LeafBinding> = struct({
  groupId: opaque,
  leafIndex: uint32 as Codec<LeafIndex>,
});

/**
 * LeafNodeTBS in parts: it is never needed without something around it. Leaves from key packages know
 * no group, so `binding` is not used for them.
 */
export function leafNodeTbs(
  leaf: LeafNode,
  binding: LeafBinding | undefined,
): readonly Uint8Array[] {
  const fields = signedPart(leaf);
  if (leaf.origin.source === "keyPackage") return [fields];
  if (binding === undefined) throw new InternalError("a leaf needs its binding");
  return [fields, encode(LeafBinding, binding)];
}

/**
 * Signs a leaf node. `binding` is needed unless the leaf is for a key package.
 *
 * @throws UsageError `INVALID_SIGNER` if the signer is not for the leaf's signature key and suite,
 *   or the leaf's certificate not for the key
 */
export async function signLeafNode(
  crypto: SuiteCrypto,
  signer: Signer,
  fields: UnsignedLeafNode,
  binding?: LeafBinding,
): Promise<LeafNode> {
  // mk-23: the signer's key is the one that the leaf announces.
  if (
    signer.scheme !== crypto.suite.signature.scheme ||
    !equalBytes(signer.publicKey, fields.signatureKey)
  ) {
    throw new UsageError("INVALID_SIGNER", "the signer does not belong to the leaf node", {
      rule: "mk-23",
    });
  }
  if (!certifiesKey(fields.credential, fields.signatureKey)) {
    throw new UsageError("INVALID_SIGNER", "the certificate is not for the signer's key", {
      rule: "mk-17",
    });
  }
  const { encryptionKey, signatureKey, credential, capabilities, origin, extensions } = fields;
  const unsigned = withEncoding(LeafNodeFields, {
    encryptionKey,
    signatureKey,
    credential,
    capabilities,
    origin,
    extensions,
    signature: EMPTY_BYTES,
  });
  const tbs = leafNodeTbs(unsigned, binding);
  const signature = await signWithLabel(signer, LEAF_NODE_TBS, ...tbs);
  return withSignature(unsigned, signature);
}

/** The check that a leaf's signature was made with its own key (valn0102), for a batch. */
export function verifyJob(leaf: LeafNode, binding: LeafBinding | undefined): SignatureJob {
  return {
    publicKey: leaf.signatureKey,
    message: labeledContent(LEAF_NODE_TBS, ...leafNodeTbs(leaf, binding)),
    signature: leaf.signature,
    rule: "valn0102",
    what: "leaf node",
    details: binding === undefined ? undefined : { leafIndex: binding.leafIndex },
  };
}
