/** Cipher suite 4 by WebCrypto. RFC 9420 §17.1. */
import { gcm } from "@noble/ciphers/aes.js";
import { sha512 } from "@noble/hashes/sha2.js";
import { MLS_256_DHKEMX448_AES256GCM_SHA512_Ed448 } from "../../crypto/cipher-suite.ts";
import type { SuiteFactory } from "../../crypto/create-provider.ts";
import { webEd448, webX448 } from "./curve448.ts";
import { type WebCryptoProviderOptions, webCryptoSuite } from "./provider.ts";

/** MLS_256_DHKEMX448_AES256GCM_SHA512_Ed448. */
export function webCryptoSuite4(options: WebCryptoProviderOptions = {}): SuiteFactory {
  return webCryptoSuite(
    MLS_256_DHKEMX448_AES256GCM_SHA512_Ed448,
    { hash: sha512, cipher: gcm, kem: webX448, signature: webEd448 },
    options,
  );
}
