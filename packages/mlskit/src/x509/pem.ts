/** Base64 without whitespace problems. RFC 7468. */
import { UsageError } from "../errors.ts";

export function fromBase64(text: string): Uint8Array {
  try {
    const binary = atob(text.replaceAll(/\s/g, ""));
    return Uint8Array.from(binary, (char) => char.charCodeAt(0));
  } catch (cause) {
    throw new UsageError("INVALID_CERTIFICATE", "the PEM text is malformed", { cause });
  }
}
