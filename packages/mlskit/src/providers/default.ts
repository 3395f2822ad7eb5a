/** The provider for an application that does not choose one. */
import type { CryptoProvider } from "../crypto/crypto-provider.ts";
import { nodeProvider } from "./node.ts";
import { hasNodeCrypto } from "./node-module.ts";
import { nobleProvider } from "./noble/index.ts";
import { type WebCryptoProviderOptions, webCryptoProvider } from "./webcrypto/index.ts";

export interface DefaultProviderOptions {
  /** Source of all keys, nonces and ids. Default: the runtime's generator. */
  readonly randomBytes?: ((length: number) => Uint8Array) | undefined;
}

/**
 * node:crypto where there is one (Node, Deno, Bun), otherwise pure JavaScript. Both carry every
 * suite and are available at once. Browsers are faster with {@link fastestProvider}, and a bundle
 * gets smaller with a provider of single suites.
 */
export function defaultProvider(options: DefaultProviderOptions = {}): CryptoProvider {
  return hasNodeCrypto() ? nodeProvider(options) : nobleProvider(options);
}

/**
 * The fastest provider of this runtime: node:crypto, otherwise WebCrypto, with pure JavaScript for
 * the suites that WebCrypto lacks here.
 */
export async function fastestProvider(
  options: WebCryptoProviderOptions = {},
): Promise<CryptoProvider> {
  if (hasNodeCrypto()) return nodeProvider(options);
  const noble = nobleProvider(options);
  if ((globalThis.crypto as Crypto | undefined)?.subtle === undefined) return noble;
  const web = await webCryptoProvider(options);
  return {
    name: web.name,
    suites: noble.suites,
    suite: (id) => (web.suites.includes(id) ? web : noble).suite(id),
  };
}
