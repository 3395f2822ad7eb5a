/** Cipher suite 7 in pure JavaScript. RFC 9420 §17.1. */
import { gcm } from "@noble/ciphers/aes.js";
import { p384 } from "@noble/curves/nist.js";
import { sha384 } from "@noble/hashes/sha2.js";
import { MLS_256_DHKEMP384_AES256GCM_SHA384_P384 } from "../../crypto/cipher-suite.ts";
import type { SuiteFactory } from "../../crypto/create-provider.ts";
import { P384_FORMAT } from "../../crypto/nist-curves.ts";
import { nistKem, nistSignature } from "./nist.ts";
import { type NobleOptions, nobleSuite } from "./provider.ts";

/** MLS_256_DHKEMP384_AES256GCM_SHA384_P384. */
export function nobleSuite7(options: NobleOptions = {}): SuiteFactory {
  return nobleSuite(
    MLS_256_DHKEMP384_AES256GCM_SHA384_P384,
    () => ({
      hash: sha384,
      cipher: gcm,
      kem: nistKem(p384, P384_FORMAT),
      signature: nistSignature(p384, P384_FORMAT),
    }),
    options,
  );
}
