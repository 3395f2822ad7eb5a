/** A Signer that holds its key in memory. RFC 9420 §5.1.2. */
import type { MaybePromise, SignatureKeyPair, Signer, SuiteCrypto } from "./crypto-provider.ts";

/** Signs with a private key in memory. The key is copied, and not visible from outside. */
export function createSigner(crypto: SuiteCrypto, keyPair: SignatureKeyPair): Signer {
  return new MemorySigner(crypto, keyPair);
}

class MemorySigner implements Signer {
  readonly publicKey: Uint8Array;
  readonly scheme: number;
  readonly #crypto: SuiteCrypto;
  // The same array for every signature, so that a provider recognises the key it has imported.
  readonly #privateKey: Uint8Array;

  constructor(crypto: SuiteCrypto, keyPair: SignatureKeyPair) {
    this.publicKey = keyPair.publicKey.slice();
    this.scheme = crypto.suite.signature.scheme;
    this.#crypto = crypto;
    this.#privateKey = keyPair.privateKey.slice();
  }

  sign(message: Uint8Array): MaybePromise<Uint8Array> {
    return this.#crypto.sign(this.#privateKey, message);
  }
}
