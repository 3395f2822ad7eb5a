/** Cipher suite 4 in pure JavaScript. RFC 9420 §17.1. */
import { gcm } from "@noble/ciphers/aes.js";
import { x448 } from "@noble/curves/ed448.js";
import { sha512 } from "@noble/hashes/sha2.js";
import { MLS_256_DHKEMX448_AES256GCM_SHA512_Ed448 } from "../../crypto/cipher-suite.ts";
import type { SuiteFactory } from "../../crypto/create-provider.ts";
import { X448_FORMAT } from "../../crypto/curve448.ts";
import { ed448Signature } from "./ed448.ts";
import { montgomeryKem } from "./montgomery.ts";
import { type NobleOptions, nobleSuite } from "./provider.ts";

/** MLS_256_DHKEMX448_AES256GCM_SHA512_Ed448. */
export function nobleSuite4(options: NobleOptions = {}): SuiteFactory {
  return nobleSuite(
    MLS_256_DHKEMX448_AES256GCM_SHA512_Ed448,
    () => ({
      hash: sha512,
      cipher: gcm,
      kem: montgomeryKem(x448, X448_FORMAT),
      signature: ed448Signature,
    }),
    options,
  );
}
