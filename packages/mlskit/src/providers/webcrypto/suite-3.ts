/** Cipher suite 3 by WebCrypto. RFC 9420 §17.1. */
import { chacha20poly1305 } from "@noble/ciphers/chacha.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519 } from "../../crypto/cipher-suite.ts";
import type { SuiteFactory } from "../../crypto/create-provider.ts";
import { webEd25519, webX25519 } from "./curve25519.ts";
import { type WebCryptoProviderOptions, webCryptoSuite } from "./provider.ts";

/** MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519. */
export function webCryptoSuite3(options: WebCryptoProviderOptions = {}): SuiteFactory {
  return webCryptoSuite(
    MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519,
    { hash: sha256, cipher: chacha20poly1305, kem: webX25519, signature: webEd25519 },
    options,
  );
}
