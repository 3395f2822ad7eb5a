/** What MLS itself asks of a certificate chain: whose key it certifies. RFC 9420 §5.3, RFC 5280 §4.1. */
import { equalBytes } from "../codec/index.ts";
import type { Credential } from "./credential.ts";

/**
 * Whether the end entity of an X.509 credential holds this signature key; true for credentials of
 * other types. Whether the chain is to be trusted is the authentication service's business.
 */
export function certifiesKey(credential: Credential, signatureKey: Uint8Array): boolean {
  if (credential.type !== "x509") return true;
  const endEntity = credential.certificates[0];
  const key = endEntity === undefined ? undefined : subjectPublicKey(endEntity);
  return key !== undefined && equalBytes(key, signatureKey);
}

/**
 * The subjectPublicKey of a DER certificate, which for the schemes of MLS is the key as it stands in
 * a leaf. Undefined for anything that is no certificate.
 */
export function subjectPublicKey(certificate: Uint8Array): Uint8Array | undefined {
  const outer = element(certificate, SEQUENCE);
  let rest = element(outer?.body, SEQUENCE)?.body;
  // version, which v1 certificates leave out
  rest = element(rest, VERSION)?.rest ?? rest;
  // serialNumber, signature, issuer, validity, subject
  for (const tag of [INTEGER, SEQUENCE, SEQUENCE, SEQUENCE, SEQUENCE]) {
    rest = element(rest, tag)?.rest;
  }
  const algorithm = element(element(rest, SEQUENCE)?.body, SEQUENCE);
  const bits = element(algorithm?.rest, BIT_STRING)?.body;
  return bits?.[0] === 0 ? bits.subarray(1) : undefined;
}

const INTEGER = 0x02;
const BIT_STRING = 0x03;
const SEQUENCE = 0x30;
const VERSION = 0xa0;

interface Element {
  readonly body: Uint8Array;
  /** What follows the element. */
  readonly rest: Uint8Array;
}

/** The DER element at the beginning of `bytes`, if it has this tag and ends within them. */
function element(bytes: Uint8Array | undefined, tag: number): Element | undefined {
  const first = bytes?.[1];
  if (bytes === undefined || bytes[0] !== tag || first === undefined) return undefined;
  let [start, length] = [2, first];
  if (first >= 0x80) {
    const octets = first - 0x80;
    // A certificate longer than 2^24 bytes is none.
    if (octets === 0 || octets > 3 || bytes.length < 2 + octets) return undefined;
    start += octets;
    length = bytes.subarray(2, start).reduce((value, octet) => 256 * value + octet, 0);
  }
  const end = start + length;
  if (end > bytes.length) return undefined;
  return { body: bytes.subarray(start, end), rest: bytes.subarray(end) };
}
