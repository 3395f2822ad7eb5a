/** What a store must write when a group goes from one state to another. */
import { fromHex, uint32, uint64 } from "../../codec/index.ts";
import type { SecretTree, SecretTreeChange } from "../../secret-tree/secret-tree.ts";
import { changedChunks } from "../../tree/stored-chunks.ts";
import { bufferedTotal } from "./buffered-total.ts";
import type { GroupConfig } from "../state/config.ts";
import { epochToRecord } from "./epoch-records.ts";
import {
  type GroupState,
  type GroupStatus,
  type StoredPastEpoch,
  type StoredProposal,
  SEEN_SLOTS,
} from "../state/group-state.ts";
import {
  bufferedRecord,
  bufferedTotalRecord,
  encodeRecord,
  handOutRecord,
  headRecord,
  pastRecord,
  proposalRecord,
  RAW,
  ratchetRecord,
  secret,
  seenRecord,
} from "./record-codecs.ts";
import { encodePending } from "./pending-record.ts";
import { isTreeStored } from "../state/outside-tree.ts";
import type { RecordSink } from "./record-sink.ts";
import { bufferedKey, GroupKeys, groupKey } from "./record-keys.ts";

const STATUS: readonly GroupStatus[] = ["active", "pendingJoin", "suspended", "inactive"];

const statusCode = (status: GroupStatus): number => STATUS.indexOf(status);
export const statusOf = (code: number): GroupStatus => STATUS[code] ?? "inactive";

/** Writes the difference; `before` is undefined for a group that is new. */
export function writeGroup(
  sink: RecordSink,
  before: GroupState | undefined,
  after: GroupState,
): void {
  const keys = new GroupKeys(after.handle);
  if (before === undefined) {
    sink.put(groupKey(after.epoch.context.groupId), encodeRecord(uint32, after.handle));
  }
  writeHead(sink, keys, before, after);
  writeTree(sink, keys, before, after);
  writeSecretTrees(sink, keys, before, after);
  writeRows(sink, byIdentity(before?.past), byIdentity(after.past), {
    key: (_, past) => keys.past(past.context.epoch),
    encode: encodePast,
  });
  writeRows(sink, before?.resumptionPsks, after.resumptionPsks, {
    key: (epoch) => keys.resumptionPsk(epoch),
    encode: (psk) => encodeRecord(secret, psk),
  });
  writeRows(sink, before?.proposals, after.proposals, {
    key: (_, { number }) => keys.proposal(number),
    encode: encodeProposal,
  });
  writeRows(sink, before?.setAside, after.setAside, {
    key: (_, { number }) => keys.setAside(number),
    encode: encodeProposal,
  });
  writeRows(sink, byIdentity(before?.handOuts), byIdentity(after.handOuts), {
    key: (_, { epoch }) => keys.handOut(epoch),
    encode: (handOut) => encodeRecord(handOutRecord, handOut),
  });
  writeRow(sink, keys.pendingCommit, before?.pending, after.pending, (pending) =>
    encodePending(after, pending),
  );
  writeRow(sink, keys.frozen, before?.frozenUpTo, after.frozenUpTo, (epoch) =>
    encodeRecord(uint64, epoch),
  );
  // A new one takes the slot of the one that it drops.
  writeRows(sink, before?.seen.hashes, after.seen.hashes, {
    key: (number) => keys.seen(number % SEEN_SLOTS),
    encode: (hash, number) => encodeRecord(seenRecord, { number, hash: fromHex(hash) }),
  });
  writeBuffer(sink, keys, before, after);
}

/** How the entries of a map become rows. */
interface Rows<K, V> {
  key(key: K, value: V): string;
  encode(value: V, key: K): Uint8Array;
}

function writeRows<K, V>(
  sink: RecordSink,
  before: ReadonlyMap<K, V> | undefined,
  after: ReadonlyMap<K, V>,
  rows: Rows<K, V>,
): void {
  if (before === after) return;
  for (const [key, value] of before ?? []) {
    if (!after.has(key)) sink.delete(rows.key(key, value));
  }
  for (const [key, value] of after) {
    if (before?.has(key) !== true) sink.put(rows.key(key, value), rows.encode(value, key));
  }
}

function writeRow<V>(
  sink: RecordSink,
  key: string,
  before: V | undefined,
  after: V | undefined,
  encode: (value: V) => Uint8Array,
): void {
  if (before === after) return;
  if (after === undefined) sink.delete(key);
  else sink.put(key, encode(after));
}

/** A list whose items are never changed but replaced. */
function byIdentity<T>(list: readonly T[] = []): ReadonlyMap<T, T> {
  return new Map(list.map((item) => [item, item]));
}

/** What using one message key changes: a row or two. */
export function writeRatchets(
  sink: RecordSink,
  handle: number,
  epoch: bigint,
  change: SecretTreeChange,
): void {
  const keys = new GroupKeys(handle);
  for (const [node, value] of change.nodes) {
    if (value === undefined) sink.delete(keys.node(epoch, node));
    else sink.put(keys.node(epoch, node), encodeRecord(secret, value));
  }
  for (const { leaf, kind, ratchet } of change.ratchets) {
    sink.put(keys.ratchet(epoch, leaf, kind), encodeRecord(ratchetRecord, ratchet));
  }
}

function writeHead(
  sink: RecordSink,
  keys: GroupKeys,
  before: GroupState | undefined,
  after: GroupState,
): void {
  const isUnchanged =
    before !== undefined &&
    before.epoch === after.epoch &&
    before.status === after.status &&
    before.config === after.config &&
    before.reInit === after.reInit &&
    before.isLeaving === after.isLeaving &&
    before.joinCommit === after.joinCommit &&
    before.queued === after.queued;
  if (isUnchanged) return;
  const { status, epoch, config, reInit, isLeaving, joinCommit, replaces, queued, ownUpdate } =
    after;
  const stored = epochToRecord(epoch);
  const record = {
    status: statusCode(status),
    epoch: stored,
    config,
    reInit,
    isLeaving,
    joinCommit,
    replaces,
    queued,
    ownUpdate,
    exporter: stored,
  };
  sink.put(keys.head, encodeRecord(headRecord<GroupConfig>(), record));
}

function writeTree(
  sink: RecordSink,
  keys: GroupKeys,
  before: GroupState | undefined,
  after: GroupState,
): void {
  const old = before !== undefined && isTreeStored(before) ? before.epoch.tree : undefined;
  const now = isTreeStored(after) ? after.epoch.tree : undefined;
  if (old === now) return;
  for (const { level, id, bytes } of changedChunks(now, old)) {
    const key = keys.chunk(level, id);
    if (bytes === undefined) sink.delete(key);
    else sink.put(key, encodeRecord(RAW, bytes));
  }
}

function writeBuffer(
  sink: RecordSink,
  keys: GroupKeys,
  before: GroupState | undefined,
  after: GroupState,
): void {
  if (before?.buffer === after.buffer) return;
  writeRows(sink, before?.buffer, after.buffer, {
    key: (hash) => keys.buffered(hash),
    encode: (message) => encodeRecord(bufferedRecord, message),
  });
  const total = bufferedTotal(after);
  const key = bufferedKey(after.handle);
  if (total !== undefined) sink.put(key, encodeRecord(bufferedTotalRecord, total));
  else if (before !== undefined) sink.delete(key);
}

/** Whether the state holds the secret tree of this epoch. */
export function hasSecretTree(state: GroupState | undefined, number: bigint): boolean {
  if (state === undefined) return false;
  const { status, epoch, past } = state;
  if (status !== "inactive" && epoch.context.epoch === number) return true;
  return past.some(({ context }) => context.epoch === number);
}

/** Secret trees by epoch: the current one and those of past epochs. */
function secretTrees(state: GroupState | undefined): ReadonlyMap<bigint, SecretTree> {
  const trees = new Map<bigint, SecretTree>();
  if (state === undefined) return trees;
  if (state.status !== "inactive") {
    trees.set(state.epoch.context.epoch, state.epoch.secretTree);
  }
  for (const { context, secretTree } of state.past) trees.set(context.epoch, secretTree);
  return trees;
}

function writeSecretTrees(
  sink: RecordSink,
  keys: GroupKeys,
  before: GroupState | undefined,
  after: GroupState,
): void {
  const old = secretTrees(before);
  const now = secretTrees(after);
  for (const [epoch, tree] of old) {
    if (now.get(epoch) === tree) continue;
    for (const [node] of tree.nodes()) sink.delete(keys.node(epoch, node));
    for (const { leaf, kind } of tree.ratchets()) sink.delete(keys.ratchet(epoch, leaf, kind));
  }
  for (const [epoch, tree] of now) {
    if (old.get(epoch) === tree) continue;
    const nodes = [...tree.nodes()];
    writeRatchets(sink, after.handle, epoch, { nodes, ratchets: [...tree.ratchets()] });
  }
}

function encodePast(past: StoredPastEpoch): Uint8Array {
  return encodeRecord(pastRecord, {
    groupId: past.context.groupId,
    contextBytes: past.contextBytes,
    leafCount: past.secretTree.leafCount,
    ownLeaf: past.ownLeaf,
    senderDataSecret: past.senderDataSecret,
    endedAt: past.endedAt,
    changes: past.changes.map(([leaf, member]) => ({ leaf, member })),
  });
}

function encodeProposal(stored: StoredProposal): Uint8Array {
  const { ownUpdate, wireFormat, ...rest } = stored;
  const leafPrivateKey = ownUpdate?.leafPrivateKey;
  const isPublic = wireFormat === "publicMessage";
  return encodeRecord(proposalRecord, { ...rest, isPublic, leafPrivateKey });
}
