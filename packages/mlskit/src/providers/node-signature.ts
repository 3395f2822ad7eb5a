/** Signature schemes of node:crypto. */
import type { KeyObject } from "node:crypto";
import type { SignatureName } from "../crypto/cipher-suite.ts";
import type { VerifyJob } from "../crypto/crypto-provider.ts";
import { SIGNATURE_FORMATS } from "../crypto/curve-formats.ts";
import type { SignaturePrimitives } from "../crypto/suite-primitives.ts";
import { PrivateKeyCache, PublicKeyCache } from "./key-cache.ts";
import type { EcCurve } from "./key-der.ts";
import {
  ecPrivateImporter,
  ecPublicBytes,
  ecPublicImporter,
  latin1,
  okpPrivateImporter,
  okpPublicBytes,
  okpPublicImporter,
  pointChecker,
} from "./node-key-import.ts";
import { nodeCrypto } from "./node-module.ts";
import { plain } from "./node-symmetric.ts";

/** From here on, Node's thread pool is faster than verifying one signature after the other. */
const PARALLEL_FROM = 8;
/** Jobs handed to the pool at a time, so that other work in the pool is not starved. */
const BATCH = 512;

type Scheme = Omit<SignaturePrimitives, "format">;

export function nodeSignature(name: SignatureName, cacheSize: number): SignaturePrimitives {
  return { format: SIGNATURE_FORMATS[name], ...scheme(name, cacheSize) };
}

function scheme(name: SignatureName, cacheSize: number): Scheme {
  switch (name) {
    case "ed25519":
      return edDsa("Ed25519", cacheSize);
    case "ed448":
      return edDsa("Ed448", cacheSize);
    case "ecdsa-p256":
      return ecDsa("prime256v1", "sha256", cacheSize);
    case "ecdsa-p384":
      return ecDsa("secp384r1", "sha384", cacheSize);
    case "ecdsa-p521":
      return ecDsa("secp521r1", "sha512", cacheSize);
  }
}

function edDsa(crv: "Ed25519" | "Ed448", cacheSize: number): Scheme {
  const privateKeys = new PrivateKeyCache(okpPrivateImporter(crv));
  const publicKeys = new PublicKeyCache(cacheSize, okpPublicImporter(crv), latin1);
  return {
    publicKeyOf: (privateKey) => okpPublicBytes(privateKeys.get(privateKey)),
    ...withKeys(undefined, privateKeys, publicKeys),
  };
}

function ecDsa(curve: EcCurve, hash: string, cacheSize: number): Scheme {
  const importPrivate = ecPrivateImporter(curve);
  const privateKeys = new PrivateKeyCache((bytes) =>
    importPrivate(bytes, ecPublicBytes(curve, bytes)),
  );
  const publicKeys = new PublicKeyCache(cacheSize, ecPublicImporter(curve), latin1);
  return {
    publicKeyOf: (privateKey) => ecPublicBytes(curve, privateKey),
    isOnCurve: pointChecker(curve),
    ...withKeys(hash, privateKeys, publicKeys),
  };
}

function withKeys(
  hash: string | undefined,
  privateKeys: PrivateKeyCache<KeyObject>,
  publicKeys: PublicKeyCache<KeyObject>,
): Pick<Scheme, "sign" | "verify" | "verifyMany"> {
  const crypto = nodeCrypto();
  const verify = (publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean =>
    crypto.verify(hash, message, publicKeys.get(publicKey), signature);
  const verifyInPool = (job: VerifyJob): Promise<boolean> =>
    new Promise((resolve) => {
      let key: KeyObject;
      try {
        key = publicKeys.get(job.publicKey);
      } catch {
        resolve(false);
        return;
      }
      crypto.verify(hash, job.message, key, job.signature, (error, valid) => {
        resolve(error === null && valid);
      });
    });
  const verifyHere = (job: VerifyJob): boolean => {
    try {
      return verify(job.publicKey, job.message, job.signature);
    } catch {
      return false;
    }
  };
  const verifyInBatches = async (jobs: readonly VerifyJob[]): Promise<readonly boolean[]> => {
    const results: boolean[] = [];
    for (let at = 0; at < jobs.length; at += BATCH) {
      results.push(...(await Promise.all(jobs.slice(at, at + BATCH).map(verifyInPool))));
    }
    return results;
  };
  return {
    sign: (privateKey, message) => plain(crypto.sign(hash, message, privateKeys.get(privateKey))),
    verify,
    verifyMany: (jobs) =>
      jobs.length < PARALLEL_FROM ? jobs.map(verifyHere) : verifyInBatches(jobs),
  };
}
