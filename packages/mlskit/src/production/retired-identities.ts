/** Identities that others are replacing, and their end. Catalogue M-UPD-07. */
import { bytesKey, decode, equalBytes, fromHex, opaque, toHex } from "../codec/index.ts";
import { MlsError } from "../errors.ts";
import { type Client, coreOfClient } from "../client/client.ts";
import type { ClientCore } from "../client/session/client-core.ts";
import { listKeyPackages } from "../client/identity/key-packages.ts";
import { findJob } from "./group-job.ts";
import { RETIRED_PREFIX } from "../client/records/record-keys.ts";

/** Signature keys of identities that are being replaced. */
export async function retiredIdentities(core: ClientCore): Promise<ReadonlySet<string>> {
  const records = await core.storage.list(RETIRED_PREFIX);
  return new Set(records.map(({ key }) => bytesKey(keyOf(key))));
}

/** Name of the job that replaces the identity with this signature key. */
export const rotationOf = (signatureKey: Uint8Array): string => `rotation/${toHex(signatureKey)}`;

/** Signature key of the identity that is to take over from this one, while groups are left. */
export async function awaitedSuccessor(
  core: ClientCore,
  signatureKey: Uint8Array,
): Promise<Uint8Array | undefined> {
  const job = await findJob(core, rotationOf(signatureKey));
  return job === undefined ? undefined : decode(opaque, job.details, "job");
}

/**
 * Deletes identities that are being replaced, with their private keys, once no group, no key package
 * and no rotation that goes on needs them. How many.
 */
export async function collectRetiredIdentities(client: Client): Promise<number> {
  const core = coreOfClient(client);
  const retired = (await core.storage.list(RETIRED_PREFIX)).map(({ key }) => keyOf(key));
  const awaited = await Promise.all(retired.map(async (key) => awaitedSuccessor(core, key)));
  let count = 0;
  for (const signatureKey of retired) {
    // It replaced another one before, which is not finished.
    if (awaited.some((key) => key !== undefined && equalBytes(key, signatureKey))) continue;
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
