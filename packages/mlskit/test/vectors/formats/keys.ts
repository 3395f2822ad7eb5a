/** Whether the private keys of a file belong to its public ones. */
import { Secret, type SuiteCrypto } from "../../../src/crypto/index.ts";
import type { Checks } from "../checks.ts";

/** Some files leave out the leading zero of P-521 keys; those are counted. */
export async function checkKemKey(
  crypto: SuiteCrypto,
  checks: Checks,
  privateKey: Uint8Array,
  publicKey: Uint8Array,
): Promise<Secret> {
  checks.bytes("private keys", await crypto.publicKeyOf(privateKey), publicKey);
  if (privateKey.length < crypto.suite.kem.privateKeySize) {
    checks.that("shortened keys", true, "");
  }
  return Secret.copyOf(privateKey);
}

export async function checkSignatureKey(
  crypto: SuiteCrypto,
  checks: Checks,
  privateKey: Uint8Array,
  publicKey: Uint8Array,
): Promise<void> {
  checks.bytes("private keys", await crypto.signaturePublicKeyOf(privateKey), publicKey);
  const { kem, signature } = crypto.suite;
  const isNist = signature.name.startsWith("ecdsa");
  if (isNist && privateKey.length < kem.privateKeySize) checks.that("shortened keys", true, "");
}
