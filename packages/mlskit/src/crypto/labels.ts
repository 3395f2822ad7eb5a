/** The labelled forms of signing, encryption and derivation, and every label. RFC 9420 §5.1.2, §5.1.3, §8, §9. */
import { EMPTY_BYTES, utf8 } from "../codec/bytes.ts";
import { vectorHeaderSize, Writer } from "../codec/writer.ts";
import { UsageError } from "../errors.ts";
import type { MaybePromise, SealedMessage, Signer, SuiteCrypto } from "./crypto-provider.ts";
import { truncate } from "./hkdf.ts";

// Labels of SignWithLabel, RFC 9420 §17.6.
export const FRAMED_CONTENT_TBS = "FramedContentTBS";
export const LEAF_NODE_TBS = "LeafNodeTBS";
export const KEY_PACKAGE_TBS = "KeyPackageTBS";
export const GROUP_INFO_TBS = "GroupInfoTBS";

// Labels of EncryptWithLabel, RFC 9420 §17.7.
export const UPDATE_PATH_NODE = "UpdatePathNode";
export const WELCOME = "Welcome";

const PREFIX = "MLS 1.0 ";

/** Encoded labels with their length headers; there are few, and each is used all the time. */
const encodedLabels: Map<string, Uint8Array> = /* @__PURE__ */ new Map();
const ENCODED_LABELS_LIMIT = 256;

/** `opaque label<V>` with the "MLS 1.0 " prefix. */
function encodedLabel(label: string): Uint8Array {
  const known = encodedLabels.get(label);
  if (known !== undefined) return known;
  const writer = new Writer(64);
  writer.opaque(utf8(PREFIX + label));
  const encoded = writer.finish().slice();
  // Applications choose exporter labels, so their number has no natural bound.
  if (encodedLabels.size < ENCODED_LABELS_LIMIT) encodedLabels.set(label, encoded);
  return encoded;
}

/** `struct { opaque label<V>; opaque content<V>; }`, the form of SignContent and EncryptContext. */
function labeled(label: string, parts: readonly Uint8Array[]): Uint8Array {
  const encoded = encodedLabel(label);
  let length = 0;
  for (const part of parts) length += part.length;
  const writer = new Writer(encoded.length + vectorHeaderSize(length) + length);
  writer.bytes(encoded);
  writer.vectorLength(length);
  for (const part of parts) writer.bytes(part);
  return writer.finish();
}

/** SignContent, RFC 9420 §5.1.2: the bytes that are signed, whose content is given in parts. */
export function labeledContent(label: string, ...parts: readonly Uint8Array[]): Uint8Array {
  return labeled(label, parts);
}

/** SignWithLabel, RFC 9420 §5.1.2; the content is given in parts. */
export function signWithLabel(
  signer: Signer,
  label: string,
  ...parts: readonly Uint8Array[]
): MaybePromise<Uint8Array> {
  return signer.sign(labeledContent(label, ...parts));
}

/** VerifyWithLabel, RFC 9420 §5.1.2. */
export function verifyWithLabel(
  crypto: SuiteCrypto,
  publicKey: Uint8Array,
  label: string,
  content: Uint8Array,
  signature: Uint8Array,
): MaybePromise<boolean> {
  return crypto.verify(publicKey, labeledContent(label, content), signature);
}

/** EncryptContext, RFC 9420 §5.1.3: the HPKE info. For batches of `sealMany`. */
export function encryptContext(label: string, context: Uint8Array): Uint8Array {
  return labeled(label, [context]);
}

/** EncryptWithLabel, RFC 9420 §5.1.3. */
export function encryptWithLabel(
  crypto: SuiteCrypto,
  publicKey: Uint8Array,
  label: string,
  context: Uint8Array,
  plaintext: Uint8Array,
): MaybePromise<SealedMessage> {
  return crypto.seal(publicKey, encryptContext(label, context), EMPTY_BYTES, plaintext);
}

/** DecryptWithLabel, RFC 9420 §5.1.3. @throws CryptoError `DECRYPTION_FAILED` */
export function decryptWithLabel(
  crypto: SuiteCrypto,
  privateKey: Uint8Array,
  label: string,
  context: Uint8Array,
  sealed: SealedMessage,
): MaybePromise<Uint8Array> {
  return crypto.open(privateKey, sealed, encryptContext(label, context), EMPTY_BYTES);
}

/** ExpandWithLabel, RFC 9420 §8. */
export function expandWithLabel(
  crypto: SuiteCrypto,
  secret: Uint8Array,
  label: string,
  context: Uint8Array,
  length: number,
): Uint8Array {
  if (!Number.isInteger(length) || length < 0 || length > 0xffff) {
    throw new UsageError("INVALID_LENGTH", `${length} bytes cannot be derived`);
  }
  const info = context.length <= SHORT ? shortInfo : new Writer();
  info.clear();
  info.uint16(length);
  info.bytes(encodedLabel(label));
  info.opaque(context);
  if (length > crypto.suite.kdf.size) return crypto.expand(secret, info.written(), length);
  // Up to one hash, HKDF-Expand is a single HMAC over the info and a counter of 1.
  info.uint8(1);
  return truncate(crypto.hmac(secret, info.written()), length);
}

/** Most contexts are short, and the info is needed no longer than the call that it is for. */
const SHORT = 256;
const shortInfo: Writer = /* @__PURE__ */ new Writer(384);

/** DeriveSecret, RFC 9420 §8. */
export function deriveSecret(crypto: SuiteCrypto, secret: Uint8Array, label: string): Uint8Array {
  return expandWithLabel(crypto, secret, label, EMPTY_BYTES, crypto.suite.kdf.size);
}

/** DeriveTreeSecret, RFC 9420 §9. */
export function deriveTreeSecret(
  crypto: SuiteCrypto,
  secret: Uint8Array,
  label: string,
  generation: number,
  length: number,
): Uint8Array {
  generationContext.clear();
  generationContext.uint32(generation);
  return expandWithLabel(crypto, secret, label, generationContext.written(), length);
}

const generationContext: Writer = /* @__PURE__ */ new Writer(4);
