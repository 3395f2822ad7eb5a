/** Signature schemes of WebCrypto. ECDSA signatures are r || s there, and DER in MLS. */
import type { SignatureName } from "../crypto/cipher-suite.ts";
import { derToFixed, fixedToDer } from "../crypto/ecdsa-der.ts";
import type { SignaturePrimitives } from "../crypto/suite-primitives.ts";
import { PrivateKeyCache, PublicKeyCache } from "./key-cache.ts";
import type { PublicKeyOf } from "./webcrypto-kem.ts";
import {
  fromBase64url,
  importEcPrivate,
  importOkpPrivate,
  importPublic,
  source,
  subtle,
  type WebCurve,
} from "./webcrypto-keys.ts";

interface EcScheme {
  readonly namedCurve: WebCurve;
  readonly hash: string;
  readonly size: number;
}

/** Parameters of ECDSA over the named curve, with the hash that RFC 8446 §4.2.3 assigns to it. */
export const EC_SCHEMES: Readonly<Record<"ecdsa-p256" | "ecdsa-p384" | "ecdsa-p521", EcScheme>> = {
  "ecdsa-p256": { namedCurve: "P-256", hash: "SHA-256", size: 32 },
  "ecdsa-p384": { namedCurve: "P-384", hash: "SHA-384", size: 48 },
  "ecdsa-p521": { namedCurve: "P-521", hash: "SHA-512", size: 66 },
};

export function webSignature(
  name: SignatureName,
  publicKeyOf: PublicKeyOf | undefined,
  cacheSize: number,
): SignaturePrimitives {
  if (name === "ed25519") return edDsa("Ed25519", cacheSize);
  if (name === "ed448") return edDsa("Ed448", cacheSize);
  if (publicKeyOf === undefined) throw new TypeError("NIST curves need publicKeyOf");
  return ecDsa(EC_SCHEMES[name], publicKeyOf, cacheSize);
}

function edDsa(name: "Ed25519" | "Ed448", cacheSize: number): SignaturePrimitives {
  const algorithm = { name } as const;
  const publicKeys = new PublicKeyCache(cacheSize, (bytes) =>
    importPublic(algorithm, bytes, ["verify"]),
  );
  const privateKeys = new PrivateKeyCache((bytes) => importOkpPrivate(name, bytes, ["sign"]));
  return {
    async publicKeyOf(privateKey) {
      const key = await importOkpPrivate(name, privateKey, ["sign"], true);
      const jwk = await subtle().exportKey("jwk", key);
      return fromBase64url(jwk.x ?? "");
    },
    async sign(privateKey, message) {
      const key = await privateKeys.get(privateKey);
      return new Uint8Array(await subtle().sign(algorithm, key, source(message)));
    },
    async verify(publicKey, message, signature) {
      const key = await publicKeys.get(publicKey);
      return subtle().verify(algorithm, key, source(signature), source(message));
    },
  };
}

function ecDsa(
  { namedCurve, hash, size }: EcScheme,
  publicKeyOf: PublicKeyOf,
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
