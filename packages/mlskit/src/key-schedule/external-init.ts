/** How an external joiner injects entropy that only members can read. RFC 9420 §8.3. */
import { EMPTY_BYTES, utf8 } from "../codec/index.ts";
import { type HpkeKeyPair, type MaybePromise, Secret, type SuiteCrypto } from "../crypto/index.ts";

const EXPORT_CONTEXT: Uint8Array = /* @__PURE__ */ utf8("MLS 1.0 external init secret");

/** external_priv, external_pub = KEM.DeriveKeyPair(external_secret). */
export function externalKeyPair(
  crypto: SuiteCrypto,
  externalSecret: Secret,
): MaybePromise<HpkeKeyPair> {
  return crypto.deriveKeyPair(externalSecret.bytes);
}

/** The joiner's side: kem_output for the ExternalInit proposal, and the init_secret it stands for. */
export async function sendExternalInit(
  crypto: SuiteCrypto,
  externalPub: Uint8Array,
): Promise<{ readonly kemOutput: Uint8Array; readonly initSecret: Secret }> {
  const size = crypto.suite.kdf.size;
  const sent = await crypto.sendExport(externalPub, EMPTY_BYTES, EXPORT_CONTEXT, size);
  return { kemOutput: sent.kemOutput, initSecret: new Secret(sent.secret) };
}

/** The members' side. */
export async function receiveExternalInit(
  crypto: SuiteCrypto,
  externalSecret: Secret,
  kemOutput: Uint8Array,
): Promise<Secret> {
  const { privateKey } = await externalKeyPair(crypto, externalSecret);
  const size = crypto.suite.kdf.size;
  const secret = await crypto.receiveExport(
    privateKey,
    kemOutput,
    EMPTY_BYTES,
    EXPORT_CONTEXT,
    size,
  );
  privateKey.fill(0);
  return new Secret(secret);
}
