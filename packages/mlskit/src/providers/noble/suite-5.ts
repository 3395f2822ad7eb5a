/** Cipher suite 5 in pure JavaScript. RFC 9420 §17.1. */
import { gcm } from "@noble/ciphers/aes.js";
import { p521 } from "@noble/curves/nist.js";
import { sha512 } from "@noble/hashes/sha2.js";
import { MLS_256_DHKEMP521_AES256GCM_SHA512_P521 } from "../../crypto/cipher-suite.ts";
import type { SuiteFactory } from "../../crypto/create-provider.ts";
import { P521_FORMAT } from "../../crypto/nist-curves.ts";
import { nistKem, nistSignature } from "./nist.ts";
import { type NobleOptions, nobleSuite } from "./provider.ts";

/** MLS_256_DHKEMP521_AES256GCM_SHA512_P521. */
export function nobleSuite5(options: NobleOptions = {}): SuiteFactory {
  return nobleSuite(
    MLS_256_DHKEMP521_AES256GCM_SHA512_P521,
    () => ({
      hash: sha512,
      cipher: gcm,
      kem: nistKem(p521, P521_FORMAT),
      signature: nistSignature(p521, P521_FORMAT),
    }),
    options,
  );
}
