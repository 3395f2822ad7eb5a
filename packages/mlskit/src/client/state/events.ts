/** What a client tells the application about, after it is durable. */
import type { Credential } from "../../credentials/credential.ts";
import type { Proposal } from "../../messages/proposal.ts";
import type { DropReason } from "./dropped-proposals.ts";
import type { RemovalReason } from "./removal.ts";

/** What tells two branches of an epoch apart: hashes of authenticators, or transcript hashes. */
export interface ForkFingerprints {
  readonly ours: Uint8Array;
  readonly theirs: Uint8Array;
}

export type ForkEvidence = "beacon" | "transcript" | "secondCommit" | "decryptionFailures";

interface GroupEvent {
  readonly groupId: Uint8Array;
  /** The epoch in which it takes effect. */
  readonly epoch: bigint;
}

export type ClientEvent =
  | (GroupEvent & {
      readonly type: "memberJoined";
      readonly leafIndex: number;
      readonly credential: Credential;
    })
  | (GroupEvent & {
      readonly type: "memberRemoved";
      readonly leafIndex: number;
      readonly credential: Credential;
      readonly reason: RemovalReason;
    })
  | (GroupEvent & { readonly type: "epochAdvanced"; readonly committer: number })
  | (GroupEvent & {
      readonly type: "messageReceived";
      readonly leafIndex: number;
      readonly generation: number;
    })
  | (GroupEvent & { readonly type: "ownUpdateDone" })
  | (GroupEvent & { readonly type: "proposalReceived"; readonly reference: Uint8Array })
  /** The epoch ended without it. What was ours can be proposed again; see `proposeAgain` of mlskit/production. */
  | (GroupEvent & {
      readonly type: "proposalDropped";
      readonly reference: Uint8Array;
      readonly isOwn: boolean;
      readonly proposal: Proposal;
      readonly reason: DropReason;
    })
  /** It would add a client whose key package is not valid any more. */
  | (GroupEvent & { readonly type: "proposalExpired"; readonly reference: Uint8Array })
  | (GroupEvent & { readonly type: "commitStaged" | "commitAccepted" | "commitDiscarded" })
  | (GroupEvent & { readonly type: "lostRace"; readonly committer: number })
  | (GroupEvent & { readonly type: "leaveNotCovered" })
  | (GroupEvent & { readonly type: "removedFromGroup"; readonly reason: RemovalReason })
  | (GroupEvent & { readonly type: "reInit" })
  | (GroupEvent & {
      readonly type: "forkSuspected";
      readonly evidence: ForkEvidence;
      /** Both values, if a beacon is the evidence. */
      readonly fingerprints: ForkFingerprints | undefined;
    })
  | (GroupEvent & { readonly type: "updateAdvised" })
  /** Of our own leaf; to be replaced by then. Seconds since 1970. */
  | (GroupEvent & { readonly type: "credentialExpiring"; readonly expiresAt: bigint })
  | (GroupEvent & { readonly type: "bufferFull" })
  /** It is no good. Its key package is still here, but should not be offered to anybody. */
  | {
      readonly type: "welcomeFailed";
      /** KeyPackageRefs of those whom it is for. */
      readonly references: readonly Uint8Array[];
      readonly code: string;
      readonly rule: string | undefined;
    }
  /** By entering a group. What was a last resort is still here. */
  | {
      readonly type: "keyPackageUsed";
      readonly cipherSuite: number;
      readonly signatureKey: Uint8Array;
      readonly reference: Uint8Array;
      readonly isLastResort: boolean;
    }
  | {
      readonly type: "keyPackagesLow";
      readonly cipherSuite: number;
      /** Of the identity whose packages run out. */
      readonly signatureKey: Uint8Array;
      readonly available: number;
    };

/** Numbers are given by the event log, if there is one. Nobody waits for what is asynchronous. */
export type EventListener =
  | ((event: ClientEvent, sequence: bigint | undefined) => void)
  | ((event: ClientEvent, sequence: bigint | undefined) => Promise<void>);

/** Hands events out in order. A listener that throws disturbs nobody. */
export class EventHub {
  readonly #listeners = new Set<EventListener>();

  on(listener: EventListener): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  emit(events: readonly ClientEvent[], first?: bigint): void {
    for (const [i, event] of events.entries()) {
      const sequence = first === undefined ? undefined : first + BigInt(i);
      for (const listener of this.#listeners) {
        // Rule cc-4: the application's trouble is not the group's, be it at once or later.
        try {
          const result: unknown = listener(event, sequence);
          if (result instanceof Promise) result.catch(() => undefined);
        } catch {}
      }
    }
  }

  /** All events from now on, until `signal` aborts or the loop is left. */
  async *stream(signal?: AbortSignal): AsyncGenerator<ClientEvent, void, void> {
    const waiting: ClientEvent[] = [];
    let wake = (): void => undefined;
    const stop = this.on((event) => {
      waiting.push(event);
      wake();
    });
    const onAbort = (): void => wake();
    signal?.addEventListener("abort", onAbort);
    try {
      while (signal?.aborted !== true) {
        const event = waiting.shift();
        if (event !== undefined) yield event;
        else
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
      }
    } finally {
      signal?.removeEventListener("abort", onAbort);
      stop();
    }
  }
}
