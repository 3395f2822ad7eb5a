/** Whether what the owner of a key package kept belongs to it. RFC 9420 §7.5, §10. */
import { equalBytes } from "../codec/index.ts";
import type { Signer, SuiteCrypto } from "../crypto/crypto-provider.ts";
import type { Secret } from "../crypto/secret.ts";
import { UsageError } from "../errors.ts";
import type { KeyPackage } from "./key-package.ts";

/** A key package with its owner's keys; without `initKey` where that has done its work. */
export interface OwnedKeyPackage {
  readonly keyPackage: KeyPackage;
  readonly initKey?: Secret | undefined;
  /** Of the leaf. */
  readonly encryptionKey: Secret;
  readonly signer: Signer;
}

/**
 * Rule mk-23, before the keys are used: a mix-up would otherwise show as a message of somebody else
 * that cannot be decrypted.
 *
 * @throws UsageError `INVALID_KEY_PACKAGE`
 */
export async function checkPrivateKeys(
  crypto: SuiteCrypto,
  { keyPackage, initKey, encryptionKey, signer }: OwnedKeyPackage,
): Promise<void> {
  const { leafNode } = keyPackage;
  const belong =
    signer.scheme === crypto.suite.signature.scheme &&
    equalBytes(signer.publicKey, leafNode.signatureKey) &&
    (await isPair(crypto, encryptionKey, leafNode.encryptionKey)) &&
    (initKey === undefined || (await isPair(crypto, initKey, keyPackage.initKey)));
  if (belong) return;
  throw new UsageError("INVALID_KEY_PACKAGE", "the private keys do not belong to the key package", {
    rule: "mk-23",
  });
}

async function isPair(
  crypto: SuiteCrypto,
  privateKey: Secret,
  publicKey: Uint8Array,
): Promise<boolean> {
  return equalBytes(await crypto.publicKeyOf(privateKey.bytes), publicKey);
}
