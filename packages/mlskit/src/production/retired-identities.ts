/** Identities that others are replacing, and their end. Catalogue M-UPD-07. */
import { bytesKey, equalBytes, fromHex } from "../codec/index.ts";
import { MlsError } from "../errors.ts";
import { type Client, coreOfClient } from "../client/client.ts";
import type { ClientCore } from "../client/session/client-core.ts";
import { listKeyPackages } from "../client/identity/key-packages.ts";
import { RETIRED_PREFIX } from "../client/records/record-keys.ts";

/** Signature keys of identities that are being replaced. */
export async function retiredIdentities(core: ClientCore): Promise<ReadonlySet<string>> {
  const records = await core.storage.list(RETIRED_PREFIX);
  return new Set(records.map(({ key }) => bytesKey(keyOf(key))));
}

/**
 * Deletes identities that are being replaced, with their private keys, once no group and no key
 * package needs them. How many.
 */
export async function collectRetiredIdentities(client: Client): Promise<number> {
  const core = coreOfClient(client);
  let count = 0;
  for (const { key } of await core.storage.list(RETIRED_PREFIX)) {
    const signatureKey = keyOf(key);
    const packages = await listKeyPackages(core);
    if (packages.some((stored) => equalBytes(stored.signatureKey, signatureKey))) continue;
    try {
      await client.removeIdentity({ signatureKey });
      count += 1;
    } catch (error) {
      if (!MlsError.is(error, "CREDENTIAL_IN_USE")) throw error;
    }
  }
  return count;
}

const keyOf = (recordKey: string): Uint8Array => fromHex(recordKey.slice(RETIRED_PREFIX.length));
