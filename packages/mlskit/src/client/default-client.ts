/** The client for applications that leave the choice of a provider to the library. M-SUITE-07. */
import type { CryptoProvider } from "../crypto/index.ts";
import { defaultProvider } from "../providers/default.ts";
import { Client } from "./client.ts";
import type { ClientOptions, NewIdentityOptions } from "./client-options.ts";

/** A {@link Client} with {@link defaultProvider} if the options name none. */
export class DefaultClient extends Client {
  static override create(options: ClientOptions & NewIdentityOptions): Promise<DefaultClient> {
    return super.create({ ...options, provider: providerOf(options) });
  }

  static override open(
    options: ClientOptions & Partial<NewIdentityOptions>,
  ): Promise<DefaultClient> {
    return super.open({ ...options, provider: providerOf(options) });
  }

  static override openSnapshot(
    options: ClientOptions & Partial<NewIdentityOptions>,
  ): Promise<DefaultClient> {
    return super.openSnapshot({ ...options, provider: providerOf(options) });
  }
}

function providerOf(options: ClientOptions): CryptoProvider {
  return options.provider ?? defaultProvider();
}
