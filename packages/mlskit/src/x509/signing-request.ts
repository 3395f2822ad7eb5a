/** Certificate signing requests for keys of our own. RFC 2986. */
import { CertificationRequest, CertificationRequestInfo } from "@peculiar/asn1-csr";
import { AsnConvert } from "@peculiar/asn1-schema";
import {
  AlgorithmIdentifier,
  Attribute,
  AttributeTypeAndValue,
  AttributeValue,
  Extension,
  Extensions,
  GeneralName,
  id_ce_subjectAltName,
  Name,
  RelativeDistinguishedName,
  SubjectAlternativeName,
  SubjectPublicKeyInfo,
} from "@peculiar/asn1-x509";
import { OctetString } from "@peculiar/asn1-schema";
import { CIPHER_SUITES, type CipherSuite, type Signer } from "../crypto/index.ts";
import { UsageError } from "../errors.ts";
import { SCHEMES } from "./algorithms.ts";
import type { AlternativeNames, NameAttribute } from "./certificate.ts";

export interface SigningRequestOptions {
  /** Holds the key that is to be certified; it may live anywhere, and signs once. */
  readonly signer: Signer;
  /** Outermost first. */
  readonly subject: readonly NameAttribute[];
  readonly alternativeNames?: Partial<AlternativeNames> | undefined;
}

/** Common types of {@link NameAttribute}, RFC 4519 §2. */
export const NameAttributeType = {
  commonName: "2.5.4.3",
  country: "2.5.4.6",
  organization: "2.5.4.10",
  organizationalUnit: "2.5.4.11",
} as const;

/**
 * A request, DER, that an authority can answer with a certificate for the signer's key.
 *
 * @throws UsageError `INVALID_SIGNER` for a scheme that certificates have no name for
 */
export async function createSigningRequest({
  signer,
  subject,
  alternativeNames,
}: SigningRequestOptions): Promise<Uint8Array> {
  const algorithm = new AlgorithmIdentifier({ algorithm: identifiersOf(signer).signature });
  const info = new CertificationRequestInfo({
    version: 0,
    subject: subjectName(subject),
    subjectPKInfo: publicKeyInfo(signer),
  });
  const requested = requestedExtensions(alternativeNames ?? {});
  if (requested !== undefined) info.attributes.push(requested);
  const signature = await signer.sign(new Uint8Array(AsnConvert.serialize(info)));
  const request = new CertificationRequest({
    certificationRequestInfo: info,
    signatureAlgorithm: algorithm,
    signature: buffer(signature),
  });
  return new Uint8Array(AsnConvert.serialize(request));
}

/** How a signer's public key looks in certificates and requests. */
export function publicKeyInfo(signer: Pick<Signer, "publicKey" | "scheme">): SubjectPublicKeyInfo {
  const { key, curve } = identifiersOf(signer);
  const parameters = curve === undefined ? {} : { parameters: buffer(curve) };
  return new SubjectPublicKeyInfo({
    algorithm: new AlgorithmIdentifier({ algorithm: key, ...parameters }),
    subjectPublicKey: buffer(signer.publicKey),
  });
}

export function subjectName(attributes: readonly NameAttribute[]): Name {
  return new Name(
    attributes.map(({ type, value: utf8String }) => {
      const value = new AttributeValue({ utf8String });
      return new RelativeDistinguishedName([new AttributeTypeAndValue({ type, value })]);
    }),
  );
}

function identifiersOf({ scheme }: Pick<Signer, "scheme">): (typeof SCHEMES)[SignatureName] {
  const suite = CIPHER_SUITES.find(({ signature }) => signature.scheme === scheme);
  if (suite === undefined) {
    throw new UsageError("INVALID_SIGNER", "certificates have no name for this scheme", {
      details: { scheme },
    });
  }
  return SCHEMES[suite.signature.name];
}

type SignatureName = CipherSuite["signature"]["name"];

/** extensionRequest, RFC 2985 §5.4.2. */
function requestedExtensions({
  dns,
  uri,
  email,
}: Partial<AlternativeNames>): Attribute | undefined {
  const names = [
    ...(dns ?? []).map((dNSName) => new GeneralName({ dNSName })),
    ...(uri ?? []).map((value) => new GeneralName({ uniformResourceIdentifier: value })),
    ...(email ?? []).map((rfc822Name) => new GeneralName({ rfc822Name })),
  ];
  if (names.length === 0) return undefined;
  const extnValue = new OctetString(AsnConvert.serialize(new SubjectAlternativeName(names)));
  const extension = new Extension({ extnID: id_ce_subjectAltName, critical: false, extnValue });
  const values = [AsnConvert.serialize(new Extensions([extension]))];
  return new Attribute({ type: "1.2.840.113549.1.9.14", values });
}

function buffer(bytes: Uint8Array): ArrayBuffer {
  return Uint8Array.from(bytes).buffer;
}
