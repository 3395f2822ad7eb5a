/** X25519, X448, Ed25519 and Ed448 by WebCrypto. */
import type { KemFormat, SignatureFormat } from "../../crypto/key-format.ts";
import type { KemPrimitives, SignaturePrimitives } from "../../crypto/suite-primitives.ts";
import { PrivateKeyCache, PublicKeyCache } from "../key-cache.ts";
import { derive, ephemeral, publicKeyCache, type WebKemOptions } from "./diffie-hellman.ts";
import { fromBase64url, importOkpPrivate, importPublic, source, subtle } from "./keys.ts";

interface MontgomeryCurve {
  readonly name: "X25519" | "X448";
  readonly pkcs8: string;
  readonly size: number;
  /** The u-coordinate of the base point, RFC 7748 §4. */
  readonly basePoint: number;
  readonly format: KemFormat;
}

export function okpKem(curve: MontgomeryCurve, options: WebKemOptions): KemPrimitives {
  const { name, size, basePoint, format } = curve;
  const algorithm = { name } as const;
  const publicKeys = publicKeyCache(algorithm, options);
  const privateKeys = new PrivateKeyCache((bytes) =>
    importOkpPrivate(curve, bytes, ["deriveBits"]),
  );
  const base = new Uint8Array(size);
  base[0] = basePoint;
  const dh = async (privateKey: Uint8Array, publicKey: Uint8Array): Promise<Uint8Array> =>
    derive(algorithm, await privateKeys.get(privateKey), await publicKeys.get(publicKey), size);
  return {
    format,
    // The public key is the private key times the base point, RFC 7748 §6: no export is needed.
    publicKeyOf: (privateKey) => dh(privateKey, base),
    dh,
    ...ephemeral(algorithm, publicKeys, size, options),
  };
}

interface EdwardsCurve {
  readonly name: "Ed25519" | "Ed448";
  readonly pkcs8: string;
  readonly format: SignatureFormat;
}

export function edDsa(curve: EdwardsCurve, cacheSize: number): SignaturePrimitives {
  const { name, format } = curve;
  const algorithm = { name };
  const publicKeys = new PublicKeyCache(cacheSize, (bytes) =>
    importPublic(algorithm, bytes, ["verify"]),
  );
  const privateKeys = new PrivateKeyCache((bytes) => importOkpPrivate(curve, bytes, ["sign"]));
  return {
    format,
    async publicKeyOf(privateKey) {
      const key = await importOkpPrivate(curve, privateKey, ["sign"], true);
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
