/** A delivery service in memory: one order for all, one Commit per epoch. RFC 9420 §14. M-TST-04. */
import { bytesKey } from "../codec/index.ts";
import { decodeMlsMessage } from "../framing/mls-message.ts";

export interface LogEntry {
  /** From 1, without gaps within a group. */
  readonly sequence: number;
  readonly epoch: bigint;
  readonly contentType: "application" | "proposal" | "commit";
  readonly bytes: Uint8Array;
}

export type SubmitAnswer =
  | { readonly type: "accepted"; readonly entry: LogEntry; readonly isNew: boolean }
  /** Another Commit won the epoch, or the message comes from an epoch that is over. */
  | { readonly type: "conflict"; readonly epoch: bigint };

interface GroupLog {
  epoch: bigint;
  readonly entries: LogEntry[];
  /** By their bytes: submitting twice is submitting once. */
  readonly known: Map<string, LogEntry>;
}

export interface DeliveryServiceOptions {
  /** How many epochs application messages may be late. Default: 2. */
  readonly lateEpochs?: number | undefined;
}

/** Reads headers only. Handshake messages count in the epoch in which they arrive, or not at all. */
export class VirtualDeliveryService {
  readonly #groups = new Map<string, GroupLog>();
  readonly #lateEpochs: bigint;

  constructor(options: DeliveryServiceOptions = {}) {
    this.#lateEpochs = BigInt(options.lateEpochs ?? 2);
  }

  /** Begins to order messages for a group, which is in this epoch. */
  register(groupId: Uint8Array, epoch = 0n): void {
    this.#groups.set(bytesKey(groupId), { epoch, entries: [], known: new Map() });
  }

  /** The epoch that the accepted Commits have led to. */
  epochOf(groupId: Uint8Array): bigint {
    return this.#log(groupId).epoch;
  }

  /** Entries after `sequence`, in order. */
  entriesAfter(groupId: Uint8Array, sequence: number): readonly LogEntry[] {
    const { entries } = this.#log(groupId);
    const first = entries[0]?.sequence ?? 1;
    return entries.slice(Math.max(0, sequence + 1 - first));
  }

  /** The number of the last entry; 0 before the first. */
  lastSequence(groupId: Uint8Array): number {
    return this.#log(groupId).entries.at(-1)?.sequence ?? 0;
  }

  /** Idempotent: the same bytes get the same answer. */
  submit(bytes: Uint8Array): SubmitAnswer {
    const { groupId, epoch, contentType } = headerOf(bytes);
    const log = this.#log(groupId);
    const key = bytesKey(bytes);
    const known = log.known.get(key);
    if (known !== undefined) return { type: "accepted", entry: known, isNew: false };
    const isLate =
      contentType === "application"
        ? epoch + this.#lateEpochs < log.epoch || epoch > log.epoch
        : epoch !== log.epoch;
    if (isLate) return { type: "conflict", epoch: log.epoch };
    if (contentType === "commit") log.epoch++;
    const sequence = (log.entries.at(-1)?.sequence ?? 0) + 1;
    const entry = { sequence, epoch, contentType, bytes };
    log.entries.push(entry);
    log.known.set(key, entry);
    return { type: "accepted", entry, isNew: true };
  }

  /** Whether these bytes were accepted, for a client that lost the answer. */
  isAccepted(bytes: Uint8Array): boolean {
    return this.#log(headerOf(bytes).groupId).known.has(bytesKey(bytes));
  }

  /** Drops entries that everybody has, up to and including `sequence`. The last one always stays. */
  trim(groupId: Uint8Array, sequence: number): void {
    const log = this.#log(groupId);
    const last = log.entries.at(-1);
    while (log.entries.length > 1) {
      const [first] = log.entries;
      if (first === undefined || first === last || first.sequence > sequence) return;
      log.entries.shift();
      log.known.delete(bytesKey(first.bytes));
    }
  }

  #log(groupId: Uint8Array): GroupLog {
    const log = this.#groups.get(bytesKey(groupId));
    if (log === undefined) throw new RangeError("the delivery service does not know this group");
    return log;
  }
}

/** What a delivery service can see of a message of a group. @throws TypeError for other messages */
export function headerOf(bytes: Uint8Array): Pick<LogEntry, "epoch" | "contentType"> & {
  readonly groupId: Uint8Array;
} {
  const decoded = decodeMlsMessage(bytes);
  switch (decoded.wireFormat) {
    case "privateMessage":
      return decoded.message;
    case "publicMessage": {
      const { groupId, epoch, content } = decoded.message.content;
      return { groupId, epoch, contentType: content.contentType };
    }
    default:
      throw new TypeError("only messages of a group have a place in its order");
  }
}
