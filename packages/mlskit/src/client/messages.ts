/** Taking messages apart that are for no group in particular. */
import { decodeMlsMessage, type MlsMessage } from "../framing/mls-message.ts";
import { type RegisteredTypes, wireTypes } from "../group/environment.ts";
import type { KeyPackage } from "../key-packages/key-package.ts";
import type { GroupInfo } from "../messages/group-info.ts";
import type { Welcome } from "../messages/welcome.ts";
import { UsageError } from "../errors.ts";

/** @throws DecodeError, UnsupportedError, UsageError if it is something else */
export function decodeKeyPackage(bytes: Uint8Array, types: RegisteredTypes): KeyPackage {
  const message = decodeMlsMessage(bytes, wireTypes(types));
  if (message.wireFormat !== "keyPackage") throw wrongKind("a key package", message);
  return message.message;
}

/** @throws DecodeError, UnsupportedError, UsageError if it is something else */
export function decodeWelcome(bytes: Uint8Array): Welcome {
  const message = decodeMlsMessage(bytes);
  if (message.wireFormat !== "welcome") throw wrongKind("a Welcome", message);
  return message.message;
}

/** @throws DecodeError, UnsupportedError, UsageError if it is something else */
export function decodeGroupInfo(bytes: Uint8Array, types: RegisteredTypes): GroupInfo {
  const message = decodeMlsMessage(bytes, wireTypes(types));
  if (message.wireFormat !== "groupInfo") throw wrongKind("a GroupInfo", message);
  return message.message;
}

function wrongKind(expected: string, { wireFormat }: MlsMessage): UsageError {
  return new UsageError("UNEXPECTED_MESSAGE", `${expected} is expected here`, {
    details: { found: wireFormat },
  });
}
