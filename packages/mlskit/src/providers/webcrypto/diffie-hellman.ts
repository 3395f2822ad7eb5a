/** Diffie-Hellman by WebCrypto, for all curves alike. */
import type { KemPrimitives } from "../../crypto/suite-primitives.ts";
import { PublicKeyCache } from "../key-cache.ts";
import { exportPublic, importPublic, subtle, type WebAlgorithm } from "./keys.ts";

export interface WebKemOptions {
  readonly cacheSize: number;
  /** False if private keys must come from the provider's `randomBytes`. */
  readonly nativeRandom: boolean;
}

export function publicKeyCache(
  algorithm: WebAlgorithm,
  options: WebKemOptions,
): PublicKeyCache<Promise<CryptoKey>> {
  return new PublicKeyCache(options.cacheSize, (bytes) => importPublic(algorithm, bytes, []));
}

export function ephemeral(
  algorithm: WebAlgorithm,
  publicKeys: PublicKeyCache<Promise<CryptoKey>>,
  size: number,
  options: WebKemOptions,
): Pick<KemPrimitives, "ephemeral"> {
  if (!options.nativeRandom) return {};
  return {
    async ephemeral(publicKey) {
      const peer = await publicKeys.get(publicKey);
      const pair = (await subtle().generateKey(algorithm, false, ["deriveBits"])) as CryptoKeyPair;
      return {
        publicKey: await exportPublic(pair.publicKey),
        shared: await derive(algorithm, pair.privateKey, peer, size),
      };
    },
  };
}

export async function derive(
  algorithm: WebAlgorithm,
  privateKey: CryptoKey,
  publicKey: CryptoKey,
  size: number,
): Promise<Uint8Array> {
  const parameters = { name: algorithm.name, public: publicKey };
  return new Uint8Array(await subtle().deriveBits(parameters, privateKey, size * 8));
}
