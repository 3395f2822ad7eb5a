/** Cipher suite 3 in pure JavaScript. RFC 9420 §17.1. */
import { chacha20poly1305 } from "@noble/ciphers/chacha.js";
import { x25519 } from "@noble/curves/ed25519.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519 } from "../../crypto/cipher-suite.ts";
import type { SuiteFactory } from "../../crypto/create-provider.ts";
import { X25519_FORMAT } from "../../crypto/curve25519.ts";
import { ed25519Signature } from "./ed25519.ts";
import { montgomeryKem } from "./montgomery.ts";
import { type NobleOptions, nobleSuite } from "./provider.ts";

/** MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519. */
export function nobleSuite3(options: NobleOptions = {}): SuiteFactory {
  return nobleSuite(
    MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519,
    () => ({
      hash: sha256,
      cipher: chacha20poly1305,
      kem: montgomeryKem(x25519, X25519_FORMAT),
      signature: ed25519Signature,
    }),
    options,
  );
}
