/** What goes to the threads that seal, and what comes back. Buffers change hands: nothing is copied. */
import { type Codec, opaque, struct, vector } from "../codec/index.ts";
import type { SealedMessage, SealJob } from "../crypto/crypto-provider.ts";

export interface SealRequest {
  readonly id: number;
  readonly suite: number;
  readonly info: Uint8Array;
  /** Encoded {@link SealJobs}: secrets, which the receiving thread overwrites. */
  readonly jobs: Uint8Array;
}

export interface SealAnswer {
  readonly id: number;
  /** Encoded {@link SealedMessages}; undefined if the jobs could not be done. */
  readonly sealed: Uint8Array | undefined;
}

/** The first message of a thread, when its code is loaded. */
export const READY = "ready";

export const SealJobs: Codec<readonly SealJob[]> = vector(
  struct<SealJob>({ publicKey: opaque, plaintext: opaque }),
);

export const SealedMessages: Codec<readonly SealedMessage[]> = vector(
  struct<SealedMessage>({ kemOutput: opaque, ciphertext: opaque }),
);
