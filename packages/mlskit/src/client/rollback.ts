/** After a restore from a backup, or beside a copy of the store. P-CR-04, P-MP-06. */
import { fromHex, MAX_UINT64, uint32 } from "../codec/index.ts";
import type { ClientCore } from "./session/client-core.ts";
import { removeKeyPackage } from "./identity/key-packages.ts";
import { decodeRecord } from "./records/record-codecs.ts";
import { GROUP_PREFIX, KEY_PACKAGE_PREFIX } from "./records/record-keys.ts";
import type { GroupSession } from "./session/session.ts";
import { Transaction } from "./records/transaction.ts";

/**
 * Another copy of this client may have used keys that look unused here. No group encrypts until it is
 * healed, and unused key packages go: their Welcomes may have been used, and lead to epochs in which
 * that copy has sent. In one write.
 */
export async function freezeClient(core: ClientCore): Promise<void> {
  const transaction = new Transaction(core.storage);
  const handles = (await core.storage.list(GROUP_PREFIX)).map(({ value }) =>
    decodeRecord(uint32, value),
  );
  const sessions: GroupSession[] = [];
  const releases: (() => void)[] = [];
  try {
    for (let handle = handles.pop(); handle !== undefined; handle = handles.pop()) {
      releases.push(await core.lockOf(handle).acquire());
      const session = await core.openSession(transaction, handle);
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
  } finally {
    transaction.abort();
    for (const release of releases) release();
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
