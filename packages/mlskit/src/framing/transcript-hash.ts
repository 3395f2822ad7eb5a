/** The running hash over all Commits of a group. RFC 9420 §8.2. */
import { concat, encode, opaque, uint16 } from "../codec/index.ts";
import type { SuiteCrypto } from "../crypto/index.ts";
import type { SignedContent } from "./authenticated-content.ts";
import { WireFormat } from "./mls-message.ts";

/**
 * confirmed_transcript_hash_[n] =
 *     Hash(interim_transcript_hash_[n-1] || ConfirmedTranscriptHashInput)
 */
export function confirmedTranscriptHash(
  crypto: SuiteCrypto,
  interimBefore: Uint8Array,
  { wireFormat, content, signature }: SignedContent,
): Uint8Array {
  const format = encode(uint16, WireFormat[wireFormat]);
  return crypto.hash(concat(interimBefore, format, content.encoded, encode(opaque, signature)));
}

/**
 * interim_transcript_hash_[n] =
 *     Hash(confirmed_transcript_hash_[n] || InterimTranscriptHashInput)
 */
export function interimTranscriptHash(
  crypto: SuiteCrypto,
  confirmed: Uint8Array,
  confirmationTag: Uint8Array,
): Uint8Array {
  return crypto.hash(concat(confirmed, encode(opaque, confirmationTag)));
}
