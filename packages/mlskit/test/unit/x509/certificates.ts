/** A certification authority for tests. RFC 5280 §4.1. */
import { AsnConvert, OctetString } from "@peculiar/asn1-schema";
import {
  AlgorithmIdentifier,
  BasicConstraints,
  Certificate,
  ExtendedKeyUsage,
  Extension,
  Extensions,
  id_ce_basicConstraints,
  id_ce_extKeyUsage,
  id_ce_keyUsage,
  id_ce_subjectAltName,
  GeneralName,
  KeyUsage,
  SubjectAlternativeName,
  SubjectPublicKeyInfo,
  TBSCertificate,
  Validity,
  Version,
} from "@peculiar/asn1-x509";
import { fixedToDer } from "../../../src/crypto/ecdsa-der.ts";
import { CIPHER_SUITES, type Signer } from "../../../src/crypto/index.ts";
import { SCHEMES } from "../../../src/x509/algorithms.ts";
import { publicKeyInfo, subjectName } from "../../../src/x509/signing-request.ts";
import { NOW } from "../../support/environment.ts";
import { newSigner } from "../../support/parties.ts";

export interface CertificateOptions {
  readonly subject: string;
  readonly key: Pick<Signer, "publicKey" | "scheme">;
  readonly isAuthority?: boolean;
  readonly pathLength?: number;
  /** Bits of KeyUsage. */
  readonly usage?: number;
  readonly purposes?: readonly string[];
  readonly uri?: string;
  readonly notBefore?: bigint;
  readonly notAfter?: bigint;
  readonly extensions?: readonly Extension[];
  /** For keys that MLS does not use. */
  readonly keyInfo?: SubjectPublicKeyInfo;
}

/** Somebody who signs certificates. */
export interface Authority {
  readonly name: string;
  readonly signer: Signer;
  readonly certificate: Uint8Array;
  /** Where it is not the one of the signer's scheme. */
  readonly signatureAlgorithm?: string;
}

export async function newRoot(suite: number, name = "root"): Promise<Authority> {
  const signer = await newSigner(suite);
  const certificate = await issue(
    { name, signer },
    { subject: name, key: signer, isAuthority: true },
  );
  return { name, signer, certificate };
}

export async function newIntermediate(
  issuer: Authority,
  suite: number,
  options: Partial<CertificateOptions> = {},
): Promise<Authority> {
  const signer = await newSigner(suite);
  const name = options.subject ?? "intermediate";
  const all = { subject: name, key: signer, isAuthority: true, ...options };
  return { name, signer, certificate: await issue(issuer, all) };
}

export async function issue(
  issuer: Omit<Authority, "certificate">,
  options: CertificateOptions,
): Promise<Uint8Array> {
  const suite = CIPHER_SUITES.find(({ signature }) => signature.scheme === issuer.signer.scheme);
  const usual = suite === undefined ? "" : SCHEMES[suite.signature.name].signature;
  const signature = new AlgorithmIdentifier({
    algorithm: issuer.signatureAlgorithm ?? usual,
  });
  const tbs = new TBSCertificate({
    version: Version.v3,
    serialNumber: Uint8Array.of(1, 2, 3).buffer,
    signature,
    issuer: commonName(issuer.name),
    subject: commonName(options.subject),
    validity: new Validity({
      notBefore: date(options.notBefore ?? NOW - 1000n),
      notAfter: date(options.notAfter ?? NOW + 1000n),
    }),
    subjectPublicKeyInfo: options.keyInfo ?? publicKeyInfo(options.key),
    extensions: new Extensions(extensionsOf(options)),
  });
  const signedPart = AsnConvert.serialize(tbs);
  const value = await issuer.signer.sign(new Uint8Array(signedPart));
  const certificate = new Certificate({
    tbsCertificate: tbs,
    tbsCertificateRaw: signedPart,
    signatureAlgorithm: signature,
    signatureValue: Uint8Array.from(value).buffer,
  });
  return new Uint8Array(AsnConvert.serialize(certificate));
}

export function extension(type: string, body: unknown, critical = false): Extension {
  const extnValue = new OctetString(AsnConvert.serialize(body));
  return new Extension({ extnID: type, critical, extnValue });
}

function extensionsOf(options: CertificateOptions): Extension[] {
  const { isAuthority, pathLength, usage, purposes, uri } = options;
  const found: Extension[] = [...(options.extensions ?? [])];
  if (isAuthority === true) {
    const constraints = new BasicConstraints({
      cA: true,
      ...(pathLength === undefined ? {} : { pathLenConstraint: pathLength }),
    });
    found.push(extension(id_ce_basicConstraints, constraints, true));
  }
  if (usage !== undefined) found.push(extension(id_ce_keyUsage, new KeyUsage(usage), true));
  if (purposes !== undefined) {
    found.push(extension(id_ce_extKeyUsage, new ExtendedKeyUsage([...purposes])));
  }
  if (uri !== undefined) {
    const names = new SubjectAlternativeName([new GeneralName({ uniformResourceIdentifier: uri })]);
    found.push(extension(id_ce_subjectAltName, names));
  }
  return found;
}

function commonName(name: string) {
  return subjectName(name === "" ? [] : [{ type: "2.5.4.3", value: name }]);
}

function date(seconds: bigint): Date {
  return new Date(Number(seconds) * 1000);
}

/** A root whose key is one of WebCrypto's, and not of MLS. */
export async function newWebRoot(
  algorithm: EcdsaParams & EcKeyGenParams,
  signatureAlgorithm: string,
): Promise<Authority>;
export async function newWebRoot(
  algorithm: RsaHashedKeyGenParams,
  signatureAlgorithm: string,
): Promise<Authority>;
export async function newWebRoot(
  algorithm: (EcdsaParams & EcKeyGenParams) | RsaHashedKeyGenParams,
  signatureAlgorithm: string,
): Promise<Authority> {
  const { subtle } = globalThis.crypto;
  const { privateKey, publicKey } = await subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const spki = await subtle.exportKey("spki", publicKey);
  const isEcdsa = algorithm.name === "ECDSA";
  const signer: Signer = {
    publicKey: new Uint8Array(),
    scheme: 0,
    sign: async (message) => {
      const made = await subtle.sign(algorithm, privateKey, Uint8Array.from(message));
      return isEcdsa ? fixedToDer(new Uint8Array(made)) : new Uint8Array(made);
    },
  };
  const issuer = { name: "web root", signer, signatureAlgorithm };
  const keyInfo = AsnConvert.parse(spki, SubjectPublicKeyInfo);
  const options = { subject: issuer.name, key: signer, keyInfo, isAuthority: true };
  return { ...issuer, certificate: await issue(issuer, options) };
}
