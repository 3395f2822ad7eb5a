/**
 * Logging that cannot leak. Rule P-ENC-06. Entries are put together here, field by field, from numbers,
 * fixed words and short hashes: nothing that a message or a key contains has a way into them.
 */
import { concat, toHex } from "../codec/index.ts";
import { MlsError } from "../errors.ts";
import { type Client, coreOfClient } from "../client/client.ts";
import type { ClientEvent } from "../client/state/events.ts";
import type { Outcome } from "../client/state/outcome.ts";
import { decodeRecord, metaRecord } from "../client/records/record-codecs.ts";
import { META_KEY } from "../client/records/record-keys.ts";

export interface LogEntry {
  readonly source: "event" | "outcome" | "error";
  /** Type of the event, kind of the outcome, or code of the error. */
  readonly type: string;
  /** Short hash of a group id, salted: to be compared within one store only. */
  readonly group?: string | undefined;
  readonly epoch?: string | undefined;
  readonly leafIndex?: number | undefined;
  readonly generation?: number | undefined;
  /** Short hash of the identity or signature key of a client, salted like the group's. */
  readonly client?: string | undefined;
  /** Why, in one of mlskit's own words. */
  readonly reason?: string | undefined;
  /** Of an error. */
  readonly code?: string | undefined;
  readonly rule?: string | undefined;
  readonly count?: number | undefined;
  readonly cipherSuite?: number | undefined;
}

export interface ClientLog {
  outcome(outcome: Outcome): void;
  error(error: unknown): void;
  /** Events are not logged any more. */
  stop(): void;
}

const HASH_LENGTH = 4;

/** Logs events from now on, and what else it is given. A sink that throws disturbs nobody. */
export async function logTo(client: Client, sink: (entry: LogEntry) => void): Promise<ClientLog> {
  const core = coreOfClient(client);
  const meta = await core.storage.get(META_KEY);
  const salt =
    meta === undefined ? new Uint8Array(0) : decodeRecord(metaRecord, meta.value).instance;
  const crypto = core.options.provider.suite(client.identity.cipherSuite);
  const short = (id: Uint8Array): string =>
    toHex(crypto.hash(concat(salt, id)).subarray(0, HASH_LENGTH));
  const write = (entry: LogEntry): void => {
    try {
      sink(entry);
    } catch {
      // The application's trouble is not the group's.
    }
  };
  const stop = client.on((event) => write(describeEvent(event, short)));
  return {
    stop,
    outcome: (outcome) => write(describeOutcome(outcome, short)),
    error: (error) => write(describeError(error)),
  };
}

type Shorten = (id: Uint8Array) => string;

function describeEvent(event: ClientEvent, short: Shorten): LogEntry {
  const { type } = event;
  const base = { source: "event", type } as const;
  if (type === "keyPackageUsed" || type === "keyPackagesLow") {
    const { cipherSuite, signatureKey } = event;
    const count = type === "keyPackagesLow" ? event.available : undefined;
    return { ...base, cipherSuite, client: short(signatureKey), count };
  }
  if (type === "welcomeFailed") return { ...base, code: event.code, rule: event.rule };
  const inGroup = { ...base, group: short(event.groupId), epoch: `${event.epoch}` };
  switch (type) {
    case "memberJoined":
      return { ...inGroup, leafIndex: event.leafIndex };
    case "memberRemoved":
      return { ...inGroup, leafIndex: event.leafIndex, reason: event.reason };
    case "removedFromGroup":
    case "proposalDropped":
      return { ...inGroup, reason: event.reason };
    case "messageReceived":
      return { ...inGroup, leafIndex: event.leafIndex, generation: event.generation };
    case "epochAdvanced":
    case "lostRace":
      return { ...inGroup, leafIndex: event.committer };
    case "forkSuspected":
      return { ...inGroup, reason: event.evidence };
    default:
      return inGroup;
  }
}

function describeOutcome(outcome: Outcome, short: Shorten): LogEntry {
  const base = { source: "outcome", type: outcome.kind } as const;
  if (outcome.kind === "invalid" || outcome.kind === "invalidProposal") {
    const { groupId, error, sender } = outcome;
    const group = groupId === undefined ? undefined : short(groupId);
    const leafIndex = sender?.type === "member" ? sender.leafIndex : undefined;
    return { ...base, group, leafIndex, code: error.code, rule: error.rule };
  }
  if (!("groupId" in outcome) || outcome.groupId === undefined) return base;
  const group = short(outcome.groupId);
  if (!("epoch" in outcome)) return { ...base, group };
  const inEpoch = { ...base, group, epoch: `${outcome.epoch}` };
  if (!("sender" in outcome)) return inEpoch;
  const { sender } = outcome;
  const leafIndex = sender.type === "member" ? sender.leafIndex : undefined;
  const generation = outcome.kind === "application" ? outcome.generation : undefined;
  return { ...inEpoch, leafIndex, generation };
}

/** Of foreign errors only that there was one: their messages may say anything. */
function describeError(error: unknown): LogEntry {
  if (!(error instanceof MlsError)) return { source: "error", type: "foreign" };
  const { code, rule } = error;
  return { source: "error", type: error.blame, code, rule };
}
