/** The official treekem vectors, in both directions. */
import { describe, expect, test } from "vitest";
import { decode, encode, fromHex, toHex } from "../../../src/codec/index.ts";
import type { SuiteCrypto } from "../../../src/crypto/crypto-provider.ts";
import { Secret } from "../../../src/crypto/secret.ts";
import { createSigner } from "../../../src/crypto/signer.ts";
import { GroupContext } from "../../../src/key-schedule/group-context.ts";
import { LeafNode, UpdatePath } from "../../../src/tree/nodes.ts";
import { derivePathKeys } from "../../../src/tree/path-secrets.ts";
import type { PrivateKeys } from "../../../src/tree/private-keys.ts";
import { RatchetTree } from "../../../src/tree/ratchet-tree.ts";
import { leafIndex, nodeIndex } from "../../../src/tree/tree-math.ts";
import { verifySignatures } from "../../../src/tree/signature-batch.ts";
import { verifyJob } from "../../../src/tree/leaf-node.ts";
import {
  createUpdatePath,
  decryptUpdatePath,
  mergeUpdatePath,
} from "../../../src/tree/update-path.ts";
import { suiteCrypto } from "./samples.ts";
import { vectors } from "./vector-files.ts";

interface PrivateVector {
  readonly index: number;
  readonly encryption_priv: string;
  readonly signature_priv: string;
  readonly path_secrets: readonly { readonly node: number; readonly path_secret: string }[];
}

interface TreeKemVector {
  readonly cipher_suite: number;
  readonly group_id: string;
  readonly epoch: number;
  readonly confirmed_transcript_hash: string;
  readonly ratchet_tree: string;
  readonly leaves_private: readonly PrivateVector[];
  readonly update_paths: readonly {
    readonly sender: number;
    readonly update_path: string;
    readonly path_secrets: readonly (string | null)[];
    readonly commit_secret: string;
    readonly tree_hash_after: string;
  }[];
}

const cases = vectors<TreeKemVector>("treekem");
const NOBODY: ReadonlySet<number> = new Set();

async function privateKeysOf(crypto: SuiteCrypto, vector: PrivateVector): Promise<PrivateKeys> {
  const keys = new Map<number, Secret>();
  keys.set(2 * vector.index, new Secret(fromHex(vector.encryption_priv)));
  for (const { node, path_secret: secret } of vector.path_secrets) {
    const { keyPairs } = await derivePathKeys(crypto, fromHex(secret), 1);
    keys.set(node, keyPairs[0]!.privateKey);
  }
  return keys;
}

describe.skipIf(cases.length === 0)("the official treekem vectors", () => {
  test.each([1, 2, 3, 4, 5, 6, 7])("hold for suite %i", { timeout: 120_000 }, async (suite) => {
    const ofSuite = cases.filter((vector) => vector.cipher_suite === suite);
    expect(ofSuite.length).toBe(11);
    for (const vector of ofSuite) await run(vector);
  });
});

async function run(vector: TreeKemVector): Promise<void> {
  const crypto = suiteCrypto(vector.cipher_suite);
  const groupId = fromHex(vector.group_id);
  const tree = RatchetTree.decode(crypto, fromHex(vector.ratchet_tree));
  const contextBytes = (treeHash: Uint8Array): Uint8Array =>
    encode(GroupContext, {
      version: 1,
      cipherSuite: vector.cipher_suite,
      groupId,
      epoch: BigInt(vector.epoch),
      treeHash,
      confirmedTranscriptHash: fromHex(vector.confirmed_transcript_hash),
      extensions: [],
    });
  const privateKeys = new Map<number, PrivateKeys>();
  for (const leaf of vector.leaves_private) {
    const keys = await privateKeysOf(crypto, leaf);
    privateKeys.set(leaf.index, keys);
    for (const [at, secret] of keys) {
      const node = tree.node(nodeIndex(at))!;
      const key = node.type === "leaf" ? node.leaf.encryptionKey : node.parent.encryptionKey;
      expect(toHex(await crypto.publicKeyOf(secret.bytes))).toBe(toHex(key));
    }
  }
  const receive = async (
    sender: number,
    ownLeaf: number,
    updatePath: UpdatePath,
  ): Promise<{ pathSecret: string; commitSecret: string; treeHash: string }> => {
    const options = {
      treeBefore: tree,
      sender: leafIndex(sender),
      updatePath,
      excludedLeaves: NOBODY,
    };
    const merged = await mergeUpdatePath({ ...options, tree });
    const treeHash = merged.tree.treeHash();
    const result = await decryptUpdatePath({
      ...options,
      ...merged,
      ownLeaf: leafIndex(ownLeaf),
      privateKeys: privateKeys.get(ownLeaf)!,
      groupContextBytes: contextBytes(treeHash),
    });
    return {
      pathSecret: toHex(result.pathSecret.bytes),
      commitSecret: toHex(result.commitSecret.bytes),
      treeHash: toHex(treeHash),
    };
  };
  for (const path of vector.update_paths) {
    const updatePath = decode(UpdatePath, fromHex(path.update_path));
    const sender = leafIndex(path.sender);
    await verifySignatures(crypto, [
      verifyJob(updatePath.leafNode, { groupId, leafIndex: sender }),
    ]);
    for (const [receiver, pathSecret] of path.path_secrets.entries()) {
      if (pathSecret === null) continue;
      expect(await receive(path.sender, receiver, updatePath)).toEqual({
        pathSecret,
        commitSecret: path.commit_secret,
        treeHash: path.tree_hash_after,
      });
    }
    const leaf = tree.leaf(sender)!;
    const own = vector.leaves_private.find(({ index }) => index === path.sender)!;
    const created = await createUpdatePath({
      tree,
      sender,
      leaf,
      signer: createSigner(crypto, {
        publicKey: leaf.signatureKey,
        privateKey: fromHex(own.signature_priv),
      }),
      groupId,
      excludedLeaves: NOBODY,
      groupContextBytes: contextBytes,
    });
    const sent = decode(UpdatePath, encode(UpdatePath, created.updatePath));
    expect(sent.leafNode).toEqual(decode(LeafNode, created.tree.leaf(sender)!.encoded));
    for (const [receiver, pathSecret] of path.path_secrets.entries()) {
      if (pathSecret === null) continue;
      const received = await receive(path.sender, receiver, sent);
      expect(received.commitSecret).toBe(toHex(created.commitSecret.bytes));
      expect(received.treeHash).toBe(toHex(created.tree.treeHash()));
    }
  }
}
