/** Randomness of runtimes without node:crypto. */
import { ProviderError } from "../errors.ts";

/** The Web Crypto API fills at most this many bytes per call. */
const QUOTA = 65_536;

/** Bytes from `crypto.getRandomValues`. */
export function webRandom(length: number): Uint8Array {
  const source = globalThis.crypto as Crypto | undefined;
  if (source === undefined) {
    throw new ProviderError("this runtime has no crypto.getRandomValues: pass randomBytes");
  }
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; at += QUOTA) {
    source.getRandomValues(bytes.subarray(at, Math.min(length, at + QUOTA)));
  }
  return bytes;
}
