/** What the client that gets killed and its delivery service say to each other. */

/** From the client. Those with an `id` are answered. */
export type Request =
  | { readonly type: "hello"; readonly report: Report }
  /** Durable at the client from here on. */
  | { readonly type: "done"; readonly report: Report }
  /** A ciphertext that left the client, whether the delivery service keeps it or not. */
  | { readonly type: "refused"; readonly bytes: Uint8Array }
  | { readonly type: "message"; readonly bytes: Uint8Array }
  | { readonly type: "finished"; readonly report: Report }
  | { readonly type: "failed"; readonly reason: string }
  | { readonly type: "poll"; readonly id: number; readonly cursor: number }
  | {
      readonly type: "commit";
      readonly id: number;
      readonly epoch: bigint;
      readonly bytes: Uint8Array;
    }
  | { readonly type: "welcome"; readonly id: number; readonly bytes: Uint8Array }
  | { readonly type: "invite"; readonly id: number; readonly keyPackage: Uint8Array }
  | { readonly type: "groupInfo"; readonly id: number }
  | { readonly type: "keyPackage"; readonly id: number };

export interface Reply {
  readonly id: number;
  readonly isAccepted?: boolean;
  readonly bytes?: Uint8Array;
  readonly entries?: readonly Entry[];
}

export interface Entry {
  readonly index: number;
  readonly kind: "commit" | "message" | "welcome";
  readonly bytes: Uint8Array;
}

/** What the client knows, without secrets but the one that all members share. */
export interface Report {
  readonly signatureKey: Uint8Array;
  readonly status: string;
  readonly epoch: bigint;
  /** Log entries that were processed. */
  readonly cursor: number;
  readonly authenticator: Uint8Array | undefined;
}

/** mulberry32: small, and the same everywhere. */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
