/** Looking at what servers made. */
import { type MlsMessage, messages } from "../internals.ts";

/** Undefined if a server made something that does not decode; its receivers will say so. */
export function decodeQuietly(bytes: Uint8Array): MlsMessage | undefined {
  try {
    return messages.decodeMlsMessage(bytes);
  } catch {
    return undefined;
  }
}
