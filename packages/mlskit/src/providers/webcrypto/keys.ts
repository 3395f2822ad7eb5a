/** Importing raw keys into WebCrypto. */
import { fromHex } from "../../codec/bytes.ts";
import { join } from "../../crypto/dhkem.ts";
import type { OkpCurve } from "../key-der.ts";

/** NIST curves under WebCrypto's names. */
export type WebCurve = "P-256" | "P-384" | "P-521";

export interface EcAlgorithm {
  readonly name: "ECDH" | "ECDSA";
  readonly namedCurve: WebCurve;
}

/** WebCrypto's own types do not know the curves of RFC 7748 and RFC 8032 by name. */
export type WebAlgorithm = EcAlgorithm | { readonly name: OkpCurve };

export function subtle(): SubtleCrypto {
  return globalThis.crypto.subtle;
}

/** The bytes as WebCrypto wants them: it refuses shared memory. */
export function source(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return bytes.buffer instanceof ArrayBuffer
    ? (bytes as Uint8Array<ArrayBuffer>)
    : Uint8Array.from(bytes);
}

/** Imports a raw public key; rejects points that are not on the curve. */
export function importPublic(
  algorithm: WebAlgorithm,
  publicKey: Uint8Array,
  usages: readonly KeyUsage[],
): Promise<CryptoKey> {
  return subtle().importKey("raw", source(publicKey), algorithm, true, [...usages]);
}

/** Imports a raw X25519, X448, Ed25519 or Ed448 private key; `pkcs8` is what precedes it in DER. */
export async function importOkpPrivate(
  { name, pkcs8 }: { readonly name: OkpCurve; readonly pkcs8: string },
  privateKey: Uint8Array,
  usages: readonly KeyUsage[],
  extractable = false,
): Promise<CryptoKey> {
  const der = join(fromHex(pkcs8), privateKey);
  try {
    return await subtle().importKey("pkcs8", source(der), { name }, extractable, [...usages]);
  } finally {
    der.fill(0);
  }
}

/**
 * Imports a raw NIST private key. It needs the public key as well: browsers disagree about PKCS #8
 * without one, and JWK requires it.
 */
export function importEcPrivate(
  algorithm: EcAlgorithm,
  privateKey: Uint8Array,
  publicKey: Uint8Array,
  usages: readonly KeyUsage[],
): Promise<CryptoKey> {
  const size = privateKey.length;
  const jwk: JsonWebKey = {
    kty: "EC",
    crv: algorithm.namedCurve,
    d: base64url(privateKey),
    x: base64url(publicKey.subarray(1, 1 + size)),
    y: base64url(publicKey.subarray(1 + size)),
  };
  return subtle().importKey("jwk", jwk, algorithm, false, [...usages]);
}

/** A public CryptoKey as raw bytes. */
export async function exportPublic(key: CryptoKey): Promise<Uint8Array> {
  return new Uint8Array(await subtle().exportKey("raw", key));
}

export function base64url(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

export function fromBase64url(text: string): Uint8Array {
  const binary = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(binary, (character) => character.charCodeAt(0));
}
