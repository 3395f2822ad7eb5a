/** Signing content and checking who signed it. RFC 9420 §6.1. */
import { type Codec, MLS10, uint16, withEncoding, type Writer } from "../codec/index.ts";
import type { Signer, VerifyJob } from "../crypto/index.ts";
import { FRAMED_CONTENT_TBS, labeledContent, signWithLabel } from "../crypto/labels.ts";
import {
  authDataCodec,
  FramedContent,
  type FramedContentAuthData,
  FramedContentFields,
} from "./framed-content.ts";
import { WireFormat } from "./mls-message.ts";

export type ContentWireFormat = "publicMessage" | "privateMessage";

/** Content with its signature, bound to the wire format it travels in. */
export interface AuthenticatedContent {
  readonly wireFormat: ContentWireFormat;
  readonly content: FramedContent;
  readonly auth: FramedContentAuthData;
}

/** For proposal references and vectors. */
export const AuthenticatedContent: Codec<AuthenticatedContent> = {
  write(writer, { wireFormat, content, auth }) {
    uint16.write(writer, WireFormat[wireFormat]);
    FramedContent.write(writer, content);
    authDataCodec(content.content.contentType).write(writer, auth);
  },
  read(reader) {
    const code = reader.uint16();
    if (code !== WireFormat.publicMessage && code !== WireFormat.privateMessage) {
      throw reader.error(`wire format ${code} carries no content`, "mk-07");
    }
    const content = FramedContent.read(reader);
    const auth = authDataCodec(content.content.contentType).read(reader);
    return {
      wireFormat: code === WireFormat.publicMessage ? "publicMessage" : "privateMessage",
      content,
      auth,
    };
  },
};

/** Content with its signature but, for a Commit, still without the confirmation tag. */
export interface SignedContent {
  readonly wireFormat: ContentWireFormat;
  readonly content: FramedContent;
  readonly signature: Uint8Array;
}

/**
 * Signs content. `groupContext` is the encoded GroupContext; it is part of what is signed for
 * members and external joiners, and left out for other senders.
 */
export async function signContent(
  fields: FramedContentFields,
  wireFormat: ContentWireFormat,
  groupContext: Uint8Array,
  signer: Signer,
): Promise<SignedContent> {
  const content = withEncoding(FramedContentFields, fields);
  const tbs = framedContentTbs(wireFormat, content, groupContext);
  return {
    wireFormat,
    content,
    signature: await signWithLabel(signer, FRAMED_CONTENT_TBS, ...tbs),
  };
}

export function authenticate(
  { wireFormat, content, signature }: SignedContent,
  confirmationTag: Uint8Array | undefined,
): AuthenticatedContent {
  return { wireFormat, content, auth: { signature, confirmationTag } };
}

/** The check that the content was signed with `publicKey`. */
export function contentVerifyJob(
  { wireFormat, content, auth }: AuthenticatedContent,
  groupContext: Uint8Array,
  publicKey: Uint8Array,
): VerifyJob {
  return {
    publicKey,
    message: labeledContent(
      FRAMED_CONTENT_TBS,
      ...framedContentTbs(wireFormat, content, groupContext),
    ),
    signature: auth.signature,
  };
}

/** FramedContentTBS, RFC 9420 §6.1, in parts: it is never needed without something around it. */
export function framedContentTbs(
  wireFormat: ContentWireFormat,
  content: FramedContent,
  groupContext: Uint8Array,
): readonly Uint8Array[] {
  // Rule mk-31: members and external joiners sign the epoch's context, outsiders cannot know it.
  const { type } = content.sender;
  const isBound = type === "member" || type === "newMemberCommit";
  const parts = [TBS_HEADERS[wireFormat], content.encoded];
  return isBound ? [...parts, groupContext] : parts;
}

/** FramedContentTBS || FramedContentAuthData: what the membership tag covers. RFC 9420 §6.2. */
export function writeFramedContentTbm(
  writer: Writer,
  { wireFormat, content, auth }: AuthenticatedContent,
  groupContext: Uint8Array,
): void {
  for (const part of framedContentTbs(wireFormat, content, groupContext)) writer.bytes(part);
  authDataCodec(content.content.contentType).write(writer, auth);
}

/** Version and wire format, two bytes each. */
const TBS_HEADERS: Readonly<Record<ContentWireFormat, Uint8Array>> = {
  publicMessage: /* @__PURE__ */ Uint8Array.of(0, MLS10, 0, WireFormat.publicMessage),
  privateMessage: /* @__PURE__ */ Uint8Array.of(0, MLS10, 0, WireFormat.privateMessage),
};
