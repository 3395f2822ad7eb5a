export { defaultProvider, type DefaultProviderOptions, fastestProvider } from "./default.ts";
export { nobleProvider } from "./noble/index.ts";
export type { NobleOptions } from "./noble/provider.ts";
export { nodeProvider, type NodeProviderOptions } from "./node.ts";
export {
  webCryptoProvider,
  type WebCryptoProviderOptions,
  webCryptoSigner,
  worksHere,
} from "./webcrypto/index.ts";
