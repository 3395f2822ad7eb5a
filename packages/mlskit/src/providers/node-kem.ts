/** Diffie-Hellman groups of node:crypto. Which call serves which curve was decided by measurement. */
import type { ECDH, KeyObject } from "node:crypto";
import type { GroupName } from "../crypto/cipher-suite.ts";
import { KEM_FORMATS } from "../crypto/curve-formats.ts";
import type { KemPrimitives } from "../crypto/suite-primitives.ts";
import { PrivateKeyCache, PublicKeyCache } from "./key-cache.ts";
import type { EcCurve } from "./key-der.ts";
import {
  ecPrivateImporter,
  ecPublicBytes,
  ecPublicImporter,
  latin1,
  okpPublicBytes,
  okpPublicImporter,
  okpTransientImporter,
  pointChecker,
} from "./node-key-import.ts";
import { nodeCrypto } from "./node-module.ts";
import { plain } from "./node-symmetric.ts";

export interface NodeKemOptions {
  readonly cacheSize: number;
  /** False if private keys must come from the provider's `randomBytes`. */
  readonly nativeRandom: boolean;
}

type DiffieHellman = Omit<KemPrimitives, "format">;

export function nodeKem(group: GroupName, options: NodeKemOptions): KemPrimitives {
  return { format: KEM_FORMATS[group], ...diffieHellman(group, options) };
}

function diffieHellman(group: GroupName, options: NodeKemOptions): DiffieHellman {
  switch (group) {
    case "x25519":
      return okpKem("X25519", options);
    case "x448":
      return okpKem("X448", options);
    case "p256":
      return p256Kem(options);
    case "p384":
      return ecKem("secp384r1", options);
    case "p521":
      return ecKem("secp521r1", options);
  }
}

interface PrivateEntry {
  readonly key: KeyObject;
  readonly publicKey: Uint8Array;
}

function okpKem(crv: "X25519" | "X448", options: NodeKemOptions): DiffieHellman {
  const crypto = nodeCrypto();
  const importPrivate = okpTransientImporter(crv);
  const importPublic = okpPublicImporter(crv);
  const publicKeys = new PublicKeyCache(options.cacheSize, importPublic, latin1);
  const privateKeys = new PrivateKeyCache((bytes): PrivateEntry => {
    const key = importPrivate(bytes);
    return { key, publicKey: okpPublicBytes(key) };
  });
  const dh = (privateKey: KeyObject, publicKey: KeyObject): Uint8Array =>
    plain(crypto.diffieHellman({ privateKey, publicKey }));
  const kem: DiffieHellman = {
    publicKeyOf: (privateKey) => privateKeys.get(privateKey).publicKey.slice(),
    // The key is that of a message, and never seen again.
    dh: (privateKey, publicKey) => dh(privateKeys.get(privateKey).key, importPublic(publicKey)),
  };
  if (!options.nativeRandom) return kem;
  return {
    ...kem,
    // The private half never leaves OpenSSL. The public half is encoded while the key is made:
    // exporting a generated key afterwards can dead-lock on Node 20.
    ephemeral(publicKey) {
      const pair = generateOkp(crv);
      return { publicKey: pair.publicKey, shared: dh(pair.privateKey, publicKeys.get(publicKey)) };
    },
  };
}

interface GeneratedOkp {
  readonly publicKey: Uint8Array;
  readonly privateKey: KeyObject;
}

function generateOkp(crv: "X25519" | "X448"): GeneratedOkp {
  // The types know neither JWK output nor one half without the other; Node has both since 15.9.
  const generate = nodeCrypto().generateKeyPairSync as unknown as (
    type: string,
    options: { readonly publicKeyEncoding: { readonly format: "jwk" } },
  ) => { readonly publicKey: { readonly x: string }; readonly privateKey: KeyObject };
  const { publicKey, privateKey } = generate(crv === "X25519" ? "x25519" : "x448", {
    publicKeyEncoding: { format: "jwk" },
  });
  return { publicKey: Uint8Array.from(Buffer.from(publicKey.x, "base64url")), privateKey };
}

/** P-256 by createECDH: needs no import of the peer's key, which would cost as much as the DH. */
function p256Kem(options: NodeKemOptions): DiffieHellman {
  const crypto = nodeCrypto();
  const privateKeys = new PrivateKeyCache((bytes): ECDH => {
    const ecdh = crypto.createECDH("prime256v1");
    ecdh.setPrivateKey(bytes);
    return ecdh;
  });
  const passing = passingEcdh();
  const kem: DiffieHellman = {
    publicKeyOf(privateKey) {
      const known = privateKeys.peek(privateKey);
      if (known !== undefined) return plain(known.getPublicKey());
      const ecdh = passing();
      ecdh.setPrivateKey(privateKey);
      return plain(ecdh.getPublicKey());
    },
    dh: (privateKey, publicKey) => plain(privateKeys.get(privateKey).computeSecret(publicKey)),
    isOnCurve: pointChecker("prime256v1"),
  };
  if (!options.nativeRandom) return kem;
  return {
    ...kem,
    ephemeral(publicKey) {
      const ecdh = passing();
      const own = plain(ecdh.generateKeys());
      return { publicKey: own, shared: plain(ecdh.computeSecret(publicKey)) };
    },
    ...p256Encapsulation(options.cacheSize),
  };
}

/**
 * One object for all keys that are used only once, because making it costs nearly as much as a key.
 * It is let go as soon as the calls in a row have ended, and its last key with it.
 */
function passingEcdh(): () => ECDH {
  const crypto = nodeCrypto();
  let passing: ECDH | undefined;
  return () => {
    if (passing !== undefined) return passing;
    queueMicrotask(() => {
      passing = undefined;
    });
    passing = crypto.createECDH("prime256v1");
    return passing;
  };
}

/** crypto.encapsulate, which Node has from version 24: the whole of Encap in one call. */
type Encapsulate = (key: KeyObject) => { readonly sharedKey: Buffer; readonly ciphertext: Buffer };

/** createECDH became slower with the versions that brought DHKEM as a single call. */
function p256Encapsulation(cacheSize: number): Pick<KemPrimitives, "encapsulate"> {
  const { encapsulate } = nodeCrypto() as { readonly encapsulate?: Encapsulate };
  if (encapsulate === undefined) return {};
  const publicKeys = new PublicKeyCache(cacheSize, ecPublicImporter("prime256v1"), latin1);
  return {
    encapsulate(publicKey) {
      const { sharedKey, ciphertext } = encapsulate(publicKeys.get(publicKey));
      return { enc: plain(ciphertext), sharedSecret: plain(sharedKey) };
    },
  };
}

/** P-384 and P-521 by KeyObjects: createECDH computes everything twice. */
function ecKem(curve: EcCurve, options: NodeKemOptions): DiffieHellman {
  const crypto = nodeCrypto();
  const importPrivate = ecPrivateImporter(curve);
  const publicKeys = new PublicKeyCache(options.cacheSize, ecPublicImporter(curve), latin1);
  const publicOf = new PrivateKeyCache((bytes) => ecPublicBytes(curve, bytes));
  const privateKeys = new PrivateKeyCache((bytes) => importPrivate(bytes, publicOf.get(bytes)));
  return {
    publicKeyOf: (privateKey) => publicOf.get(privateKey).slice(),
    dh: (privateKey, publicKey) =>
      plain(
        crypto.diffieHellman({
          privateKey: privateKeys.get(privateKey),
          publicKey: publicKeys.get(publicKey),
        }),
      ),
    isOnCurve: pointChecker(curve),
  };
}
