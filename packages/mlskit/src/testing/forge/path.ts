/** Update paths that are right in everything but what the forgery changes. RFC 9420 §7.4–7.6. */
import type { Signer } from "../../crypto/index.ts";
import { Secret } from "../../crypto/index.ts";
import { UPDATE_PATH_NODE, encryptWithLabel } from "../../crypto/labels.ts";
import { encryptionKeyOf } from "../../tree/key-index.ts";
import type {
  HpkeCiphertext,
  LeafNodeFields,
  TreeNode,
  UpdatePath,
  UpdatePathNode,
} from "../../tree/nodes.ts";
import { pathParentHashes } from "../../tree/parent-hash.ts";
import { derivePathKeys } from "../../tree/path-secrets.ts";
import type { RatchetTree } from "../../tree/ratchet-tree.ts";
import { type LeafIndex, nodeOfLeaf } from "../../tree/tree-math.ts";
import { forgeLeaf, type LeafChanges } from "./leaf.ts";

/** What is wrong with an update path. */
export interface PathForgery {
  /** Changes to the path's leaf, which is signed after them. */
  readonly leaf?: LeafChanges;
  /** Signs the leaf; its key becomes the leaf's unless `leaf` says otherwise. */
  readonly leafSigner?: Signer;
  readonly alterLeafSignature?: (signature: Uint8Array) => Uint8Array;
  /** Group and position that the leaf's signature covers. */
  readonly leafBinding?: { readonly groupId?: Uint8Array; readonly leafIndex?: number };
  /** The announced public keys, from the bottom up; parent hashes are made for what this returns. */
  readonly alterKeys?: (keys: readonly Uint8Array[]) => readonly Uint8Array[];
  /** Parent hash of the leaf. */
  readonly alterParentHash?: (hash: Uint8Array) => Uint8Array;
  /** What is encrypted, for the node at this position of the path. */
  readonly alterSecret?: (secret: Uint8Array, position: number) => Uint8Array;
  /** The finished nodes. */
  readonly alterNodes?: (nodes: readonly UpdatePathNode[]) => readonly UpdatePathNode[];
  /** The encoded GroupContext that the path secrets are encrypted under. */
  readonly alterContext?: (context: Uint8Array) => Uint8Array;
  /** Also encrypt to leaves that the Commit adds. */
  readonly includeAdded?: boolean;
}

/** Whose path it is, and in which tree. */
export interface PathInput {
  /** After the proposals. */
  readonly tree: RatchetTree;
  readonly sender: LeafIndex;
  readonly leaf: Pick<LeafNodeFields, "credential" | "capabilities" | "extensions">;
  readonly signer: Signer;
  readonly groupId: Uint8Array;
  readonly added: ReadonlySet<number>;
  readonly groupContextBytes: (treeHash: Uint8Array) => Uint8Array;
}

/** What {@link forgePath} makes. */
export interface ForgedPath {
  readonly tree: RatchetTree;
  readonly updatePath: UpdatePath;
  readonly commitSecret: Secret;
  /** By node, as an honest committer would hold them. */
  readonly privateKeys: ReadonlyMap<number, Secret>;
  readonly pathSecrets: ReadonlyMap<number, Secret>;
}

/** A path with its tree, secrets and ciphertexts. */
export async function forgePath(input: PathInput, forgery: PathForgery): Promise<ForgedPath> {
  const { tree: before, sender } = input;
  const { crypto } = before;
  const path = before.filteredDirectPath(sender);
  const seed = crypto.randomBytes(crypto.suite.kdf.size);
  const derived = await derivePathKeys(crypto, seed, path.length);
  const honest = derived.keyPairs.map(({ publicKey }) => publicKey);
  const keys = forgery.alterKeys?.(honest) ?? honest;
  const hashes = pathParentHashes(before, path, keys);
  const parentHash = forgery.alterParentHash?.(hashes.leaf) ?? hashes.leaf;
  const leafKeys = await crypto.generateKeyPair();
  const signer = forgery.leafSigner ?? input.signer;
  const leafNode = await forgeLeaf(
    {
      ...input.leaf,
      encryptionKey: leafKeys.publicKey,
      signatureKey: signer.publicKey,
      origin: { source: "commit", parentHash },
    },
    forgery.leaf ?? {},
    {
      signer,
      binding: { groupId: input.groupId, leafIndex: sender, ...forgery.leafBinding },
      alterSignature: forgery.alterLeafSignature,
    },
  );
  const editor = before.edit();
  editor.updateLeaf(sender, leafNode);
  const privateKeys = new Map([[nodeOfLeaf(sender) as number, new Secret(leafKeys.privateKey)]]);
  const pathSecrets = new Map<number, Secret>();
  for (const [i, { node }] of path.entries()) {
    const parentHash = hashes.nodes[i] as Uint8Array;
    editor.setParent(node, {
      encryptionKey: keys[i] as Uint8Array,
      parentHash,
      unmergedLeaves: [],
    });
    const { privateKey } = derived.keyPairs[i] as (typeof derived.keyPairs)[number];
    privateKeys.set(node, privateKey);
    pathSecrets.set(node, derived.pathSecrets[i] as Secret);
  }
  const tree = editor.finish();
  const right = input.groupContextBytes(tree.treeHash());
  const context = forgery.alterContext?.(right) ?? right;
  const nodes: UpdatePathNode[] = [];
  for (const [i, { copathChild }] of path.entries()) {
    const excluded = forgery.includeAdded === true ? new Set<number>() : input.added;
    const encryptedPathSecret: HpkeCiphertext[] = [];
    for (const to of before.resolution(copathChild, excluded)) {
      const secret = (derived.pathSecrets[i] as Secret).bytes;
      const plaintext = forgery.alterSecret?.(secret, i) ?? secret;
      const publicKey = encryptionKeyOf(before.node(to) as TreeNode);
      const label = UPDATE_PATH_NODE;
      // A key that cannot be encrypted to is one that a forgery planted: anything will do.
      const sealed = (await crypto.isValidPublicKey(publicKey))
        ? await encryptWithLabel(crypto, publicKey, label, context, plaintext)
        : { kemOutput: publicKey, ciphertext: plaintext };
      encryptedPathSecret.push(sealed);
    }
    nodes.push({ encryptionKey: keys[i] as Uint8Array, encryptedPathSecret });
  }
  return {
    tree,
    updatePath: { leafNode, nodes: forgery.alterNodes?.(nodes) ?? nodes },
    commitSecret: derived.commitSecret,
    privateKeys,
    pathSecrets,
  };
}
