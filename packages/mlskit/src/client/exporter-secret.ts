/** The exporter beyond {@link Group.export}: keys that cannot be read, and an early end. RFC 9420 §8.5. */
import { Secret } from "../crypto/index.ts";
import { UsageError } from "../errors.ts";
import { accessOf, type Group } from "./group.ts";
import { checkSecrets } from "./session/session.ts";

/**
 * MLS-Exporter into a WebCrypto key that cannot be extracted: the bytes exist for the moment of the
 * import, and never outside of this call.
 *
 * @throws UsageError `NO_WEBCRYPTO` on runtimes without it, `INVALID_LENGTH`
 */
export async function exportCryptoKey(
  group: Group,
  request: {
    readonly label: string;
    readonly context: Uint8Array;
    readonly length: number;
    /** As for `importKey`, for instance `"AES-GCM"` or `{ name: "HMAC", hash: "SHA-256" }`. */
    readonly algorithm: Parameters<SubtleCrypto["importKey"]>[2];
    readonly usages: readonly KeyUsage[];
  },
): Promise<CryptoKey> {
  const { label, context, length, algorithm, usages } = request;
  const subtle = (globalThis.crypto as Crypto | undefined)?.subtle as SubtleCrypto | undefined;
  if (subtle === undefined) {
    throw new UsageError("NO_WEBCRYPTO", "this runtime has no crypto.subtle to hold a key");
  }
  const bytes = Uint8Array.from(group.export(label, context, length));
  try {
    return await subtle.importKey("raw", bytes, algorithm, false, [...usages]);
  } finally {
    bytes.fill(0);
  }
}

/**
 * Deletes the current epoch's exporter secret, in memory and in the store: nothing can be exported
 * until the next epoch begins. What was exported before remains the application's to protect.
 */
export async function deleteExporterSecret(group: Group): Promise<void> {
  await accessOf(group).operate(async (session) => {
    checkSecrets(session.state);
    const { epoch } = session.state;
    const { exporterSecret } = epoch.secrets;
    if (exporterSecret.length === 0) return;
    const secrets = { ...epoch.secrets, exporterSecret: new Secret(new Uint8Array(0)) };
    session.state = { ...session.state, epoch: { ...epoch, secrets } };
    session.eraseLater(() => exporterSecret.erase());
  });
}
