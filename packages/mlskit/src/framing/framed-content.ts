/**
 * Content and its authentication. RFC 9420 §6, §6.1.
 *
 *   FramedContent --sign, tag--> AuthenticatedContent --+--> PublicMessage  --+--> MlsMessage
 *                                                       +--> PrivateMessage --+
 */
import {
  type Codec,
  captured,
  closedEnum,
  type Encoded,
  opaque,
  struct,
  type StructCodec,
  uint8,
  uint32,
  uint64,
  union,
} from "../codec/index.ts";
import { UsageError } from "../errors.ts";
import { Commit } from "../messages/commit.ts";
import { Proposal } from "../messages/proposal.ts";

export type Sender =
  | { readonly type: "member"; readonly leafIndex: number }
  /** Index into the external_senders extension. */
  | { readonly type: "external"; readonly senderIndex: number }
  | { readonly type: "newMemberProposal" }
  | { readonly type: "newMemberCommit" };

export const Sender: Codec<Sender> = union<"type", Sender>("type", uint8, {
  member: [1, struct({ leafIndex: uint32 })],
  external: [2, struct({ senderIndex: uint32 })],
  newMemberProposal: [3, struct<object>({})],
  newMemberCommit: [4, struct<object>({})],
});

export type ContentType = "application" | "proposal" | "commit";

export const ContentType: Codec<ContentType> = closedEnum(
  uint8,
  { application: 1, proposal: 2, commit: 3 },
  "content type",
);

/** The payload with its type. */
export type Content =
  | { readonly contentType: "application"; readonly applicationData: Uint8Array }
  | { readonly contentType: "proposal"; readonly proposal: Proposal }
  | { readonly contentType: "commit"; readonly commit: Commit };

export const Content: Codec<Content> = union<"contentType", Content>("contentType", uint8, {
  application: [1, struct({ applicationData: opaque })],
  proposal: [2, struct({ proposal: Proposal })],
  commit: [3, struct({ commit: Commit })],
});

const applicationBody: Codec<Content> = body("application", "applicationData", opaque);
const proposalBody: Codec<Content> = body("proposal", "proposal", Proposal);
const commitBody: Codec<Content> = body("commit", "commit", Commit);

/** The payload alone, for PrivateMessage, whose content type stands outside the ciphertext. */
export function contentBody(contentType: ContentType): Codec<Content> {
  switch (contentType) {
    case "application":
      return applicationBody;
    case "proposal":
      return proposalBody;
    case "commit":
      return commitBody;
  }
}

export interface FramedContentFields {
  readonly groupId: Uint8Array;
  readonly epoch: bigint;
  readonly sender: Sender;
  readonly authenticatedData: Uint8Array;
  readonly content: Content;
}

export interface FramedContent extends FramedContentFields, Encoded {}

export const FramedContentFields: StructCodec<FramedContentFields> = struct({
  groupId: opaque,
  epoch: uint64,
  sender: Sender,
  authenticatedData: opaque,
  content: Content,
});

export const FramedContent: Codec<FramedContent> = captured(FramedContentFields);

/** Signature, and for a Commit the confirmation tag. RFC 9420 §6.1. */
export interface FramedContentAuthData {
  readonly signature: Uint8Array;
  readonly confirmationTag: Uint8Array | undefined;
}

/** Commits, and only they, carry a confirmation tag. */
export function authDataCodec(contentType: ContentType): Codec<FramedContentAuthData> {
  return contentType === "commit" ? authDataOfCommit : authDataOfOthers;
}

const authDataOfCommit: Codec<FramedContentAuthData> = {
  write(writer, { signature, confirmationTag }) {
    if (confirmationTag === undefined) throw misplacedTag();
    writer.opaque(signature);
    writer.opaque(confirmationTag);
  },
  read(reader) {
    const signature = opaque.read(reader);
    if (reader.remaining === 0) throw reader.error("a commit has no confirmation tag", "mk-30");
    return { signature, confirmationTag: opaque.read(reader) };
  },
};

const authDataOfOthers: Codec<FramedContentAuthData> = {
  write(writer, { signature, confirmationTag }) {
    if (confirmationTag !== undefined) throw misplacedTag();
    writer.opaque(signature);
  },
  read: (reader) => ({ signature: opaque.read(reader), confirmationTag: undefined }),
};

function misplacedTag(): UsageError {
  const message = "a confirmation tag belongs to a commit and to nothing else";
  return new UsageError("INVALID_CONTENT", message, { rule: "mk-30" });
}

/** @see contentBody. Written by hand: the union's own codec would write the content type too. */
function body<C extends Content["contentType"], K extends string, T>(
  contentType: C,
  key: K,
  codec: Codec<T>,
): Codec<Content> {
  return {
    write: (writer, content) =>
      codec.write(writer, (content as unknown as Readonly<Record<K, T>>)[key]),
    read: (reader) => ({ contentType, [key]: codec.read(reader) }) as unknown as Content,
  };
}
