/** PrivateMessage: signed content, encrypted under a key that is used once. RFC 9420 §6.3. */
import {
  type Codec,
  encode,
  fixedBytes,
  isAllZero,
  lendEncoding,
  opaque,
  Reader,
  struct,
  uint32,
  uint64,
  type WireTypes,
  withEncoding,
  type Writer,
} from "../codec/index.ts";
import type { Secret, SuiteCrypto } from "../crypto/index.ts";
import { expandWithLabel } from "../crypto/labels.ts";
import { UsageError } from "../errors.ts";
import type { MessageKey } from "../secret-tree/hash-ratchet.ts";
import type { AuthenticatedContent } from "./authenticated-content.ts";
import { authDataCodec, ContentType, contentBody, FramedContentFields } from "./framed-content.ts";
import type { PrivateMessage } from "./mls-message.ts";
import type { PaddingPolicy } from "./padding.ts";

/** Who sent a PrivateMessage, and which key it uses. RFC 9420 §6.3.2. */
export interface SenderData {
  readonly leafIndex: number;
  readonly generation: number;
  /** Four random bytes that change the nonce. RFC 9420 §6.3.1. */
  readonly reuseGuard: Uint8Array;
}

const SenderData: Codec<SenderData> = struct({
  leafIndex: uint32,
  generation: uint32,
  reuseGuard: fixedBytes(4),
});

type Header = Pick<PrivateMessage, "groupId" | "epoch" | "contentType" | "authenticatedData">;

const PrivateContentAad: Codec<Header> = struct<Header>({
  groupId: opaque,
  epoch: uint64,
  contentType: ContentType,
  authenticatedData: opaque,
});

const SenderDataAad: Codec<Omit<Header, "authenticatedData">> = struct<
  Omit<Header, "authenticatedData">
>({ groupId: opaque, epoch: uint64, contentType: ContentType });

/** Encrypts a member's content under the given message key. */
export function protectPrivate(
  crypto: SuiteCrypto,
  authenticated: AuthenticatedContent,
  messageKey: MessageKey,
  senderDataSecret: Secret,
  padding: PaddingPolicy,
): PrivateMessage {
  const { groupId, epoch, sender, authenticatedData, content } = authenticated.content;
  if (sender.type !== "member") {
    throw new UsageError("INVALID_SENDER", "only members send PrivateMessages", { rule: "mk-34" });
  }
  const { contentType } = content;
  const reuseGuard = crypto.randomBytes(4);
  const header: Header = { groupId, epoch, contentType, authenticatedData };
  const nonce = guardedNonce(messageKey.nonce.bytes, reuseGuard);
  const aad = encode(PrivateContentAad, header);
  const ciphertext = lendEncoding(
    (writer) => writePaddedContent(writer, authenticated, padding),
    (plaintext) => crypto.aeadSeal(messageKey.key.bytes, nonce, aad, plaintext),
  );
  const senderData = encode(SenderData, {
    leafIndex: sender.leafIndex,
    generation: messageKey.generation,
    reuseGuard,
  });
  const sealing = senderDataKey(crypto, senderDataSecret, ciphertext);
  const senderDataAad = encode(SenderDataAad, header);
  const encryptedSenderData = crypto.aeadSeal(
    sealing.key,
    sealing.nonce,
    senderDataAad,
    senderData,
  );
  sealing.key.fill(0);
  return { groupId, epoch, contentType, authenticatedData, encryptedSenderData, ciphertext };
}

/** Opens the sender data. Nothing is known to be genuine yet. @throws CryptoError, DecodeError */
export function openSenderData(
  crypto: SuiteCrypto,
  message: PrivateMessage,
  senderDataSecret: Secret,
): SenderData {
  const { key, nonce } = senderDataKey(crypto, senderDataSecret, message.ciphertext);
  const aad = encode(SenderDataAad, message);
  const plaintext = crypto.aeadOpen(key, nonce, aad, message.encryptedSenderData);
  key.fill(0);
  const reader = new Reader(plaintext);
  const senderData = SenderData.read(reader);
  reader.finish("SenderData");
  return senderData;
}

/** Opens the content. The signature is not checked yet. @throws CryptoError, DecodeError */
export function openContent(
  crypto: SuiteCrypto,
  message: PrivateMessage,
  { leafIndex, reuseGuard }: SenderData,
  messageKey: MessageKey,
  types: WireTypes,
): AuthenticatedContent {
  const { groupId, epoch, contentType, authenticatedData } = message;
  const plaintext = crypto.aeadOpen(
    messageKey.key.bytes,
    guardedNonce(messageKey.nonce.bytes, reuseGuard),
    encode(PrivateContentAad, message),
    message.ciphertext,
  );
  const reader = new Reader(plaintext, types);
  const content = contentBody(contentType).read(reader);
  const auth = authDataCodec(contentType).read(reader);
  checkPadding(reader);
  const framed = withEncoding(FramedContentFields, {
    groupId,
    epoch,
    sender: { type: "member", leafIndex },
    authenticatedData,
    content,
  });
  return { wireFormat: "privateMessage", content: framed, auth };
}

/** PrivateMessageContent: body, auth data, zeros. RFC 9420 §6.3.1. */
function writePaddedContent(
  writer: Writer,
  { content: { content }, auth }: AuthenticatedContent,
  padding: PaddingPolicy,
): void {
  contentBody(content.contentType).write(writer, content);
  authDataCodec(content.contentType).write(writer, auth);
  const surplus = padding(writer.length) - writer.length;
  if (surplus > 0) writer.zeros(surplus);
}

function checkPadding(reader: Reader): void {
  if (!isAllZero(reader.rest())) throw reader.error("padding is not all zero", "valn1303");
}

/** The nonce with its first four bytes XORed with the reuse guard. */
function guardedNonce(nonce: Uint8Array, reuseGuard: Uint8Array): Uint8Array {
  const guarded = nonce.slice();
  for (let i = 0; i < reuseGuard.length; i++) {
    guarded[i] = (guarded[i] ?? 0) ^ (reuseGuard[i] ?? 0);
  }
  return guarded;
}

/** Key and nonce for the sender data, bound to the first Nh bytes of the ciphertext. */
export function senderDataKey(
  crypto: SuiteCrypto,
  senderDataSecret: Secret,
  ciphertext: Uint8Array,
): { readonly key: Uint8Array; readonly nonce: Uint8Array } {
  const { kdf, aead } = crypto.suite;
  const sample = ciphertext.subarray(0, kdf.size);
  const secret = senderDataSecret.bytes;
  return {
    key: expandWithLabel(crypto, secret, "key", sample, aead.keySize),
    nonce: expandWithLabel(crypto, secret, "nonce", sample, aead.nonceSize),
  };
}
