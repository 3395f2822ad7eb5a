/** What goes when its time is over, though nothing else happens. Catalogue M-STO-15. */
import { EMPTY_BYTES, opaque, uint32, uint64 } from "../codec/index.ts";
import { MlsError } from "../errors.ts";
import { expireBuffered } from "../client/receiving/buffer.ts";
import { type Client, coreOfClient } from "../client/client.ts";
import type { ClientCore } from "../client/session/client-core.ts";
import { dropExpired } from "../client/receiving/receive.ts";
import { decodeRecord, encodeRecord } from "../client/records/record-codecs.ts";
import {
  ENTERED_PREFIX,
  GONE_PREFIX,
  GROUP_PREFIX,
  groupIdOf,
  keyPackageKey,
} from "../client/records/record-keys.ts";
import { secondsOf } from "../client/state/settings.ts";
import type { GroupSession } from "../client/session/session.ts";
import { stepBack } from "../client/session/step-back.ts";
import type { Transaction } from "../client/records/transaction.ts";

export interface RetentionOptions {
  /** Seconds that the last view of a group stays that we are out of. Default: 30 days. */
  readonly endedGroups?: number | undefined;
  /**
   * Seconds for which a key package that is gone is known to have been ours, which tells
   * `ORPHAN_WELCOME` from a Welcome for somebody else. Default: 400 days, longer than packages live.
   */
  readonly usedKeyPackages?: number | undefined;
}

export interface RetentionReport {
  /** Ended groups that were deleted. */
  readonly groups: number;
  /** Records of used key packages, and of epochs entered with them. */
  readonly records: number;
  /** Groups that could not be read or written; to be tried again by the next call. */
  readonly failed: readonly FailedRetention[];
}

export interface FailedRetention {
  /** Undefined for one that is too long to be told without reading the group. */
  readonly groupId: Uint8Array | undefined;
  readonly error: unknown;
}

const DAY = 86_400;

/**
 * Deletes what has had its time: keys of past epochs and early messages, groups that ended long ago,
 * and what is remembered of used key packages. To be called at the start and daily.
 */
export async function applyRetention(
  client: Client,
  { endedGroups = 30 * DAY, usedKeyPackages = 400 * DAY }: RetentionOptions = {},
): Promise<RetentionReport> {
  const core = coreOfClient(client);
  const now = core.options.clock();
  const oldestEnd = now - secondsOf("endedGroups", endedGroups);
  const oldest = now - secondsOf("usedKeyPackages", usedKeyPackages);
  const failed: FailedRetention[] = [];
  let groups = 0;
  for (const { key, value } of await core.storage.list(GROUP_PREFIX)) {
    try {
      if (await retain(core, decodeRecord(uint32, value), oldestEnd)) continue;
      groups += 1;
    } catch (error) {
      if (error instanceof MlsError && error.blame === "usage") throw error;
      failed.push({ groupId: groupIdOf(key), error });
    }
  }
  const records = await core.write(async (transaction) => {
    return (await forgetGone(transaction, oldest, now)) + (await forgetEntered(core, transaction));
  });
  return { groups, records, failed };
}

/** Whether the group stays. */
async function retain(core: ClientCore, handle: number, oldestEnd: bigint): Promise<boolean> {
  await core.operate(handle, dropOverdue);
  return core.operate(handle, async (session) => {
    const { status, ownUpdate } = session.state;
    if (status !== "inactive" || ownUpdate.updatedAt > oldestEnd) return true;
    return !(await stepBack(session));
  });
}

/** Of one group, what nothing else would touch while it is quiet. */
export function dropOverdue(session: GroupSession): void {
  dropExpired(session);
  expireBuffered(session);
}

async function forgetGone(transaction: Transaction, oldest: bigint, now: bigint): Promise<number> {
  let forgotten = 0;
  for (const [key, value] of await transaction.list(GONE_PREFIX)) {
    // Earlier builds did not say since when.
    if (value.length === 0) transaction.put(key, encodeRecord(uint64, now));
    else if (decodeRecord(uint64, value) < oldest) {
      transaction.delete(key);
      forgotten += 1;
    }
  }
  return forgotten;
}

/** Without the last resort that opened it no Welcome leads into its epoch again. */
async function forgetEntered(core: ClientCore, transaction: Transaction): Promise<number> {
  let forgotten = 0;
  for (const [key, value] of await transaction.list(ENTERED_PREFIX)) {
    const reference = value.length === 0 ? EMPTY_BYTES : decodeRecord(opaque, value);
    if (reference.length === 0) continue;
    const name = keyPackageKey(reference);
    const stored = await core.storage.get(name);
    if (stored !== undefined) continue;
    transaction.expect(name, 0);
    transaction.delete(key);
    forgotten += 1;
  }
  return forgotten;
}
