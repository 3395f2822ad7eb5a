/** A Signer over a CryptoKey, which may be non-extractable. RFC 9420 §5.1.2. */
import type { CipherSuite } from "../../crypto/cipher-suite.ts";
import type { Signer } from "../../crypto/crypto-provider.ts";
import { fixedToDer } from "../../crypto/ecdsa-der.ts";
import { ProviderError, UsageError } from "../../errors.ts";
import { source, subtle } from "./keys.ts";
import { P256, P384, P521 } from "./nist.ts";

/**
 * Signs with a private CryptoKey of the suite's scheme, for instance one that was generated as
 * non-extractable and kept in IndexedDB. `publicKey` is the raw public key, as in the leaf node.
 *
 * @throws UsageError `INVALID_SIGNER` if the key does not fit the suite or cannot sign
 */
export function webCryptoSigner(key: CryptoKey, publicKey: Uint8Array, suite: CipherSuite): Signer {
  const { name, publicKeySize, scheme } = suite.signature;
  const edDsa = name === "ed25519" ? "Ed25519" : name === "ed448" ? "Ed448" : undefined;
  const ec = name === "ed25519" || name === "ed448" ? undefined : EC_SCHEMES[name];
  const algorithm = key.algorithm as KeyAlgorithm & { readonly namedCurve?: string };
  const fits =
    key.type === "private" &&
    key.usages.includes("sign") &&
    algorithm.name === (edDsa ?? "ECDSA") &&
    algorithm.namedCurve === ec?.namedCurve &&
    publicKey.length === publicKeySize;
  if (!fits) {
    throw new UsageError("INVALID_SIGNER", "the key cannot sign for this cipher suite", {
      details: { cipherSuite: suite.id },
    });
  }
  return {
    publicKey: publicKey.slice(),
    scheme,
    async sign(message) {
      try {
        if (ec === undefined) {
          return new Uint8Array(await subtle().sign(algorithm.name, key, source(message)));
        }
        const parameters = { name: "ECDSA", hash: ec.hash };
        return fixedToDer(new Uint8Array(await subtle().sign(parameters, key, source(message))));
      } catch (cause) {
        throw new ProviderError("signing failed", { cause });
      }
    },
  };
}

const EC_SCHEMES = { "ecdsa-p256": P256, "ecdsa-p384": P384, "ecdsa-p521": P521 } as const;
