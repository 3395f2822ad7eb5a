/** How a store is kept from those who read its medium: a choice that every durable store asks for. P-ENC-05. */
import { UsageError } from "../errors.ts";
import type { EncryptedStorage } from "./encrypted-storage.ts";
import { encryptedStorage, type EncryptedStorageOptions } from "./encrypted.ts";
import type { Storage } from "./storage.ts";

/** A key, or the explicit wish for none. */
export type StoreProtection =
  | ({
      /** 32 bytes, or a CryptoKey as {@link encryptedStorage} takes it. Never stored. */
      readonly key: Uint8Array | CryptoKey;
    } & EncryptedStorageOptions)
  | { readonly dangerouslyUnencrypted: true };

export type ProtectedStorage<O extends StoreProtection> = O extends { readonly key: unknown }
  ? EncryptedStorage
  : Storage;

/**
 * To be called before anything is created.
 * @throws UsageError `STORE_UNPROTECTED`
 */
export function checkProtection(options: Partial<StoreProtection> | undefined): void {
  const { key, dangerouslyUnencrypted } = { ...options } as Readonly<Record<string, unknown>>;
  if (key !== undefined || dangerouslyUnencrypted === true) return;
  throw new UsageError(
    "STORE_UNPROTECTED",
    "a store needs a key, or dangerouslyUnencrypted: true to go without",
  );
}

/** `inner`, encrypted if the options hold a key. It is closed if that fails. */
export async function protect<O extends StoreProtection>(
  inner: Storage,
  options: O,
): Promise<ProtectedStorage<O>> {
  if (!("key" in options && options.key !== undefined)) return inner as ProtectedStorage<O>;
  try {
    return (await encryptedStorage(inner, options.key, options)) as Storage as ProtectedStorage<O>;
  } catch (error) {
    await inner.close();
    throw error;
  }
}
