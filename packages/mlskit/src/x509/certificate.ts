/** Certificates as far as path validation reads them. RFC 5280 §4.1. */
import { AsnConvert } from "@peculiar/asn1-schema";
import {
  AlgorithmIdentifier,
  BasicConstraints,
  Certificate as AsnCertificate,
  ExtendedKeyUsage,
  type Extension,
  id_ce_basicConstraints,
  id_ce_extKeyUsage,
  id_ce_keyUsage,
  id_ce_subjectAltName,
  KeyUsage,
  KeyUsageFlags,
  Name,
  SubjectAlternativeName,
  SubjectPublicKeyInfo,
} from "@peculiar/asn1-x509";
import { equalBytes } from "../codec/index.ts";
import { Distrust } from "./distrust.ts";

/** A public key with what its algorithm identifier says about it. */
export interface CertifiedKey {
  /** Object identifier of the algorithm. */
  readonly algorithm: string;
  /** Encoded parameters, for elliptic curves the object identifier of the curve. */
  readonly parameters: Uint8Array | undefined;
  /** The key as it stands in a leaf: an EdDSA key, or an uncompressed point. */
  readonly bytes: Uint8Array;
  /** SubjectPublicKeyInfo. */
  readonly encoded: Uint8Array;
}

/** One part of a name, such as the common name 2.5.4.3. */
export interface NameAttribute {
  /** Object identifier. */
  readonly type: string;
  readonly value: string;
}

/** Names that a certificate gives its subject beside the subject field. */
export interface AlternativeNames {
  readonly dns: readonly string[];
  readonly uri: readonly string[];
  readonly email: readonly string[];
}

/** A certificate whose structure was checked; whether it is to be trusted is another matter. */
export interface Certificate {
  /** DER, as it was given. */
  readonly encoded: Uint8Array;
  /** DER of the names, for comparison. */
  readonly subject: Uint8Array;
  readonly issuer: Uint8Array;
  /** The subject's attributes, outermost first. */
  readonly attributes: readonly NameAttribute[];
  readonly alternativeNames: AlternativeNames;
  /** Big endian, as encoded. */
  readonly serialNumber: Uint8Array;
  /** Seconds since 1970, both bounds included. */
  readonly notBefore: bigint;
  readonly notAfter: bigint;
  readonly publicKey: CertifiedKey;
  readonly isAuthority: boolean;
  /** How many authorities may stand between this one and an end entity. */
  readonly pathLength: number | undefined;
  /** Undefined if the certificate does not restrict the use of its key. */
  readonly keyUsage: { readonly signs: boolean; readonly certifies: boolean } | undefined;
  /** Object identifiers; undefined if the certificate does not restrict its purpose. */
  readonly purposes: readonly string[] | undefined;
  readonly signatureAlgorithm: string;
  /** What the signature covers. */
  readonly signedPart: Uint8Array;
  readonly signature: Uint8Array;
}

/** @throws Distrust if this is no certificate, or one with critical extensions that are not known */
export function parseCertificate(encoded: Uint8Array): Certificate {
  let parsed: AsnCertificate;
  try {
    parsed = AsnConvert.parse(encoded, AsnCertificate);
    return read(encoded, parsed);
  } catch (error) {
    if (error instanceof Distrust) throw error;
    throw new Distrust("a certificate is malformed");
  }
}

function read(encoded: Uint8Array, parsed: AsnCertificate): Certificate {
  const { tbsCertificate: tbs, tbsCertificateRaw } = parsed;
  if (tbsCertificateRaw === undefined) throw new Distrust("a certificate is malformed");
  if (!equalBytes(der(tbs.signature), der(parsed.signatureAlgorithm))) {
    throw new Distrust("a certificate names two signature algorithms");
  }
  const extensions = extensionsOf(tbs.extensions ?? []);
  const constraints = body(extensions, id_ce_basicConstraints, BasicConstraints);
  const usage = body(extensions, id_ce_keyUsage, KeyUsage)?.toNumber();
  const purposes = body(extensions, id_ce_extKeyUsage, ExtendedKeyUsage);
  return {
    encoded,
    subject: der(tbs.subject),
    issuer: der(tbs.issuer),
    attributes: attributesOf(tbs.subject),
    alternativeNames: alternativeNamesOf(
      body(extensions, id_ce_subjectAltName, SubjectAlternativeName),
    ),
    serialNumber: new Uint8Array(tbs.serialNumber),
    notBefore: seconds(tbs.validity.notBefore.getTime()),
    notAfter: seconds(tbs.validity.notAfter.getTime()),
    publicKey: keyOf(tbs.subjectPublicKeyInfo),
    isAuthority: constraints?.cA === true,
    pathLength: constraints?.pathLenConstraint,
    keyUsage:
      usage === undefined
        ? undefined
        : {
            signs: (usage & KeyUsageFlags.digitalSignature) !== 0,
            certifies: (usage & KeyUsageFlags.keyCertSign) !== 0,
          },
    purposes: purposes === undefined ? undefined : [...purposes],
    signatureAlgorithm: parsed.signatureAlgorithm.algorithm,
    signedPart: new Uint8Array(tbsCertificateRaw),
    signature: new Uint8Array(parsed.signatureValue),
  };
}

/** Extensions that {@link Certificate} reflects. Name constraints and policies are not among them. */
const UNDERSTOOD: readonly string[] = [
  id_ce_basicConstraints,
  id_ce_keyUsage,
  id_ce_extKeyUsage,
  id_ce_subjectAltName,
];

/** RFC 5280 §4.2: each type once, and critical ones only if they are understood. */
function extensionsOf(list: Iterable<Extension>): ReadonlyMap<string, Extension> {
  const found = new Map<string, Extension>();
  for (const extension of list) {
    const { extnID, critical } = extension;
    if (found.has(extnID)) throw new Distrust(`extension ${extnID} occurs twice`);
    if (critical && !UNDERSTOOD.includes(extnID)) {
      throw new Distrust(`critical extension ${extnID} is not supported`);
    }
    // An authority that limits names must not be obeyed by halves, even if it forgot to insist.
    if (extnID === NAME_CONSTRAINTS) throw new Distrust("name constraints are not supported");
    found.set(extnID, extension);
  }
  return found;
}

const NAME_CONSTRAINTS = "2.5.29.30";

function body<T>(
  extensions: ReadonlyMap<string, Extension>,
  type: string,
  schema: new () => T,
): T | undefined {
  const extension = extensions.get(type);
  return extension === undefined ? undefined : AsnConvert.parse(extension.extnValue, schema);
}

function keyOf(info: SubjectPublicKeyInfo): CertifiedKey {
  const { algorithm, parameters } = info.algorithm;
  return {
    algorithm,
    parameters:
      parameters === undefined || parameters === null ? undefined : new Uint8Array(parameters),
    bytes: new Uint8Array(info.subjectPublicKey),
    encoded: der(info),
  };
}

function attributesOf(name: Name): readonly NameAttribute[] {
  const attributes: NameAttribute[] = [];
  for (const relative of name) {
    for (const { type, value } of relative) attributes.push({ type, value: value.toString() });
  }
  return attributes;
}

function alternativeNamesOf(names: SubjectAlternativeName | undefined): AlternativeNames {
  const [dns, uri, email]: [string[], string[], string[]] = [[], [], []];
  for (const name of names ?? []) {
    if (name.dNSName !== undefined) dns.push(name.dNSName);
    if (name.uniformResourceIdentifier !== undefined) uri.push(name.uniformResourceIdentifier);
    if (name.rfc822Name !== undefined) email.push(name.rfc822Name);
  }
  return { dns, uri, email };
}

function der(value: Name | AlgorithmIdentifier | SubjectPublicKeyInfo): Uint8Array {
  return new Uint8Array(AsnConvert.serialize(value));
}

function seconds(date: Date): bigint {
  return BigInt(Math.floor(date.getTime() / 1000));
}
