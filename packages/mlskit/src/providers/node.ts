/** Provider over node:crypto: the fastest on Node, synchronous except for large batches. */
import { CIPHER_SUITES, type CipherSuite } from "../crypto/cipher-suite.ts";
import { createProvider } from "../crypto/create-provider.ts";
import type { CryptoProvider, SuiteCrypto } from "../crypto/crypto-provider.ts";
import { createSuiteCrypto } from "../crypto/suite-crypto.ts";
import type { SuitePrimitives } from "../crypto/suite-primitives.ts";
import { nodeKem } from "./node-kem.ts";
import { nodeCrypto } from "./node-module.ts";
import { sealOnThreads } from "./node-seal-pool.ts";
import { nodeSignature } from "./node-signature.ts";
import { nodeAead, nodeHash, nodeHmac, nodeRandom } from "./node-symmetric.ts";

export interface NodeProviderOptions {
  /**
   * Source of all keys, nonces and ids. Default: the runtime's generator. The blinding and the
   * nonces inside ECDSA remain OpenSSL's own.
   */
  readonly randomBytes?: ((length: number) => Uint8Array) | undefined;
  /**
   * How many imported encryption keys each suite remembers, for a Commit may need those of a whole
   * group at once; of signature keys, which are met one by one, half as many. About 1.8 KB each.
   * Default 2048.
   */
  readonly cacheSize?: number | undefined;
  /**
   * Whether worker threads may take a share of large batches of HPKE encryptions, as in Commits and
   * Welcomes for dozens of members. Default true; never with `randomBytes`, which threads cannot ask.
   */
  readonly sealingThreads?: boolean | undefined;
}

/**
 * All suites of RFC 9420 §17.1 by node:crypto.
 *
 * @throws UsageError `NO_NODE_CRYPTO` on runtimes without it
 */
export function nodeProvider(options: NodeProviderOptions = {}): CryptoProvider {
  nodeCrypto();
  return createProvider(
    "node",
    CIPHER_SUITES.map((suite) => ({ suite, create: () => nodeSuite(suite, options) })),
  );
}

function nodeSuite(suite: CipherSuite, options: NodeProviderOptions): SuiteCrypto {
  const cacheSize = options.cacheSize ?? 2048;
  const hash = nodeHash(suite.kdf.hash);
  const hmac = nodeHmac(suite.kdf.hash);
  const aead = nodeAead(suite.aead.name);
  const primitives: SuitePrimitives = {
    providerName: "node",
    randomBytes: options.randomBytes ?? nodeRandom(),
    hash,
    hmac,
    aeadSeal: aead.seal,
    aeadOpen: aead.open,
    kem: nodeKem(suite.kem.group, { cacheSize, nativeRandom: options.randomBytes === undefined }),
    signature: nodeSignature(suite.signature.name, cacheSize / 2),
  };
  const crypto = createSuiteCrypto(suite, primitives);
  if (options.sealingThreads === false || options.randomBytes !== undefined) return crypto;
  const sealMany: SuitePrimitives["sealMany"] = (info, jobs) => sealOnThreads(crypto, info, jobs);
  return createSuiteCrypto(suite, { ...primitives, sealMany });
}
