/**
 * The key schedule. RFC 9420 §8.
 *
 *            init_secret_[n-1]
 *                  |
 *   commit_secret -> KDF.Extract -> ExpandWithLabel("joiner", GroupContext_[n]) = joiner_secret
 *                                                       |
 *                                      psk_secret -> KDF.Extract = intermediate
 *                                                       |
 *                     +-- DeriveSecret("welcome") = welcome_secret
 *                     |
 *                ExpandWithLabel("epoch", GroupContext_[n]) = epoch_secret
 *                     |
 *                     +-- DeriveSecret(label) = one secret for each row of LABELS
 */
import { Secret, type SuiteCrypto } from "../crypto/index.ts";
import { deriveSecret, expandWithLabel } from "../crypto/labels.ts";
import { EMPTY_BYTES } from "../codec/index.ts";

/** The secrets of one epoch. RFC 9420 §8, Table 4. */
export interface EpochSecrets {
  readonly senderDataSecret: Secret;
  readonly encryptionSecret: Secret;
  readonly exporterSecret: Secret;
  readonly externalSecret: Secret;
  readonly confirmationKey: Secret;
  readonly membershipKey: Secret;
  readonly resumptionPsk: Secret;
  readonly epochAuthenticator: Secret;
  readonly initSecret: Secret;
  /**
   * Root of the exporter tree of draft-ietf-mls-extensions, which `mlskit/drafts` hands out. It can
   * be derived at the beginning of the epoch only, when there still is an epoch_secret.
   */
  readonly applicationExportSecret: Secret;
}

const LABELS: { readonly [K in keyof EpochSecrets]: string } = {
  senderDataSecret: "sender data",
  encryptionSecret: "encryption",
  exporterSecret: "exporter",
  externalSecret: "external",
  confirmationKey: "confirm",
  membershipKey: "membership",
  resumptionPsk: "resumption",
  epochAuthenticator: "authentication",
  initSecret: "init",
  applicationExportSecret: "application_export",
};

/** joiner_secret of the epoch that `groupContext` describes. The caller erases the inputs. */
export function joinerSecret(
  crypto: SuiteCrypto,
  initSecret: Secret,
  commitSecret: Secret,
  groupContext: Uint8Array,
): Secret {
  const extracted = crypto.extract(initSecret.bytes, commitSecret.bytes);
  const joiner = expandWithLabel(crypto, extracted, "joiner", groupContext, crypto.suite.kdf.size);
  extracted.fill(0);
  return new Secret(joiner);
}

/** KDF.Extract(joiner_secret, psk_secret): the fork between Welcome and epoch. */
export function memberSecret(crypto: SuiteCrypto, joiner: Secret, psk: Secret): Secret {
  return new Secret(crypto.extract(joiner.bytes, psk.bytes));
}

export interface WelcomeKey {
  readonly key: Uint8Array;
  readonly nonce: Uint8Array;
}

/** What encrypts the GroupInfo in a Welcome. RFC 9420 §12.4.3.1. */
export function welcomeKey(crypto: SuiteCrypto, member: Secret): WelcomeKey {
  const secret = deriveSecret(crypto, member.bytes, "welcome");
  const { keySize, nonceSize } = crypto.suite.aead;
  const key = expandWithLabel(crypto, secret, "key", EMPTY_BYTES, keySize);
  const nonce = expandWithLabel(crypto, secret, "nonce", EMPTY_BYTES, nonceSize);
  secret.fill(0);
  return { key, nonce };
}

/** The secrets of the epoch, from {@link memberSecret}. */
export function epochSecrets(
  crypto: SuiteCrypto,
  member: Secret,
  groupContext: Uint8Array,
): EpochSecrets {
  const epoch = new Secret(
    expandWithLabel(crypto, member.bytes, "epoch", groupContext, crypto.suite.kdf.size),
  );
  const secrets = secretsOf(crypto, epoch);
  epoch.erase();
  return secrets;
}

/** The secrets under an epoch_secret. A new group draws that at random. RFC 9420 §11. */
export function secretsOf(crypto: SuiteCrypto, epochSecret: Secret): EpochSecrets {
  return mapSecrets(LABELS, (label) => new Secret(deriveSecret(crypto, epochSecret.bytes, label)));
}

/** A secret under each name, made of what stands there. */
export function mapSecrets<K extends string, V>(
  values: Readonly<Record<K, V>>,
  make: (value: V) => Secret,
): Record<K, Secret> {
  const made = Object.entries<V>(values).map(([name, value]) => [name, make(value)] as const);
  return Object.fromEntries(made) as Record<K, Secret>;
}

/** confirmation_tag = MAC(confirmation_key, confirmed_transcript_hash). RFC 9420 §6.1. */
export function confirmationTag(
  crypto: SuiteCrypto,
  confirmationKey: Secret,
  confirmedTranscriptHash: Uint8Array,
): Uint8Array {
  return crypto.hmac(confirmationKey.bytes, confirmedTranscriptHash);
}
