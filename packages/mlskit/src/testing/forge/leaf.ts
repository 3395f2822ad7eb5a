/**
 * Leaf nodes and key packages that break a rule and are correctly signed all the same. The codecs
 * here are looser than those of the library: they write what it refuses to write.
 */
import {
  type Codec,
  EMPTY_BYTES,
  opaque,
  signedPart,
  struct,
  uint16,
  vector,
  withEncoding,
} from "../../codec/index.ts";
import { Credential } from "../../credentials/credential.ts";
import type { Signer } from "../../crypto/index.ts";
import { KEY_PACKAGE_TBS, LEAF_NODE_TBS, signWithLabel } from "../../crypto/labels.ts";
import { Extension } from "../../extensions/extension.ts";
import type { KeyPackageBundle } from "../../group/join-by-welcome.ts";
import type { KeyPackage, KeyPackageFields } from "../../key-packages/key-package.ts";
import { type LeafBinding, leafNodeTbs } from "../../tree/leaf-node.ts";
import { Capabilities, LeafNode, type LeafNodeFields, LeafNodeOrigin } from "../../tree/nodes.ts";

/** `Extension extensions<V>` that may hold a type twice. */
export const LooseExtensions: Codec<readonly Extension[]> = vector(Extension);

/** `LeafNode` with {@link LooseExtensions}. */
export const LooseLeafNode: Codec<LeafNodeFields> = struct({
  encryptionKey: opaque,
  signatureKey: opaque,
  credential: Credential,
  capabilities: Capabilities,
  origin: LeafNodeOrigin,
  extensions: LooseExtensions,
  signature: opaque,
});

/** `KeyPackage` with {@link LooseExtensions}. */
export const LooseKeyPackage: Codec<KeyPackageFields> = struct({
  version: uint16,
  cipherSuite: uint16,
  initKey: opaque,
  leafNode: LeafNode,
  extensions: LooseExtensions,
  signature: opaque,
});

/** What the changed leaf says; the rest stays. */
export type LeafChanges = Partial<Omit<LeafNodeFields, "signature">>;

/** Who signs a leaf, and what the signature covers. */
export interface LeafForgery {
  readonly signer: Signer;
  /** Group and position that the signature covers; needed unless the source is a key package. */
  readonly binding?: { readonly groupId: Uint8Array; readonly leafIndex: number } | undefined;
  readonly alterSignature?: ((signature: Uint8Array) => Uint8Array) | undefined;
}

/** A leaf with these fields, signed by whoever the forgery says. */
export async function forgeLeaf(
  leaf: Omit<LeafNodeFields, "signature">,
  changes: LeafChanges,
  { signer, binding, alterSignature }: LeafForgery,
): Promise<LeafNode> {
  const fields: LeafNodeFields = { ...plainFields(leaf), ...changes, signature: EMPTY_BYTES };
  const unsigned = withEncoding(LooseLeafNode, fields);
  const tbs = leafNodeTbs(unsigned, binding as LeafBinding | undefined);
  const signature = await signWithLabel(signer, LEAF_NODE_TBS, ...tbs);
  return withEncoding(LooseLeafNode, {
    ...fields,
    signature: alterSignature?.(signature) ?? signature,
  });
}

/** What is wrong with a key package. */
export interface KeyPackageForgery {
  /** Changes to the leaf, which is signed again. */
  readonly leaf?: LeafChanges;
  readonly alterLeafSignature?: (signature: Uint8Array) => Uint8Array;
  /** Changes to the package around the leaf. */
  readonly fields?: Partial<Omit<KeyPackageFields, "leafNode" | "signature">>;
  readonly alterSignature?: (signature: Uint8Array) => Uint8Array;
  /** Group and position that the leaf's signature covers, for leaves of another source. */
  readonly leafBinding?: LeafForgery["binding"];
  /** Signs leaf and package; its key becomes the leaf's unless `leaf` says otherwise. */
  readonly signer?: Signer;
}

/** The client's key package with changes. Its private keys stay; new ones where keys are replaced. */
export async function forgeKeyPackage(
  client: KeyPackageBundle,
  forgery: KeyPackageForgery = {},
): Promise<KeyPackageBundle> {
  const signer = forgery.signer ?? client.signer;
  const changes = { signatureKey: signer.publicKey, ...forgery.leaf };
  const leafNode = await forgeLeaf(client.keyPackage.leafNode, changes, {
    signer,
    binding: forgery.leafBinding,
    alterSignature: forgery.alterLeafSignature,
  });
  return {
    ...client,
    signer,
    keyPackage: await sealKeyPackage({ ...client.keyPackage, leafNode }, forgery, signer),
  };
}

async function sealKeyPackage(
  { version, cipherSuite, initKey, leafNode, extensions }: Omit<KeyPackageFields, "signature">,
  { fields, alterSignature }: KeyPackageForgery,
  signer: Signer,
): Promise<KeyPackage> {
  const before = { version, cipherSuite, initKey, leafNode, extensions, ...fields };
  const unsigned = withEncoding(LooseKeyPackage, { ...before, signature: EMPTY_BYTES });
  const tbs = signedPart(unsigned);
  const signature = await signWithLabel(signer, KEY_PACKAGE_TBS, tbs);
  const final = alterSignature?.(signature) ?? signature;
  return withEncoding(LooseKeyPackage, { ...before, signature: final });
}

function plainFields(leaf: Omit<LeafNodeFields, "signature">): Omit<LeafNodeFields, "signature"> {
  const { encryptionKey, signatureKey, credential, capabilities, origin, extensions } = leaf;
  return { encryptionKey, signatureKey, credential, capabilities, origin, extensions };
}
