/** transcript-hashes: the confirmation tag and both running hashes. RFC 9420 §6.1, §8.2. */
import { decode } from "../../../src/codec/index.ts";
import { Secret } from "../../../src/crypto/index.ts";
import { AuthenticatedContent } from "../../../src/framing/authenticated-content.ts";
import {
  confirmedTranscriptHash,
  interimTranscriptHash,
} from "../../../src/framing/transcript-hash.ts";
import { confirmationTag } from "../../../src/key-schedule/key-schedule.ts";
import { expected, type Format, suiteOf } from "../format.ts";

const KEYS = [
  "cipher_suite",
  "confirmation_key",
  "authenticated_content",
  "interim_transcript_hash_before",
  "confirmed_transcript_hash_after",
  "interim_transcript_hash_after",
] as const;

export const transcriptHashes: Format = {
  type: "transcript-hashes",
  keys: KEYS,
  hasSuite: true,
  verify(value, run) {
    const fields = value.object(...KEYS);
    const crypto = suiteOf(fields.cipher_suite, run);
    const { checks } = run;
    const bytes = fields.authenticated_content.hex();
    const { wireFormat, content, auth } = decode(AuthenticatedContent, bytes);
    const tag = auth.confirmationTag;
    if (content.content.contentType !== "commit" || tag === undefined) {
      throw fields.authenticated_content.error("a Commit is expected");
    }
    const confirmed = fields.confirmed_transcript_hash_after.hex();
    const key = new Secret(fields.confirmation_key.hex());
    checks.bytes("confirmation tags", confirmationTag(crypto, key, confirmed), tag);
    const before = fields.interim_transcript_hash_before.hex();
    const signed = { wireFormat, content, signature: auth.signature };
    const after = confirmedTranscriptHash(crypto, before, signed);
    checks.bytes("confirmed transcript hashes", after, confirmed);
    const interim = interimTranscriptHash(crypto, after, tag);
    const expectedInterim = fields.interim_transcript_hash_after.hex();
    checks.bytes("interim transcript hashes", interim, expectedInterim);
  },
  controls: [
    ...expected("confirmed_transcript_hash_after", "interim_transcript_hash_after"),
    { kind: "MAC", path: "authenticated_content", at: "last", caughtBy: ["confirmation tags"] },
    { kind: "content", path: "authenticated_content" },
    { kind: "key", path: "confirmation_key", caughtBy: ["confirmation tags"] },
    { kind: "input", path: "interim_transcript_hash_before" },
  ],
};
