/**
 * The client without a default provider, for small bundles: nothing is included but the suites that
 * the application imports.
 *
 *     const provider = createProvider("webcrypto", [webCryptoSuite1()]);
 *     const client = await Client.create({ provider, storage, authenticationService, identity });
 */
export { createProvider } from "../crypto/create-provider.ts";
export { Client } from "./client.ts";
export type { CompleteOptions } from "./client-options.ts";
export { Group } from "./group.ts";
export { KeyDirectory } from "./identity/key-directory.ts";
