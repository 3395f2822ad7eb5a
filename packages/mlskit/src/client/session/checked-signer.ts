/** Signers that the application brings: a key store, a card, a service. */
import type { CryptoProvider, Signer } from "../../crypto/index.ts";
import { ProviderError } from "../../errors.ts";

/**
 * The same signer, whose signatures are verified before anything is built on them: a signer may err,
 * and peers that refuse a Commit which the delivery service took would leave us alone in its epoch.
 */
export function checkedSigner(provider: CryptoProvider, signer: Signer): Signer {
  const { publicKey, scheme } = signer;
  const suite = provider.suites.find((number) => {
    return provider.suite(number).suite.signature.scheme === scheme;
  });
  // Whoever uses it will be told that it is for no suite of ours.
  if (suite === undefined) return signer;
  const crypto = provider.suite(suite);
  return {
    publicKey,
    scheme,
    async sign(message) {
      const signature = await signer.sign(message);
      if (await crypto.verify(publicKey, message, signature)) return signature;
      throw new ProviderError("the signer made a signature that its public key does not verify");
    },
  };
}
