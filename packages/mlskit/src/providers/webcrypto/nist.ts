/**
 * ECDH and ECDSA by WebCrypto. ECDSA signatures are r || s there, and DER in MLS. The public key of a
 * private key, which WebCrypto cannot compute, comes from JavaScript.
 */
import { derToFixed, fixedToDer } from "../../crypto/ecdsa-der.ts";
import type { NistFormat } from "../../crypto/nist-curves.ts";
import type { KemPrimitives, SignaturePrimitives } from "../../crypto/suite-primitives.ts";
import { PrivateKeyCache, PublicKeyCache } from "../key-cache.ts";
import { derive, ephemeral, publicKeyCache, type WebKemOptions } from "./diffie-hellman.ts";
import { importEcPrivate, importPublic, source, subtle, type WebCurve } from "./keys.ts";

interface NistCurve {
  readonly namedCurve: WebCurve;
  /** The hash that RFC 8446 §4.2.3 assigns to ECDSA over this curve. */
  readonly hash: string;
  readonly size: number;
}

export const P256: NistCurve = { namedCurve: "P-256", hash: "SHA-256", size: 32 };
export const P384: NistCurve = { namedCurve: "P-384", hash: "SHA-384", size: 48 };
export const P521: NistCurve = { namedCurve: "P-521", hash: "SHA-512", size: 66 };

/** What JavaScript adds to a curve. */
interface Supplement {
  readonly format: NistFormat;
  publicKeyOf(privateKey: Uint8Array): Uint8Array;
}

export function ecKem(
  { namedCurve, size }: NistCurve,
  { format, publicKeyOf }: Supplement,
  options: WebKemOptions,
): KemPrimitives {
  const algorithm = { name: "ECDH", namedCurve } as const;
  const publicKeys = publicKeyCache(algorithm, options);
  const privateKeys = new PrivateKeyCache((bytes) =>
    importEcPrivate(algorithm, bytes, publicKeyOf(bytes), ["deriveBits"]),
  );
  return {
    format,
    publicKeyOf,
    dh: async (privateKey, publicKey) =>
      derive(algorithm, await privateKeys.get(privateKey), await publicKeys.get(publicKey), size),
    isOnCurve: async (publicKey) => (await publicKeys.get(publicKey)).type === "public",
    ...ephemeral(algorithm, publicKeys, size, options),
  };
}

export function ecDsa(
  { namedCurve, hash, size }: NistCurve,
  { format, publicKeyOf }: Supplement,
  cacheSize: number,
): SignaturePrimitives {
  const algorithm = { name: "ECDSA", namedCurve } as const;
  const parameters = { name: "ECDSA", hash };
  const publicKeys = new PublicKeyCache(cacheSize, (bytes) =>
    importPublic(algorithm, bytes, ["verify"]),
  );
  const privateKeys = new PrivateKeyCache((bytes) =>
    importEcPrivate(algorithm, bytes, publicKeyOf(bytes), ["sign"]),
  );
  return {
    format,
    publicKeyOf,
    isOnCurve: async (publicKey) => (await publicKeys.get(publicKey)).type === "public",
    async sign(privateKey, message) {
      const key = await privateKeys.get(privateKey);
      return fixedToDer(new Uint8Array(await subtle().sign(parameters, key, source(message))));
    },
    async verify(publicKey, message, signature) {
      const fixed = derToFixed(signature, size);
      if (fixed === undefined) return false;
      const key = await publicKeys.get(publicKey);
      return subtle().verify(parameters, key, source(fixed), source(message));
    },
  };
}
