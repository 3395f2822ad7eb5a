/** Cipher suite 2 by WebCrypto. RFC 9420 §17.1. */
import { gcm } from "@noble/ciphers/aes.js";
import { p256 } from "@noble/curves/nist.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { MLS_128_DHKEMP256_AES128GCM_SHA256_P256 } from "../../crypto/cipher-suite.ts";
import type { SuiteFactory } from "../../crypto/create-provider.ts";
import { P256_FORMAT } from "../../crypto/nist-curves.ts";
import { ecDsa, ecKem, P256 } from "./nist.ts";
import { type WebCryptoProviderOptions, webCryptoSuite } from "./provider.ts";

/** MLS_128_DHKEMP256_AES128GCM_SHA256_P256. */
export function webCryptoSuite2(options: WebCryptoProviderOptions = {}): SuiteFactory {
  return webCryptoSuite(
    MLS_128_DHKEMP256_AES128GCM_SHA256_P256,
    {
      hash: sha256,
      cipher: gcm,
      kem: (options) => ecKem(P256, SUPPLEMENT, options),
      signature: (cacheSize) => ecDsa(P256, SUPPLEMENT, cacheSize),
    },
    options,
  );
}

const SUPPLEMENT = {
  format: P256_FORMAT,
  publicKeyOf: (privateKey: Uint8Array): Uint8Array => p256.getPublicKey(privateKey, false),
};
