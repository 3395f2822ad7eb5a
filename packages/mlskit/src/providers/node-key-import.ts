/** Importing raw keys into node:crypto. RFC 8410 §7 (PKCS #8), RFC 8037 (JWK), RFC 5915 (EC). */
import type { KeyObject } from "node:crypto";
import { fromHex } from "../codec/bytes.ts";
import { join } from "../crypto/dhkem.ts";
import { EC_PRIVATE, EC_PUBLIC, type EcCurve, OKP_PRIVATE, type OkpCurve } from "./key-der.ts";
import { hasSlowDer, nodeCrypto } from "./node-module.ts";

function base64url(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("base64url");
}

/** A map key for public bytes; faster than building the string in JavaScript. */
export function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
}

/** Imports raw X25519, X448, Ed25519 or Ed448 public keys. JWK is the fast form everywhere. */
export function okpPublicImporter(crv: OkpCurve): (publicKey: Uint8Array) => KeyObject {
  const crypto = nodeCrypto();
  return (publicKey) =>
    crypto.createPublicKey({ key: { kty: "OKP", crv, x: base64url(publicKey) }, format: "jwk" });
}

export function okpPrivateImporter(crv: OkpCurve): (privateKey: Uint8Array) => KeyObject {
  const crypto = nodeCrypto();
  const prefix = fromHex(OKP_PRIVATE[crv]);
  return (privateKey) => {
    const der = Buffer.from(join(prefix, privateKey).buffer);
    const key = crypto.createPrivateKey({ key: der, format: "der", type: "pkcs8" });
    der.fill(0);
    return key;
  };
}

/**
 * The same for keys that are imported for every use. With OpenSSL 3.0, DER would cost ten times the
 * operation itself, so there the key goes through a string, which cannot be erased. `x` is ignored
 * by these versions; later ones insist that it fits.
 */
export function okpTransientImporter(
  crv: "X25519" | "X448",
): (privateKey: Uint8Array) => KeyObject {
  if (!hasSlowDer()) return okpPrivateImporter(crv);
  const crypto = nodeCrypto();
  const x = base64url(new Uint8Array(crv === "X25519" ? 32 : 56));
  return (privateKey) =>
    crypto.createPrivateKey({
      key: { kty: "OKP", crv, d: base64url(privateKey), x },
      format: "jwk",
    });
}

/** The raw public key of an imported (never of a generated) private key. */
export function okpPublicBytes(privateKey: KeyObject): Uint8Array {
  // Exporting generated keys as JWK can dead-lock on Node 20; imported keys are safe.
  const jwk = nodeCrypto().createPublicKey(privateKey).export({ format: "jwk" });
  return Uint8Array.from(Buffer.from(jwk.x ?? "", "base64url"));
}

/**
 * Imports uncompressed points. P-256 uses JWK on OpenSSL 3.0 only: for the larger curves its extra
 * checks cost more than slow DER.
 */
export function ecPublicImporter(curve: EcCurve): (publicKey: Uint8Array) => KeyObject {
  const crypto = nodeCrypto();
  if (curve === "prime256v1" && hasSlowDer()) {
    return (publicKey) =>
      crypto.createPublicKey({
        key: {
          kty: "EC",
          crv: "P-256",
          x: base64url(publicKey.subarray(1, 33)),
          y: base64url(publicKey.subarray(33)),
        },
        format: "jwk",
      });
  }
  const prefix = fromHex(EC_PUBLIC[curve]);
  return (publicKey) =>
    crypto.createPublicKey({
      key: Buffer.from(join(prefix, publicKey).buffer),
      format: "der",
      type: "spki",
    });
}

/** With the public key beside it, or OpenSSL would compute that, twice. */
export function ecPrivateImporter(
  curve: EcCurve,
): (privateKey: Uint8Array, publicKey: Uint8Array) => KeyObject {
  const crypto = nodeCrypto();
  const [beforePrivate, beforePublic] = EC_PRIVATE[curve].map(fromHex) as [Uint8Array, Uint8Array];
  return (privateKey, publicKey) => {
    const der = Buffer.from(join(beforePrivate, privateKey, beforePublic, publicKey).buffer);
    const key = crypto.createPrivateKey({ key: der, format: "der", type: "pkcs8" });
    der.fill(0);
    return key;
  };
}

/** The public key of a raw private key, uncompressed. */
export function ecPublicBytes(curve: EcCurve, privateKey: Uint8Array): Uint8Array {
  const ecdh = nodeCrypto().createECDH(curve);
  ecdh.setPrivateKey(privateKey);
  return Uint8Array.from(ecdh.getPublicKey());
}

/** Decides whether uncompressed points lie on the curve. */
export function pointChecker(curve: EcCurve): (publicKey: Uint8Array) => boolean {
  const crypto = nodeCrypto();
  // Reading a point into one ECDH object costs a sixth of ECDH.convertKey, which looks the curve up
  // each time. Its documentation deprecates it for key pairs in halves; there is no pair here.
  const ecdh = crypto.createECDH(curve) as { setPublicKey?(point: Uint8Array): void };
  return (publicKey) => {
    try {
      if (ecdh.setPublicKey !== undefined) ecdh.setPublicKey(publicKey);
      else crypto.ECDH.convertKey(publicKey, curve, undefined, undefined, "compressed");
      return true;
    } catch {
      return false;
    }
  };
}
