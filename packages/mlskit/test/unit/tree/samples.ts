/** Trees and leaves for tests: real ones with signatures, and cheap ones for shapes. */
import { EMPTY_BYTES, withEncoding } from "../../../src/codec/index.ts";
import type { SuiteCrypto } from "../../../src/crypto/crypto-provider.ts";
import { createSigner } from "../../../src/crypto/signer.ts";
import { nodeProvider } from "../../../src/providers/node.ts";
import { type LeafNode, LeafNodeFields, type ParentNode } from "../../../src/tree/nodes.ts";
import type { Signer } from "../../../src/crypto/crypto-provider.ts";
import { RatchetTree } from "../../../src/tree/ratchet-tree.ts";
import { createKeyPackage } from "../../../src/key-packages/create-key-package.ts";
import type { Secret } from "../../../src/crypto/secret.ts";

const provider = nodeProvider();

export function suiteCrypto(suite = 1): SuiteCrypto {
  return provider.suite(suite);
}

export const GROUP_ID: Uint8Array = Uint8Array.of(1, 2, 3);

/** 32 bytes that nobody else gets. */
function key(kind: number, serial: number): Uint8Array {
  const bytes = new Uint8Array(32).fill(kind);
  new DataView(bytes.buffer).setUint32(0, serial);
  return bytes;
}

/** A leaf with made-up keys and no signature, for tests of shape. */
export function fakeLeaf(serial: number, fields: Partial<LeafNodeFields> = {}): LeafNode {
  return withEncoding(LeafNodeFields, {
    encryptionKey: key(1, serial),
    signatureKey: key(2, serial),
    credential: { type: "basic", identity: key(3, serial) },
    capabilities: {
      versions: [1],
      cipherSuites: [1],
      extensions: [],
      proposals: [],
      credentials: [1],
    },
    origin: { source: "update" },
    extensions: [],
    signature: EMPTY_BYTES,
    ...fields,
  });
}

export function fakeParent(serial: number, unmergedLeaves: readonly number[] = []): ParentNode {
  return { encryptionKey: key(4, serial), parentHash: EMPTY_BYTES, unmergedLeaves };
}

/** A tree of so many made-up leaves, without parents. */
export function fakeTree(members: number, crypto: SuiteCrypto = suiteCrypto()): RatchetTree {
  const editor = RatchetTree.ofLeaf(crypto, fakeLeaf(0)).edit();
  for (let i = 1; i < members; i++) editor.addLeaf(fakeLeaf(i));
  return editor.finish();
}

/** A client with a signed leaf from a key package. */
export interface SampleClient {
  readonly signer: Signer;
  readonly leaf: LeafNode;
  readonly encryptionKey: Secret;
}

export async function sampleClient(crypto: SuiteCrypto, name: number): Promise<SampleClient> {
  const signer = createSigner(crypto, await crypto.generateSignatureKeyPair());
  const { keyPackage, privateKeys } = await createKeyPackage({
    crypto,
    signer,
    credential: { type: "basic", identity: Uint8Array.of(name) },
    capabilities: {
      versions: [1],
      cipherSuites: [crypto.suite.id],
      extensions: [],
      proposals: [],
      credentials: [1],
    },
    lifetime: { notBefore: 0n, notAfter: 1_000_000n },
  });
  return { signer, leaf: keyPackage.leafNode, encryptionKey: privateKeys.encryptionKey };
}
