/**
 * Content of any sender in any wire format, with signature, tags and ciphertexts that are right
 * unless the forgery says otherwise. RFC 9420 §6.
 */
import {
  concat,
  EMPTY_BYTES,
  encode,
  MLS10,
  opaque,
  Writer,
  withEncoding,
} from "../../codec/index.ts";
import type { Signer, SuiteCrypto } from "../../crypto/index.ts";
import { FRAMED_CONTENT_TBS, signWithLabel } from "../../crypto/labels.ts";
import { type ContentWireFormat, framedContentTbs } from "../../framing/authenticated-content.ts";
import {
  type Content,
  ContentType,
  contentBody,
  type FramedContent,
  FramedContentFields,
  type Sender,
} from "../../framing/framed-content.ts";
import { PrivateMessage, WireFormat } from "../../framing/mls-message.ts";
import { senderDataKey } from "../../framing/private-message.ts";
import { DEFAULT_LIMITS } from "../../group/environment.ts";
import type { CachedProposal } from "../../group/proposal-entry.ts";
import { proposalRef } from "../../group/proposal-entry.ts";
import type { Proposal } from "../../messages/proposal.ts";
import type { RatchetKind } from "../../secret-tree/hash-ratchet.ts";
import type { Insider } from "./insider.ts";

type Alter<T> = (value: T) => T;

/** What is signed, and by whom; whatever is left out is as it should be. */
export interface ContentForgery {
  readonly sender?: Sender | undefined;
  readonly signer?: Signer | undefined;
  readonly wireFormat?: ContentWireFormat | undefined;
  readonly groupId?: Uint8Array | undefined;
  readonly epoch?: bigint | undefined;
  readonly authenticatedData?: Uint8Array | undefined;
  /** The encoded GroupContext that the signature covers; EMPTY_BYTES to leave it out. */
  readonly signedContext?: Uint8Array | undefined;
  /** The wire format that the signature covers. */
  readonly signedFormat?: ContentWireFormat | undefined;
  readonly alterTbs?: Alter<Uint8Array> | undefined;
  readonly alterSignature?: Alter<Uint8Array> | undefined;
  /** Of the confirmation tag: `undefined` leaves it out, also where one is due. */
  readonly alterConfirmationTag?: Alter<Uint8Array | undefined> | undefined;
  readonly publicly?: PublicForgery | undefined;
  readonly privately?: PrivateForgery | undefined;
}

/** The envelope of a PublicMessage. */
export interface PublicForgery {
  /** Of the membership tag: `undefined` leaves it out, a value puts one where none belongs. */
  readonly alterMembershipTag?: Alter<Uint8Array | undefined> | undefined;
  /** The encoded GroupContext that the membership tag covers. */
  readonly taggedContext?: Uint8Array | undefined;
}

/** The encryption of a PrivateMessage; nothing is consumed of the secret tree. */
export interface PrivateForgery {
  readonly padding?: Uint8Array | undefined;
  readonly leafIndex?: number | undefined;
  readonly generation?: number | undefined;
  /** Whose ratchet encrypts; the party's own leaf by default. */
  readonly ratchetOf?: number | undefined;
  /** Generations of this ratchet that are passed over. */
  readonly skip?: number | undefined;
  readonly alterPlaintext?: Alter<Uint8Array> | undefined;
  readonly alterSenderData?: Alter<Uint8Array> | undefined;
  readonly alterCiphertext?: Alter<Uint8Array> | undefined;
  /** After the sender data was encrypted. */
  readonly alterMessage?: Alter<PrivateMessage> | undefined;
}

/** Content with its signature, before the envelope. */
export interface SignedForgery {
  readonly wireFormat: ContentWireFormat;
  readonly content: FramedContent;
  readonly signature: Uint8Array;
}

/** Signs content as a party, unless the forgery names another sender or signer. */
export async function forgeSigned(
  party: Insider,
  content: Content,
  forgery: ContentForgery = {},
): Promise<SignedForgery> {
  const { context, contextBytes, ownLeaf } = party.epoch;
  const wireFormat = forgery.wireFormat ?? "publicMessage";
  const framed = withEncoding(FramedContentFields, {
    groupId: forgery.groupId ?? context.groupId,
    epoch: forgery.epoch ?? context.epoch,
    sender: forgery.sender ?? { type: "member", leafIndex: ownLeaf },
    authenticatedData: forgery.authenticatedData ?? EMPTY_BYTES,
    content,
  });
  const signedFormat = forgery.signedFormat ?? wireFormat;
  const plain = concat(
    ...framedContentTbs(signedFormat, framed, forgery.signedContext ?? contextBytes),
  );
  const tbs = forgery.alterTbs?.(plain) ?? plain;
  const signer = forgery.signer ?? party.epoch.signer;
  const signature = await signWithLabel(signer, FRAMED_CONTENT_TBS, tbs);
  const final = forgery.alterSignature?.(signature) ?? signature;
  return { wireFormat, content: framed, signature: final };
}

/** Puts signed content into its envelope; `tag` is the right confirmation tag, if there is one. */
export function forgeEnvelope(
  party: Insider,
  signed: SignedForgery,
  tag: Uint8Array | undefined,
  forgery: ContentForgery = {},
): Uint8Array {
  const confirmationTag =
    forgery.alterConfirmationTag !== undefined ? forgery.alterConfirmationTag(tag) : tag;
  const auth = encodeAuth(signed.signature, confirmationTag);
  return signed.wireFormat === "publicMessage"
    ? wrapPublic(party, signed, auth, forgery)
    : wrapPrivate(party, signed, auth, forgery.privately ?? {});
}

/** A message with this content: signed, tagged or encrypted, complete. */
export async function forgeMessage(
  party: Insider,
  content: Content,
  forgery: ContentForgery = {},
): Promise<Uint8Array> {
  return forgeEnvelope(party, await forgeSigned(party, content, forgery), undefined, forgery);
}

/** What {@link forgeProposal} makes. */
export interface ForgedProposal {
  readonly bytes: Uint8Array;
  /** As all would cache it if they did not check it; for Commits that refer to it. */
  readonly cached: CachedProposal;
}

/** A proposal message, and what a careless member would have cached. */
export async function forgeProposal(
  party: Insider,
  proposal: Proposal,
  forgery: ContentForgery = {},
): Promise<ForgedProposal> {
  const signed = await forgeSigned(party, { contentType: "proposal", proposal }, forgery);
  const { wireFormat, content, signature } = signed;
  const auth = { signature, confirmationTag: undefined };
  const reference = proposalRef(party.epoch.crypto, { wireFormat, content, auth });
  const cached = { proposal, sender: content.sender, reference };
  return { bytes: forgeEnvelope(party, signed, undefined, forgery), cached };
}

function encodeAuth(signature: Uint8Array, confirmationTag: Uint8Array | undefined): Uint8Array {
  const parts = [encode(opaque, signature)];
  if (confirmationTag !== undefined) parts.push(encode(opaque, confirmationTag));
  return concat(...parts);
}

function header(wireFormat: ContentWireFormat): Writer {
  const writer = new Writer();
  writer.uint16(MLS10);
  writer.uint16(WireFormat[wireFormat]);
  return writer;
}

function wrapPublic(
  { epoch }: Insider,
  { content, wireFormat }: SignedForgery,
  auth: Uint8Array,
  { publicly = {} }: ContentForgery,
): Uint8Array {
  const { crypto, secrets, contextBytes } = epoch;
  const isMember = content.sender.type === "member";
  const tbs = framedContentTbs(wireFormat, content, publicly.taggedContext ?? contextBytes);
  const right = isMember
    ? crypto.hmac(secrets.membershipKey.bytes, concat(...tbs, auth))
    : undefined;
  const tag =
    publicly.alterMembershipTag !== undefined ? publicly.alterMembershipTag(right) : right;
  const writer = header(wireFormat);
  writer.bytes(content.encoded);
  writer.bytes(auth);
  if (tag !== undefined) writer.opaque(tag);
  return writer.finish();
}

function wrapPrivate(
  { epoch }: Insider,
  { content, wireFormat }: SignedForgery,
  auth: Uint8Array,
  forgery: PrivateForgery,
): Uint8Array {
  const { crypto, secrets, secretTree, ownLeaf } = epoch;
  const { groupId, epoch: number, authenticatedData } = content;
  const { contentType } = content.content;
  const kind: RatchetKind = contentType === "application" ? "application" : "handshake";
  const ratchet = forgery.ratchetOf ?? ownLeaf;
  const generation = secretTree.nextGeneration(ratchet, kind) + (forgery.skip ?? 0);
  const { messageKey } = secretTree.prepareReceive(ratchet, kind, generation, DEFAULT_LIMITS);
  const body = encode(contentBody(contentType), content.content);
  const plain = concat(body, auth, forgery.padding ?? EMPTY_BYTES);
  const reuseGuard = crypto.randomBytes(4);
  const nonce = messageKey.nonce.bytes.slice();
  for (const [i, byte] of reuseGuard.entries()) nonce[i] = (nonce[i] as number) ^ byte;
  const aad = privateAad({ groupId, epoch: number, contentType, authenticatedData });
  const plaintext = forgery.alterPlaintext?.(plain) ?? plain;
  const sealed = crypto.aeadSeal(messageKey.key.bytes, nonce, aad.content, plaintext);
  const ciphertext = forgery.alterCiphertext?.(sealed) ?? sealed;
  const senderData = new Writer(12);
  senderData.uint32(forgery.leafIndex ?? ownLeaf);
  senderData.uint32(forgery.generation ?? messageKey.generation);
  senderData.bytes(reuseGuard);
  const encoded = senderData.finish();
  const message: PrivateMessage = {
    groupId,
    epoch: number,
    contentType,
    authenticatedData,
    encryptedSenderData: sealSenderData(
      crypto,
      secrets.senderDataSecret,
      ciphertext,
      aad.senderData,
      forgery.alterSenderData?.(encoded) ?? encoded,
    ),
    ciphertext,
  };
  const writer = header(wireFormat);
  PrivateMessage.write(writer, forgery.alterMessage?.(message) ?? message);
  return writer.finish();
}

function sealSenderData(
  crypto: SuiteCrypto,
  secret: Parameters<typeof senderDataKey>[1],
  ciphertext: Uint8Array,
  aad: Uint8Array,
  plaintext: Uint8Array,
): Uint8Array {
  const { key, nonce } = senderDataKey(crypto, secret, ciphertext);
  return crypto.aeadSeal(key, nonce, aad, plaintext);
}

type PrivateHeader = Pick<
  PrivateMessage,
  "groupId" | "epoch" | "contentType" | "authenticatedData"
>;

/** PrivateContentAAD and SenderDataAAD, RFC 9420 §6.3.1, §6.3.2. */
function privateAad({ groupId, epoch, contentType, authenticatedData }: PrivateHeader): {
  readonly content: Uint8Array;
  readonly senderData: Uint8Array;
} {
  const writer = new Writer();
  writer.opaque(groupId);
  writer.uint64(epoch);
  ContentType.write(writer, contentType);
  const senderData = writer.finish();
  return { content: concat(senderData, encode(opaque, authenticatedData)), senderData };
}

/** A copy with one bit changed; negative positions count from the end. */
export function flipped(bytes: Uint8Array, at: number): Uint8Array {
  const copy = bytes.slice();
  const index = at < 0 ? copy.length + at : at;
  copy[index] = (copy[index] as number) ^ 1;
  return copy;
}
