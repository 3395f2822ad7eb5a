/** After a restore from a backup, or beside a copy of the store. P-CR-04, P-MP-06. */
import { EMPTY_BYTES, fromHex, MAX_UINT64, uint32, uint64 } from "../codec/index.ts";
import { MlsError } from "../errors.ts";
import type { ClientCore } from "./session/client-core.ts";
import { removeKeyPackage } from "./identity/key-packages.ts";
import { replacedBy } from "./records/delete-state.ts";
import { decodeRecord, encodeRecord } from "./records/record-codecs.ts";
import { GROUP_PREFIX, GroupKeys, KEY_PACKAGE_PREFIX } from "./records/record-keys.ts";
import type { GroupSession } from "./session/session.ts";
import { isUnreadable } from "./session/unreadable.ts";
import type { Transaction } from "./records/transaction.ts";

/**
 * Another copy of this client may have used keys that look unused here. No group encrypts until it is
 * healed, and unused key packages go: their Welcomes may have been used, and lead to epochs in which
 * that copy has sent. In one write.
 */
export function freezeClient(core: ClientCore): Promise<void> {
  // Who holds groups one after the other does so alone, or two would wait for each other.
  return core.transactionLock.run(() =>
    core.attempt(async (transaction) => {
      const releases: (() => void)[] = [];
      try {
        await freezeAll(core, transaction, releases);
      } finally {
        for (const release of releases) release();
      }
    }),
  );
}

async function freezeAll(
  core: ClientCore,
  transaction: Transaction,
  releases: (() => void)[],
): Promise<void> {
  // A group that is entered meanwhile, or that steps back to a former state, makes this start over.
  await core.raiseMeta(transaction);
  const handles: number[] = [];
  for (const { key, value, version } of await core.storage.list(GROUP_PREFIX)) {
    transaction.expect(key, version);
    handles.push(decodeRecord(uint32, value));
  }
  const sessions: GroupSession[] = [];
  for (let handle = handles.pop(); handle !== undefined; handle = handles.pop()) {
    releases.push(await core.lockOf(handle).acquire());
    const session = await openOrFreeze(core, transaction, handle, handles);
    if (session === undefined) continue;
    sessions.push(session);
    const { state } = session;
    // Back in force if the join is refused.
    if (state.replaces !== undefined) handles.push(state.replaces);
    if (state.status !== "inactive") session.state = { ...state, frozenUpTo: MAX_UINT64 };
  }
  for (const { key } of await core.storage.list(KEY_PACKAGE_PREFIX)) {
    const reference = fromHex(key.slice(KEY_PACKAGE_PREFIX.length));
    removeKeyPackage(transaction, reference, core.options.clock());
  }
  await core.finish(transaction, sessions);
}

/**
 * A group that cannot be read now may be readable later: it is frozen as well, whatever is wrong. A
 * store that fails altogether also fails to write that.
 */
async function openOrFreeze(
  core: ClientCore,
  transaction: Transaction,
  handle: number,
  handles: number[],
): Promise<GroupSession | undefined> {
  try {
    return await core.openSession(transaction, handle);
  } catch (error) {
    if (MlsError.is(error, "STORAGE_CONFLICT")) throw error;
  }
  const keys = new GroupKeys(handle);
  if (!(await isThere(transaction, keys.version))) return undefined;
  transaction.put(keys.version, EMPTY_BYTES);
  transaction.put(keys.frozen, encodeRecord(uint64, MAX_UINT64));
  transaction.overtaken.add(handle);
  const head = await transaction.get(keys.head).catch(() => undefined);
  const replaced = head === undefined ? undefined : replacedBy(head, core.stored);
  if (replaced !== undefined) handles.push(replaced);
  return undefined;
}

/** Whether there is such a record, which stays as it is until the write if it can be read. */
async function isThere(transaction: Transaction, key: string): Promise<boolean> {
  try {
    return await transaction.expectCurrent(key);
  } catch (error) {
    if (!isUnreadable(error)) throw error;
    return true;
  }
}

/**
 * The copy is gone and never got beyond this epoch: a later Commit of another member heals. The epoch
 * that the group is in now counts as reached.
 */
export function limitFreeze(session: GroupSession, reached: bigint): void {
  const { state } = session;
  if (state.frozenUpTo === undefined) return;
  const { epoch } = state.epoch.context;
  session.state = { ...state, frozenUpTo: reached > epoch ? reached : epoch };
}
