/** Keys for other uses, derived from an epoch. RFC 9420 §8.5. */
import { Secret, type SuiteCrypto } from "../crypto/index.ts";
import { deriveSecret, expandWithLabel } from "../crypto/labels.ts";
import { StateError, UsageError } from "../errors.ts";

/**
 * MLS-Exporter(Label, Context, Length) =
 *     ExpandWithLabel(DeriveSecret(exporter_secret, Label), "exported", Hash(Context), Length)
 *
 * @throws UsageError `INVALID_LENGTH` above 65535 or 255 * Nh bytes
 * @throws StateError `EXPORTER_DELETED` if the secret is empty, being deleted early
 */
export function exportSecret(
  crypto: SuiteCrypto,
  exporterSecret: Secret,
  label: string,
  context: Uint8Array,
  length: number,
): Uint8Array {
  const maximum = Math.min(0xffff, 255 * crypto.suite.kdf.size);
  if (!Number.isInteger(length) || length < 0 || length > maximum) {
    throw new UsageError("INVALID_LENGTH", `exported length must be 0 to ${maximum}`, {
      rule: "mk-110",
      details: { length, maximum },
    });
  }
  if (exporterSecret.length === 0) {
    throw new StateError("EXPORTER_DELETED", "the exporter secret of this epoch was deleted");
  }
  const secret = new Secret(deriveSecret(crypto, exporterSecret.bytes, label));
  const exported = expandWithLabel(crypto, secret.bytes, "exported", crypto.hash(context), length);
  secret.erase();
  return exported;
}
