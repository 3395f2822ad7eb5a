/** Key packages with their private keys, which the harness wants to see. */
import { records, recordKeys } from "../internals.ts";
import type { Actor } from "./actors.ts";

export interface MadeKeyPackage {
  /** A complete MLSMessage. */
  readonly bytes: Uint8Array;
  readonly reference: Uint8Array;
  readonly keys: {
    readonly init_priv: Uint8Array;
    readonly encryption_priv: Uint8Array;
    readonly signature_priv: Uint8Array;
  };
}

export async function createKeyPackage(actor: Actor, grease: boolean): Promise<MadeKeyPackage> {
  const { client, identity, signatureKey } = actor;
  const { bytes, reference } = await client.createKeyPackage({ identity, grease });
  const { record } = await storedKeyPackage(actor, reference);
  const { initKey, encryptionKey } = records.decodeRecord(records.keyPackageRecord, record);
  const keys = {
    init_priv: initKey.bytes.slice(),
    encryption_priv: encryptionKey.bytes.slice(),
    signature_priv: signatureKey.slice(),
  };
  return { bytes, reference, keys };
}

/** Makes a key package of one client usable by another client of the same actor. */
export async function lendKeyPackage(reference: Uint8Array, from: Actor, to: Actor): Promise<void> {
  const { key, record } = await storedKeyPackage(from, reference);
  // There already if an earlier Welcome for it was refused.
  if ((await to.storage.get(key)) !== undefined) return;
  const { name, signer, identity } = from;
  await to.client.addIdentity({ identity: name, cipherSuite: identity.cipherSuite, signer });
  const expect = [{ key, version: 0 }];
  await to.storage.write({ puts: [{ key, value: record }], deletes: [], expect });
}

async function storedKeyPackage(
  { storage }: Actor,
  reference: Uint8Array,
): Promise<{ readonly key: string; readonly record: Uint8Array }> {
  const key = recordKeys.keyPackageKey(reference);
  const record = await storage.get(key);
  if (record === undefined) throw new Error("the key package was used already");
  return { key, record: record.value };
}
