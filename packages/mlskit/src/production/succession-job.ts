/** From a ReInit to its successor, step by step. RFC 9420 §11.2; catalogue M-REI-07. */
import { EMPTY_BYTES, toHex } from "../codec/index.ts";
import type { MaybePromise } from "../crypto/index.ts";
import { MlsError } from "../errors.ts";
import { identityOf } from "../group/credential-checks.ts";
import { eraseEpoch } from "../group/epoch.ts";
import type { CreatedSuccessor } from "../group/successor.ts";
import type { ReInit } from "../messages/proposal.ts";
import { type Client, coreOfClient, type NewGroup } from "../client/client.ts";
import type { ClientCore } from "../client/session/client-core.ts";
import { writeSuccessor } from "../client/joining/enter-group.ts";
import { isFaultOfOthers } from "../client/joining/join.ts";
import type { Group, Member } from "../client/group.ts";
import { decodeKeyPackage } from "../client/state/messages.ts";
import { secondsOf } from "../client/state/settings.ts";
import { findGroup } from "./group-job.ts";
import { Transaction } from "../client/records/transaction.ts";
import { type SuccessionRecord, successionRecord } from "./production-records.ts";
import { decodeRecord, encodeRecord } from "../client/records/record-codecs.ts";
import { jobKey } from "../client/records/record-keys.ts";
import { makeSuccessor, type SuccessorRequest } from "../client/joining/successor.ts";

export interface SuccessionOptions {
  /** A fresh key package of a member for the new cipher suite; undefined: there is none yet. */
  keyPackage(member: Member, reInit: ReInit): MaybePromise<Uint8Array | undefined>;
  /** Hands out the Welcomes; they may come twice. */
  deliver(created: NewGroup): MaybePromise<unknown>;
  /** Seconds for which the next in line waits before it takes over. Default: an hour. */
  readonly patience?: number | undefined;
  /** How the successor is made. */
  readonly request?: SuccessorRequest | undefined;
}

export type SuccessionStep =
  /** Others are before us: until this time. Seconds since 1970. */
  | { readonly type: "waiting"; readonly until: bigint }
  /** It is our turn, but these have no key package yet. */
  | { readonly type: "collecting"; readonly missing: readonly Member[] }
  | { readonly type: "created"; readonly group: Group }
  /** The old group has a successor, or is gone. */
  | { readonly type: "done" };

const DEFAULT_PATIENCE = 3600;

/**
 * Goes one step further with the successor of a group that a ReInit closed; to be called now and then,
 * also after a restart, until it is `created` or `done`. Members take turns in a fixed order, so that
 * the next one takes over when one does nothing. Whoever gets a Welcome meanwhile joins by it.
 */
export async function continueSuccession(
  client: Client,
  groupId: Uint8Array,
  options: SuccessionOptions,
): Promise<SuccessionStep> {
  const core = coreOfClient(client);
  const patience = secondsOf("patience", options.patience ?? DEFAULT_PATIENCE);
  const known = await readRecord(core, groupId);
  if (known?.made !== undefined) return handOut(client, core, groupId, known.made, options);
  const group = await findGroup(client, groupId);
  const reInit = group?.reInit;
  if (group?.status !== "suspended" || reInit === undefined) {
    if (known !== undefined) await forget(core, groupId);
    return { type: "done" };
  }
  const start = known ?? { startedAt: core.options.clock(), keyPackages: [], made: undefined };
  const others = group.members().filter(({ isOwn }) => !isOwn);
  const record = await collect(core, group, others, reInit, start, options);
  const until = turnOf(group, record.startedAt, patience);
  if (core.options.clock() < until) return { type: "waiting", until };
  const packages = new Map(record.keyPackages.map(({ leaf, bytes }) => [leaf, bytes]));
  const missing = others.filter(({ leafIndex }) => !packages.has(leafIndex));
  if (missing.length > 0) return { type: "collecting", missing };
  const bytes = [...packages.values()];
  const note = (write: Transaction, next: CreatedSuccessor): void => {
    putRecord(write, groupId, { ...record, made: madeOf(reInit, next) });
  };
  const made = await writeSuccessor(core, groupId, bytes, options.request ?? {}, note).catch(
    async (error: unknown) => {
      if (isFaultOfOthers(error)) {
        const { keyPackages: all } = record;
        // Whoever cannot judge accuses nobody.
        const keyPackages = await blameless(core, group, all, options.request ?? {}).catch(
          () => all,
        );
        await core.write(async (write) => putRecord(write, groupId, { ...record, keyPackages }));
      }
      throw error;
    },
  );
  return handOut(client, core, groupId, madeOf(reInit, made), options);
}

/**
 * The key packages that stay after a failure, for nothing tells whose fault it was: each is tried alone
 * with us. If we fail alone, none is to blame; if none does alone, all are asked for anew.
 */
async function blameless(
  core: ClientCore,
  group: Group,
  kept: SuccessionRecord["keyPackages"],
  request: SuccessorRequest,
): Promise<SuccessionRecord["keyPackages"]> {
  const { state } = await core.load(await core.handleOf(group.id));
  const members = group.members();
  const isUsableWith = async (others: SuccessionRecord["keyPackages"]): Promise<boolean> => {
    const isAmong = ({ isOwn, leafIndex }: Member) =>
      isOwn || others.some(({ leaf }) => leaf === leafIndex);
    const two = members.filter(isAmong).map(identityOf);
    const packages = others.map(({ bytes }) => bytes);
    try {
      const trial = new Transaction(core.storage);
      const { next } = await makeSuccessor(core, trial, state, packages, request, two);
      eraseEpoch(next, undefined);
      return true;
    } catch (error) {
      if (!isFaultOfOthers(error)) throw error;
      return false;
    }
  };
  if (!(await isUsableWith([]))) return kept;
  const usable: SuccessionRecord["keyPackages"][number][] = [];
  for (const one of kept) if (await isUsableWith([one])) usable.push(one);
  return usable.length === kept.length ? [] : usable;
}

function madeOf(
  { groupId }: ReInit,
  { welcomes, ratchetTree, confirmationTag }: CreatedSuccessor,
): NonNullable<SuccessionRecord["made"]> {
  return { groupId, welcomes, ratchetTree, confirmationTag };
}

/** Asks for what is missing or has expired, and keeps what it gets. */
async function collect(
  core: ClientCore,
  group: Group,
  others: readonly Member[],
  reInit: ReInit,
  record: SuccessionRecord,
  options: SuccessionOptions,
): Promise<SuccessionRecord> {
  const kept = record.keyPackages.filter(({ bytes }) => isUsable(core, bytes, reInit));
  const leaves = new Set(kept.map(({ leaf }) => leaf));
  for (const member of others) {
    if (leaves.has(member.leafIndex)) continue;
    const bytes = await options.keyPackage(member, reInit);
    if (bytes !== undefined && isUsable(core, bytes, reInit)) {
      kept.push({ leaf: member.leafIndex, bytes });
    }
  }
  const now = { ...record, keyPackages: kept };
  await core.write(async (transaction) => putRecord(transaction, group.id, now));
  return now;
}

/** One that nobody can use must not be kept: it would be in the way at every call. */
function isUsable({ options }: ClientCore, bytes: Uint8Array, reInit: ReInit): boolean {
  try {
    const { cipherSuite, leafNode } = decodeKeyPackage(bytes, options);
    const { origin } = leafNode;
    if (cipherSuite !== reInit.cipherSuite || origin.source !== "keyPackage") return false;
    return origin.lifetime.notAfter > options.clock();
  } catch (error) {
    if (!(error instanceof MlsError)) throw error;
    return false;
  }
}

/** Another member is first in every epoch, as with the commit delay of rule P-OWN-05. */
function turnOf(group: Group, startedAt: bigint, patience: bigint): bigint {
  const members = group.members();
  const rank = members.findIndex(({ isOwn }) => isOwn);
  const position = (Number(group.epoch % BigInt(members.length)) + rank) % members.length;
  return startedAt + BigInt(position) * patience;
}

async function handOut(
  client: Client,
  core: ClientCore,
  groupId: Uint8Array,
  made: NonNullable<SuccessionRecord["made"]>,
  options: SuccessionOptions,
): Promise<SuccessionStep> {
  const { welcomes, ratchetTree } = made;
  const group = await findGroup(client, made.groupId);
  if (group === undefined) {
    await forget(core, groupId);
    return { type: "done" };
  }
  // The group may be in a later epoch by now, whose Commit is not the one that is handed out.
  const { confirmationTag = EMPTY_BYTES } = made;
  await options.deliver({ group, welcomes, ratchetTree, confirmationTag });
  await forget(core, groupId);
  return { type: "created", group };
}

async function readRecord(
  core: ClientCore,
  groupId: Uint8Array,
): Promise<SuccessionRecord | undefined> {
  core.checkOpen();
  const stored = await core.storage.get(keyOf(groupId));
  return stored === undefined ? undefined : decodeRecord(successionRecord, stored.value);
}

function putRecord(transaction: Transaction, groupId: Uint8Array, record: SuccessionRecord): void {
  transaction.put(keyOf(groupId), encodeRecord(successionRecord, record));
}

function forget(core: ClientCore, groupId: Uint8Array): Promise<void> {
  return core.write(async (transaction) => transaction.delete(keyOf(groupId)));
}

const keyOf = (groupId: Uint8Array): string => jobKey(`succession/${toHex(groupId)}`);
