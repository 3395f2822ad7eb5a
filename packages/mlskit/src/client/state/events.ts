/** What a client tells the application about, after it is durable. */
import type { RatchetTree } from "../../tree/ratchet-tree.ts";
import { leafIndex } from "../../tree/tree-math.ts";
import type { Credential } from "../../credentials/credential.ts";
import { InternalError } from "../../errors.ts";
import type { Epoch } from "../../group/epoch.ts";
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

interface CommitterEvent extends GroupEvent {
  readonly committer: number;
  /** The committer's, in the new epoch. */
  readonly credential: Credential;
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
  | (CommitterEvent & { readonly type: "epochAdvanced" })
  | (GroupEvent & {
      readonly type: "messageReceived";
      readonly leafIndex: number;
      /** The sender's, in the epoch of the message. */
      readonly credential: Credential;
      readonly generation: number;
    })
  | (GroupEvent & { readonly type: "ownUpdateDone" })
  | (GroupEvent & { readonly type: "proposalReceived"; readonly reference: Uint8Array })
  /** The epoch ended without it. What was ours can be proposed again; see `proposeAgain` of mlskit/production. */
  | (GroupEvent & {
      readonly type: "proposalDropped";
      /** Undefined if it was queued and never sent. */
      readonly reference: Uint8Array | undefined;
      readonly isOwn: boolean;
      readonly proposal: Proposal;
      readonly reason: DropReason;
    })
  /** It would add a client whose key package is not valid any more. */
  | (GroupEvent & { readonly type: "proposalExpired"; readonly reference: Uint8Array })
  /** Of ours, or of another member's that waits to be accepted; one that is not accepted is not discarded. */
  | (GroupEvent & {
      readonly type: "commitStaged" | "commitAccepted" | "commitDiscarded";
      readonly isOwn: boolean;
    })
  | (CommitterEvent & { readonly type: "lostRace" })
  | (GroupEvent & { readonly type: "leaveNotCovered" })
  | (GroupEvent & { readonly type: "removedFromGroup"; readonly reason: RemovalReason })
  | (GroupEvent & { readonly type: "reInit" })
  | (GroupEvent & {
      readonly type: "forkSuspected";
      readonly evidence: ForkEvidence;
      /** Both values, if a beacon is the evidence. */
      readonly fingerprints: ForkFingerprints | undefined;
    })
  /**
   * At the first occasion in an epoch at which `Group.needsUpdate` has a reason, once in each process; a
   * quiet group has no occasions.
   */
  | (GroupEvent & { readonly type: "updateAdvised" })
  /** Of our own leaf; to be replaced by then. Seconds since 1970. */
  | (GroupEvent & { readonly type: "credentialExpiring"; readonly expiresAt: bigint })
  | (GroupEvent & { readonly type: "bufferFull" })
  /**
   * The Commit that began this epoch has Welcomes that nobody took, and too many came after it, a
   * resync has left its branch, or the store has damaged them.
   */
  | (GroupEvent & { readonly type: "handOutDropped" })
  /** It is no good. Its key package is still here, but should be offered to nobody any more. */
  | {
      readonly type: "welcomeFailed";
      /** KeyPackageRef of ours that it is for; undefined if it names none. */
      readonly reference: Uint8Array | undefined;
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

/** That we are a member from this epoch on. */
export function ownEntry({ context, tree, ownLeaf }: Epoch): ClientEvent {
  const { groupId, epoch } = context;
  return {
    type: "memberJoined",
    groupId,
    epoch,
    leafIndex: ownLeaf,
    credential: credentialAt(tree, ownLeaf),
  };
}

/** That an epoch is the one that we are in. */
export function epochBegins({ context, tree }: Epoch, committer: number): ClientEvent {
  const { groupId, epoch } = context;
  return {
    type: "epochAdvanced",
    groupId,
    epoch,
    committer,
    credential: credentialAt(tree, committer),
  };
}

export function credentialAt(tree: RatchetTree, leaf: number): Credential {
  const member = tree.leaf(leafIndex(leaf));
  if (member === undefined) throw new InternalError("an event is about somebody who is no member");
  return member.credential;
}

/** Hands events out in order. A listener that throws disturbs nobody. */
export class EventHub {
  readonly #listeners = new Set<EventListener>();
  readonly #streams = new Set<EventStream>();

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
  stream(signal?: AbortSignal): EventStream {
    const stream = new EventStream(this, signal);
    if (signal?.aborted !== true) this.#streams.add(stream);
    return stream;
  }

  forget(stream: EventStream): void {
    this.#streams.delete(stream);
  }

  /** There will be no more. */
  close(): void {
    this.#listeners.clear();
    for (const stream of this.#streams) stream.end();
  }
}

/** No async generator: that one would listen from its first `next` on, and wait for an event to return. */
class EventStream implements AsyncIterableIterator<ClientEvent, void, void> {
  readonly #hub: EventHub;
  readonly #signal: AbortSignal | undefined;
  readonly #stopListening: () => void;
  readonly #onAbort = (): void => this.#drop();
  #events: ClientEvent[] = [];
  #waiting: ((result: IteratorResult<ClientEvent, void>) => void)[] = [];
  #isOver = false;

  constructor(hub: EventHub, signal: AbortSignal | undefined) {
    this.#hub = hub;
    this.#signal = signal;
    this.#stopListening = hub.on((event) => this.#take(event));
    if (signal?.aborted === true) this.end();
    else signal?.addEventListener("abort", this.#onAbort);
  }

  #take(event: ClientEvent): void {
    const resolve = this.#waiting.shift();
    if (resolve === undefined) this.#events.push(event);
    else resolve({ done: false, value: event });
  }

  #drop(): void {
    this.#events = [];
    this.end();
  }

  /** What was heard is still handed out. */
  end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#stopListening();
    this.#hub.forget(this);
    this.#signal?.removeEventListener("abort", this.#onAbort);
    for (const resolve of this.#waiting) resolve(OVER);
    this.#waiting = [];
  }

  async next(): Promise<IteratorResult<ClientEvent, void>> {
    const event = this.#events.shift();
    if (event !== undefined) return { done: false, value: event };
    if (this.#isOver) return OVER;
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  async return(): Promise<IteratorResult<ClientEvent, void>> {
    this.#drop();
    return OVER;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}

const OVER = { done: true, value: undefined } as const;
