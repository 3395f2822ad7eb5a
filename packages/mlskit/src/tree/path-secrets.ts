/** Path secrets and the keys that follow from them. RFC 9420 §7.4. */
import type { HpkeKeyPair, MaybePromise, SuiteCrypto } from "../crypto/crypto-provider.ts";
import { deriveSecret } from "../crypto/labels.ts";
import { all } from "../crypto/maybe-promise.ts";
import { Secret } from "../crypto/secret.ts";

/** Key pair of a path node. */
export interface PathKeyPair {
  readonly publicKey: Uint8Array;
  readonly privateKey: Secret;
}

export interface PathKeys {
  /** One per node, beginning with the secret given. */
  readonly pathSecrets: readonly Secret[];
  readonly keyPairs: readonly PathKeyPair[];
  /** What would be the path secret above the last node. */
  readonly commitSecret: Secret;
}

/**
 * The path secrets and key pairs of `count` consecutive nodes of a filtered direct path, the first
 * of which has this path secret. Without nodes, the path secret itself is the commit secret.
 */
export async function derivePathKeys(
  crypto: SuiteCrypto,
  pathSecret: Uint8Array,
  count: number,
): Promise<PathKeys> {
  const pathSecrets: Secret[] = [];
  const nodeSecrets: Uint8Array[] = [];
  const pending: MaybePromise<HpkeKeyPair>[] = [];
  let current: Uint8Array = pathSecret.slice();
  for (let i = 0; i < count; i++) {
    const nodeSecret = deriveSecret(crypto, current, "node");
    pathSecrets.push(new Secret(current));
    nodeSecrets.push(nodeSecret);
    pending.push(crypto.deriveKeyPair(nodeSecret));
    current = deriveSecret(crypto, current, "path");
  }
  const keyPairs = await all(pending);
  for (const nodeSecret of nodeSecrets) nodeSecret.fill(0);
  return {
    pathSecrets,
    keyPairs: keyPairs.map(({ publicKey, privateKey }) => {
      return { publicKey, privateKey: new Secret(privateKey) };
    }),
    commitSecret: new Secret(current),
  };
}
