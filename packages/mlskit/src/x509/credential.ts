/** Making X.509 credentials. RFC 9420 §5.3. */
import { fromBase64 } from "./pem.ts";
import type { X509Credential } from "../credentials/credential.ts";
import { UsageError } from "../errors.ts";
import { type Certificate, parseCertificate } from "./certificate.ts";
import { Distrust } from "./distrust.ts";

/**
 * A credential from a chain in order, end entity first: certificates in DER, or PEM text with one or
 * more of them. The root may be left out.
 *
 * @throws UsageError `INVALID_CERTIFICATE`
 */
export function x509Credential(chain: string | readonly Uint8Array[]): X509Credential {
  const certificates = typeof chain === "string" ? fromPem(chain) : chain;
  if (certificates.length === 0) {
    throw new UsageError("INVALID_CERTIFICATE", "a chain has at least one certificate", {
      rule: "mk-17",
    });
  }
  for (const certificate of certificates) readCertificate(certificate);
  return { type: "x509", certificates };
}

/**
 * What a certificate says. Nothing about it is verified.
 *
 * @throws UsageError `INVALID_CERTIFICATE`
 */
export function readCertificate(encoded: Uint8Array): Certificate {
  try {
    return parseCertificate(encoded);
  } catch (cause) {
    if (!(cause instanceof Distrust)) throw cause;
    throw new UsageError("INVALID_CERTIFICATE", cause.reason, { cause });
  }
}

function fromPem(text: string): readonly Uint8Array[] {
  const blocks = text.matchAll(
    /-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]*)-----END CERTIFICATE-----/g,
  );
  return Array.from(blocks, ([, body = ""]) => fromBase64(body));
}
