/** Diffie-Hellman by WebCrypto. */
import type { GroupName } from "../crypto/cipher-suite.ts";
import type { KemPrimitives } from "../crypto/suite-primitives.ts";
import { PrivateKeyCache, PublicKeyCache } from "./key-cache.ts";
import {
  type EcAlgorithm,
  exportPublic,
  importEcPrivate,
  importOkpPrivate,
  importPublic,
  subtle,
  type WebAlgorithm,
  type WebCurve,
} from "./webcrypto-keys.ts";

/** The public key of a NIST private key, which WebCrypto cannot compute. */
export type PublicKeyOf = (privateKey: Uint8Array) => Uint8Array;

export interface WebKemOptions {
  readonly cacheSize: number;
  /** False if private keys must come from the provider's `randomBytes`. */
  readonly nativeRandom: boolean;
}

const EC_CURVE: Readonly<Record<"p256" | "p384" | "p521", WebCurve>> = {
  p256: "P-256",
  p384: "P-384",
  p521: "P-521",
};

export function webKem(
  group: GroupName,
  publicKeyOf: PublicKeyOf | undefined,
  options: WebKemOptions,
): KemPrimitives {
  if (group === "x25519") return okpKem("X25519", 32, 9, options);
  if (group === "x448") return okpKem("X448", 56, 5, options);
  if (publicKeyOf === undefined) throw new TypeError("NIST curves need publicKeyOf");
  return ecKem({ name: "ECDH", namedCurve: EC_CURVE[group] }, publicKeyOf, options);
}

function okpKem(
  name: "X25519" | "X448",
  size: number,
  basePoint: number,
  options: WebKemOptions,
): KemPrimitives {
  const algorithm = { name } as const;
  const publicKeys = publicKeyCache(algorithm, options);
  const privateKeys = new PrivateKeyCache((bytes) => importOkpPrivate(name, bytes, ["deriveBits"]));
  const base = new Uint8Array(size);
  base[0] = basePoint;
  const dh = async (privateKey: Uint8Array, publicKey: Uint8Array): Promise<Uint8Array> =>
    derive(algorithm, await privateKeys.get(privateKey), await publicKeys.get(publicKey), size);
  return {
    // The public key is the private key times the base point, RFC 7748 §6: no export is needed.
    publicKeyOf: (privateKey) => dh(privateKey, base),
    dh,
    ...ephemeral(algorithm, publicKeys, size, options),
  };
}

function ecKem(
  algorithm: EcAlgorithm,
  publicKeyOf: PublicKeyOf,
  options: WebKemOptions,
): KemPrimitives {
  const publicKeys = publicKeyCache(algorithm, options);
  const privateKeys = new PrivateKeyCache((bytes) =>
    importEcPrivate(algorithm, bytes, publicKeyOf(bytes), ["deriveBits"]),
  );
  const size = { "P-256": 32, "P-384": 48, "P-521": 66 }[algorithm.namedCurve];
  return {
    publicKeyOf,
    dh: async (privateKey, publicKey) =>
      derive(algorithm, await privateKeys.get(privateKey), await publicKeys.get(publicKey), size),
    isOnCurve: async (publicKey) => (await publicKeys.get(publicKey)).type === "public",
    ...ephemeral(algorithm, publicKeys, size, options),
  };
}

function publicKeyCache(
  algorithm: WebAlgorithm,
  options: WebKemOptions,
): PublicKeyCache<Promise<CryptoKey>> {
  return new PublicKeyCache(options.cacheSize, (bytes) => importPublic(algorithm, bytes, []));
}

function ephemeral(
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

async function derive(
  algorithm: WebAlgorithm,
  privateKey: CryptoKey,
  publicKey: CryptoKey,
  size: number,
): Promise<Uint8Array> {
  const parameters = { name: algorithm.name, public: publicKey };
  return new Uint8Array(await subtle().deriveBits(parameters, privateKey, size * 8));
}
