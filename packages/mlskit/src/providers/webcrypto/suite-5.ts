/** Cipher suite 5 by WebCrypto. RFC 9420 §17.1. */
import { gcm } from "@noble/ciphers/aes.js";
import { p521 } from "@noble/curves/nist.js";
import { sha512 } from "@noble/hashes/sha2.js";
import { MLS_256_DHKEMP521_AES256GCM_SHA512_P521 } from "../../crypto/cipher-suite.ts";
import type { SuiteFactory } from "../../crypto/create-provider.ts";
import { P521_FORMAT } from "../../crypto/nist-curves.ts";
import { ecDsa, ecKem, P521 } from "./nist.ts";
import { type WebCryptoProviderOptions, webCryptoSuite } from "./provider.ts";

/** MLS_256_DHKEMP521_AES256GCM_SHA512_P521. */
export function webCryptoSuite5(options: WebCryptoProviderOptions = {}): SuiteFactory {
  return webCryptoSuite(
    MLS_256_DHKEMP521_AES256GCM_SHA512_P521,
    {
      hash: sha512,
      cipher: gcm,
      kem: (options) => ecKem(P521, SUPPLEMENT, options),
      signature: (cacheSize) => ecDsa(P521, SUPPLEMENT, cacheSize),
    },
    options,
  );
}

const SUPPLEMENT = {
  format: P521_FORMAT,
  publicKeyOf: (privateKey: Uint8Array): Uint8Array => p521.getPublicKey(privateKey, false),
};
