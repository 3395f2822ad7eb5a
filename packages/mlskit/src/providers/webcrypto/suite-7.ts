/** Cipher suite 7 by WebCrypto. RFC 9420 §17.1. */
import { gcm } from "@noble/ciphers/aes.js";
import { p384 } from "@noble/curves/nist.js";
import { sha384 } from "@noble/hashes/sha2.js";
import { MLS_256_DHKEMP384_AES256GCM_SHA384_P384 } from "../../crypto/cipher-suite.ts";
import type { SuiteFactory } from "../../crypto/create-provider.ts";
import { P384_FORMAT } from "../../crypto/nist-curves.ts";
import { ecDsa, ecKem, P384 } from "./nist.ts";
import { type WebCryptoProviderOptions, webCryptoSuite } from "./provider.ts";

/** MLS_256_DHKEMP384_AES256GCM_SHA384_P384. */
export function webCryptoSuite7(options: WebCryptoProviderOptions = {}): SuiteFactory {
  return webCryptoSuite(
    MLS_256_DHKEMP384_AES256GCM_SHA384_P384,
    {
      hash: sha384,
      cipher: gcm,
      kem: (options) => ecKem(P384, SUPPLEMENT, options),
      signature: (cacheSize) => ecDsa(P384, SUPPLEMENT, cacheSize),
    },
    options,
  );
}

const SUPPLEMENT = {
  format: P384_FORMAT,
  publicKeyOf: (privateKey: Uint8Array): Uint8Array => p384.getPublicKey(privateKey, false),
};
