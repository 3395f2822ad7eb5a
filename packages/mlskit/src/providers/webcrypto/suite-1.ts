/** Cipher suite 1 by WebCrypto. RFC 9420 §17.1. */
import { gcm } from "@noble/ciphers/aes.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519 } from "../../crypto/cipher-suite.ts";
import type { SuiteFactory } from "../../crypto/create-provider.ts";
import { webEd25519, webX25519 } from "./curve25519.ts";
import { type WebCryptoProviderOptions, webCryptoSuite } from "./provider.ts";

/** MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519. */
export function webCryptoSuite1(options: WebCryptoProviderOptions = {}): SuiteFactory {
  return webCryptoSuite(
    MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519,
    { hash: sha256, cipher: gcm, kem: webX25519, signature: webEd25519 },
    options,
  );
}
