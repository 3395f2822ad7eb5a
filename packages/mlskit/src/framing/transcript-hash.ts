/** The running hash over all Commits of a group. RFC 9420 §8.2. */
import { lendEncoding } from "../codec/index.ts";
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
  return lendEncoding(
    (writer) => {
      writer.bytes(interimBefore);
      writer.uint16(WireFormat[wireFormat]);
      writer.bytes(content.encoded);
      writer.opaque(signature);
    },
    (input) => crypto.hash(input),
  );
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
  return lendEncoding(
    (writer) => {
      writer.bytes(confirmed);
      writer.opaque(confirmationTag);
    },
    (input) => crypto.hash(input),
  );
}
