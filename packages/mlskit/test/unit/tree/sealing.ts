/** Encrypts any path secret, also a wrong one, to the nodes given. */
import type { SealedMessage, SuiteCrypto } from "../../../src/crypto/crypto-provider.ts";
import { encryptContext } from "../../../src/crypto/labels.ts";
import { encryptionKeyOf } from "../../../src/tree/key-index.ts";
import type { RatchetTree } from "../../../src/tree/ratchet-tree.ts";
import { nodeIndex } from "../../../src/tree/tree-math.ts";

export async function seal(
  crypto: SuiteCrypto,
  tree: RatchetTree,
  nodes: readonly number[],
  context: Uint8Array,
  plaintext: Uint8Array,
): Promise<readonly SealedMessage[]> {
  const info = encryptContext("UpdatePathNode", context);
  const jobs = nodes.map((at) => {
    return { publicKey: encryptionKeyOf(tree.node(nodeIndex(at))!), plaintext };
  });
  return crypto.sealMany(info, jobs);
}
