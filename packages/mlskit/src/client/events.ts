/** What a client tells the application about, after it is durable. */
import type { Credential } from "../credentials/credential.ts";
import type { ForkEvidence, ForkFingerprints } from "./fork.ts";
import type { RemovalReason } from "./removal.ts";

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
  | (GroupEvent & {
      readonly type: "proposalDropped";
      readonly reference: Uint8Array;
      readonly isOwn: boolean;
    })
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
  | (GroupEvent & { readonly type: "bufferFull" })
  | {
      readonly type: "keyPackagesLow";
      readonly cipherSuite: number;
      /** Of the identity whose packages run out. */
      readonly signatureKey: Uint8Array;
      readonly available: number;
    };

export type EventListener = (event: ClientEvent) => void;

/** Hands events out in order. A listener that throws disturbs nobody. */
export class EventHub {
  readonly #listeners = new Set<EventListener>();

  on(listener: EventListener): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  emit(events: readonly ClientEvent[]): void {
    for (const event of events) {
      for (const listener of this.#listeners) {
        try {
          listener(event);
        } catch {
          // Rule cc-4: the application's trouble is not the group's.
        }
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
