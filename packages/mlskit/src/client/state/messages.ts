/** Taking messages apart before it is known which group they are for, if any. */

import { copyBytes, type WireTypes } from "../../codec/index.ts";
import { UnsupportedError } from "../../errors.ts";
import {
  decodeMlsMessage,
  decodeMlsMessageInPlace,
  type MlsMessage,
} from "../../framing/mls-message.ts";
import { type DecodingRules, wireTypes } from "../../group/environment.ts";
import type { KeyPackage } from "../../key-packages/key-package.ts";
import type { GroupInfo } from "../../messages/group-info.ts";
import type { Welcome } from "../../messages/welcome.ts";

/** What came from the network, in memory of our own, and what it says or why it says nothing. */
export type Arrived =
  | { readonly bytes: Uint8Array; readonly message: MlsMessage }
  | { readonly bytes: Uint8Array; readonly failure: unknown };

/** Never throws: what is wrong with a message is for its group to report. */
export function readArrived(received: Uint8Array, types: WireTypes): Arrived {
  const bytes = copyBytes(received);
  try {
    return { bytes, message: decodeMlsMessageInPlace(bytes, types) };
  } catch (failure) {
    return { bytes, failure };
  }
}

/** @throws DecodeError, UnsupportedError, also if it is something else */
export function decodeKeyPackage(bytes: Uint8Array, rules: DecodingRules): KeyPackage {
  const message = decodeMlsMessage(bytes, wireTypes(rules));
  if (message.wireFormat !== "keyPackage") throw wrongKind("a key package", message);
  return message.message;
}

/** @throws DecodeError, UnsupportedError, also if it is something else */
export function decodeWelcome(bytes: Uint8Array): Welcome {
  const message = decodeMlsMessage(bytes);
  if (message.wireFormat !== "welcome") throw wrongKind("a Welcome", message);
  return message.message;
}

/** @throws DecodeError, UnsupportedError, also if it is something else */
export function decodeGroupInfo(bytes: Uint8Array, rules: DecodingRules): GroupInfo {
  const message = decodeMlsMessage(bytes, wireTypes(rules));
  if (message.wireFormat !== "groupInfo") throw wrongKind("a GroupInfo", message);
  return message.message;
}

/** Not the caller's fault: it is what a server or another member answered with. */
function wrongKind(expected: string, { wireFormat }: MlsMessage): UnsupportedError {
  return new UnsupportedError("UNSUPPORTED_WIRE_FORMAT", `${expected} is expected here`, {
    details: { found: wireFormat },
  });
}
