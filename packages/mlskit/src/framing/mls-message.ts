/** MLSMessage, the outermost envelope of everything that is sent. RFC 9420 §6, §17.2. */
import {
  type Codec,
  copyBytes,
  decodeInPlace,
  encode,
  opaque,
  ProtocolVersion,
  MLS10,
  struct,
  uint16,
  uint64,
  type WireTypes,
} from "../codec/index.ts";
import { UnsupportedError } from "../errors.ts";
import { KeyPackage } from "../key-packages/key-package.ts";
import { GroupInfo } from "../messages/group-info.ts";
import { Welcome } from "../messages/welcome.ts";
import { check } from "../rules.ts";
import {
  authDataCodec,
  ContentType,
  FramedContent,
  type FramedContentAuthData,
} from "./framed-content.ts";

/** Code points, RFC 9420 §17.2. */
export const WireFormat = {
  publicMessage: 1,
  privateMessage: 2,
  welcome: 3,
  groupInfo: 4,
  keyPackage: 5,
} as const;

/** Signed content in the clear. RFC 9420 §6.2. */
export interface PublicMessage {
  readonly content: FramedContent;
  readonly auth: FramedContentAuthData;
  /** Present exactly for members. */
  readonly membershipTag: Uint8Array | undefined;
}

export const PublicMessage: Codec<PublicMessage> = {
  write(writer, { content, auth, membershipTag }) {
    FramedContent.write(writer, content);
    authDataCodec(content.content.contentType).write(writer, auth);
    if (membershipTag !== undefined) writer.opaque(membershipTag);
  },
  read(reader) {
    const content = FramedContent.read(reader);
    const auth = authDataCodec(content.content.contentType).read(reader);
    if (content.sender.type !== "member") return { content, auth, membershipTag: undefined };
    if (reader.remaining === 0) {
      throw reader.error("a member's message has no membership tag", "valn1302");
    }
    return { content, auth, membershipTag: opaque.read(reader) };
  },
};

/** Signed content, encrypted. RFC 9420 §6.3. */
export interface PrivateMessage {
  readonly groupId: Uint8Array;
  readonly epoch: bigint;
  readonly contentType: ContentType;
  readonly authenticatedData: Uint8Array;
  readonly encryptedSenderData: Uint8Array;
  readonly ciphertext: Uint8Array;
}

export const PrivateMessage: Codec<PrivateMessage> = struct({
  groupId: opaque,
  epoch: uint64,
  contentType: ContentType,
  authenticatedData: opaque,
  encryptedSenderData: opaque,
  ciphertext: opaque,
});

export type MlsMessage =
  | { readonly wireFormat: "publicMessage"; readonly message: PublicMessage }
  | { readonly wireFormat: "privateMessage"; readonly message: PrivateMessage }
  | { readonly wireFormat: "welcome"; readonly message: Welcome }
  | { readonly wireFormat: "groupInfo"; readonly message: GroupInfo }
  | { readonly wireFormat: "keyPackage"; readonly message: KeyPackage };

export const MlsMessage: Codec<MlsMessage> = {
  write(writer, value) {
    ProtocolVersion.write(writer, MLS10);
    uint16.write(writer, WireFormat[value.wireFormat]);
    switch (value.wireFormat) {
      case "publicMessage":
        return PublicMessage.write(writer, value.message);
      case "privateMessage":
        return PrivateMessage.write(writer, value.message);
      case "welcome":
        return Welcome.write(writer, value.message);
      case "groupInfo":
        return GroupInfo.write(writer, value.message);
      case "keyPackage":
        check(
          value.message.version === MLS10,
          "valn0205",
          "INVALID_KEY_PACKAGE",
          "a key package is for another version than its message",
        );
        return KeyPackage.write(writer, value.message);
    }
  },
  read(reader) {
    ProtocolVersion.read(reader);
    const code = reader.uint16();
    switch (code) {
      case WireFormat.publicMessage:
        return { wireFormat: "publicMessage", message: PublicMessage.read(reader) };
      case WireFormat.privateMessage:
        return { wireFormat: "privateMessage", message: PrivateMessage.read(reader) };
      case WireFormat.welcome:
        return { wireFormat: "welcome", message: Welcome.read(reader) };
      case WireFormat.groupInfo:
        return { wireFormat: "groupInfo", message: GroupInfo.read(reader) };
      case WireFormat.keyPackage:
        return { wireFormat: "keyPackage", message: KeyPackage.read(reader) };
      case 0:
        throw reader.error("wire format 0 is reserved", "mk-09");
      default:
        throw new UnsupportedError("UNSUPPORTED_WIRE_FORMAT", `wire format ${code} is unknown`, {
          rule: "mk-09",
          details: { wireFormat: code },
        });
    }
  },
};

/** @throws DecodeError, UnsupportedError */
export function decodeMlsMessage(bytes: Uint8Array, types?: WireTypes): MlsMessage {
  return decodeMlsMessageInPlace(copyBytes(bytes), types);
}

/** For bytes that nobody else will change: the message holds views into them. */
export function decodeMlsMessageInPlace(bytes: Uint8Array, types?: WireTypes): MlsMessage {
  return decodeInPlace(MlsMessage, bytes, "MLSMessage", types);
}

export function encodeMlsMessage(message: MlsMessage): Uint8Array {
  return encode(MlsMessage, message);
}
