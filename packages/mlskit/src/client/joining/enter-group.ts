/** A new group in the store: created, joined, or succeeding another. */
import { equalBytes } from "../../codec/index.ts";
import { StateError } from "../../errors.ts";
import type { Epoch } from "../../group/epoch.ts";
import type { CreatedSuccessor } from "../../group/successor.ts";
import type { ClientCore } from "../session/client-core.ts";
import type { GroupSession } from "../session/session.ts";
import type { GroupConfig } from "../state/config.ts";
import { configWith } from "../state/settings.ts";
import type { StagedJoin } from "../../group/join-by-welcome.ts";
import type { Identity } from "../identity/identity.ts";
import { consumeKeyPackage, reportStock } from "../identity/key-packages.ts";
import {
  announceEntry,
  type ExternalJoinRequest,
  freshState,
  noteEntered,
  requireFree,
  requireNoLiveGroup,
  requireNotEntered,
  stageExternalJoin,
} from "./join.ts";
import { decodeRecord, encodeRecord, metaRecord } from "../records/record-codecs.ts";
import { deleteStates } from "../records/delete-state.ts";
import { keepHandOut } from "../receiving/settle-commit.ts";
import { groupKey, GroupKeys, META_KEY } from "../records/record-keys.ts";
import {
  checkStagedSuccession,
  closePredecessor,
  makeSuccessor,
  type SuccessorRequest,
} from "./successor.ts";
import { Transaction } from "../records/transaction.ts";

export interface EnterOptions {
  /** An external commit, until whose acceptance the former state stays. */
  readonly join?: { readonly commit: Uint8Array; readonly replaces: number | undefined };
  /** What it has for its other members. */
  readonly made?: CreatedSuccessor | undefined;
  /** The group's first operation, in the same write. */
  readonly also?: ((session: GroupSession) => Promise<unknown>) | undefined;
}

/** Writes the transaction, with the group in it. The group's storage handle. */
export async function enterGroup(
  core: ClientCore,
  transaction: Transaction,
  epoch: Epoch,
  config: GroupConfig,
  { join, also, made }: EnterOptions = {},
): Promise<number> {
  // A join that waits for its acceptance keeps the former state until then.
  if (join === undefined) await deleteFormer(core, transaction, epoch);
  const handle = await nextHandle(core, transaction);
  const session = core.createSession(
    transaction,
    freshState(handle, epoch, config, core.options.clock(), join),
  );
  keepThatOf(session, made);
  await also?.(session);
  await core.finish(transaction, [session]);
  return handle;
}

/**
 * Under the same id nobody could reach a former, closed group any more: it goes in the same write. Who
 * works on it meanwhile comes too late, or makes this write start over.
 */
async function deleteFormer(
  core: ClientCore,
  transaction: Transaction,
  epoch: Epoch,
): Promise<void> {
  const former = await core.findHandle(epoch.context.groupId);
  if (former === undefined) return;
  transaction.expect(new GroupKeys(former).version, (await core.load(former)).version);
  await deleteStates(transaction, former, core.stored);
}

/** The same, closing the group that it succeeds in one write. The caller holds the lock of that one. */
async function succeedGroup(
  core: ClientCore,
  transaction: Transaction,
  epoch: Epoch,
  config: GroupConfig,
  predecessor: number | undefined,
  made?: CreatedSuccessor,
): Promise<number> {
  if (predecessor === undefined) {
    return enterGroup(core, transaction, epoch, config, { made });
  }
  const old = await core.openSession(transaction, predecessor);
  const { groupId } = epoch.context;
  if (!equalBytes(old.state.epoch.context.groupId, groupId)) {
    await deleteFormer(core, transaction, epoch);
  }
  await closePredecessor(old, groupId);
  const handle = await nextHandle(core, transaction);
  const session = core.createSession(
    transaction,
    freshState(handle, epoch, config, core.options.clock()),
  );
  keepThatOf(session, made);
  await core.finish(transaction, [old, session]);
  return handle;
}

/** The group of a staged Welcome, which uses up its key package. The group's storage handle. */
export async function enterStaged(
  core: ClientCore,
  staged: StagedJoin,
  config: GroupConfig,
): Promise<number> {
  const environment = core.environment(new Transaction(core.storage), core.options.config);
  const succession = await checkStagedSuccession(core, staged, environment);
  const predecessor =
    succession.type === "reinit"
      ? await core.findHandle(succession.predecessor.groupId)
      : undefined;
  return core.write(async (transaction) => {
    const { epoch } = staged;
    await requireNoLiveGroup(core, epoch.context.groupId, succession);
    await requireNotEntered(core, staged);
    noteEntered(transaction, staged);
    announceEntry(transaction, staged);
    await consumeKeyPackage(core, transaction, staged.reference);
    await reportStock(core, transaction, staged.keyPackage);
    return succeedGroup(core, transaction, epoch, config, predecessor);
  }, predecessor);
}

/** A group that we join by an external commit, waiting for its acceptance. */
export function enterExternally(
  core: ClientCore,
  identity: Identity,
  groupInfo: Uint8Array,
  request: ExternalJoinRequest,
  config: GroupConfig,
): Promise<{ readonly handle: number; readonly commit: Uint8Array }> {
  return core.write(async (transaction) => {
    const signer = await core.signerFor(transaction, identity.signatureKey);
    const by = { identity, signer };
    const { commit, epoch } = await stageExternalJoin(core, by, groupInfo, request);
    const { groupId } = epoch.context;
    await transaction.expectCurrent(groupKey(groupId));
    const replaces = await core.findHandle(groupId);
    const join = { commit, replaces };
    return { handle: await enterGroup(core, transaction, epoch, config, { join }), commit };
  });
}

/** The successor of a group that ended with a ReInit, in the write that closes it. */
export async function writeSuccessor(
  core: ClientCore,
  groupId: Uint8Array,
  keyPackages: readonly Uint8Array[],
  request: SuccessorRequest,
  also?: (transaction: Transaction, made: CreatedSuccessor) => void,
): Promise<CreatedSuccessor & { readonly handle: number }> {
  core.requireWritable();
  const predecessor = await core.handleOf(groupId);
  return core.write(async (transaction) => {
    const { state } = await core.load(predecessor);
    const made = await makeSuccessor(core, transaction, state, keyPackages, request);
    const successor = made.next.context.groupId;
    if (!equalBytes(successor, groupId)) await requireFree(core, successor, true);
    also?.(transaction, made);
    const config = configWith(state.config, request.config);
    // Whoever writes more with it keeps the Welcomes there.
    const kept = also === undefined ? made : undefined;
    const handle = await succeedGroup(core, transaction, made.next, config, predecessor, kept);
    return { ...made, handle };
  }, predecessor);
}

function keepThatOf(session: GroupSession, made: CreatedSuccessor | undefined): void {
  if (made !== undefined) keepHandOut(session, { ...made, epoch: made.next.context.epoch });
}

async function nextHandle(core: ClientCore, transaction: Transaction): Promise<number> {
  const stored = await core.storage.get(META_KEY);
  if (stored === undefined) throw new StateError("SIGNER_NOT_FOUND", "the store holds no client");
  const meta = decodeRecord(metaRecord, stored.value);
  transaction.expect(META_KEY, stored.version);
  const next = { ...meta, nextHandle: meta.nextHandle + 1 };
  transaction.put(META_KEY, encodeRecord(metaRecord, next));
  return meta.nextHandle;
}
