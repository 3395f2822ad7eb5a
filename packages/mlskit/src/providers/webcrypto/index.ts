/** Provider over the Web Crypto API: what browsers carry natively, with every suite they know. */
import { createProvider } from "../../crypto/create-provider.ts";
import type { CryptoProvider } from "../../crypto/crypto-provider.ts";
import { type WebCryptoProviderOptions, worksHere } from "./provider.ts";
import { webCryptoSuite1 } from "./suite-1.ts";
import { webCryptoSuite2 } from "./suite-2.ts";
import { webCryptoSuite3 } from "./suite-3.ts";
import { webCryptoSuite4 } from "./suite-4.ts";
import { webCryptoSuite5 } from "./suite-5.ts";
import { webCryptoSuite6 } from "./suite-6.ts";
import { webCryptoSuite7 } from "./suite-7.ts";

export { type WebCryptoProviderOptions, worksHere } from "./provider.ts";
export { webCryptoSigner } from "./signer.ts";
export {
  webCryptoSuite1,
  webCryptoSuite2,
  webCryptoSuite3,
  webCryptoSuite4,
  webCryptoSuite5,
  webCryptoSuite6,
  webCryptoSuite7,
};

/**
 * The suites that this runtime's WebCrypto can carry; asynchronous, because that takes a trial. Other
 * suites are absent from `suites`, and `suite()` refuses them with `UNSUPPORTED_CIPHER_SUITE`.
 */
export async function webCryptoProvider(
  options: WebCryptoProviderOptions = {},
): Promise<CryptoProvider> {
  const suites = [
    webCryptoSuite1,
    webCryptoSuite2,
    webCryptoSuite3,
    webCryptoSuite4,
    webCryptoSuite5,
    webCryptoSuite6,
    webCryptoSuite7,
  ];
  // Without the caller's options: a trial must not consume from their source of randomness.
  const usable = await Promise.all(suites.map((make) => worksHere(make())));
  return createProvider(
    "webcrypto",
    suites.filter((_, i) => usable[i] === true).map((make) => make(options)),
  );
}
