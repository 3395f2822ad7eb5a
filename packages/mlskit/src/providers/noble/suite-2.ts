/** Cipher suite 2 in pure JavaScript. RFC 9420 §17.1. */
import { gcm } from "@noble/ciphers/aes.js";
import { p256 } from "@noble/curves/nist.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { MLS_128_DHKEMP256_AES128GCM_SHA256_P256 } from "../../crypto/cipher-suite.ts";
import type { SuiteFactory } from "../../crypto/create-provider.ts";
import { P256_FORMAT } from "../../crypto/nist-curves.ts";
import { nistKem, nistSignature } from "./nist.ts";
import { type NobleOptions, nobleSuite } from "./provider.ts";

/** MLS_128_DHKEMP256_AES128GCM_SHA256_P256. */
export function nobleSuite2(options: NobleOptions = {}): SuiteFactory {
  return nobleSuite(
    MLS_128_DHKEMP256_AES128GCM_SHA256_P256,
    () => ({
      hash: sha256,
      cipher: gcm,
      kem: nistKem(p256, P256_FORMAT),
      signature: nistSignature(p256, P256_FORMAT),
    }),
    options,
  );
}
