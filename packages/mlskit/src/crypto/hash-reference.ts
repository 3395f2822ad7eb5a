/** References to objects by hash. RFC 9420 §5.2. */
import { utf8 } from "../codec/bytes.ts";
import { Writer } from "../codec/writer.ts";
import type { SuiteCrypto } from "./crypto-provider.ts";

/** Labels of RefHash, RFC 9420 §5.2. */
export const REFERENCE_LABELS = {
  keyPackage: "MLS 1.0 KeyPackage Reference",
  proposal: "MLS 1.0 Proposal Reference",
} as const;

/** RefHash, RFC 9420 §5.2. Unlike other labels, this one gets no prefix. */
export function refHash(crypto: SuiteCrypto, label: string, value: Uint8Array): Uint8Array {
  const writer = new Writer(label.length + value.length + 8);
  writer.opaque(utf8(label));
  writer.opaque(value);
  return crypto.hash(writer.finish());
}

/** MakeKeyPackageRef, RFC 9420 §5.2. `value` is the encoded KeyPackage. */
export function makeKeyPackageRef(crypto: SuiteCrypto, value: Uint8Array): Uint8Array {
  return refHash(crypto, REFERENCE_LABELS.keyPackage, value);
}

/** MakeProposalRef, RFC 9420 §5.2. `value` is the encoded AuthenticatedContent. */
export function makeProposalRef(crypto: SuiteCrypto, value: Uint8Array): Uint8Array {
  return refHash(crypto, REFERENCE_LABELS.proposal, value);
}
